"""Files of a workspace that are missing, cut short, or changed: what is said of them, and what brings them back."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path

from tests.faults.laboratory import Laboratory, Trial, snapshot
from tests.faults.ledger_tables import differences, faults_in, tables_of
from tests.faults.runs import Ended

Harm = Callable[[Path, random.Random], None]


def remove(path: Path, _: random.Random) -> None:
    path.unlink()


def cut(path: Path, rng: random.Random) -> None:
    replace_by(path, path.read_bytes()[: rng.randrange(path.stat().st_size)])


def change_bytes(path: Path, rng: random.Random) -> None:
    """Some neighbouring bytes of the second half, where the content is."""
    data = bytearray(path.read_bytes())
    place = rng.randrange(len(data) // 2, len(data) - 4)
    data[place : place + 4] = bytes(value ^ 0x55 for value in data[place : place + 4])
    replace_by(path, bytes(data))


def garble(path: Path, rng: random.Random) -> None:
    replace_by(path, rng.randbytes(path.stat().st_size))


def replace_by(path: Path, data: bytes) -> None:
    """As a new file: the old one may be shared with other workspaces."""
    path.unlink()
    path.write_bytes(data)


HARMS: dict[str, Harm] = {"removed": remove, "cut": cut, "changed": change_bytes, "garbled": garble}


def a_harm(rng: random.Random, *, without: tuple[str, ...] = ()) -> tuple[str, Harm]:
    return rng.choice([item for item in HARMS.items() if item[0] not in without])


def doctor(lab: Laboratory, workspace: Path) -> Ended:
    return lab.runs.run("-w", workspace, "doctor", "--check")


def expect_doctor_names(trial: Trial, lab: Laboratory, workspace: Path, *wanted: str, failed: bool = True) -> None:
    """`doctor --check` says what is damaged, fails where it needs a hand, and names it by these words."""
    ended = doctor(lab, workspace)
    trial.runs += 1
    trial.expect(
        ended.status == int(failed), f"doctor ends with {ended.status}: {ended.stdout[-1500:]} {ended.stderr[-900:]}"
    )
    told = [line for line in ended.stdout.splitlines() if not line.startswith("ok")]
    for text in wanted:
        trial.expect(any(text in line for line in told), f"doctor does not say {text!r}: {told}")


def expect_healthy(trial: Trial, lab: Laboratory, workspace: Path) -> None:
    ended = doctor(lab, workspace)
    trial.runs += 1
    trial.expect(ended.status == 0, f"doctor is not content: {ended.stdout[-2500:]} {ended.stderr[-500:]}")
    trial.losses += faults_in(workspace)


def vector_file(lab: Laboratory, rng: random.Random, *, harm: str | None = None) -> Trial:
    """Scoring refuses, doctor names it, a scan that believes nothing embeds its images again."""
    name = harm or a_harm(rng)[0]
    trial = Trial("damaged vector file", name)
    lab.unbroken("scan")
    with lab.workspace("scanned") as workspace:
        path = rng.choice(sorted((workspace / "vectors").rglob("*.safetensors")))
        HARMS[name](path, rng)
        scoring = lab.runs.run("-w", workspace, "score", "--bank", "base", "--method", "mcm")
        trial.expect_one_line(scoring, path.name, "--rehash")
        expect_doctor_names(trial, lab, workspace, path.stem, "--rehash")
        ended = lab.runs.run("-w", workspace, "scan", lab.lake, "--rehash")
        trial.runs += 1
        trial.expect(ended.status == 0 and "1 of" in ended.stderr, f"not repaired: {ended.stderr[-900:]}")
        # What was known already counts as duplicates in the shards of a scan that reads all again; the other method's
        # scores are there for the files that were whole.
        found, wanted = tables_of(snapshot(workspace)), lab.unbroken("scan").tables
        trial.losses += differences(found, wanted, without=("shard", "score"))
        expect_healthy(trial, lab, workspace)
    return trial


def index_file(lab: Laboratory, rng: random.Random, *, harm: str | None = None) -> Trial:
    """An index is a cache: doctor says so, and the next search builds it again."""
    name, harming = (harm, HARMS[harm]) if harm else a_harm(rng)
    trial = Trial("damaged index file", name)
    search = ("index", "search", "--label", "red", "--json")
    with lab.workspace("scanned") as workspace:
        before = lab.runs.run("-w", workspace, *search)
        files = "index.faiss" if name == "changed" else "*"  # a manifest that tells of other vectors is stale, no more
        path = rng.choice(sorted((workspace / "index").rglob(f"*images*/{files}")))
        harming(path, rng)
        expect_doctor_names(trial, lab, workspace, "index", failed=False)
        after = lab.runs.run("-w", workspace, *search)
        trial.runs += 2
        trial.expect(after.status == 0 and after.stdout == before.stdout, f"another answer: {after.stderr[-900:]}")
        expect_healthy(trial, lab, workspace)
    return trial


def text_cache(lab: Laboratory, rng: random.Random, *, harm: str | None = None) -> Trial:
    """Texts are encoded again; a bank that is built from a damaged cache is the bank it would be without."""
    name, harming = (harm, HARMS[harm]) if harm else a_harm(rng)
    trial = Trial("damaged text cache", name)
    lab.unbroken("bank build")
    with lab.workspace("built") as workspace:
        path = rng.choice(sorted((workspace / "cache" / "text").rglob("*.safetensors")))
        harming(path, rng)
        if name != "removed":
            expect_doctor_names(trial, lab, workspace, "text cache", failed=False)
        (workspace / "ledger.duckdb").unlink()
        shutil.rmtree(workspace / "published")
        shutil.rmtree(workspace / "banks" / "base")
        lab.recover(trial, workspace, "bank build")
        expect_healthy(trial, lab, workspace)
    return trial


def bank_file(lab: Laboratory, rng: random.Random, *, harm: str | None = None) -> Trial:
    """Nothing is scored with a damaged bank; without its folder, building makes the same version again."""
    name, harming = (harm, HARMS[harm]) if harm else a_harm(rng)
    trial = Trial("damaged bank version", name)
    with lab.workspace("scanned") as workspace:
        (folder,) = (path for path in (workspace / "banks" / "base").iterdir() if path.is_dir())
        path = rng.choice(sorted(folder.iterdir()))
        trial.what += f" {path.name}"
        harming(path, rng)
        scoring = lab.runs.run("-w", workspace, "score", "--bank", "base", "--method", "mcm")
        trial.expect_one_line(scoring, folder.name, "build")
        expect_doctor_names(trial, lab, workspace, folder.name)
        shutil.rmtree(folder)
        ended = lab.runs.run("-w", workspace, "bank", "build", "base")
        trial.runs += 1
        trial.expect(ended.status == 0 and (folder / "bank.json").is_file(), f"not built again: {ended.stderr[-900:]}")
        lab.recover(trial, workspace, "scan")
        expect_healthy(trial, lab, workspace)
    return trial


def published(lab: Laboratory, rng: random.Random, *, harm: str | None = None) -> Trial:
    """Readers are told to publish; that, or any run, makes the snapshot again."""
    name = harm or rng.choice(["removed", "cut", "garbled"])
    trial = Trial("damaged snapshot", name)
    lab.unbroken("scan")
    with lab.workspace("scanned") as workspace:
        question = ("-w", workspace, "sql", "select sum(hash(score)) as scores from score", "--json")
        answer = lab.runs.run(*question).stdout
        HARMS[name](snapshot(workspace), rng)
        reading = lab.runs.run(*question)
        if reading.status == 0:  # what was cut off were blocks that hold nothing now
            trial.runs += 1
            trial.expect(reading.stdout == answer, f"another answer: {reading.stdout} instead of {answer}")
        else:
            trial.expect_one_line(reading, "curator publish")
            expect_doctor_names(trial, lab, workspace, "curator publish")
        ended = lab.runs.run("-w", workspace, *rng.choice([("publish",), ("scan", lab.lake)]))
        trial.runs += 1
        trial.expect(ended.status == 0, f"status {ended.status}: {ended.stderr[-900:]}")
        trial.losses += differences(tables_of(snapshot(workspace)), lab.unbroken("scan").tables)
        expect_healthy(trial, lab, workspace)
    return trial


def log_of_ledger(lab: Laboratory, rng: random.Random, *, harm: str | None = None) -> Trial:
    """A run that was killed leaves its last changes in a log beside the ledger, and then the log is damaged."""
    name = harm or rng.choice(["removed", "cut", "changed", "garbled"])
    trial = Trial("damaged log of the ledger", name)
    lab.unbroken("scan")
    with lab.workspace("built") as workspace:
        lab.run(workspace, "scan", at=rng.randint(60, lab.unbroken("scan").events - 10))
        log = workspace / "ledger.duckdb.wal"
        if not log.is_file() or log.stat().st_size < 8:
            trial.injected = 0
            return trial
        HARMS[name](log, rng)
        repair_ledger(trial, lab, workspace)
    return trial


def page_of_ledger(lab: Laboratory, rng: random.Random, *, harm: str | None = None) -> Trial:
    """A block of the live ledger is overwritten, or the file is cut: the snapshot takes its place."""
    name = harm or rng.choice(["cut", "changed", "garbled"])
    trial = Trial("damaged ledger", name)
    lab.unbroken("scan")
    with lab.workspace("scanned") as workspace:
        HARMS[name](workspace / "ledger.duckdb", rng)
        repair_ledger(trial, lab, workspace)
    return trial


def repair_ledger(trial: Trial, lab: Laboratory, workspace: Path) -> None:
    """Either the scan goes on as if nothing had been, or it says in one line what to do, and that helps.

    The snapshot may tell of the scan that failed, and keeps all else.
    """
    before = tables_of(snapshot(workspace))
    ended = lab.run(workspace, "scan")
    if ended.status != 0:
        trial.expect_one_line(ended, "`curator recover`")
        trial.losses += differences(tables_of(snapshot(workspace)), before)
        expect_doctor_names(trial, lab, workspace, "ledger.duckdb")
        bring_back(trial, lab, workspace)
    lab.recover(trial, workspace, "scan")
    expect_healthy(trial, lab, workspace)


def bring_back(trial: Trial, lab: Laboratory, workspace: Path) -> None:
    ended = lab.runs.run("-w", workspace, "recover")
    trial.runs += 1
    trial.expect(ended.status == 0 and "ledger.duckdb" in ended.stdout, f"not recovered: {ended.stderr[-900:]}")


def lost_ledger(lab: Laboratory, rng: random.Random, *, harm: str | None = None) -> Trial:
    """The ledger goes between two runs, or is an empty file: no run begins a second time over what the first left."""
    name = harm or rng.choice(["removed", "emptied"])
    command = rng.choice(["scan", "publish"])
    trial = Trial("lost ledger", f"{name}, then {command}")
    with lab.workspace("scanned") as workspace:
        before = snapshot(workspace).read_bytes()
        (workspace / "ledger.duckdb").unlink()
        if name == "emptied":
            (workspace / "ledger.duckdb").touch()
        trial.expect_one_line(lab.run(workspace, command), "ledger.duckdb", "`curator recover`")
        trial.expect(snapshot(workspace).read_bytes() == before, "the snapshot was lost with the ledger")
        expect_doctor_names(trial, lab, workspace, "`curator recover`")
        bring_back(trial, lab, workspace)
        lab.recover(trial, workspace, "scan")
        expect_healthy(trial, lab, workspace)
    return trial


def linked_folder(lab: Laboratory, rng: random.Random, *, folder: str | None = None) -> Trial:
    """A part of the workspace lies on another disk, behind a link: backups have it; it is missed when it is gone."""
    folder = folder or rng.choice(["vectors", "banks/base", "vectors/*"])
    trial = Trial("linked folder", folder)
    lab.unbroken("scan")
    with lab.workspace("scanned") as workspace:
        elsewhere, restored, backups = (workspace.parent / name for name in ("elsewhere", "restored", "backups"))
        (path,) = workspace.glob(folder)
        path.rename(elsewhere)
        path.symlink_to(elsewhere)
        make_and_restore(trial, lab, workspace, backups, restored)
        trial.losses += differences(tables_of(snapshot(restored)), lab.unbroken("scan").tables)
        expect_healthy(trial, lab, restored)
        elsewhere.rename(workspace.parent / "not mounted")
        trial.expect_one_line(lab.run(workspace, "scan"), "is a link to", "mount")
        trial.expect_one_line(lab.runs.run("-w", workspace, "backup", backups), "is a link to", "mount")
        expect_doctor_names(trial, lab, workspace, "is a link to")
    return trial


def rotten_backup(lab: Laboratory, rng: random.Random) -> Trial:
    """Some bytes of the last backup change: it is named by verifying, and the next backup is whole all the same."""
    trial = Trial("damaged backup", "")
    lab.unbroken("scan")
    with lab.workspace("scanned") as workspace:
        backups = workspace.parent / "backups"
        lab.must(lab.runs.run("-w", workspace, "backup", backups))
        (first,) = (path for path in backups.iterdir() if path.is_dir())
        files = [path for path in first.rglob("*") if path.is_file() and path.name != "backup.json"]
        path = rng.choice(sorted(path for path in files if path.stat().st_size > 16))
        trial.what = path.relative_to(first).as_posix()
        change_bytes(path, rng)
        make_and_restore(trial, lab, workspace, backups, workspace.parent / "restored")
        verified = lab.runs.run("backup", "--verify", backups)
        trial.runs += 1
        told = [line for line in verified.stdout.splitlines() if line.startswith("  ")]
        trial.expect(verified.status == 1, f"verified with {verified.status}: {verified.stdout}")
        trial.expect(told == [f"  damaged: {trial.what}"], f"named: {told}, and not {trial.what}")
        expect_healthy(trial, lab, workspace.parent / "restored")
    return trial


def make_and_restore(trial: Trial, lab: Laboratory, workspace: Path, backups: Path, restored: Path) -> None:
    for words in (("-w", workspace, "backup", backups), ("restore", backups, restored)):
        ended = lab.runs.run(*words)
        trial.runs += 1
        trial.expect(ended.status == 0, f"{words}: status {ended.status}: {ended.stderr[-900:]}")

"""`curator doctor`: whether this machine and this workspace can do a night's work, and what to do where not."""

from __future__ import annotations

import os
import platform
import shlex
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from curator.banks import load_bank
from curator.errors import CuratorError, EncoderError, WorkspaceError
from curator.generators import check_address, role_behind
from curator.generators.requests import Role
from curator.methods import resolve_method
from curator.progress import step
from curator.review.journal import ASIDE, PATTERN, kept_aside, read_journal
from curator.store import Database, run_checks
from curator.workspace.context import Context
from curator.workspace.judge.in_force import InForce
from curator.workspace.judge.policies import without_measured
from curator.workspace.judge.shortage import selected_shortage
from curator.workspace.keep.integrity import INTEGRITY, Finding, bank_specs
from curator.workspace.lock import describe_holder, is_locked, read_holder
from curator.workspace.mishaps import damage, free_text
from curator.workspace.published import reading
from curator.workspace.stored.presence import (
    PUBLISH,
    RECOVER,
    broken_links,
    has_ledger,
    is_new,
    lost_ledger,
    require_all_runs,
    rescan,
)

PACKAGES = (
    "torch",
    "faiss-gpu",
    "open_clip_torch",
    "transformers",
    "duckdb",
    "pyarrow",
    "pillow",
    "simplejpeg",
    "cykooz-resizer",
)
GENERATOR_PACKAGES = {"endpoint": ("openai", "endpoint"), "diffusers": ("diffusers", "diffusion")}
LOW_DISK_BYTES = 2_000_000_000
READABLE = "decisions wait in it: make it a file that you may read and write, or move it away"


@step("examine the workspace")
def examine(context: Context, *, check: bool = False) -> list[Finding]:
    """Examine everything; what fails does not stop the rest.

    check: also read every file that the workspace keeps, and run all of `sql/checks`.
    """
    subjects: list[tuple[str, Callable[[Context], Iterator[Finding]]]] = [
        ("python", _packages),
        ("encoder", _encoder),
        ("device", _device),
        ("faiss", _faiss),
        ("generators", _generators),
        ("disk", _disk),
        ("lock", _lock),
        ("workspace", _presence),
        ("bank spec", bank_specs),
        ("ledger", _ledger),
        ("vectors", _vector_files),
        ("reviews", _reviews),
        ("ruling", _ruling),
        ("calibration", _references),
    ]
    if check and not is_new(context.layout):
        subjects += [*INTEGRITY, ("checks", _checks)]
    findings: list[Finding] = []
    with _snapshot_held(context):
        for subject, examine_one in subjects:
            try:
                findings += examine_one(context)
            except CuratorError as fault:
                finding = Finding(subject, "failed", fault.message, fault.hint)
                if all(other.message != finding.message for other in findings):  # one damaged file, one line
                    findings.append(finding)
    return findings


@contextmanager
def _snapshot_held(context: Context) -> Iterator[None]:
    """Within it the snapshot stays open, where it can be: each that reads it then joins in 2 ms, and opens it in 30."""
    with ExitStack() as held:
        if context.layout.snapshot.is_file():
            with suppress(CuratorError):  # said by whoever reads it
                held.enter_context(reading(context.layout))
        yield


def _packages(_: Context) -> Iterator[Finding]:
    found = []
    for name in PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            yield Finding("python", "warning", f"the package {name} is not known to this Python")
    yield Finding("python", "ok", f"{platform.python_version()}; {', '.join(found)}")


def _encoder(context: Context) -> Iterator[Finding]:
    encoder = context.encoder
    yield Finding(
        "encoder",
        "ok",
        f"{encoder.encoder_id}: {encoder.dimension} dimensions, {encoder.preprocess.size} px, batches of "
        f"{encoder.batch_size}",
    )


def _device(context: Context) -> Iterator[Finding]:
    import torch

    if torch.cuda.is_available():
        yield Finding("device", "ok", f"GPU {torch.cuda.get_device_name()}")
    elif context.config.encoder.device.startswith("cuda"):
        yield Finding("device", "failed", "the configuration wants CUDA, and there is none", "set encoder.device")
    else:
        cores = len(os.sched_getaffinity(0))
        yield Finding("device", "ok", f"no GPU; {cores} processor cores, {torch.get_num_threads()} torch threads")


def _faiss(_: Context) -> Iterator[Finding]:
    import faiss

    yield Finding("faiss", "ok", f"FAISS {faiss.__version__}, {faiss.get_num_gpus()} GPUs")


def _generators(context: Context) -> Iterator[Finding]:
    """What stands behind the roles, and whether its package is there. Asks no service and loads no weights."""
    section = context.config.generators
    names: tuple[Role, ...] = ("describer", "reasoner", "viewer", "painter")
    roles = {role: str(getattr(section, role_behind(role, section))) for role in names}
    for role, address in roles.items():
        check_address(role, address)
        kind = address.partition(":")[0]
        package, extra = GENERATOR_PACKAGES.get(kind, ("", ""))
        if package and find_spec(package) is None:
            hint = f"pip install 'ood-curator[{extra}]'"
            yield Finding("generators", "failed", f"{role} {address} needs the package {package}", hint)
    if any(address.startswith("endpoint:") for address in roles.values()):
        key = "is set" if os.environ.get(section.api_key_variable) else "is not set"
        yield Finding("generators", "ok", f"service {section.base_url}; its key, {section.api_key_variable}, {key}")
    yield Finding("generators", "ok", ", ".join(f"{role} {address}" for role, address in roles.items()))


def _disk(context: Context) -> Iterator[Finding]:
    free = shutil.disk_usage(context.layout.root).free
    message = f"{free_text(context.layout.root)} at {context.layout.root}"
    if not os.access(context.layout.root, os.W_OK):
        yield Finding("disk", "failed", f"{context.layout.root} cannot be written to")
    elif free < LOW_DISK_BYTES:
        yield Finding("disk", "warning", message, "a million images take about 1 GB of vectors and 1 GB of ledger")
    else:
        yield Finding("disk", "ok", message)


def _lock(context: Context) -> Iterator[Finding]:
    if context.layout.lock.exists() and not context.layout.lock.is_file():
        hint = f"put it away, by `mv {shlex.quote(str(context.layout.lock))} lock-was`"
        yield Finding("lock", "failed", f"{context.layout.lock} is no file, so nobody can lock the workspace", hint)
    elif is_locked(context.layout.lock):
        yield Finding("lock", "warning", f"held by {describe_holder(context.layout.lock)}", "writing has to wait")
    elif (holder := read_holder(context.layout.lock)) is None:
        yield Finding("lock", "ok", "free")
    elif holder.is_of_this_machine:
        yield Finding("lock", "warning", f"free; {holder} died", "the next run takes over")
    else:
        yield Finding("lock", "warning", f"names {holder}, another machine", "if it died, the next run takes over")


def _presence(context: Context) -> Iterator[Finding]:
    """What is absent although a run has been here, and a ledger that is not the one of this workspace."""
    layout = context.layout
    for fault in (*broken_links(layout), lost_ledger(layout)):
        if fault is not None:
            yield Finding("workspace", "failed", fault.message, fault.hint)
    if has_ledger(layout) and not layout.snapshot.is_file():
        yield Finding("snapshot", "failed", f"{layout.snapshot} is missing", PUBLISH)
    elif has_ledger(layout) and not is_locked(layout.lock):
        with damage(layout.ledger, remedy=RECOVER), Database.open_reader(layout.ledger) as ledger:
            require_all_runs(layout, ledger)


def _ledger(context: Context) -> Iterator[Finding]:
    if not context.layout.snapshot.is_file():
        if is_new(context.layout):
            yield Finding("ledger", "ok", "nothing was scanned yet")
        return
    with reading(context.layout) as database:
        yield from _encoder_of(context, database)
        facts = database.arrow("select * from report.accounting").to_pylist()[0]
        runs = database.rows("list_runs")
    listed = ", ".join(f"{value} {name}" for name, value in facts.items())
    yield Finding("ledger", "ok", f"{listed}; last run {runs[0]['run_id']} {runs[0]['status']}" if runs else listed)
    if runs and runs[0]["status"] in ("failed", "interrupted"):
        yield Finding(
            "ledger",
            "warning",
            f"the last run was {runs[0]['status']}: {runs[0]['error'] or 'no message'}",
            "run the same command again: it resumes",
        )


def _encoder_of(context: Context, database: Database) -> Iterator[Finding]:
    """A configuration that was lost has another encoder, and would have every image embedded again."""
    known, address = database.row("find_newest_encoder"), context.config.encoder.address
    if known and database.row("find_encoder", address=address) is None:
        message = f"encoder.address is {address}, and all that is there is of {known['address']}"
        yield Finding("encoder", "warning", message, "mend curator.toml, unless every image is to be embedded again")
        return
    try:
        context.require_current(database)
    except EncoderError as fault:
        yield Finding("encoder", "warning", fault.message, fault.hint)


def _vector_files(context: Context) -> Iterator[Finding]:
    if not context.layout.snapshot.is_file():
        return
    with reading(context.layout) as database:
        encoder_id = context.stored_encoder_id(database)
        names = database.table("list_vector_files", encoder_id=encoder_id)["vector_file"].to_pylist()
        hint = rescan(database)
    folder = context.layout.vectors(encoder_id)
    missing = [name for name in names if not (folder / f"{name}.safetensors").is_file()]
    if missing:
        yield Finding(
            "vectors",
            "failed",
            f"{len(missing)} of {len(names)} vector files are missing, first {missing[0]}",
            hint,
        )
    else:
        yield Finding("vectors", "ok", f"{len(names)} vector files")


def _reviews(context: Context) -> Iterator[Finding]:
    """Journals that cannot be recorded, lines that were kept aside, and how many decisions wait."""
    folder = context.layout.reviews
    if folder.exists() and not folder.is_dir():
        yield Finding("reviews", "failed", f"{folder} is no folder", "move it away: review pages keep decisions there")
        return
    waiting = 0
    for path in sorted((*folder.glob(PATTERN), *folder.glob(ASIDE))):
        is_aside = path.match(ASIDE)
        try:
            entries = read_journal(path)
        except WorkspaceError as fault:
            yield Finding("reviews", "failed", fault.message, READABLE)
            continue
        faults = [f"line {entry.number}: {entry.fault}" for entry in entries if entry.fault is not None]
        if is_aside:
            reason = faults[0] if faults else "nothing is wrong with them now"
            message = f"{path}: {len(entries)} decisions that could not be recorded; {reason}"
            yield Finding(
                "reviews", "warning", message, f"mend it, run `curator review import {path}`, then remove the file"
            )
            continue
        waiting += len(entries) - len(faults)
        if faults:
            message = f"{path}: {len(faults)} decisions that cannot be recorded; {faults[0]}"
            remedy = f"mend it, or let the next command about reviews keep it aside in {kept_aside(path)}"
            yield Finding("reviews", "warning", message, remedy)
    if waiting:
        yield Finding("reviews", "ok", f"{waiting} decisions wait: the next command about reviews records them")


def _ruling(context: Context) -> Iterator[Finding]:
    """What rules, and whether the next scan would go by something else, as curator.toml or a newer bank says."""
    if not context.layout.snapshot.is_file():
        return
    address, method = context.config.scan.bank, context.config.scan.method
    with reading(context.layout) as database:
        if (ruling := InForce.of(database)) is None:
            return
        name, _, digest = address.partition("@")
        bank = database.row("find_bank", name=name, digest_prefix=digest, encoder_id=ruling.encoder_id)
    named = f"{name}@v{bank['version']}" if bank else address
    if bank is not None and bank["bank_digest"] == ruling.bank_digest:
        found = load_bank(context.layout.bank_versions(name) / ruling.bank_digest)
        if behind := context.behind(address, found):
            yield Finding("bank", "warning", *behind)
        wanted = resolve_method(context.method_spec(None), found).method_id
        if without_measured(wanted) == without_measured(ruling.method_id):
            yield Finding("ruling", "ok", f"ruled by {ruling.said}")
            return
    keep = f"{ruling.bank} {without_measured(ruling.method_id)}"
    yield Finding(
        "ruling",
        "warning",
        f"ruled by {ruling.said}, and the next scan puts bank {named}, method {method} in force, as configured",
        f"leave it so, or keep what rules by `curator use {keep}`",
    )


def _references(context: Context) -> Iterator[Finding]:
    """Whether the policy in force has references enough to flag anything."""
    if not context.layout.snapshot.is_file():
        return
    with reading(context.layout) as database:
        if found := selected_shortage(database):
            name, sentence = found
            hint = "curator calibrate --reference SRC, with more images that are known to be ID"
            yield Finding("calibration", "warning", f"policy {name}: {sentence}", hint)


def _checks(context: Context) -> Iterator[Finding]:
    with reading(context.layout) as database:
        for result in run_checks(database):
            if result.healthy:
                yield Finding("checks", "ok", f"{result.name}: {result.statement}")
            else:
                row = result.violators.to_pylist()[0]
                yield Finding("checks", "failed", f"{result.name}: {result.statement} First violator: {row}")

"""The Makefile that `curator init` writes, run by a real make: exactly what changed is built again."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess

import pytest

from curator.errors import BankError
from curator.workspace import Workspace
from curator.workspace.lock import hold_lock
from tests import interpreter
from tests.patience import BRAKE_SECONDS

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not on this machine")

TARGETS = ["help", "night", "banks", "scan", "calibrate", "report", "export", "check"]
SMALL_BANK = """\
name = "base"
id.labels = "labels.txt"
negatives.wordnet.include = ["noun.shape"]
"""
ODD_NAME = "my 100% #1 $HOME a:b.txt"
SPEC = """\
name = "{name}"
[id]
labels = {labels}
[mining]
limit = 0
"""


def of_night(root, *banks):
    """Let the night build these banks beside that of the scan."""
    config = root / "curator.toml"
    kept = config.read_text().partition("\n[night]")[0]
    config.write_text(f"{kept}\n[night]\nbanks = {list(banks)}\n")


@pytest.fixture
def root(workspace):
    """Three banks of the night: `base` and `odd` read a file, `inline` reads none."""
    folder = workspace.layout.root
    of_night(folder, "odd", "inline")
    (folder / ODD_NAME).write_text("red\ngreen\n")
    for name, labels in (("base", '"labels.txt"'), ("odd", f'"{ODD_NAME}"'), ("inline", '["red", "green"]')):
        workspace.layout.bank_spec(name).write_text(SPEC.format(name=name, labels=labels))
    return folder


def keep_only(root, *names):
    of_night(root, *names)
    for path in (root / "banks").glob("*.toml"):
        if path.stem not in names:
            path.unlink()


def run_make(root, *arguments, code=0):
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "MFLAGS"))}
    command = ["make", f"CURATOR={shlex.join(interpreter.command())} -m curator", *arguments]
    result = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=BRAKE_SECONDS)
    assert result.returncode == code, result.stdout + result.stderr
    return result


def built(result):
    """Names of the banks that make had built, in its order."""
    return re.findall(r"bank build (\S+) --wait", result.stdout)


def change(path, text=None):
    """Write the file anew, so that it is newer than all stamps."""
    path.write_text(path.read_text() if text is None else text)


@pytest.mark.slow
def test_only_what_changed_is_built_again(root):
    assert sorted(built(run_make(root, "-j4", "banks"))) == ["base", "inline", "odd"]
    assert "Nothing to be done" in run_make(root, "-j4", "banks").stdout

    change(root / "banks" / "inline.toml")
    assert built(run_make(root, "banks")) == ["inline"]
    change(root / "labels.txt")
    assert built(run_make(root, "banks")) == ["base"]
    change(root / ODD_NAME)
    assert built(run_make(root, "banks")) == ["odd"]

    versions = next((root / "banks" / "base").iterdir())
    shutil.rmtree(versions)
    (root / "banks" / ".stamps" / "base.built").unlink()
    assert built(run_make(root, "banks")) == ["base"]
    assert (versions / "bank.json").is_file()
    assert "Nothing to be done" in run_make(root, "banks").stdout


def test_who_makes_a_bank_leaves_its_stamp_with_the_time_at_which_the_build_began(root, workspace):
    def time_of(path):
        return (root / path).stat().st_mtime_ns

    base, odd, encoder = (f"banks/.stamps/{name}" for name in ("base.built", "odd.built", "encoder"))
    workspace.build_bank("base")
    assert max(map(time_of, ("banks/base.toml", "labels.txt"))) <= time_of(base) == time_of(encoder)
    assert (root / encoder).read_text() == workspace.config.line("encoder", "address") + "\n", "as make reads it"
    change(root / encoder, "address = 'another'\n")
    workspace.build_bank("odd")
    assert time_of(base) < time_of(odd) == time_of(encoder), "what another encoder made is older than what says so"


@pytest.mark.slow
def test_what_was_made_by_hand_is_not_made_again_and_an_experiment_joins_when_the_workspace_says_so(root, workspace):
    of_night(root)
    for name in ("base", "odd"):
        workspace.build_bank(name)
    change(root / "curator.toml")
    assert built(run_make(root, "banks")) == []
    change(root / "labels.txt")
    (root / "banks" / "broken.toml").write_text("an experiment that is not even TOML")
    assert built(run_make(root, "banks")) == ["base"]
    of_night(root, "odd", "inline")
    assert built(run_make(root, "banks")) == ["inline"], "odd was made by hand"


def test_the_banks_of_a_night_are_those_named_and_all_that_they_take_labels_from(root, workspace):
    taken = '[[negatives.banks]]\nbank = "inline"\nmine = false\n'
    spec = 'name = "aaa"\nid.labels = ["red"]\n'
    workspace.layout.bank_spec("aaa").write_text(spec + taken)
    of_night(root, "aaa")
    rules = Workspace.open(root).bank_dependencies().splitlines()
    assert rules[0] == "BANKS := base aaa"
    assert "banks/.stamps/aaa.built: banks/.stamps/inline.built" in rules and "banks/.stamps/inline.built: " in rules
    pinned = Workspace.open(root, overrides={"scan.bank": "base@v1", "night.banks": ()})
    assert pinned.bank_dependencies() == "BANKS := \n", "one version for good is never built"
    with pytest.raises(BankError, match="no such bank spec"):
        Workspace.open(root, overrides={"night.banks": ("missing",)}).bank_dependencies()


@pytest.mark.slow
def test_a_new_input_of_a_spec_counts_at_once_and_a_missing_one_is_told_by_the_build(root):
    keep_only(root, "inline")
    run_make(root, "banks")
    (root / "more.txt").write_text("red\ngreen\nblue\n")
    change(root / "banks" / "inline.toml", SPEC.format(name="inline", labels='"more.txt"'))
    assert built(run_make(root, "banks")) == ["inline"]
    change(root / "more.txt")
    assert built(run_make(root, "banks")) == ["inline"]

    (root / "more.txt").unlink()
    failed = run_make(root, "banks", code=2)
    assert "cannot read the labels" in failed.stderr
    assert built(failed) == ["inline"]


@pytest.mark.slow
def test_another_encoder_builds_every_bank_and_another_option_none(root):
    keep_only(root, "base")
    run_make(root, "banks")
    config = root / "curator.toml"
    change(config, config.read_text().replace("min_cosine = 0.98", "min_cosine = 0.97"))
    assert built(run_make(root, "banks")) == []
    change(config, config.read_text().replace('"fake"', '"fake:24"'))
    assert built(run_make(root, "banks")) == ["base"]
    assert built(run_make(root, "banks")) == []


@pytest.mark.slow
def test_a_bank_is_built_after_the_bank_it_takes_labels_from(root):
    keep_only(root, "base")
    negatives = '[negatives.wordnet]\ninclude = ["noun.motive"]\n'
    (root / "banks" / "base.toml").write_text(f'name = "base"\nid.labels = "labels.txt"\n{negatives}')
    taken = '[[negatives.banks]]\nbank = "base"\nmine = false\n'
    (root / "banks" / "aaa.toml").write_text(f'name = "aaa"\nid.labels = ["red"]\n{taken}')
    of_night(root, "aaa")
    assert built(run_make(root, "-j4", "banks")) == ["base", "aaa"]
    change(root / "banks" / "base.toml")
    assert built(run_make(root, "-j4", "banks")) == ["base", "aaa"]
    change(root / "banks" / "aaa.toml")
    assert "bank build aaa" in (plan := run_make(root, "-n", "banks").stdout) and "bank build base" not in plan


@pytest.mark.slow
def test_a_bank_that_learns_is_made_after_its_parent(root, lake, workspace):
    keep_only(root, "base")
    (root / "banks" / "base.toml").write_text(SMALL_BANK)
    workspace.scan(lake)
    (root / "banks" / "aaa.toml").write_text('name = "aaa"\nparent = "base"\n[eoe]\nper_class = 3\n')
    of_night(root, "aaa")
    assert built(run_make(root, "-j4", "banks")) == ["aaa"], "the scan has made its parent"
    assert workspace.show_bank("aaa")[0]["negative_count"] > 0
    assert built(run_make(root, "banks")) == []
    change(root / "banks" / "base.toml")
    assert built(run_make(root, "-j4", "banks")) == ["base", "aaa"]


def test_a_build_waits_for_another_run_as_long_as_it_is_told(root):
    keep_only(root, "base")
    with hold_lock(root / ".lock", command="scan", run_id="other"):
        failed = run_make(root, "banks", "WAIT=0", code=2)
    assert "locked by run other" in failed.stderr
    assert not list((root / "banks" / ".stamps").glob("*.built"))


@pytest.mark.slow
def test_help_scan_and_check(root, lake):
    shown = run_make(root).stdout
    assert [line.split()[:2] for line in shown.splitlines()] == [["make", name] for name in TARGETS]
    assert "say what to scan" in run_make(root, "scan", code=2).stderr
    assert not (root / "banks" / ".stamps").exists()
    keep_only(root, "base")
    (root / "banks" / "base.toml").write_text(SMALL_BANK)
    assert "14 images" in run_make(root, "scan", f"SOURCES={lake}").stdout
    assert re.search(r"^ok +checks", run_make(root, "check").stdout, re.MULTILINE)


def commands(result):
    """What make had curator do, in its order."""
    return re.findall(r"-m curator (scan|calibrate|report|export|bank build)\b", result.stdout)


NIGHT = ["scan", "calibrate", "report", "export"]


# Leaves the calls of make in calls.txt, and does as much of each as make looks at.
STAND_IN = """#!/bin/sh
echo "$@" >>calls.txt
case "$1" in
  config) printf '[encoder]\\naddress = "x"\\n[scan]\\nbank = "base"\\nmethod = "%s"\\n' "${METHOD:-neglabel}" ;;
  bank)
    [ "$2" = deps ] && echo "BANKS := base" && exit
    [ "${BANK_CODE:-0}" = 0 ] || exit "$BANK_CODE"
    touch "banks/.stamps/$3.built" ;;
  scan) mkdir -p published; touch published/curator.duckdb; exit "${SCAN_CODE:-0}" ;;
  calibrate) sleep 0.1; mkdir -p published; touch published/curator.duckdb; exit "${CALIBRATE_CODE:-0}" ;;
  report) sleep 0.1 ;;
esac
"""


@pytest.fixture
def calls_of(root, tmp_path, monkeypatch):
    """Make a target with a stand-in for curator; what make had it do, in order."""
    keep_only(root, "base")
    (tmp_path / "curator").write_text(STAND_IN)
    (tmp_path / "curator").chmod(0o755)
    (tmp_path / "known").mkdir()
    (tmp_path / "known" / "a.png").touch()

    def calls(*arguments, code=0, **environment):
        (root / "calls.txt").write_text("")
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        run_make(root, f"CURATOR={tmp_path}/curator", *arguments, code=code)
        for name in environment:
            monkeypatch.delenv(name)
        lines = (root / "calls.txt").read_text().splitlines()
        return [line for line in lines if line.split()[0] in NIGHT or line.startswith("bank build")]

    return calls


@pytest.mark.parametrize("jobs", ["-j1", "-j4"])
def test_a_night_orders_its_steps_and_makes_again_what_changed(calls_of, root, tmp_path, jobs):
    night = (jobs, "night", "SOURCES=/a /b", f"REFERENCE={tmp_path}/known", "WAIT=9")
    scan = "scan /a /b --wait 9"
    calibrate = f"calibrate --reference {tmp_path}/known --wait 9 --unless-chosen --keep 0.95"
    after = ["export flagged --to exports/flagged --format parquet --update", "report -o reports/"]
    first = calls_of(*night)
    assert first[:3] == ["bank build base --wait 9", calibrate, scan] and sorted(first[3:]) == after
    second = calls_of(*night)
    assert second[:1] == [scan] and sorted(second[1:]) == after
    assert calls_of(jobs, "report", "export") == []

    (tmp_path / "known" / "b.png").touch()
    assert calls_of(*night)[:2] == [calibrate, scan]
    assert calls_of(*night, METHOD="mcm")[:2] == [calibrate, scan]
    assert calls_of(*night, "ALPHA=0.05", METHOD="mcm")[0] == calibrate.replace("keep 0.95", "alpha 0.05")
    change(root / "banks" / "base.toml")
    changed = calls_of(*night, "ALPHA=0.05", METHOD="mcm")
    assert [line.split()[0] for line in changed[:3]] == ["bank", "calibrate", "scan"]


def test_a_night_that_somebody_has_to_look_at_goes_on_and_fails_at_its_end(calls_of, root):
    night = ("night", "SOURCES=/a")
    assert [line.split()[0] for line in calls_of(*night, SCAN_CODE="3", code=2)[1:]] == ["scan", "report", "export"]
    assert (root / "banks" / ".stamps" / "scan.code").read_text() == "3\n"
    assert [line.split()[0] for line in calls_of(*night, SCAN_CODE="5", code=2)] == ["scan"]
    assert [line.split()[0] for line in calls_of("scan", "SOURCES=/a", SCAN_CODE="4", code=2)] == ["scan"]
    assert len(calls_of(*night)) == 3


def test_a_calibration_that_fails_costs_no_night_its_scan_and_is_tried_again(calls_of, root, tmp_path):
    night = ("night", "SOURCES=/a", f"REFERENCE={tmp_path}/known")
    failed = [line.split()[0] for line in calls_of(*night, CALIBRATE_CODE="1", code=2)]
    assert failed == ["bank", "calibrate", "scan", "report", "export"]
    assert (root / "banks" / ".stamps" / "calibrate.code").read_text() == "1\n"
    assert [line.split()[0] for line in calls_of(*night)[:2]] == ["calibrate", "scan"]
    assert [line.split()[0] for line in calls_of(*night)[:1]] == ["scan"]
    (tmp_path / "known" / "b.png").touch()
    assert len(calls_of("calibrate", night[2], CALIBRATE_CODE="1", code=2)) == 1


@pytest.mark.slow
def test_the_figures_of_a_night_with_another_bank_are_of_the_policy_that_rules_at_its_end(root, lake, workspace):
    keep_only(root, "base")
    spec = root / "banks" / "base.toml"
    known = shutil.copytree(lake, root.parent / "known", ignore=shutil.ignore_patterns("x-*", "blue*", "z-*"))
    night = ("night", f"SOURCES={lake}", f"REFERENCE={known}", "SCAN_OPTIONS=--metrics-file night.prom")
    for noun in ("shape", "time"):
        change(spec, SMALL_BANK.replace("shape", noun))
        run_make(root, *night)
        [ruling] = workspace.sql("select bank_version, policy_name from report.selection").to_pylist()
        metrics = (root / "night.prom").read_text()
        assert f'bank="base@v{ruling["bank_version"]}"' in metrics and f'policy="{ruling["policy_name"]}"' in metrics
        flagged = workspace.sql("select count(*) as n from report.flagged")["n"][0].as_py()
        assert f"curator_lake_flagged_images {float(flagged)}\n" in metrics


def test_a_bank_that_finds_nothing_to_learn_stops_no_night_and_is_tried_again(calls_of, tmp_path):
    night = ("night", "SOURCES=/a", f"REFERENCE={tmp_path}/known")
    begun = ["bank", "calibrate", "scan"]
    assert [line.split()[0] for line in calls_of(*night, BANK_CODE="4")[:3]] == begun
    again = [line.split()[0] for line in calls_of(*night, BANK_CODE="4")]
    assert again[:2] == ["bank", "scan"] and "calibrate" not in again, "what was not made is newer than nothing"
    assert calls_of(*night, BANK_CODE="1", code=2) == ["bank build base --wait 3600"]
    assert [line.split()[0] for line in calls_of(*night)[:3]] == begun


@pytest.mark.slow
def test_a_night_does_all_in_order_and_a_second_one_what_has_to_be_done(root, lake):
    keep_only(root, "base")
    (root / "banks" / "base.toml").write_text(SMALL_BANK)
    others = shutil.ignore_patterns("x-*", "blue*", "yellow*", "z-*")
    known = shutil.copytree(lake, root.parent / "known", ignore=others)
    night = ("-j4", "night", f"SOURCES={lake}", f"REFERENCE={known}", "KEEP=0.9")
    plan = run_make(root, "-n", *night[1:])
    assert (
        commands(plan) == ["bank build", "calibrate", "scan", "report", "export"]
        and not (root / "ledger.duckdb").exists()
    )

    first = commands(run_make(root, *night))
    assert first[:3] == ["bank build", "calibrate", "scan"] and sorted(first[3:]) == ["export", "report"]
    assert "<html" in (root / "reports" / "latest.html").read_text()
    assert list((root / "exports" / "flagged").rglob("*.parquet"))
    assert "Nothing to be done" in run_make(root, "report").stdout

    assert "calibrate" not in commands(run_make(root, "-n", *night[1:]))
    (known / "red-00.png").unlink()
    failing = run_make(root, *night, "SCAN_OPTIONS=--fail-on 'images<1'", "REPORT_OPTIONS=--fail-on 'scored<0'", code=2)
    assert sorted(commands(failing)) == sorted(NIGHT)  # exit code 4 has somebody look, at all there is
    assert "curator scan ended with 4" in failing.stderr and "Error 4" in failing.stderr
    assert (root / "banks" / ".stamps" / "scan.code").read_text() == "4\n"


@pytest.mark.slow
def test_a_night_stops_where_a_run_fails_and_does_not_calibrate_without_references(root, lake):
    keep_only(root, "base")
    (root / "banks" / "base.toml").write_text(SMALL_BANK)
    assert "known to be ID" in run_make(root, "calibrate", code=2).stderr
    assert commands(run_make(root, "-n", "night", f"SOURCES={lake}")) == ["bank build", "scan", "report", "export"]
    run_make(root, "banks")
    with hold_lock(root / ".lock", command="scan", run_id="other"):
        failed = run_make(root, "-j4", "night", f"SOURCES={lake}", "WAIT=0", code=2)
    assert commands(failed) == ["scan"] and "Error 5" in failed.stderr
    assert "no scan was made yet" in run_make(root, "report", code=2).stderr


def test_init_keeps_a_makefile_that_is_there(tmp_path):
    (tmp_path / "Makefile").write_text("mine:\n")
    made = Workspace.create(tmp_path, labels=["red", "green"], encoder="fake")
    assert made.layout.makefile.read_text() == "mine:\n"
    assert made.layout.config.is_file()

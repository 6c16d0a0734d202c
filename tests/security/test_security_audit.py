"""The dependency audit says what it found, what it could not look up, and when it could not look at all."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def audit():
    spec = importlib.util.spec_from_file_location("curator_ci_audit", ROOT / ".ci" / "audit.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def report(*packages: dict) -> str:
    return json.dumps({"dependencies": list(packages), "fixes": []})


CLEAN = {"name": "numpy", "version": "2.5.0", "vulns": []}
SKIPPED = {"name": "torch", "skip_reason": "Dependency not found"}
FAULT = {"id": "PYSEC-2026-1", "fix_versions": ["12.1"], "aliases": [], "description": "…"}
FOUND = {"name": "pillow", "version": "12.0", "vulns": [FAULT]}


def test_a_known_vulnerability_fails_and_is_named(audit):
    code, lines = audit.judge(report(CLEAN, FOUND), "", pinned=2)
    assert code == 1 and lines[-1].split() == ["pillow", "12.0:", "PYSEC-2026-1,", "fixed", "in", "12.1"]
    assert "2 of 2 packages were audited, 1 known" in lines[0]


def test_packages_without_advisories_are_counted_and_do_not_pass_for_audited(audit):
    code, lines = audit.judge(report(CLEAN, SKIPPED), "", pinned=2)
    assert code == 0 and "1 of 2 packages were audited" in lines[0]
    assert "NOT COMPLETE" in lines[1] and "for 1 packages" in lines[1]
    assert len(audit.judge(report(CLEAN), "", pinned=1)[1]) == 1


@pytest.mark.parametrize("text", ["", "Traceback (most recent call last)", "[]", "{}"])
def test_no_answer_is_said_plainly_and_stops_nobody(audit, text):
    code, lines = audit.judge(text, "WARNING: x\nConnectionError: no route\n", pinned=7)
    assert code == 0 and "NOT DONE" in lines[0] and "0 of 7" in lines[0] and "no route" in lines[1]


def test_it_is_given_what_the_targets_install(audit):
    assert audit.count_pins(ROOT / ".ci" / "constraints.txt") > 100
    makefile = (ROOT / "Makefile").read_text()
    check = next(line for line in makefile.splitlines() if line.startswith("check:"))
    assert " audit" in check.partition("##")[0] and ".ci/audit.py $(CONSTRAINTS)" in makefile


def test_the_command_runs_and_says_how_many(audit, monkeypatch, capsys, tmp_path):
    (tmp_path / "pins.txt").write_text("# pins\nnumpy==2.5.0\npillow==12.0\n")
    monkeypatch.setattr(audit, "run_audit", lambda path: (report(CLEAN, FOUND), ""))
    assert audit.main(tmp_path / "pins.txt") == 1
    assert "2 of 2" in capsys.readouterr().out

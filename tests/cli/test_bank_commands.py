"""`curator bank audit`, `diff`, `show` and `deps`, run as a user runs them."""

from __future__ import annotations

import json

import pytest

KEEPS_NAMES = """\
name = "base"
[id]
labels = ["circle", "square"]
[negatives.wordnet]
include = ["noun.shape"]
[mining]
fraction = 1.0
remove_id_names = false
"""


@pytest.fixture
def folder(workspace, run_cli):
    """Two versions of one bank: the second keeps no name of an ID label and has fewer negatives."""
    spec = workspace.layout.bank_spec("base")
    for text in (KEEPS_NAMES, KEEPS_NAMES.replace("false", "true").replace("1.0", "0.5")):
        spec.write_text(text)
        run_cli("bank", "build", folder=workspace.layout.root)
    return workspace.layout.root


def test_audit_lists_doubts_and_says_how_many(folder, run_cli, tmp_path):
    result = run_cli("bank", "audit", "base@v1", "--json", folder=folder)
    rows = json.loads(result.stdout)
    found = [(row["label"], row["role"], row["reason"], row["concerns"]) for row in rows[:3]]
    assert sorted(found[:2]) == [(name, "negative", "equal", name) for name in ("circle", "square")]
    assert found[2] == ("solid", "negative", "synonym", "square")  # a square, a solid: of a meal
    assert "3 of them by name" in result.stderr
    assert "base v1 (" in result.stderr
    run_cli("bank", "audit", "base@v1", "-o", tmp_path / "doubts.csv", folder=folder)
    assert len((tmp_path / "doubts.csv").read_text().splitlines()) == 1 + len(rows)


def test_audit_takes_a_cosine_from_which_negatives_are_near(folder, run_cli):
    rows = json.loads(run_cli("bank", "audit", "--min-cosine", "-1", "--json", folder=folder).stdout)
    near = [row for row in rows if row["reason"] == "near" and row["role"] == "negative"]
    facts = json.loads(run_cli("bank", "show", "--json", folder=folder).stdout)
    assert len(near) == facts["negative_count"]
    assert [row["cosine"] for row in near] == sorted((row["cosine"] for row in near), reverse=True)


def test_audit_fails_on_names_of_id_labels_with_exit_code_four(folder, run_cli):
    result = run_cli("bank", "audit", "base@v1", "--fail-on", "2", folder=folder, code=4)
    assert "more than 2 negatives name an ID label" in result.stderr
    run_cli("bank", "audit", "base@v1", "--fail-on", "3", folder=folder)
    run_cli("bank", "audit", "base@v2", "--fail-on", "0", folder=folder)


def test_diff_shows_spec_and_labels_that_differ(folder, run_cli):
    report = json.loads(run_cli("bank", "diff", "base@v1", "base", "--json", folder=folder).stdout)
    assert report["spec"] == {
        "mining.fraction": {"old": 1.0, "new": 0.5},
        "mining.remove_id_names": {"old": False, "new": True},
    }
    removed = [item["label"] for item in report["changes"] if item["change"] == "removed"]
    assert {"circle", "square"} <= set(removed)
    assert report["counts"]["removed"] == {"id": 0, "negative": len(removed)}
    assert report["old"]["negative_count"] - report["new"]["negative_count"] == len(removed)

    shown = run_cli("bank", "diff", "base@v1", "base", "-n", "3", folder=folder).stdout
    assert "spec.mining.fraction" in shown
    assert sum(line.startswith("removed  ") for line in shown.splitlines()) == 3


def test_diff_with_itself_shows_no_change(folder, run_cli):
    report = json.loads(run_cli("bank", "diff", "base", "base@v2", "--json", folder=folder).stdout)
    assert (report["spec"], report["changes"], report["counts"]["moved"]) == ({}, [], 0)


def test_show_tells_lineage_and_doubts_in_words(folder, run_cli):
    shown = run_cli("bank", "show", "base@v1", folder=folder).stdout
    pairs = dict(line.split(None, 1) for line in shown.partition("\n\n")[0].splitlines())
    assert pairs["doubtful.negative.equal"] == "2"
    assert pairs["spec.mining.fraction"] == "1"
    assert any(name.startswith("lineage.") for name in pairs)
    assert '{"' not in shown


@pytest.mark.parametrize("command", [("audit", "base@v3"), ("diff", "base", "other"), ("show", "base@ffff")])
def test_a_version_that_is_not_there_is_one_clear_line(folder, run_cli, command):
    result = run_cli("bank", *command, folder=folder, code=1)
    assert result.stderr == f"curator: no bank version {command[-1]} (see `curator bank list`)\n"


def test_deps_are_rules_for_make_and_need_no_ledger(workspace, run_cli):
    folder = workspace.layout.root
    assert run_cli("bank", "deps", folder=folder).stdout == "banks/.stamps/base.built: labels.txt\nlabels.txt:\n"
    assert not workspace.layout.ledger.exists()
    assert "no such bank spec" in run_cli("bank", "deps", "other", folder=folder, code=1).stderr


def test_build_waits_no_longer_than_it_is_told(workspace, run_cli):
    from curator.workspace.lock import hold_lock

    with hold_lock(workspace.layout.lock, command="scan", run_id="other"):
        result = run_cli("bank", "build", "--wait", "0.2", folder=workspace.layout.root, code=5)
    assert "locked by run other" in result.stderr

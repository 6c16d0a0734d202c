"""`curator bank audit`, `diff`, `show` and `deps`, run as a user runs them."""

from __future__ import annotations

import json
import re
import shutil

import pytest

from curator.workspace.session import writing

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


@pytest.fixture(scope="module")
def built_once(tmp_path_factory, make_workspace):
    """Two versions of one bank: the second keeps no name of an ID label and has fewer negatives."""
    workspace = make_workspace(tmp_path_factory.mktemp("banks") / "workspace")
    spec = workspace.layout.bank_spec("base")
    for text in (KEEPS_NAMES, KEEPS_NAMES.replace("false", "true").replace("1.0", "0.5")):
        spec.write_text(text)
        workspace.build_bank("base")
    return workspace.layout.root


@pytest.fixture
def folder(built_once, workspace):
    return shutil.copytree(built_once, workspace.layout.root, dirs_exist_ok=True)


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


def test_audit_counts_what_the_rules_left_out(folder, run_cli):
    rows = json.loads(run_cli("bank", "audit", "base", "--left-out", "--json", folder=folder).stdout)
    by_rule = {row["rule"]: row for row in rows}
    assert by_rule["lexicographer_file"]["words"] > 1000
    assert by_rule["lexicographer_file"]["restore"] == "negatives.wordnet.include"


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


def test_diff_names_the_command_that_scores_and_then_shows_whose_flags_changed(folder, lake, run_cli):
    shown = run_cli("bank", "diff", "base@v1", "base", folder=folder).stdout
    command = re.search(r"`curator (score --bank base@\w{12} --bank base@\w{12})` does it", shown)[1]
    run_cli("scan", lake, folder=folder)
    run_cli(*command.split(), folder=folder)
    flags = json.loads(run_cli("bank", "diff", "base@v1", "base", "--json", folder=folder).stdout)["flags"]
    assert flags["note"] is None and flags["images"] == 14
    assert flags["old"].startswith("base@") and flags["old"] != flags["new"]
    kinds = ("flagged_by_both", "kept_by_both", "newly_flagged", "newly_kept")
    assert sum(flags[kind] for kind in kinds) == 14
    assert len(flags["examples"]) == flags["newly_flagged"] + flags["newly_kept"]


def test_flags_that_differ_are_counted_and_shown(folder, lake, run_cli, workspace):
    """One image, kept by both, is moved below the cut of the second."""
    run_cli("scan", lake, folder=folder)
    digests = [row["bank_digest"] for row in workspace.banks().to_pylist()]
    run_cli("score", *(f"--bank=base@{digest}" for digest in digests), folder=folder)
    with writing(workspace._context, "test", {}) as ledger:
        ledger.database.execute(
            "update score set log_odds = case when bank_digest = $newest then -1e6 else 1e6 end "
            "where image_id = (select min(image_id) from report.images)",
            {"newest": digests[0]},
        )
    report = workspace.diff_banks("base@v1", "base").flags
    back = workspace.diff_banks("base", "base@v1").flags
    assert report.newly_flagged == back.newly_kept >= 1
    assert report.newly_kept == back.newly_flagged
    first = report.examples[0]
    assert first["change"] == "kept -> flagged"
    assert (
        first["uri"] == workspace.sql("select arg_min(uri, image_id) as uri from report.images").to_pylist()[0]["uri"]
    )
    shown = run_cli("bank", "diff", "base@v1", "base", folder=folder).stdout
    assert f"{report.newly_flagged} kept -> flagged, {report.newly_kept} flagged -> kept" in shown


def test_show_html_says_how_often_each_label_is_nearest_to_a_flagged_image(folder, lake, run_cli, workspace, tmp_path):
    run_cli("scan", lake, folder=folder)
    run_cli("bank", "show", "base", "--html", tmp_path / "bank.html", folder=folder)
    page = (tmp_path / "bank.html").read_text()
    busiest = workspace.sql(
        "select top_negative, count(*) as n from report.flagged group by all order by n desc, top_negative"
    ).to_pylist()
    assert busiest, "the fake encoder flags some of these"
    part = page.partition("Nearest to flagged images")[2].partition("<h2")[0]
    for row in busiest:
        assert f'<td>{row["top_negative"]}</td><td class="number">{row["n"]}</td>' in part
    run_cli("bank", "show", "base@v1", "--html", tmp_path / "old.html", folder=folder)
    assert "no image was scored under this version" in (tmp_path / "old.html").read_text()


def test_audit_gives_the_evidence_of_every_kind_of_doubt(workspace, run_cli):
    spec = KEEPS_NAMES.replace('["circle", "square"]', '["dog", "oak", "tram"]')
    lists = '[[negatives.lists]]\nwords = ["dog", "canine", "puppy", "streetcar", "anvil"]\n'
    spec = spec.replace('[negatives.wordnet]\ninclude = ["noun.shape"]\n', lists)
    workspace.layout.bank_spec("base").write_text(spec)
    root = workspace.layout.root
    run_cli("bank", "build", folder=root)
    rows = json.loads(run_cli("bank", "audit", "--json", "--min-cosine", "-1", folder=root).stdout)
    evidence = {(row["label"], row["reason"]): (row["concerns"], row["evidence"]) for row in rows}
    assert evidence["dog", "equal"] == ("dog", "the same name")
    assert evidence["streetcar", "synonym"] == ("tram", "a synonym, by WordNet or by the spec")
    assert evidence["canine", "hypernym"] == ("dog", "more general, 1 step above in WordNet")
    assert evidence["puppy", "hyponym"] == ("dog", "a kind of it, 1 step below in WordNet")
    assert evidence["anvil", "near"][1].endswith("from cosine -1.000")
    assert all(row["evidence"] for row in rows)


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
    rules = "banks/.stamps/base.built: labels.txt\nlabels.txt:\n"
    assert run_cli("bank", "deps", "base", folder=folder).stdout == rules
    assert run_cli("bank", "deps", folder=folder).stdout == f"BANKS := base\n{rules}", "those of a night"
    assert not workspace.layout.ledger.exists()
    assert "no such bank spec" in run_cli("bank", "deps", "other", folder=folder, code=1).stderr


def test_build_waits_no_longer_than_it_is_told(workspace, run_cli):
    from curator.workspace.lock import hold_lock

    with hold_lock(workspace.layout.lock, command="scan", run_id="other"):
        result = run_cli("bank", "build", "--wait", "0.2", folder=workspace.layout.root, code=5)
    assert "locked by run other" in result.stderr

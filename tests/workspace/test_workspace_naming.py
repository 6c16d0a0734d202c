"""Every scored image is called something people know: at once, in older workspaces, and when the ID labels change."""

from __future__ import annotations

from dataclasses import replace

import pytest

from curator.store import Database

NAMES = "select image_id, name, name_margin from report.scores order by image_id"


def names_of(workspace):
    return workspace.sql(NAMES).to_pylist()


def run_on_ledger(workspace, *statements):
    """As an older release would have left the ledger."""
    with Database.open(workspace.layout.ledger) as database:
        for sql in statements:
            database.execute(sql)


@pytest.fixture
def named(first_night):
    workspace, lake = first_night
    return workspace, lake, names_of(workspace)


def test_a_scan_names_what_it_scores(named):
    workspace, _, names = named
    assert len(names) == 14 and all(row["name"] != "not named yet" for row in names)
    assert all(0 < row["name_margin"] <= 1 for row in names)
    assert all((row["name"] == "unclear") == (row["name_margin"] < 0.3) for row in names)
    kept = workspace.sql("select vocabulary, count(*) as n from main.image_name group by all").to_pylist()
    assert [row["n"] for row in kept] == [len(names)]


def test_images_of_an_older_workspace_are_not_named_until_the_next_scan_and_nothing_is_embedded(named, monkeypatch):
    workspace, lake, names = named
    run_on_ledger(workspace, "delete from image_name")
    workspace.publish()
    assert {row["name"] for row in names_of(workspace)} == {"not named yet"}
    assert {row["name"] for row in workspace.sql("select name from report.groups").to_pylist()} == {"not named yet"}
    monkeypatch.setattr(type(workspace._context.encoder), "encode_images", None)
    workspace.scan(lake)
    assert names_of(workspace) == names


def test_scoring_names_what_has_no_name(named):
    workspace, _, names = named
    run_on_ledger(workspace, "delete from image_name where margin > 0.3")
    workspace.score()
    assert names_of(workspace) == names


def test_other_id_labels_give_other_names_and_each_image_keeps_one(named):
    workspace, lake, names = named
    workspace.layout.labels.write_text("red\nyellow paint\n", encoding="utf-8")
    workspace.build_bank("base")
    workspace.scan(lake)
    found = names_of(workspace)
    assert "yellow paint" in {row["name"] for row in found} and len(found) == len(names)
    assert workspace.sql("select count(*) = count(distinct image_id) as once from main.image_name")["once"][0].as_py()


def test_a_bank_of_weights_that_are_not_here_names_nothing(named):
    workspace, _, _ = named
    bank = replace(workspace.build_bank("base"), encoder_id="fake@other")
    assert workspace._context.namer(bank).vocabulary is None

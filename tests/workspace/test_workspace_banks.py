"""Banks that take labels from other banks of the workspace."""

from __future__ import annotations

import json

import pytest

from curator.errors import BankError


@pytest.fixture
def write_spec(workspace):
    """Writes `banks/<name>.toml`: three ID labels, or what `id_table` says, and the given sources."""

    def write(name, negatives, id_table='labels = ["red", "green", "blue"]'):
        path = workspace.layout.bank_spec(name)
        path.write_text(f'name = "{name}"\n[id]\n{id_table}\n{negatives}\n', encoding="utf-8")

    return write


WORDS = '[[negatives.lists]]\nwords = ["anvil", "mug"]\n'


def from_bank(address):
    return f'[[negatives.banks]]\nbank = "{address}"\n'


def test_a_bank_that_another_one_needs_is_built_before_it(workspace, write_spec):
    write_spec("first", WORDS)
    write_spec("second", from_bank("first"), id_table='bank = "first"')
    bank = workspace.build_bank("second")
    assert [label.text for label in bank.labels] == ["red", "green", "blue", "anvil", "mug"]
    rows = workspace.sql("select name, bank_digest, lineage from bank order by created_at").to_pylist()
    assert [row["name"] for row in rows] == ["first", "second"]
    lineage = json.loads(rows[1]["lineage"])
    assert lineage["id"]["digest"] == lineage["sources"][0]["digest"] == rows[0]["bank_digest"]
    assert workspace.build_bank("second").digest == bank.digest


def test_a_named_version_is_taken_however_many_came_after_it(workspace, write_spec):
    write_spec("first", WORDS)
    old = workspace.build_bank("first")
    write_spec("first", '[[negatives.lists]]\nwords = ["kerb"]\n')
    workspace.build_bank("first")
    for address, words in ((f"first@{old.digest[:8]}", ["anvil", "mug"]), ("first", ["kerb"])):
        write_spec("second", from_bank(address))
        assert [label.text for label in workspace.build_bank("second").labels[3:]] == words


def test_banks_that_need_each_other_or_are_not_there_are_refused(workspace, write_spec):
    write_spec("first", from_bank("second"))
    write_spec("second", from_bank("third"))
    write_spec("third", from_bank("second"))
    with pytest.raises(BankError, match="take labels from each other: second → third → second"):
        workspace.build_bank("first")
    write_spec("first", from_bank("first@1234"))
    with pytest.raises(BankError, match="no bank version first@1234, which bank first names"):
        workspace.build_bank("first")
    write_spec("first", from_bank("nowhere"))
    with pytest.raises(BankError, match=r"nowhere\.toml: no such bank spec"):
        workspace.build_bank("first")


def test_a_csp_bank_scores_a_lake(workspace, write_spec, lake):
    write_spec("base", '[negatives.wordnet]\ninclude = ["noun.shape", "adj.ppl"]\n[mining]\nmethod = "csp"\n')
    bank = workspace.build_bank("base")
    assert "\n" in bank.labels[0].prompt
    workspace.scan(lake)
    scores = workspace.sql("select distinct bank_digest, count(*) n from score group by all").to_pylist()
    assert scores == [{"bank_digest": bank.digest, "n": 14}]

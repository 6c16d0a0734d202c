"""Negatives from several sources: word lists, other banks, WordNet; what is kept, what is mined, and its account."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, replace
from typing import ClassVar

import numpy as np
import pytest

from curator.banks import TextCache, build_bank, load_bank, parse_spec, save_bank
from curator.banks.checks import Texts
from curator.banks.sources import SOURCES, ReadLabels, SourceLabel
from curator.errors import BankError, ConfigError
from curator.ranges import read_table

IDS = ["tram", "sea_horse", "circle"]
SHAPES = {"include": ["noun.shape"]}


@pytest.fixture
def build(encoder, tmp_path):
    """Builds a bank from the tables of a spec; `banks` are those it may take labels from."""
    cache = TextCache(tmp_path / "cache")

    def make(negatives=None, *, banks=(), name="b", ids=IDS, **tables):
        spec_tables = {"name": name, "id": {"labels": ids}, "negatives": negatives or {}, **tables}
        known = {bank.name: bank for bank in banks}
        spec = parse_spec(spec_tables, where=f"{name}.toml")
        return build_bank(spec, encoder, root=tmp_path, text_cache=cache, find_bank=lambda name: known[name])

    return make


def negatives_of(bank):
    return bank.labels[bank.id_count :]


def texts_of(bank):
    return [label.text for label in negatives_of(bank)]


def test_a_list_alone_is_the_whole_corpus_and_all_of_it_is_kept_in_its_order(build):
    bank = build({"lists": [{"words": ["zebra", "anvil", "mug"]}]})
    assert texts_of(bank) == ["zebra", "anvil", "mug"]
    assert [label.source for label in negatives_of(bank)] == ["list:spec"] * 3
    assert [label.prompt for label in negatives_of(bank)] == ["The nice zebra.", "The nice anvil.", "The nice mug."]
    cosines = bank.negative_vectors.astype(float) @ bank.id_vectors.T.astype(float)
    np.testing.assert_allclose(
        [label.nearest_id_cosine for label in negatives_of(bank)], cosines.max(axis=1), atol=1e-6
    )
    expected = np.quantile(cosines, 0.95, axis=1)
    np.testing.assert_allclose([label.statistic for label in negatives_of(bank)], expected, atol=1e-6)


def test_kept_labels_follow_the_mined_ones_in_the_order_of_the_spec(build, tmp_path):
    (tmp_path / "more.txt").write_text("# mine\nanvil\n\nold mug\n", encoding="utf-8")
    lists = [{"words": ["zebra"], "part_of_speech": "adjective"}, {"file": "more.txt", "template": "plain"}]
    with_lists = build({"wordnet": SHAPES, "lists": lists})
    mined = build({"wordnet": SHAPES})
    assert with_lists.labels[: len(mined.labels)] == mined.labels
    kept = with_lists.labels[len(mined.labels) :]
    assert [(label.text, label.part_of_speech, label.source, label.prompt) for label in kept] == [
        ("zebra", "adjective", "list:spec", "This is a zebra photo."),
        ("anvil", "noun", "list:more.txt", "anvil"),
        ("old mug", "noun", "list:more.txt", "old mug"),
    ]


def test_a_mined_list_competes_with_the_other_candidates(build):
    words = ["tram line", "tram stop", "qqq", "xyz xyz", "vvv", "kkk"]
    bank = build({"lists": [{"words": words, "mine": True}]}, mining={"fraction": 0.5})
    everything = build({"lists": [{"words": words}]})
    statistics = {label.text: label.statistic for label in negatives_of(everything)}
    assert texts_of(bank) == sorted(statistics, key=statistics.__getitem__)[:3]
    assert build({"lists": [{"words": words[::-1], "mine": True}]}, mining={"fraction": 0.5}).digest == bank.digest
    assert build({"lists": [{"words": words[::-1]}]}).digest != everything.digest  # grouping depends on that order


def test_a_word_of_two_sources_is_there_once_and_kept_lists_go_first(build):
    everything = {"fraction": 1.0}
    lists = [{"words": ["Square", "anvil"], "mine": True}, {"words": ["anvil", "trapezoid"]}]
    bank = build({"wordnet": SHAPES, "lists": lists}, mining=everything)
    source_of = {label.text: label.source for label in negatives_of(bank)}
    assert len(source_of) == len(negatives_of(bank))
    assert source_of["square"] == "wordnet:noun.shape" and "Square" not in source_of
    assert texts_of(bank)[-2:] == ["anvil", "trapezoid"]  # wanted whatever mining says, so not mined
    wordnet, mined, kept = bank.lineage["sources"]
    assert (wordnet["repeated"], mined["repeated"], kept["repeated"]) == (1, 2, 0)


def test_no_source_brings_in_a_name_of_an_id_label_unless_asked(build):
    words = ["Trams", "seahorse", "streetcar", "anvil", "round thing"]
    tables = {"id": {"labels": IDS, "synonyms": {"circle": ["round thing"]}}}
    names = build({"lists": [{"words": words}]}, mining={"remove_id_names": False}, **tables)
    assert texts_of(names) == words
    for mine in (False, True):
        safe = build({"lists": [{"words": words, "mine": mine}]}, mining={"fraction": 1.0}, **tables)
        assert texts_of(safe) == ["anvil"]
        assert safe.lineage["dropped"]["given_synonym"] == ["round thing"]
    from_bank = build({"banks": [{"bank": "names"}]}, banks=[renamed(names, "names")], **tables)
    assert texts_of(from_bank) == ["anvil"]
    exact = build({"lists": [{"words": [*words, "tram", "sea horse"]}]}, mining={"remove_id_names": "exact"}, **tables)
    assert texts_of(exact) == words
    assert exact.lineage["dropped"] == {"id_name": ["tram", "sea horse"]}


def renamed(bank, name):
    return replace(bank, name=name)


def test_the_negatives_of_a_bank_come_with_their_prompts_and_say_where_from(build):
    parent = build({"wordnet": {**SHAPES, "noun_template": "a {}"}}, name="parent")
    child = build({"banks": [{"bank": "parent"}]}, banks=[parent], ids=["ship"])
    assert texts_of(child) == texts_of(parent)
    assert [label.prompt for label in negatives_of(child)] == [label.prompt for label in negatives_of(parent)]
    np.testing.assert_array_equal(child.negative_vectors, parent.negative_vectors)
    assert {label.source for label in negatives_of(child)} == {f"bank:parent@{parent.digest[:12]}"}
    assert {label.nearest_id for label in negatives_of(child)} == {"ship"}
    assert child.lineage["sources"][0]["digest"] == parent.digest
    fewer = build({"banks": [{"bank": "parent", "mine": True}]}, banks=[parent], ids=["ship"])
    assert len(texts_of(fewer)) == int(0.15 * len(texts_of(parent)))


def test_a_bank_of_another_encoder_gives_its_texts_and_this_encoder_their_vectors(build, encoder):
    parent = build({"lists": [{"words": ["anvil", "mug"]}]}, name="parent")
    encoder.encoder_id, encoder.dimension = "letters@wide", 96
    child = build({"banks": [{"bank": "parent"}]}, banks=[parent])
    assert texts_of(child) == ["anvil", "mug"] and child.vectors.shape == (5, 96)


def test_id_labels_of_another_bank_come_with_their_other_names(build):
    tables = {"id": {"labels": IDS, "synonyms": {"tram": ["ding-ding"]}}}
    parent = build({"lists": [{"words": ["anvil"]}]}, name="parent", **tables)
    words = {"lists": [{"words": ["ding-ding", "merry go round", "mug"]}]}
    id_table = {"bank": "parent", "synonyms": {"tram": ["merry-go-round"]}, "template": "plain"}
    child = build(words, banks=[parent], id=id_table, name="child")
    assert [label.text for label in child.labels] == [*IDS, "mug"]
    assert child.labels[1].prompt == "sea horse" and child.labels[1].source == f"bank:parent@{parent.digest[:12]}"
    assert child.lineage["id"]["digest"] == parent.digest
    grandchild = build(words, banks=[child], id={"bank": "child"})
    assert texts_of(grandchild) == ["mug"]


def test_a_limit_of_zero_leaves_the_kept_sources(build, encoder):
    bank = build({"wordnet": SHAPES, "lists": [{"words": ["anvil"]}]}, mining={"limit": 0})
    assert texts_of(bank) == ["anvil"]
    assert len(encoder.encoded) == 4


def test_the_lineage_accounts_for_every_source(build, tmp_path):
    data = b"anvil\ntrams\nmug\nsquare\n"
    (tmp_path / "words.txt").write_bytes(data)
    parent = build({"lists": [{"words": ["mug", "spoon"]}]}, name="parent")
    bank = build(
        {"wordnet": SHAPES, "lists": [{"file": "words.txt"}], "banks": [{"bank": "parent", "mine": True}]},
        banks=[parent],
        mining={"fraction": 0.5},
    )
    for source in bank.lineage["sources"]:
        found, left = sum(source["found"].values()), sum(source["candidates"].values())
        assert found == left + source["repeated"] + sum(source["dropped"].values())
    wordnet, listed, taken = bank.lineage["sources"]
    assert wordnet["sha256"] == bank.lineage["wordnet_sha256"] and wordnet["repeated"] == 1
    assert listed == {
        "kind": "lists",
        "mine": False,
        "list": "words.txt",
        "sha256": hashlib.sha256(data).hexdigest(),
        "found": {"noun": 4},
        "repeated": 0,
        "dropped": {"id_name": 1, "given_synonym": 0, "wordnet_synonym": 0},
        "candidates": {"noun": 3},
        "chosen": {"noun": 3},
    }
    assert (taken["bank"], taken["digest"], taken["repeated"]) == ("parent", parent.digest, 1)
    chosen = sum(sum(source["chosen"].values()) for source in bank.lineage["sources"])
    assert chosen == len(negatives_of(bank)) == sum(bank.lineage["chosen"].values())


def test_a_composed_bank_comes_back_from_disk_as_it_was_built(build, tmp_path):
    parent = build({"lists": [{"words": ["mug"]}]}, name="parent")
    template = ["{}", "the {}"]
    negatives = {"lists": [{"words": ["anvil"], "template": template}], "banks": [{"bank": "parent"}]}
    bank = build(negatives, banks=[parent], id={"labels": IDS, "template": template})
    loaded = load_bank(save_bank(bank, tmp_path / "banks"))
    assert (loaded.labels, loaded.spec, loaded.lineage) == (bank.labels, bank.spec, bank.lineage)


@pytest.mark.parametrize(
    ("negatives", "error", "message"),
    [
        ({"lists": [{"file": "none.txt"}]}, ConfigError, "cannot read the labels"),
        ({"lists": [{"words": ["trams"]}]}, BankError, "no candidates"),
        ({"lists": [{"words": ["a", "b"], "mine": True}]}, BankError, "mining chose none of 2"),
        ({"banks": [{"bank": "empty"}]}, BankError, "has no negatives"),
        ({"banks": [{"bank": "painted"}]}, BankError, "was not made from a text"),
    ],
)
def test_sources_that_cannot_be_used_say_why(build, negatives, error, message):
    empty = build(name="empty", mining={"limit": 0})
    listed = build({"lists": [{"words": ["anvil"]}]}, name="painted")
    painted = replace(listed, labels=(*listed.labels[:-1], replace(listed.labels[-1], prompt=None)))
    with pytest.raises(error, match=message):
        build(negatives, banks=[empty, painted])


@dataclass(frozen=True, slots=True)
class SaidSource:
    """A source of another kind: sentences that somebody said, each encoded as it stands."""

    said: Texts
    mine: bool = False

    repeats: ClassVar[bool] = True
    given_by: ClassVar[tuple[str, ...]] = ("said",)
    files: ClassVar[tuple[str, ...]] = ()
    banks: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def parse(cls, table, place, published):
        return read_table(cls, table, place)

    def as_mapping(self):
        return asdict(self)

    def read(self, inputs):
        return ReadLabels(tuple(SourceLabel(text, None, "said", text) for text in self.said), {"speaker": "someone"})


def test_another_kind_of_source_is_one_class_and_one_line(build, monkeypatch, tmp_path):
    monkeypatch.setitem(SOURCES, "said", SaidSource)
    sentences = ["A grey screen full of text.", "Trams", "Two hands hold a receipt."]
    bank = build({"lists": [{"words": ["anvil"]}], "said": [{"said": sentences}]})
    assert [(label.text, label.prompt, label.part_of_speech, label.source) for label in negatives_of(bank)] == [
        ("anvil", "The nice anvil.", "noun", "list:spec"),
        (sentences[0], sentences[0], None, "said"),
        (sentences[2], sentences[2], None, "said"),
    ]
    account = bank.lineage["sources"][1]
    assert (account["kind"], account["speaker"], account["chosen"]) == ("said", "someone", {"none": 2})
    mined = build({"said": [{"said": sentences, "mine": True}]}, mining={"fraction": 1.0})
    assert set(texts_of(mined)) == {sentences[0], sentences[2]}
    assert load_bank(save_bank(bank, tmp_path / "banks")).digest == bank.digest


def test_other_banks_need_someone_who_knows_them(encoder, tmp_path):
    spec = parse_spec({"name": "b", "id": {"bank": "other"}}, where="b.toml")
    with pytest.raises(BankError, match="bank other cannot be looked up here"):
        build_bank(spec, encoder, root=tmp_path, text_cache=TextCache(tmp_path / "cache"))

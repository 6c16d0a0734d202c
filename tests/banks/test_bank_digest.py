"""The digest names what a bank means: it changes with all of that, and with nothing else."""

from __future__ import annotations

import json
import random
import tomllib
from dataclasses import replace
from itertools import count

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curator.banks import TextCache, bank_digest, build_bank, parse_spec
from curator.encoders.fake_encoder import FakeEncoder

IDS = ["tram", "sea_horse", "stop sign", "circle"]
SHAPES = {"include": ["noun.shape", "adj.ppl"]}
WORDS = ["anvil", "mug", "zebra", "screen shot", "graffito", "lamp shade", "kerb", "oak"]


@pytest.fixture
def build(encoder, tmp_path):
    cache = TextCache(tmp_path / "cache")

    def make(**tables):
        spec = parse_spec({"name": "small", "id": {"labels": IDS}, **tables}, where="small.toml")
        return build_bank(spec, encoder, root=tmp_path, text_cache=cache)

    return make


def test_specs_from_before_there_were_other_sources_keep_their_digests(build):
    """Made by the version before: a bank of an unchanged spec must not become another version."""
    other = {
        "id": {"labels": IDS, "template": "photo", "synonyms": {"tram": ["streetcar"]}},
        "negatives": {"wordnet": {**SHAPES, "words": "all", "parts_of_speech": ["adjective", "noun"]}},
        "mining": {"limit": 40, "statistic": "order", "order": "adjectives_first", "remove_id_names": False},
    }
    assert build(negatives={"wordnet": SHAPES}).digest == "a951f5aaefbe5fbc210cd423187c1faf"
    assert build(**other).digest == "5c5b838178865981fa55bf5fb0cf6be2"
    assert build(mining={"limit": 0}).digest == "e5d5a45a3922445c719cdb685e6c148d"


NUMBERS = count()
TEMPLATES = st.sampled_from(["nice", "photo", "plain", "a {} here", ["{}", "the {}"], ["the {}", "{}"]])
LISTS = st.lists(
    st.fixed_dictionaries(
        {"words": st.lists(st.sampled_from(WORDS), min_size=1, max_size=4, unique=True)},
        optional={"template": TEMPLATES, "part_of_speech": st.sampled_from(["noun", "adjective"])},
    ),
    min_size=1,
    max_size=2,
)
SPECS = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["a", "b"]),
        "id": st.fixed_dictionaries(
            {"labels": st.lists(st.sampled_from(["tram", "ship", "owl"]), min_size=1, max_size=3, unique=True)},
            optional={"template": TEMPLATES},
        ),
        "negatives": st.fixed_dictionaries({"lists": LISTS}),
        "mining": st.fixed_dictionaries(
            {},
            optional={
                "quantile": st.sampled_from([0.5, 0.95]),
                "method": st.sampled_from(["neglabel", "csp"]),
                "remove_id_names": st.sampled_from([True, False, "exact"]),
            },
        ),
    }
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("digests")


def built(tables, folder):
    spec = parse_spec(tables, where="b.toml")
    return build_bank(spec, FakeEncoder(16, address="fake", batch_size=256), root=folder, text_cache=TextCache(folder))


def meaning(bank):
    """What the digest stands for, read off the bank without the digest's code."""
    rows = [(label.role, label.text, label.part_of_speech, label.prompt) for label in bank.labels]
    lists = [{key: table[key] for key in table if key != "words"} for table in bank.spec["negatives"]["lists"]]
    settings = {
        "name": bank.name,
        "template": bank.spec["id"]["template"],
        "lists": lists,
        "mining": bank.spec["mining"],
    }
    return json.dumps([rows, settings], sort_keys=True)


@given(st.tuples(SPECS, SPECS))
def test_two_banks_have_one_digest_exactly_when_they_mean_the_same(folder, pair):
    first, second = (built(tables, folder) for tables in pair)
    assert (first.digest == second.digest) == (meaning(first) == meaning(second))


@given(SPECS, st.randoms(use_true_random=False))
def test_neither_paths_nor_the_order_of_keys_matter(folder, tables, chance):
    moved = {**tables, "id": {**tables["id"], "labels": written(folder, tables["id"]["labels"])}}
    lists = []
    for table in tables["negatives"]["lists"]:
        options = {key: value for key, value in table.items() if key != "words"}
        lists.append({**options, "file": written(folder, table["words"])})
    moved["negatives"] = {"lists": lists}
    text = as_toml(moved, chance)
    assert built(tomllib.loads(text), folder).digest == built(tables, folder).digest, text


def written(folder, words):
    """A new file of the words, somewhere."""
    path = folder / str(next(NUMBERS)) / "words.txt"
    path.parent.mkdir(exist_ok=True)
    path.write_text("# words\n\n" + "\n".join(words) + "\n", encoding="utf-8")
    return str(path.relative_to(folder))


def as_toml(tables, chance: random.Random):
    """The spec as a user may write it, with the keys and tables in any order."""

    def lines(values):
        keys = list(values)
        chance.shuffle(keys)
        return "".join(f"{key} = {json.dumps(values[key])}\n" for key in keys)

    parts = [f"[{name}]\n{lines(tables[name])}" for name in ("id", "mining")]
    parts.append("".join(f"[[negatives.lists]]\n{lines(table)}" for table in tables["negatives"]["lists"]))
    chance.shuffle(parts)
    return f"name = {json.dumps(tables['name'])}\n" + "".join(parts)


@given(SPECS, st.integers(0, 99), st.sampled_from(["text", "role", "part_of_speech", "prompt", "order", "encoder"]))
def test_any_change_to_a_label_or_to_the_encoder_changes_the_digest(folder, tables, place, what):
    tables["mining"]["remove_id_names"] = False
    bank = built(tables, folder)
    labels, encoder_id = list(bank.labels), bank.encoder_id
    at = place % len(labels)
    changes = {
        "text": "another",
        "role": "negative" if labels[at].role == "id" else "id",
        "prompt": "another",
        "part_of_speech": "verb",
    }
    if what == "order":
        labels = [*labels[1:], labels[0]]
    elif what == "encoder":
        encoder_id = "fake:24@0"
    else:
        labels[at] = replace(labels[at], **{what: changes[what]})
    assert bank_digest(labels, encoder_id=encoder_id, spec=bank.spec) != bank.digest
    told = [
        replace(label, source="elsewhere", statistic=0.5, nearest_id="x", nearest_id_cosine=0.1)
        for label in bank.labels
    ]
    assert bank_digest(told, encoder_id=bank.encoder_id, spec=bank.spec) == bank.digest


def test_parameters_are_in_the_digest_by_name_type_shape_and_value(build):
    bank = build(mining={"limit": 0})
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    given = [
        {},
        {"weight": values},
        {"gain": values},
        {"weight": values.astype(np.float64)},
        {"weight": values.reshape(3, 2)},
        {"weight": values + np.float32(1e-6)},
        {"weight": values, "gain": values},
    ]
    digests = [
        bank_digest(bank.labels, encoder_id=bank.encoder_id, spec=bank.spec, parameters=parameters)
        for parameters in given
    ]
    assert digests[0] == bank.digest and len(set(digests)) == len(digests)
    moved = {"gain": values, "weight": np.asfortranarray(values).astype(">f4")}
    assert digests[-1] == bank_digest(bank.labels, encoder_id=bank.encoder_id, spec=bank.spec, parameters=moved)


@settings(deadline=None, max_examples=25)
@given(st.permutations(WORDS), st.sampled_from([0.3, 1.0]))
def test_the_order_of_a_mined_list_does_not_matter(folder, words, fraction):
    tables = {"name": "a", "id": {"labels": ["tram", "ship"]}, "mining": {"fraction": fraction}}
    in_order, shuffled = (
        built({**tables, "negatives": {"lists": [{"words": list(listed), "mine": True}]}}, folder)
        for listed in (WORDS, words)
    )
    assert shuffled.digest == in_order.digest and shuffled.labels == in_order.labels


@pytest.mark.parametrize(
    "negatives",
    [
        {"superclasses": ["thing"]},
        {"superclasses": ["thing", "place"], "seed": 1},
        {"superclasses": ["thing", "place"]},
        {"adjective_template": ["{}", "a {}"]},
        {"words": "all"},
    ],
)
def test_every_option_of_the_corpus_is_in_the_digest(build, negatives):
    """Even where the labels happen to be the same, as with a seed that draws the same phrases."""
    one, other = {"wordnet": SHAPES}, {"wordnet": {**SHAPES, **negatives}}
    assert build(negatives=one).digest != build(negatives=other).digest


@pytest.mark.parametrize("mining", [{"exclude_above": 0.9}, {"exclude_above": 1.0}, {"remove_id_names": "exact"}])
def test_every_option_of_mining_is_in_the_digest(build, mining):
    assert build(negatives={"wordnet": SHAPES}, mining=mining).digest != build(negatives={"wordnet": SHAPES}).digest

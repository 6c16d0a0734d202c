"""From a spec to a bank: order of labels, templates, lineage, digest, cache and resume."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import load_file

from curator.banks import TextCache, build_bank, parse_spec
from curator.banks.left_out import left_out
from curator.banks.sources import WordNetSource
from curator.banks.wordnet import load_wordnet
from curator.errors import BankError, ConfigError, EncoderError, UsageError

IDS = ["tram", "sea_horse", "stop sign", "circle"]


def make_spec(**mining):
    tables = {
        "name": "small",
        "id": {"labels": IDS},
        "negatives": {"wordnet": {"include": ["noun.shape", "adj.ppl"]}},
        "mining": mining,
    }
    return parse_spec(tables, where="small.toml")


@pytest.fixture
def cache(tmp_path):
    return TextCache(tmp_path / "cache")


@pytest.fixture
def bank(encoder, tmp_path, cache):
    return build_bank(make_spec(), encoder, root=tmp_path, text_cache=cache)


def test_id_labels_come_first_then_mined_nouns_then_adjectives(bank):
    assert [label.text for label in bank.labels[:4]] == IDS
    assert [label.role for label in bank.labels] == ["id"] * 4 + ["negative"] * (len(bank.labels) - 4)
    parts = [label.part_of_speech for label in bank.labels[4:]]
    assert parts == sorted(parts, reverse=True) and set(parts) == {"noun", "adjective"}
    for part in ("noun", "adjective"):
        statistics = [label.statistic for label in bank.labels if label.part_of_speech == part]
        assert statistics == sorted(statistics)


def test_each_part_of_speech_has_its_prompt_and_vectors_are_those_of_the_prompts(bank, encoder):
    prompts = [label.prompt for label in bank.labels]
    assert prompts[1] == "The nice sea horse."
    assert all(
        label.prompt
        == (f"The nice {label.text}." if label.part_of_speech == "noun" else f"This is a {label.text} photo.")
        for label in bank.labels[4:]
    )
    np.testing.assert_array_equal(bank.vectors, encoder.encode_texts(prompts))
    assert bank.logit_scale == encoder.logit_scale


def test_negatives_say_where_they_came_from_and_what_they_are_near_to(bank):
    negative = bank.labels[-1]
    assert negative.source == "wordnet:adj.ppl"
    assert negative.nearest_id in IDS
    nearest = max(float(bank.vectors[-1] @ vector) for vector in bank.id_vectors)
    assert negative.nearest_id_cosine == pytest.approx(nearest, abs=1e-6)


def test_lineage_accounts_for_every_candidate(bank):
    lineage = bank.lineage
    dropped = sum(map(len, lineage["dropped"].values()))
    assert sum(lineage["found"].values()) == sum(lineage["candidates"].values()) + dropped
    assert "circle" in lineage["dropped"]["id_name"]
    assert sum(lineage["chosen"].values()) == len(bank.labels) - 4
    assert lineage["chosen"]["noun"] == int(0.15 * lineage["candidates"]["noun"])


def rules_of(encoder, tmp_path, cache, ids, **mining):
    """What a bank of animals, artifacts and adjectives of looks took out, by rule, and its labels."""
    files = ["noun.animal", "noun.artifact", "noun.object", "adj.all"]
    wordnet = {"include": files, "exclude": [], "adjectives": "looks"}
    tables = {
        "name": "b",
        "id": {"labels": ids},
        "negatives": {"wordnet": wordnet, "lists": [{"words": ["grail", "Seine"]}]},
        "mining": {"fraction": 1.0, "remove_proper_nouns": True, "remove_subcategories": True, **mining},
    }
    bank = build_bank(parse_spec(tables, where="b"), encoder, root=tmp_path, text_cache=cache)
    return bank.lineage["dropped"], {(label.text, label.part_of_speech) for label in bank.labels[len(ids) :]}


def test_proper_nouns_and_kinds_of_an_id_label_are_no_candidates(encoder, tmp_path, cache):
    dropped, labels = rules_of(encoder, tmp_path, cache, ["dog", "cup", "brown"])
    texts = {text for text, _ in labels}
    assert {"nile", "bos", "bovidae"} <= set(dropped["proper_noun"])
    assert {"beagle", "affenpinscher", "chalice"} <= set(dropped["subcategory"])  # four steps below dog
    assert not texts & {"beagle", "nile", "dog"} and {"wolf", "canine", "crane", "french horn"} <= texts
    assert {"grail", "Seine"} <= texts, "what a list names was asked for"
    assert ("striped", "adjective") in labels and ("able", "adjective") not in labels
    assert not set(dropped["proper_noun"]) & set(dropped["subcategory"])


def test_a_label_that_a_rule_took_out_comes_back_by_name(encoder, tmp_path, cache):
    dropped, labels = rules_of(encoder, tmp_path, cache, ["dog"], keep_labels=["beagle", "Nile"])
    assert {("beagle", "noun"), ("nile", "noun")} <= labels and "beagle" not in dropped["subcategory"]
    assert "affenpinscher" in dropped["subcategory"]
    with pytest.raises(ConfigError, match=r"mining.keep_labels names 'begle', which no source has"):
        rules_of(encoder, tmp_path, cache, ["dog"], keep_labels=["begle"])


def test_what_rules_left_out_is_counted_with_the_label_concerned_and_the_way_back(encoder, tmp_path, cache):
    wordnet = {"include": ["noun.shape", "noun.object", "adj.all"], "adjectives": "looks"}
    tables = {"name": "b", "id": {"labels": ["hill", "circle"]}, "negatives": {"wordnet": wordnet}}
    tables["mining"] = {"remove_proper_nouns": True, "remove_subcategories": True}
    bank = build_bank(parse_spec(tables, where="b"), encoder, root=tmp_path, text_cache=cache)
    found = {item.rule: item for item in left_out(bank, load_wordnet())}
    assert found["subcategory"].restore == "mining.remove_subcategories = false"
    assert found["subcategory"].examples[0] == "anthill (hill)"
    assert "nile" in found["proper_noun"].words and "able" in found["adjective"].words
    assert "acrylic" not in found["adjective"].words and "abandonment" in found["lexicographer_file"].words
    words = WordNetSource(exclude=()).candidates(load_wordnet())
    asked = sum(bank.lineage["found"].values())
    assert asked + len(found["lexicographer_file"].words) + len(found["adjective"].words) == len(words)


def test_id_names_stay_when_asked_for_as_in_the_paper(encoder, tmp_path, cache):
    spec = make_spec(remove_id_names=False, fraction=1.0)
    bank = build_bank(spec, encoder, root=tmp_path, text_cache=cache)
    assert "circle" in [label.text for label in bank.labels[4:]]


def test_the_later_benchmark_code_is_a_matter_of_options(encoder, tmp_path, cache):
    """Adjectives before nouns, a number in all shared by the sizes of the parts, equal strings removed only."""
    options = {"limit": 20, "statistic": "order", "order": "adjectives_first", "remove_id_names": "exact"}
    bank = build_bank(make_spec(**options), encoder, root=tmp_path, text_cache=cache)
    candidates = bank.lineage["candidates"]
    adjectives = 20 * candidates["adjective"] // sum(candidates.values())
    assert [label.part_of_speech for label in bank.labels[4:]] == ["adjective"] * adjectives + ["noun"] * (
        20 - adjectives
    )
    assert bank.lineage["dropped"] == {"id_name": ["circle"]}
    cosines = np.sort(bank.negative_vectors.astype(float) @ bank.id_vectors.T.astype(float), axis=1)
    np.testing.assert_allclose([label.statistic for label in bank.labels[4:]], cosines[:, int(0.95 * 4)], atol=1e-6)


def test_a_word_of_two_parts_of_speech_belongs_to_the_part_named_first(encoder, tmp_path, cache):
    def parts_of(word, order):
        tables = {"wordnet": {"include": ["noun.shape", "adj.all"], "words": "all", "parts_of_speech": order}}
        spec = parse_spec(
            {"name": "b", "id": {"labels": IDS}, "negatives": tables, "mining": {"fraction": 1.0}}, where="b"
        )
        bank = build_bank(spec, encoder, root=tmp_path, text_cache=cache)
        return [label.part_of_speech for label in bank.labels if label.text == word]

    assert parts_of("square", ["noun", "adjective"]) == ["noun"]
    assert parts_of("square", ["adjective", "noun"]) == ["adjective"]


def test_a_limit_of_zero_gives_a_bank_of_id_labels_only(encoder, tmp_path, cache):
    bank = build_bank(make_spec(limit=0), encoder, root=tmp_path, text_cache=cache)
    assert bank.id_count == len(bank.labels) == len(bank.vectors) == 4
    assert len(encoder.encoded) == 4


def test_labels_are_read_from_a_file_relative_to_the_workspace(encoder, tmp_path, cache, bank):
    (tmp_path / "labels.txt").write_text("\n".join(IDS), encoding="utf-8")
    spec = parse_spec(
        {
            "name": "small",
            "id": {"labels": "labels.txt"},
            "negatives": {"wordnet": {"include": ["noun.shape", "adj.ppl"]}},
        },
        where="small.toml",
    )
    from_file = build_bank(spec, encoder, root=tmp_path, text_cache=cache)
    assert from_file.labels[0].source == "labels.txt"
    assert from_file.digest == bank.digest  # the same labels, wherever they were written


def test_the_digest_changes_with_all_that_the_bank_means(encoder, tmp_path, cache, bank):
    base = make_spec()
    specs = [
        replace(base, name="other"),
        replace(base, id=replace(base.id, labels=tuple(reversed(IDS)))),
        replace(base, id=replace(base.id, template="{}")),
        replace(base, mining=replace(base.mining, fraction=0.2)),
        replace(base, mining=replace(base.mining, order="adjectives_first")),
        replace(base, sources=(replace(base.sources[0], noun_template="{}"),)),
    ]
    digests = [build_bank(spec, encoder, root=tmp_path, text_cache=cache).digest for spec in specs]
    encoder.encoder_id = "letters@2"
    digests.append(build_bank(base, encoder, root=tmp_path, text_cache=cache).digest)
    assert len({bank.digest, *digests}) == len(specs) + 2
    assert all(len(digest) == 32 for digest in digests)


def test_a_second_build_encodes_nothing_and_gives_the_same_bank(encoder, tmp_path, cache, bank):
    count = len(encoder.encoded)
    assert count == len(set(encoder.encoded))
    again = build_bank(make_spec(), encoder, root=tmp_path, text_cache=cache)
    assert len(encoder.encoded) == count
    assert again.digest == bank.digest
    np.testing.assert_array_equal(again.vectors, bank.vectors)


def test_an_interrupted_build_goes_on_where_it_stopped(encoder, tmp_path, cache, monkeypatch):
    monkeypatch.setattr("curator.banks.text_cache.FILE_TEXTS", 100)
    monkeypatch.setattr("curator.banks.text_cache.TEXTS_AT_ONCE", 50)
    encode = type(encoder).encode_texts

    def stop_at(self, texts, **how):
        if len(self.encoded) >= 254:
            raise KeyboardInterrupt
        return encode(self, texts, **how)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(type(encoder), "encode_texts", stop_at)
        build_bank(make_spec(), encoder, root=tmp_path, text_cache=cache)
    assert len(encoder.encoded) == 254
    before = set(encoder.encoded[:204])  # four ID labels and two whole files
    encoder.encoded.clear()
    build_bank(make_spec(), encoder, root=tmp_path, text_cache=cache)
    assert not before & set(encoder.encoded)


@pytest.mark.parametrize(
    ("tables", "error", "message"),
    [
        ({"mining": {"method": "best"}}, UsageError, "no mining method is called 'best'"),
        ({"mining": {"fraction": 1e-9}}, BankError, "mining chose none"),
        ({"negatives": {"wordnet": {"include": ["adj.ppl"], "parts_of_speech": ["noun"]}}}, BankError, "no candidates"),
        ({"id": {"labels": IDS, "synonyms": {"train": ["railway"]}}}, ConfigError, "'train', which is not an ID label"),
        ({"id": {"labels": "none.txt"}}, ConfigError, "cannot read the labels"),
    ],
)
def test_a_bank_that_cannot_be_built_says_why(encoder, tmp_path, cache, tables, error, message):
    negatives = {"wordnet": {"include": ["noun.shape"]}}
    spec = parse_spec({"name": "b", "id": {"labels": IDS}, "negatives": negatives, **tables}, where="b.toml")
    with pytest.raises(error, match=message):
        build_bank(spec, encoder, root=tmp_path, text_cache=cache)


def test_the_cache_keeps_encoders_apart_and_the_order_and_repeats_of_texts(encoder, cache):
    texts = ["b", "a", "b"]
    first = cache.encode(encoder, texts)
    np.testing.assert_array_equal(first[0], first[2])
    np.testing.assert_array_equal(cache.encode(encoder, ["a", "b"]), first[[1, 0]])
    assert encoder.encoded == ["a", "b"]
    encoder.encoder_id = "letters@2"
    cache.encode(encoder, texts)
    assert encoder.encoded == ["a", "b"] * 2
    assert cache.encode(encoder, []).shape == (0, 64)


def test_several_writers_may_fill_one_cache_at_the_same_time(encoder, cache):
    texts = [[f"word {n}" for n in range(start, start + 300)] for start in (0, 100, 0, 200, 0, 100)]
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda part: cache.encode(replace(encoder, encoded=[]), part), texts))
    for part, vectors in zip(texts, found, strict=True):
        np.testing.assert_array_equal(vectors, cache.encode(encoder, part))
    assert encoder.encoded == []
    assert {path.suffix for path in cache.encoder_folder(encoder.encoder_id).iterdir()} == {".safetensors"}


def test_a_damaged_cache_file_is_made_again(encoder, cache, caplog):
    whole = cache.encode(encoder, ["a", "b"])
    (path,) = cache.encoder_folder(encoder.encoder_id).iterdir()
    path.write_bytes(path.read_bytes()[:20])
    np.testing.assert_array_equal(cache.encode(encoder, ["a", "b"]), whole)
    assert "unreadable" in caplog.text
    assert load_file(path)["vectors"].shape == (2, 64)


def test_an_encoder_that_returns_the_wrong_shape_or_norm_is_refused(encoder, cache, tmp_path, monkeypatch):
    monkeypatch.setattr(encoder, "encode_texts", lambda texts, **_: np.ones((len(texts), 3)), raising=False)
    with pytest.raises(EncoderError, match="returned shape"):
        cache.encode(encoder, ["a"])
    monkeypatch.setattr(encoder, "encode_texts", lambda texts, **_: np.ones((len(texts), 64)), raising=False)
    with pytest.raises(EncoderError, match="norm 8 instead of 1"):
        build_bank(make_spec(), encoder, root=tmp_path, text_cache=cache)

"""Names for people: which word, how clearly, and that neither depends on what else is named."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curator.banks import naming
from curator.banks.naming import SHARPNESS, NameVocabulary, vocabulary_digest
from curator.banks.nouns import DATA_FILE, common_nouns
from curator.banks.text_cache import TextCache
from curator.banks.wordnet import load_wordnet
from curator.encoders import EncoderOptions, load_encoder
from curator.errors import EncoderError, SourceError, UsageError
from curator.types import Bank, Label
from tests.banks.derive_nouns import derive, main, read_counts

COUNTS = Path(os.environ.get("CURATOR_WORD_COUNTS", "/usr/share/symspellpy"))


def bank_of(texts, vectors, encoder_id="e"):
    labels = tuple(Label(text, "id", "labels.txt") for text in texts)
    return Bank("base", "d", encoder_id, 30.0, labels, np.asarray(vectors, dtype=np.float32), {})


@pytest.fixture
def vocabulary(unit):
    """`tram` east, `dog` north, `cup` up, `sea` south."""
    bank = bank_of(["tram"], [[1, 0, 0]])
    return NameVocabulary(bank, ("dog", "cup", "sea"), unit([[0, 1, 0], [0, 0, 1], [0, -1, 0]]))


def test_an_image_is_called_by_the_nearest_word_and_the_margin_is_its_share(vocabulary, unit):
    names, margins = vocabulary.names(unit([[1, 0.2, 0], [0.1, 1, 0], [0, -2, 0.1]]))
    assert names == ["tram", "dog", "sea"]
    first = unit([[1, 0.2, 0]])[0].astype(np.float64)
    cosines = np.array([first[0], first[1], first[2], -first[1]])
    shares = np.exp(SHARPNESS * cosines / cosines.std())
    assert margins[0] == pytest.approx(shares[0] / shares.sum(), rel=1e-6)


def test_two_words_that_are_equally_near_share_and_the_first_is_said(vocabulary, unit):
    [name], [margin] = vocabulary.names(unit([[1, 1, 0]]))
    assert name == "tram" and margin == pytest.approx(0.5, abs=0.01)


def test_no_image_has_no_name_and_a_vector_of_another_length_is_refused(vocabulary):
    assert vocabulary.names(np.zeros((0, 3), np.float32))[0] == []
    with pytest.raises(EncoderError, match="norm"):
        vocabulary.names(np.full((1, 3), 2.0, np.float32))


@given(seed=st.integers(0, 1000), size=st.integers(1, 600), cut=st.integers(0, 600))
@settings(max_examples=10, deadline=None)
def test_a_name_depends_on_no_other_image_to_the_bit(unit, seed, size, cut):
    generator = np.random.default_rng(seed)
    words = unit(generator.standard_normal((40, 16)))
    vocabulary = NameVocabulary(bank_of(["a"], words[:1]), tuple(f"w{n}" for n in range(39)), words[1:])
    rows = unit(generator.standard_normal((size, 16)))
    order = generator.permutation(size)
    names, margins = vocabulary.names(rows)
    parts = [vocabulary.names(rows[order[:cut]]), vocabulary.names(rows[order[cut:]])]
    assert [name for part in parts for name in part[0]] == [names[place] for place in order]
    assert np.array_equal(np.concatenate([part[1] for part in parts]), margins[order])


@pytest.fixture
def fake(tmp_path):
    return load_encoder(EncoderOptions("fake")), TextCache(tmp_path)


def test_id_labels_are_in_the_vocabulary_once_as_the_user_writes_them(fake):
    encoder, cache = fake
    bank = bank_of(["Sea_Horse", "zorgle"], encoder.encode_texts(["a", "b"]), encoder.encoder_id)
    words = NameVocabulary.of(bank, encoder, cache).words
    assert words[:2] == ("Sea_Horse", "zorgle")
    assert "seahorse" in common_nouns() and "seahorse" not in words and "dog" in words
    assert len(words) == len(common_nouns()) + 1 <= 10_000


def test_the_nouns_are_encoded_once_for_ever(fake, monkeypatch):
    encoder, cache = fake
    bank = bank_of(["a"], encoder.encode_texts(["a"]), encoder.encoder_id)
    monkeypatch.setattr(naming, "_noun_vectors", {})
    first = NameVocabulary.of(bank, encoder, cache)
    monkeypatch.setattr(naming, "_noun_vectors", {})
    monkeypatch.setattr(type(encoder), "encode_texts", None)
    assert np.array_equal(NameVocabulary.of(bank, encoder, cache).noun_vectors, first.noun_vectors)


def test_the_digest_follows_the_id_labels_and_their_vectors(unit):
    banks = [
        bank_of(["tram"], [[1, 0]]),
        bank_of(["tram", "dog"], unit([[1, 0], [1, 1]])),
        bank_of(["bus"], [[1, 0]]),
        bank_of(["tram"], [[0, 1]]),
    ]
    assert len({vocabulary_digest(bank) for bank in banks}) == 4
    assert vocabulary_digest(banks[0]) == vocabulary_digest(bank_of(["tram"], [[1, 0]]))


def test_the_words_are_common_things_in_the_singular():
    nouns = common_nouns()
    assert 3_000 < len(nouns) < 10_000 and list(nouns) == sorted(nouns)
    assert {"dog", "espresso", "golf ball", "street", "trousers", "glacier", "t-shirt", "cloud"} <= set(nouns)
    assert {"federation", "perspiration", "thirst", "bitch", "slut", "hooker", "giant eland"}.isdisjoint(nouns)
    assert all(re.fullmatch("[a-z]+(?:[ -][a-z]+)?", noun) for noun in nouns)
    assert {"dogs", "cars", "trouser"}.isdisjoint(nouns)


def test_senses_are_those_of_wordnet():
    wordnet = load_wordnet()
    for noun, sense in common_nouns().items():
        assert not sense or wordnet.synset(sense).part_of_speech == "noun", noun


def test_deriving_again_gives_the_shipped_bytes():
    if not COUNTS.is_dir():
        pytest.skip("needs the word counts of symspellpy in $CURATOR_WORD_COUNTS")
    assert derive(COUNTS) == DATA_FILE.read_bytes()


def test_counts_are_words_or_pairs_with_a_number(tmp_path):
    path = tmp_path / "counts.txt"
    path.write_text("\N{ZERO WIDTH NO-BREAK SPACE}dog 12\ngolf ball 3\n", encoding="utf-8")
    assert read_counts(path) == {"dog": 12, "golf ball": 3}
    with pytest.raises(SourceError, match="unzip the wheel"):
        read_counts(tmp_path / "none.txt")
    with pytest.raises(UsageError):
        main([])

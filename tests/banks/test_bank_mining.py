"""Mining statistics and selection against published conformance values (T3), and ID-name removal."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curator.banks.id_names import split_id_names
from curator.banks.mining import MINERS, choose_lowest, mine_neglabel, order_statistic, part_counts
from curator.banks.spec import MiningSpec
from curator.banks.wordnet import Candidate, load_wordnet
from curator.errors import UsageError

R0 = [0.70, 0.62, 0.55, 0.60, 0.58, 0.66, 0.52, 0.61, 0.59, 0.57]
R0 += [0.63, 0.56, 0.54, 0.53, 0.65, 0.51, 0.50, 0.49, 0.48, 0.47]
R1 = [0.99, *(0.40 + 0.01 * step for step in range(19))]
T3 = np.array([R0, R1, [0.80, 0.79, *[0.30] * 18], [0.60] * 20])


def nouns(*texts):
    return [Candidate(text, "noun", "noun.artifact", "00000000-n") for text in texts]


def unit(rows):
    vectors = np.asarray(rows, dtype=np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.mark.parametrize(
    ("statistic", "values", "order"),
    [
        ("linear", [0.662000, 0.600500, 0.790500, 0.600000], [3, 1, 0, 2]),
        ("order", [0.70, 0.99, 0.80, 0.60], [3, 0, 2, 1]),
    ],
)
def test_t3_statistics_and_their_order_are_the_published_ones(statistic, values, order):
    found = order_statistic(T3.copy(), 0.95, statistic)
    np.testing.assert_allclose(found, values, rtol=0, atol=1e-9)
    rules = MiningSpec(fraction=1.0, statistic=statistic)
    assert choose_lowest(found, np.array(["noun"] * 4), rules).tolist() == order


@given(
    st.lists(st.lists(st.floats(-1, 1, width=32), min_size=7, max_size=7), min_size=1, max_size=5),
    st.sampled_from([0.05, 0.5, 0.95, 1.0]),
)
def test_the_linear_statistic_is_numpys_quantile(rows, quantile):
    cosines = np.array(rows, dtype=np.float64)
    expected = np.quantile(cosines, quantile, axis=1)
    np.testing.assert_allclose(order_statistic(cosines.copy(), quantile, "linear"), expected, rtol=0, atol=1e-12)


def test_fractions_and_limits_give_the_published_counts():
    later = {"noun": 58_101, "adjective": 11_453}
    assert part_counts(later, MiningSpec(limit=10_000)) == {"noun": 8_354, "adjective": 1_646}
    published = {"noun": 56_910, "adjective": 13_090}
    assert part_counts(published, MiningSpec()) == {"noun": 8_536, "adjective": 1_963}
    assert part_counts({"noun": 20, "adjective": 0}, MiningSpec()) == {"noun": 3, "adjective": 0}
    assert part_counts({"noun": 3, "adjective": 2}, MiningSpec(limit=99)) == {"noun": 3, "adjective": 2}


@given(st.integers(0, 50), st.integers(0, 50), st.integers(0, 120))
def test_a_limit_is_met_exactly_and_never_exceeds_what_is_there(noun_count, adjective_count, limit):
    available = {"noun": noun_count, "adjective": adjective_count}
    kept = part_counts(available, MiningSpec(limit=limit))
    assert sum(kept.values()) == min(limit, noun_count + adjective_count)
    assert all(0 <= kept[part] <= available[part] for part in available)


def test_parts_of_speech_follow_each_other_in_the_order_asked_for_and_ties_keep_the_candidates_order():
    statistic = np.array([0.3, 0.1, 0.2, 0.2, 0.0])
    parts = np.array(["noun", "adjective", "noun", "noun", "adjective"])
    assert choose_lowest(statistic, parts, MiningSpec(fraction=1.0)).tolist() == [2, 3, 0, 4, 1]
    reversed_rules = MiningSpec(fraction=1.0, order="adjectives_first")
    assert choose_lowest(statistic, parts, reversed_rules).tolist() == [4, 1, 2, 3, 0]


def test_the_miner_keeps_what_is_far_from_every_id_label_and_names_the_nearest():
    id_vectors = unit([[1, 0, 0], [0, 1, 0]])
    vectors = unit([[1, 0.1, 0], [0.1, 0.3, 1], [0, 1, 0.2], [0, 0, 1]])
    mined = mine_neglabel(nouns("near a", "far", "near b", "farthest"), vectors, id_vectors, MiningSpec(fraction=0.5))
    assert mined.chosen.tolist() == [3, 1]
    assert mined.nearest_id[1] == 1
    assert mined.nearest_id_cosine[1] == pytest.approx(float(vectors[1, 1]), abs=1e-6)
    assert mined.statistic[0] == pytest.approx(0.0, abs=1e-6)


def test_mining_in_blocks_equals_mining_at_once(monkeypatch):
    generator = np.random.default_rng(3)
    vectors, id_vectors = unit(generator.normal(size=(200, 16))), unit(generator.normal(size=(30, 16)))
    candidates = nouns(*map(str, range(200)))
    whole = mine_neglabel(candidates, vectors, id_vectors, MiningSpec())
    monkeypatch.setattr("curator.banks.mining.BLOCK_CELLS", 7 * 30)
    blocks = mine_neglabel(candidates, vectors, id_vectors, MiningSpec())
    for name in type(whole).__slots__:
        np.testing.assert_array_equal(getattr(whole, name), getattr(blocks, name))


def test_an_unknown_miner_is_refused_with_the_known_ones():
    assert MINERS.get("neglabel") is mine_neglabel
    with pytest.raises(UsageError, match="no mining method is called 'best'"):
        MINERS.get("best")


WORDS = ["seahorse", "sea horse", "t-shirt", "tee shirt", "jersey", "wolf", "ice cream", "icecream", "glass"]
WORDS += ["cellular telephone", "cell", "tram", "streetcar", "light rail", "tractor"]


@pytest.mark.parametrize(
    ("label", "id_names", "given", "from_wordnet"),
    [
        ("sea_horse", ["seahorse", "sea horse"], [], []),
        ("T-Shirt", ["t-shirt"], [], ["tee shirt", "jersey"]),
        ("tee-shirt", ["tee shirt"], [], ["t-shirt", "jersey"]),
        ("wolves", ["wolf"], [], []),
        ("ice-cream", ["ice cream", "icecream"], [], []),
        ("mobile phone", [], [], ["cellular telephone", "cell"]),
        ("trams", ["tram"], ["light rail"], ["streetcar"]),
        ("unheard of", [], [], []),
    ],
)
def test_names_of_id_labels_are_dropped_with_their_reason(label, id_names, given, from_wordnet):
    synonyms = {"trams": ["Light-Rail"]} if label == "trams" else {}
    kept, dropped = split_id_names(nouns(*WORDS), [label], synonyms, load_wordnet())
    assert dropped == {"id_name": id_names, "given_synonym": given, "wordnet_synonym": from_wordnet}
    gone = {*id_names, *given, *from_wordnet}
    assert [candidate.text for candidate in kept] == [word for word in WORDS if word not in gone]


def test_dropping_keeps_the_order_of_the_others():
    kept, _ = split_id_names(nouns("b", "tram", "a", "trams"), ["tram"], {}, load_wordnet())
    assert [candidate.text for candidate in kept] == ["b", "a"]

"""Mining statistics and selection against published conformance values (T3), and ID-name removal."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curator.banks import mining, sieve
from curator.banks.id_names import split_id_names
from curator.banks.mining import MINERS, choose_lowest, mine_neglabel, part_counts
from curator.banks.quantiles import Nearness, exclude, order_statistic
from curator.banks.sources import SourceLabel
from curator.banks.spec import MiningSpec
from curator.banks.wordnet import load_wordnet
from curator.errors import EncoderError, UsageError

R0 = [0.70, 0.62, 0.55, 0.60, 0.58, 0.66, 0.52, 0.61, 0.59, 0.57]
R0 += [0.63, 0.56, 0.54, 0.53, 0.65, 0.51, 0.50, 0.49, 0.48, 0.47]
R1 = [0.99, *(0.40 + 0.01 * step for step in range(19))]
T3 = np.array([R0, R1, [0.80, 0.79, *[0.30] * 18], [0.60] * 20])


def nouns(*texts):
    return [SourceLabel(text, "noun", "wordnet:noun.artifact", text) for text in texts]


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


@pytest.mark.parametrize(
    ("rules", "kept"),
    [
        (MiningSpec(fraction=1.0), [3, 1, 0, 2]),
        (MiningSpec(fraction=1.0, exclude_above=0.95), [3, 0, 2]),
        (MiningSpec(fraction=0.75, exclude_above=0.95), [3, 0, 2]),
        (MiningSpec(fraction=0.5, exclude_above=0.95), [3, 0]),
        (MiningSpec(fraction=0.5), [3, 1]),
    ],
)
def test_t3_csp_excludes_what_is_near_to_one_id_label_and_neglabel_keeps_it(monkeypatch, rules, kept):
    """r1 is the exact name of one label: 0.99 to it, far from the 19 others. Rows of T3 are no cosines of vectors (all
    are above 0.4 to 20 labels), so they take the place of the matrix product."""
    monkeypatch.setattr("curator.banks.mining.mining_statistics", statistics_of(T3))
    mined = mine_neglabel(nouns("r0", "r1", "r2", "r3"), unit(np.ones((4, 2))), unit(np.ones((20, 2))), rules)
    assert mined.chosen.tolist() == kept
    if rules.exclude_above:
        assert 1 not in mined.chosen
    values = np.array([0.662, 0.6005, 0.7905, 0.6])
    np.testing.assert_allclose(mined.statistic, values[kept], rtol=0, atol=1e-9)


def statistics_of(cosines):
    def statistics(_, __, rules):
        found = order_statistic(cosines.copy(), rules.quantile, rules.statistic)
        return Nearness(found, cosines.argmax(axis=1), cosines.max(axis=1))

    return statistics


def test_t3_csp_sets_the_statistic_of_the_excluded_to_one():
    linear = order_statistic(T3.copy(), 0.95, "linear")
    found, excluded = exclude(linear, T3.max(axis=1), MiningSpec(exclude_above=0.95))
    assert excluded.tolist() == [False, True, False, False]
    np.testing.assert_allclose(found, [0.662000, 1.000000, 0.790500, 0.600000], rtol=0, atol=1e-9)
    assert choose_lowest(found, np.array(["noun"] * 4), MiningSpec(fraction=1.0)).tolist() == [3, 0, 2, 1]


def test_the_excluded_count_in_the_size_of_their_part_and_a_cosine_equal_to_the_limit_is_kept():
    id_vectors = unit([[1, 0], [0, 1]])
    vectors = unit([[1, 0], [0, 1], [0.6, 0.8], [0.8, 0.6]])
    cosine = float(np.float64(np.float32(0.8)))
    every = MiningSpec(fraction=0.5, quantile=1.0, exclude_above=0.9)
    assert mine_neglabel(nouns(*"abcd"), vectors, id_vectors, every).chosen.tolist() == [2, 3]
    at_limit = mine_neglabel(nouns(*"abcd"), vectors, id_vectors, MiningSpec(fraction=1.0, exclude_above=cosine + 1e-7))
    assert at_limit.chosen.tolist() == [2, 3]
    below = mine_neglabel(nouns(*"abcd"), vectors, id_vectors, MiningSpec(fraction=1.0, exclude_above=cosine - 1e-7))
    assert below.chosen.tolist() == []


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
    monkeypatch.setattr("curator.banks.quantiles.BLOCK_CELLS", 7 * 30)
    blocks = mine_neglabel(candidates, vectors, id_vectors, MiningSpec())
    for name in type(whole).__slots__:
        np.testing.assert_array_equal(getattr(whole, name), getattr(blocks, name))


def both_ways(candidates, vectors, id_vectors, rules, *, rows=sieve.BLOCK_ROWS, sample=sieve.SAMPLE):
    """Mined with exact cosines throughout, and through the sieve."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mining, "SIEVE_CELLS", 1 << 62)
        whole = mine_neglabel(candidates, vectors, id_vectors, rules)
        patch.setattr(mining, "SIEVE_CELLS", 0)
        patch.setattr(sieve, "BLOCK_ROWS", rows)
        patch.setattr(sieve, "SAMPLE", sample)
        return whole, mine_neglabel(candidates, vectors, id_vectors, rules)


def assert_same(whole, sieved):
    for name in type(whole).__slots__:
        np.testing.assert_array_equal(getattr(whole, name), getattr(sieved, name), name)


RULES = st.builds(
    MiningSpec,
    fraction=st.sampled_from([0.0, 0.15, 0.5, 1.0]),
    limit=st.sampled_from([None, 0, 3, 40, 500]),
    quantile=st.sampled_from([0.01, 0.5, 0.95, 1.0]),
    statistic=st.sampled_from(["linear", "order"]),
    order=st.sampled_from(["nouns_first", "adjectives_first"]),
    exclude_above=st.sampled_from([None, 0.5, 0.8, 0.95]),
)


@given(
    RULES, st.integers(0, 2**32 - 1), st.integers(1, 90), st.integers(1, 40), st.integers(1, 20), st.booleans(),
    st.sampled_from([0.0, 0.5, 3.0]), st.sampled_from([3, 16, 2048]),
)  # fmt: skip
def test_the_sieve_chooses_what_exact_cosines_choose(rules, seed, count, ids, dimension, coarse, common, sample):
    """`coarse` vectors have entries -1, 0 and 1 and repeat: many ties, at the cut as within rows. A sample of 3 often
    gives a limit that is too low."""
    generator = np.random.default_rng(seed)
    drawn = generator.normal(size=(count + ids, dimension)) + common
    drawn = np.where(drawn.any(axis=1, keepdims=True), drawn, 1.0)
    if coarse:
        drawn = np.sign(np.rint(drawn))
        drawn[~drawn.any(axis=1)] = 1.0
    vectors = unit(drawn)
    candidates = [
        SourceLabel(str(number), part, "wordnet:noun.artifact", str(number))
        for number, part in enumerate(generator.choice(["noun", "adjective"], count))
    ]
    assert_same(*both_ways(candidates, vectors[:count], vectors[count:], rules, rows=13, sample=sample))


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
@pytest.mark.parametrize("common", [0.0, 1.0])
def test_the_sieve_leaves_most_candidates_out_and_changes_nothing(monkeypatch, dtype, common):
    monkeypatch.setattr("curator.encoders.torch_runtime.cpu_computes_bfloat16", lambda: dtype == "bfloat16")
    generator = np.random.default_rng(5)
    axes = generator.normal(size=(64, 128)) / np.arange(1, 65)[:, None]
    vectors = unit(generator.normal(size=(6300, 64)) @ axes + common * axes[0])
    cheap = sieve.Cheap.of(vectors[6000:], vectors[:6000].mean(axis=0))
    rounded, offsets = cheap.rounded(vectors[:6000])
    cosines = (rounded @ cheap.columns).double().numpy()[:, cheap.back]
    exact = vectors[:6000].astype(np.float64) @ vectors[6000:].T.astype(np.float64)
    error = np.abs(cosines + offsets[:, None] - exact).max()
    assert error < cheap.error + cheap.rounding < (0.011 if dtype == "bfloat16" else 1e-4)
    kept = []
    exact_statistics = sieve.exact_statistics
    monkeypatch.setattr(
        sieve, "exact_statistics", lambda rows, *others: kept.append(len(rows)) or exact_statistics(rows, *others)
    )
    candidates = nouns(*map(str, range(6000)))
    for rules in (MiningSpec(), MiningSpec(limit=300, statistic="order", exclude_above=0.95)):
        kept.clear()
        assert_same(*both_ways(candidates, vectors[:6000], vectors[6000:], rules))
        assert 0 < sum(kept) < 2400


def test_a_limit_guessed_too_low_is_found_out(monkeypatch):
    generator = np.random.default_rng(6)
    vectors = unit(generator.normal(size=(330, 16)))
    monkeypatch.setattr(sieve, "guess_limit", lambda *_: -0.01)
    whole, sieved = both_ways(nouns(*map(str, range(300))), vectors[:300], vectors[300:], MiningSpec())
    assert_same(whole, sieved)
    assert sieved.chosen.size == 45


@pytest.mark.parametrize("wrong", [0.0, 0.98, 1.02, np.nan, np.inf])
def test_the_sieve_refuses_what_is_not_of_unit_norm_though_it_could_leave_it_out(monkeypatch, wrong):
    vectors = unit(np.random.default_rng(7).normal(size=(330, 16)))
    vectors[70] *= wrong
    monkeypatch.setattr(mining, "SIEVE_CELLS", 0)
    with np.errstate(invalid="ignore"), pytest.raises(EncoderError, match="instead of 1"):
        mine_neglabel(nouns(*map(str, range(300))), vectors[:300], vectors[300:], MiningSpec())


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
    texts = {reason: [label.text for label in labels] for reason, labels in dropped.items()}
    assert texts == {"id_name": id_names, "given_synonym": given, "wordnet_synonym": from_wordnet}
    gone = {*id_names, *given, *from_wordnet}
    assert [candidate.text for candidate in kept] == [word for word in WORDS if word not in gone]


def test_dropping_keeps_the_order_of_the_others():
    kept, _ = split_id_names(nouns("b", "tram", "a", "trams"), ["tram"], {}, load_wordnet())
    assert [candidate.text for candidate in kept] == ["b", "a"]

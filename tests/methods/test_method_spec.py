"""Method text to method and back: canonical ids, defaults from the bank, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curator.errors import BankError, UsageError
from curator.methods import METHODS, MethodSpec, resolve_method
from curator.types import Bank, Label


def make_bank(ids=3, negatives=5, scale=30.0):
    labels = [Label(f"id {n}", "id", "test") for n in range(ids)]
    labels += [Label(f"negative {n}", "negative", "test") for n in range(negatives)]
    return Bank("b", "0" * 32, "test@1", scale, tuple(labels), np.eye(len(labels), 16, dtype=np.float32), {})


@pytest.mark.parametrize(
    ("text", "method_id"),
    [
        ("neglabel", "neglabel(group_count=100,remainder=drop,scale=30,seed=0,temperature=1)"),
        (" neglabel:group_count=10 ", "neglabel(group_count=10,remainder=drop,scale=30,seed=0,temperature=1)"),
        ("neglabel:group_size=50,seed=3", "neglabel(group_size=50,remainder=drop,scale=30,seed=3,temperature=1)"),
        (
            "neglabel:scale=100, temperature=0.5",
            "neglabel(group_count=100,remainder=drop,scale=100,seed=0,temperature=0.5)",
        ),
        ("mcm", "mcm(scale=30,temperature=1)"),
        ("mcm:scale=1", "mcm(scale=1,temperature=1)"),
        ("mcm()", "mcm(scale=30,temperature=1)"),
    ],
)
def test_a_method_text_becomes_a_canonical_id_that_reads_back(text, method_id):
    bank = make_bank()
    method = resolve_method(text, bank)
    assert method.method_id == method_id
    assert resolve_method(method_id, make_bank(scale=77.0)) == method


@given(st.floats(1e-6, 1e6), st.integers(0, 10**9), st.sampled_from(["drop", "join"]), st.integers(1, 10**6))
def test_any_parameters_survive_the_round_trip_through_the_id(scale, seed, remainder, groups):
    parameters = {"scale": scale, "seed": seed, "remainder": remainder, "group_count": groups}
    method = resolve_method(MethodSpec("neglabel", parameters), make_bank())
    assert (method.scale, method.seed, method.remainder, method.group_count) == (scale, seed, remainder, groups)
    assert resolve_method(method.method_id, make_bank()) == method


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("neg", "no method is called 'neg'"),
        ("neglabel:groups=3", "neglabel has no parameter 'groups'"),
        ("neglabel:name=3", "neglabel has no parameter 'name'"),
        ("mcm:temprature=3", "mcm has no parameter 'temprature'"),
        ("neglabel:scale=warm", "scale must be a number of type float, not 'warm'"),
        ("neglabel:seed=0.5", "seed must be a number of type int"),
        ("neglabel:seed=-1", "seed must not be negative"),
        ("neglabel:group_count=0", "group_count must be above 0"),
        ("mcm:temperature=0", "temperature must be above 0"),
        ("mcm:scale=nan", "scale must be finite"),
        ("neglabel:remainder=keep", "remainder cannot be 'keep'"),
        ("neglabel:group_count=2,group_size=3", "not both"),
        ("neglabel(scale=3", "does not name a method"),
        ("", "does not name a method"),
    ],
)
def test_a_bad_method_text_is_a_usage_error(text, message):
    with pytest.raises(UsageError, match=message.replace("(", r"\(")):
        resolve_method(text, make_bank())


def test_an_unknown_parameter_is_answered_with_the_known_ones():
    with pytest.raises(UsageError) as caught:
        resolve_method("mcm:t=1", make_bank())
    assert caught.value.hint == "known: scale, temperature"


def test_a_bank_that_lacks_what_a_method_needs_is_refused():
    with pytest.raises(BankError, match="neglabel needs negative labels"):
        resolve_method("neglabel", make_bank(negatives=0))
    with pytest.raises(BankError, match="at least two ID labels"):
        resolve_method("mcm", make_bank(ids=1))


def test_the_seed_draws_the_grouping_and_nothing_else():
    generator = np.random.default_rng(1)
    id_cosines, negatives = generator.uniform(0, 0.3, (6, 3)), generator.uniform(0, 0.3, (6, 40))
    bank = make_bank(negatives=40)
    scores = [
        resolve_method(f"neglabel:group_count=4,seed={seed}", bank).log_odds(id_cosines, negatives)
        for seed in (0, 0, 1)
    ]
    np.testing.assert_array_equal(scores[0], scores[1])
    assert not np.allclose(scores[0], scores[2])
    one_group = [resolve_method(f"neglabel:group_count=1,seed={seed}", bank) for seed in (0, 1)]
    np.testing.assert_array_equal(*(method.log_odds(id_cosines, negatives) for method in one_group))


def test_methods_are_listed_without_being_imported():
    assert METHODS.names() == ["mcm", "neglabel"]

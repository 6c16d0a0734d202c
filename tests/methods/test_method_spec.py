"""Method text to method and back: canonical ids, defaults from the bank, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curator.errors import BankError, UsageError
from curator.methods import METHODS, MethodSpec, resolve_method


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
        ("csp:group_size=50", "csp(group_size=50,remainder=drop,scale=30,seed=0,temperature=1)"),
        ("max_logit", "max_logit(scale=1)"),
        ("energy", "energy(temperature=0.01)"),
        ("eoe", "eoe(beta=0.25,temperature=1,variant=eoe)"),
        ("eoe:variant=energy", "eoe(beta=0.25,temperature=0.01,variant=energy)"),
        ("eoe:variant=energy,temperature=1,beta=0", "eoe(beta=0,temperature=1,variant=energy)"),
        ("knn", "knn(k=10,reference=)"),
        ("knn:k=3", "knn(k=3,reference=)"),
    ],
)
def test_a_method_text_becomes_a_canonical_id_that_reads_back(text, method_id, make_bank):
    bank = make_bank(3, 5)
    method = resolve_method(text, bank)
    assert method.method_id == method_id
    assert resolve_method(method_id, make_bank(3, 5, scale=77.0)) == method


def test_fusion_takes_the_parameters_of_both_sides_and_measures_the_rest(make_bank):
    method = resolve_method("fusion:weight=0.25,k=3,group_count=7,seed=2", make_bank(3, 5))
    assert method.method_id == (
        "fusion(group_count=7,image_deviation=1,image_mean=0,k=3,reference=,remainder=drop,scale=30,seed=2,"
        "temperature=1,text_deviation=1,text_mean=0,weight=0.25)"
    )
    assert method.text == resolve_method("neglabel:group_count=7,seed=2", make_bank(3, 5))
    assert method.image == resolve_method("knn:k=3", make_bank(3, 5))
    fitted = method.fitted(np.array([1.0, 3.0]), np.array([-0.5, -0.5]))
    assert (fitted.text_mean, fitted.text_deviation, fitted.image_mean) == (2.0, 1.0, -0.5)
    assert 0 < fitted.image_deviation < 1e-5
    assert fitted.method_id != method.method_id


@given(st.floats(1e-6, 1e6), st.integers(0, 10**9), st.sampled_from(["drop", "join"]), st.integers(1, 10**6))
def test_any_parameters_survive_the_round_trip_through_the_id(make_bank, scale, seed, remainder, groups):
    parameters = {"scale": scale, "seed": seed, "remainder": remainder, "group_count": groups}
    method = resolve_method(MethodSpec("neglabel", parameters), make_bank(3, 5))
    assert (method.scale, method.seed, method.remainder, method.group_count) == (scale, seed, remainder, groups)
    assert resolve_method(method.method_id, make_bank(3, 5)) == method


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("neg", "no method is called 'neg'"),
        ("neglabel:groups=3", "neglabel has no parameter 'groups'"),
        ("neglabel:name=3", "neglabel has no parameter 'name'"),
        ("mcm:temprature=3", "mcm has no parameter 'temprature'"),
        ("neglabel:scale=warm", "scale is 'warm'"),
        ("neglabel:seed=0.5", "seed is '0.5'"),
        ("neglabel:seed=-1", "neglabel: seed is -1 (give a whole number from 0 to"),
        ("neglabel:group_count=0", "neglabel: group_count is 0 (give a whole number from 1 to"),
        ("mcm:temperature=0", "mcm: temperature is 0.0 (give a number from 1e-06 to 1000000"),
        ("mcm:scale=nan", "scale is 'nan'"),
        ("neglabel:remainder=keep", "remainder is 'keep' (give one of drop, join"),
        ("neglabel:group_count=2,group_size=3", "not both"),
        ("csp:seed=-1", "csp: seed is -1"),
        ("eoe:variant=mpl", "variant is 'mpl'"),
        ("eoe:beta=2", "beta is 2.0 (give a number from 0 to 1"),
        ("eoe:temperature=0", "eoe: temperature is 0.0"),
        ("energy:temperature=-1", "temperature is -1.0"),
        ("max_logit:scale=0", "scale is 0.0"),
        ("knn:k=0", "k is 0"),
        ("knn:k=2.5", "k is '2.5'"),
        ("knn:reference=abc", "the reference is what `curator calibrate --reference` read"),
        ("fusion:weight=1.5", "weight is 1.5"),
        ("fusion:k=0", "fusion: k is 0"),
        ("fusion:text_mean=1,reference=x", "fusion: reference, text_mean: measured on the reference"),
        ("neglabel:group_count=-3", "group_count is -3"),
        ("mcm:temperature=nan", "temperature is 'nan'"),
        ("mcm:temperature=1e308", "temperature is 1e.308"),
        ("mcm:scale=1e-300", "scale is 1e-300"),
        ("mcm:precision=half", "precision is 'half'"),
        ("neglabel(scale=3", "does not name a method"),
        ("", "does not name a method"),
    ],
)
def test_a_bad_method_text_is_a_usage_error(text, message, make_bank):
    with pytest.raises(UsageError, match=message.replace("(", r"\(")) as caught:
        resolve_method(text, make_bank(3, 5))
    assert "\n" not in str(caught.value)


def test_an_unknown_parameter_is_answered_with_the_known_ones(make_bank):
    with pytest.raises(UsageError) as caught:
        resolve_method("mcm:t=1", make_bank(3, 5))
    assert caught.value.hint == "known: precision, scale, temperature"


@pytest.mark.parametrize("name", ["neglabel", "csp", "eoe", "fusion"])
def test_a_bank_without_the_negatives_that_a_method_needs_is_refused(name, make_bank):
    with pytest.raises(BankError, match=rf"{name} needs negative labels \(bank b has none"):
        resolve_method(name, make_bank(3, 0))


def test_a_bank_with_too_few_id_labels_is_refused(make_bank):
    with pytest.raises(BankError, match="at least two ID labels"):
        resolve_method("mcm", make_bank(1, 5))
    with pytest.raises(BankError, match="at least two ID labels"):
        resolve_method("eoe:variant=max", make_bank(1, 5))
    assert resolve_method("eoe", make_bank(1, 5)).method_id == "eoe(beta=0.25,temperature=1,variant=eoe)"


def test_csp_is_refused_on_a_bank_that_was_not_mined_by_csp(make_bank):
    with pytest.raises(BankError, match="bank b was mined by neglabel") as caught:
        resolve_method("csp", make_bank(3, 5, miner="neglabel"))
    assert 'method = "csp"' in (caught.value.hint or "")
    assert resolve_method("csp", make_bank(3, 5)).scale == 30.0


def test_what_needs_no_negatives_works_without(make_bank):
    for name in ("mcm", "max_logit", "energy", "knn"):
        assert not resolve_method(name, make_bank(3, 0)).needs.masses


def test_methods_are_listed_without_being_imported():
    older = ["csp", "energy", "eoe", "fusion", "knn", "max_logit", "mcm", "neglabel"]
    learnt = ["adaneg", "ants", "interneg", "mmood", "negrefine", "synood", "tanl"]
    assert METHODS.names() == sorted([*older, *learnt, "mahalanobis", "oodd", "residual", "vim"])

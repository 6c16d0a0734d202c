"""Figures of sets and their means."""

from __future__ import annotations

import math

import numpy as np
import pytest

from curator.evaluation.figures import figures_of
from curator.metrics import measure

RANDOM = np.random.default_rng(5)
ID = RANDOM.normal(2, 1, 120)
OOD = {"near": RANDOM.normal(1.5, 1, 60), "a": RANDOM.normal(0, 1, 40), "b": RANDOM.normal(-1, 1, 80)}
SETS = {"close": OOD["near"], "a": OOD["a"], "b": OOD["b"]}
GROUPS = {"close": "near", "a": "far", "b": "far"}


def test_means_weigh_every_set_alike():
    found = {figure.name: figure for figure in figures_of(ID, SETS, GROUPS, replicates=50, seed=1)}
    assert list(found) == ["close", "a", "b", "average", "near", "far"]
    single = {name: measure(ID, scores) for name, scores in SETS.items()}
    assert found["a"].metrics["auroc"].value == single["a"]["auroc"]
    for metric, estimate in found["far"].metrics.items():
        assert estimate.value == pytest.approx((single["a"][metric] + single["b"][metric]) / 2)
        assert estimate.low <= estimate.high
    assert found["average"].ood_count == 180


def test_interval_of_a_mean_is_narrower_than_those_of_its_sets():
    found = {figure.name: figure for figure in figures_of(ID, SETS, GROUPS, replicates=300, seed=1)}
    width = {name: figure.metrics["auroc"].high - figure.metrics["auroc"].low for name, figure in found.items()}
    assert width["average"] < width["close"]


def test_a_set_has_the_same_interval_whatever_other_sets_there_are():
    alone = figures_of(ID, {"a": SETS["a"]}, {}, replicates=40, seed=3)
    among = figures_of(ID, SETS, {}, replicates=40, seed=3)
    assert [figure.name for figure in alone] == ["a"]
    assert alone[0] == next(figure for figure in among if figure.name == "a")


def test_no_replicates_give_no_interval():
    figure = figures_of(ID, {"a": SETS["a"]}, {}, replicates=0, seed=0)[0]
    assert math.isnan(figure.metrics["auroc"].low)

"""What a calibration advises: the method that suits the encoder, and what fusion with kNN gains on decided images."""

from __future__ import annotations

import numpy as np
import pytest

from curator.methods import resolve_method
from curator.methods.members.fusion import Fusion
from curator.types import Bank, Label
from curator.workspace.calibrate.advice import fusion_of, gain_of
from curator.workspace.judge.reference import ReferenceSet
from curator.workspace.judge.scoring import Scorer, bind_reference


def plane(unit, degrees: list[float]) -> np.ndarray:
    """Unit vectors (n, 4) at these angles in the plane of two labels, 0 and 90 degrees."""
    angles = np.radians(degrees)
    return unit(np.stack([np.cos(angles), np.sin(angles), 0 * angles, 0 * angles], axis=1))


@pytest.fixture
def bank(unit) -> Bank:
    labels = (Label("dog", "id", "spec"), Label("street", "negative", "w"))
    return Bank("b", "0" * 32, "plane@1", 10.0, labels, plane(unit, [0, 90]), {})


def gain(bank, unit, *, references: list[float], oods: list[float]):
    method = resolve_method("neglabel", bank)
    ids = ReferenceSet(tuple(f"id-{place}" for place in range(len(references))), plane(unit, references))
    others = ReferenceSet(tuple(f"ood-{place}" for place in range(len(oods))), plane(unit, oods))
    fused = bind_reference((fusion_of(method, bank),), ids, bank)[0]
    return gain_of(Scorer(bank, (method, fused), ids, "cpu"), ids, others)


def test_fusion_gains_where_ood_images_stand_apart_from_the_reference_but_near_its_label(bank, unit):
    """ID images are 30 to 40 degrees from their label, OOD ones 0 to 10 on its other side: the text score is wrong."""
    found = gain(bank, unit, references=list(np.linspace(30, 40, 40)), oods=list(np.linspace(-10, 0, 20)))
    assert (found.ids, found.oods, found.plain) == (40, 20, 0.0)
    assert found.fused > 0.5 and found.better and found.low <= found.fused - found.plain <= found.high


def test_fusion_that_gains_nothing_is_not_called_better(bank, unit):
    found = gain(bank, unit, references=list(np.linspace(0, 10, 40)), oods=list(np.linspace(60, 80, 20)))
    assert (found.plain, found.fused) == (1.0, 1.0) and not found.better


def test_fusion_has_the_text_side_of_the_method_that_was_calibrated(bank):
    found = fusion_of(resolve_method("neglabel:temperature=0.5", bank), bank)
    assert isinstance(found, Fusion) and found.temperature == 0.5
    assert fusion_of(resolve_method("energy", bank), bank) == fusion_of(resolve_method("neglabel", bank), bank)
    assert fusion_of(resolve_method("knn", bank), bank) is None

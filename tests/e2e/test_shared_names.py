"""Names of real photographs: what WordNet calls right is said of at least six in ten scenes, garments and objects."""

from __future__ import annotations

import numpy as np
import pytest

from curator.banks.naming import NameVocabulary
from curator.banks.text_cache import TextCache
from curator.encoders import EncoderOptions, load_encoder
from curator.types import Bank, Label
from tests.bench.true_names import embedded, is_right, photographs

CUT = 0.3  # as in sql/macros/shown_name.sql


@pytest.mark.parametrize(
    ("name", "label", "right"),
    [
        ("espresso", "forest", False),
        ("minivan", "car_side", True),  # under
        ("lynx", "wild_cat", True),
        ("acoustic guitar", "electric_guitar", True),  # beside
        ("sea bass", "rooster", False),
        ("side street", "street", True),
        ("galaxy", "glacier", False),
    ],
)
def test_a_name_is_right_under_or_beside_the_true_one(name, label, right):
    assert is_right(name, label) == right


@pytest.mark.slow
def test_six_in_ten_photographs_get_a_name_that_is_right(shared_data, tmp_path):
    encoder = load_encoder(EncoderOptions("mini", offline=True))
    bank = Bank("base", "d", encoder.encoder_id, 30.0, (Label("tram", "id", "t"),), encoder.encode_texts(["tram"]), {})
    vocabulary = NameVocabulary.of(bank, encoder, TextCache(tmp_path))
    images = [image for found in photographs(shared_data, every=8).values() for image in found]
    names, margins = vocabulary.names(embedded(encoder, [data for _, data in images]))
    right = np.array([is_right(name, label) for name, (label, _) in zip(names, images, strict=True)])
    said = margins >= CUT
    assert len(images) > 300
    assert (right & said).mean() >= 0.6, "unclear ones count as wrong"
    assert right[said].mean() > right[~said].mean() + 0.3, "what is not said would mostly be wrong"

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curator.encoders import EncoderOptions, load_encoder
from curator.encoders.fake_encoder import COLOURS

ENCODER = load_encoder(EncoderOptions("fake"))


def uniform(colour: tuple[float, float, float]) -> np.ndarray:
    return np.full((32, 32, 3), np.array(colour) * 255, dtype=np.uint8)


def test_a_text_lies_nearest_to_the_picture_of_the_colour_it_names():
    pictures = ENCODER.encode_images(np.stack([uniform(colour) for colour in COLOURS.values()]))
    for text in ("{}", "a photo of a {} car", "{} things, many of them"):
        cosines = ENCODER.encode_texts([text.format(name) for name in COLOURS]) @ pictures.T
        assert cosines.argmax(axis=1).tolist() == list(range(len(COLOURS)))
        assert np.diag(cosines).min() > 0.9


def test_pictures_of_one_mean_colour_differ_by_their_layout():
    left, right = np.zeros((2, 32, 32, 3), dtype=np.uint8)
    left[:, :16], right[:, 16:] = 255, 255
    vectors = ENCODER.encode_images(np.stack([left, right]))
    assert vectors[0] @ vectors[1] < 0.5


def test_it_takes_its_dimension_from_the_address():
    wide = load_encoder(EncoderOptions("fake:40"))
    assert wide.encode_texts(["dog"]).shape == (1, 40)
    assert wide.encoder_id != ENCODER.encoder_id
    assert load_encoder(EncoderOptions("fake:16")).encoder_id.split("@")[1] == ENCODER.encoder_id.split("@")[1]


@settings(max_examples=40, deadline=None)
@given(st.text(), st.text())
def test_a_text_has_one_vector_whatever_stands_beside_it(one, other):
    first, second = ENCODER.encode_texts([one, other])
    assert np.isfinite(first).all() and np.linalg.norm(first) == pytest.approx(1, abs=1e-6)
    assert np.array_equal(first, second) or one.lower() != other.lower()
    np.testing.assert_array_equal(first, ENCODER.encode_texts([one])[0])


def test_words_are_told_apart():
    words = ["dog", "cat", "car", "tree", "house", "tench", "church"]
    cosines = np.abs(ENCODER.encode_texts(words) @ ENCODER.encode_texts(words).T - np.eye(len(words)))
    assert cosines.max() < 0.99

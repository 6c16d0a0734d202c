from __future__ import annotations

import numpy as np

from curator.generators.embedded.centring import FEWEST_IMAGES, Centring, unit_rows


def test_centring_takes_the_gap_out_and_needs_enough_images():
    draws = np.random.default_rng(0)
    texts = unit_rows(draws.normal(size=(40, 8)))
    images = unit_rows(texts[np.arange(80) % 40] + np.array([1.5, *[0.0] * 7])).astype(np.float32)
    none = Centring.of(images[: FEWEST_IMAGES - 1], texts)
    centred = Centring.of(images, texts)
    assert np.allclose(none.images(images), images, atol=1e-6)
    raw = (none.texts(texts) @ none.images(images).T).argmax(axis=0)
    better = (centred.texts(texts) @ centred.images(images).T).argmax(axis=0)
    truth = np.arange(80) % 40
    assert (better == truth).mean() > (raw == truth).mean() + 0.1

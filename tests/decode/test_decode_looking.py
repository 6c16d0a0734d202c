"""Images as people and models look at them."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from curator.decode import DecodeFailure, DecodeOptions, look, looked_at
from curator.types import Preprocess


@pytest.mark.parametrize(
    ("size", "side", "shown"),
    [
        ((160, 120), 40, (40, 30)),
        ((120, 160), 40, (30, 40)),
        ((30, 20), 40, (30, 20)),
        ((400, 1), 40, (40, 1)),
    ],
)
def test_an_image_is_looked_at_whole_and_never_enlarged(encode, size, side, shown):
    image = Image.new("RGB", size, (200, 100, 50))
    square, facts = look(encode(image, "PNG"), Preprocess(side), DecodeOptions())
    assert (square.shape, square.dtype) == ((side, side, 3), np.uint8)
    assert (facts.width, facts.height) == size
    assert looked_at(square, facts).size == shown
    assert np.array_equal(looked_at(square, facts), Image.new("RGB", shown, (200, 100, 50)))


def test_what_is_no_image_cannot_be_looked_at():
    with pytest.raises(DecodeFailure, match="text"):
        look(b"nothing", Preprocess(8), DecodeOptions())

"""The pixels that encoders' ids stand for, and whether this installation makes them.

An encoder's id covers its preprocessing, and so which pixels an image becomes. Versions of libraries are not in it: a
lake would be embedded again with every release of one, and pixels hardly ever change. Instead a picture ships with the
pixels that it has to become. An installation that makes others of it, beyond PROBE_DRIFT, decodes nothing.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import version

import numpy as np
from PIL import Image

from curator.decode.failures import DecodeFailure
from curator.decode.image import DecodeOptions, prepare
from curator.decode.resizing import REORDERED_DRIFT
from curator.errors import CuratorError
from curator.resources import data_file
from curator.types import Preprocess

LIBRARIES = ("pillow", "simplejpeg", "cykooz-resizer")
PROBE_DRIFT = REORDERED_DRIFT  # mean absolute difference of pixels (0-255)

# A JPEG is decoded in full for the larger square, and at half its size for the smaller one.
_SQUARES = (48, 20)


@cache
def require_known_pixels() -> None:
    """Raises CuratorError where the installed libraries make other pixels than encoders' ids stand for."""
    drift = probe_drift()
    if drift > PROBE_DRIFT:
        installed = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
        raise CuratorError(
            f"images would not become the pixels that their vectors are made of: a picture that ships with curator "
            f"differs by {drift:.2f} of 255 levels (at most {PROBE_DRIFT}) with {installed}",
            hint="install the versions of these that .ci/constraints.txt names",
        )


def probe_drift() -> float:
    """The mean absolute difference of the picture's pixels (0-255) from those that ship with it; 255 for no pixels."""
    data = data_file("curator.decode", "probe.jpg").read_bytes()
    with Image.open(data_file("curator.decode", "probe.png")) as sheet:
        expected = np.asarray(sheet.convert("RGB")).astype(int)
    left, differences = 0, []
    for size in _SQUARES:
        try:
            pixels, _ = prepare(data, Preprocess(size), DecodeOptions())
        except DecodeFailure:
            return 255.0
        differences.append(np.abs(pixels - expected[:size, left : left + size]).mean())
        left += size
    return float(max(differences))

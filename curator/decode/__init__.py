"""Bytes to pixels, or the reason why not.

Every image ends as 8-bit RGB as a person would see it: EXIF orientation applied, transparency on white, first frame
or page, deep grey brought to 8 bits. `fit` then makes the square that an encoder wants, bit for bit as open_clip does.
Bad bytes never raise anything but `DecodeFailure`, whose reason is a key of `REASONS`.

    formats   which formats are opened, the pixel limit on their headers, and what unknown bytes are
    colour    any mode of Pillow as 8-bit RGB
    fitting   an RGB image as the square of an encoder
    image     the steps in order, and the boundary where an exception becomes a failure
    failures  the short list of reasons

Decode processes hold this package, so it imports Pillow and NumPy only. It starts no process and limits no memory
(see `engines.decode_pool`), and it leaves Pillow's global settings as they are.
"""

from __future__ import annotations

from curator.decode.colour import to_rgb
from curator.decode.failures import REASONS, DecodeFailure
from curator.decode.fitting import fit
from curator.decode.formats import FORMATS
from curator.decode.image import SCALED_DRIFT, DecodeOptions, decode_image, prepare

__all__ = [
    "FORMATS",
    "REASONS",
    "SCALED_DRIFT",
    "DecodeFailure",
    "DecodeOptions",
    "decode_image",
    "fit",
    "prepare",
    "to_rgb",
]

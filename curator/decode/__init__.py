"""Bytes to pixels, or the reason why not.

Every image ends as 8-bit RGB as a person would see it: EXIF orientation applied, transparency on white, first frame
or page, deep grey brought to 8 bits. `fit` then makes the square that an encoder wants, as open_clip does but for the
bounds that `resizing` states.
Bad bytes never raise anything but `DecodeFailure`, whose reason is a key of `REASONS`.

    metadata    cut out what says nothing about the pixels
    formats     which formats are opened, and the pixel limit on their headers
    undecoded   what bytes are that are not decoded
    tiff        TIFFs of many bands and deep samples
    jpeg_parts  the segments of a JPEG
    jpeg_end    whether a JPEG without an end marker is whole
    turbo       sound JPEGs, by the shortest way to their pixels
    colour      any mode of Pillow as 8-bit RGB
    resizing    antialiased resizing
    fitting     an RGB image as the square of an encoder
    image       the steps in order, to an encoder's square or a picture to look at; where exceptions become failures
    resave      an image saved once more, of another size and quality, before it is prepared
    identity    whether the pixels are those that encoders' ids stand for
    failures    the short list of reasons

Decode processes hold this package, so it imports Pillow, simplejpeg, cykooz-resizer and NumPy only, and tifffile on
demand. It starts no process and limits no memory (see `engines.decode_pool`), and it leaves Pillow's global settings as
they are.
"""

from __future__ import annotations

from curator.decode.failures import REASONS, DecodeFailure
from curator.decode.fitting import fit
from curator.decode.formats import FORMATS
from curator.decode.image import SCALED_DRIFT, DecodeOptions, decode_image, look, looked_at, prepare, prepare_sampled
from curator.decode.resave import SavedFormat, format_of, resaved

__all__ = [
    "FORMATS",
    "REASONS",
    "SCALED_DRIFT",
    "DecodeFailure",
    "DecodeOptions",
    "SavedFormat",
    "decode_image",
    "fit",
    "format_of",
    "look",
    "looked_at",
    "prepare",
    "prepare_sampled",
    "resaved",
]

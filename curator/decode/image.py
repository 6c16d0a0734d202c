"""The steps from bytes to pixels in order, and the boundary where an exception becomes a failure.

Large JPEGs are decoded at a reduced size (libjpeg scales in the DCT domain) when that leaves at least `scale_margin`
times the side that is wanted. SCALED_DRIFT bounds what this changes, and a test holds it.

Not for threads that run at once: warnings are silenced through Python's process-wide filters.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageFile, TiffImagePlugin

from curator.decode import turbo
from curator.decode.colour import shown
from curator.decode.failures import DecodeFailure, failure_of, has_room, no_memory
from curator.decode.fitting import Reduced, Stored, fit
from curator.decode.formats import open_image
from curator.decode.jpeg_end import lacks_its_end_only
from curator.decode.metadata import without_metadata
from curator.decode.quality import SampledFacts, sampled
from curator.decode.resizing import Box
from curator.decode.tiff import SIGNATURES as TIFF_SIGNATURES
from curator.decode.tiff import NoDirectory, read_bands
from curator.decode.undecoded import what_is_not_decoded
from curator.types import ImageFacts, Preprocess

SCALED_DRIFT = 1.0  # mean absolute difference of pixels (0-255) after `fit`, scaled against full decode

_SCALABLE = ("JPEG", "MPO")
_END_OF_JPEG = b"\xff\xd9"
_BITS_PER_SAMPLE, _SAMPLES_PER_PIXEL, _SAMPLE_FORMAT = 258, 277, 339  # tags
_SIGNED = 2
_ANIMATING = ("GIF", "PNG", "WEBP", "AVIF")  # further frames of TIFF, MPO and PSD are pages, views and layers
_TURNS = {  # the EXIF orientation of the stored image, and what makes it upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True, slots=True)
class DecodeOptions:
    """max_pixels: larger images fail on their header (the default is Pillow's own limit, 256 MiB of RGB).
    scaled: decode large JPEGs at a reduced size, no smaller than `scale_margin` times the side that is wanted.
    """

    max_pixels: int = 89_478_485
    scaled: bool = True
    scale_margin: int = 2


def prepare(data: bytes, preprocess: Preprocess, options: DecodeOptions) -> tuple[NDArray[np.uint8], ImageFacts]:
    """Pixels for an encoder, (size, size, 3) uint8 RGB, and what was learnt of the image. Raises DecodeFailure only."""
    pixels, facts = prepare_sampled(data, preprocess, options)
    return pixels, facts.measured()


def prepare_sampled(
    data: bytes, preprocess: Preprocess, options: DecodeOptions
) -> tuple[NDArray[np.uint8], SampledFacts]:
    """As `prepare`, with facts that are still to be measured."""
    with failing():
        image, facts, reduced = _decode(data, options, preprocess.side)
        square = fit(image, preprocess, reduced=reduced)
        return square, SampledFacts(
            facts.width, facts.height, facts.format, facts.mode, facts.animated, facts.remark, sample=sampled(image)
        )


def decode_image(
    data: bytes, *, options: DecodeOptions, target_size: int | None = None
) -> tuple[Image.Image, ImageFacts]:
    """The image in mode RGB, and its facts. Raises DecodeFailure only.

    With `target_size` a large JPEG may come at a reduced size; the facts give the full one.
    """
    with failing():
        image, facts, _ = _decode(data, options, target_size)
        return image if image.mode == "RGB" else image.convert("RGB"), facts


def look(data: bytes, preprocess: Preprocess, options: DecodeOptions) -> tuple[NDArray[np.uint8], ImageFacts]:
    """The image at the top left of a black square of `preprocess.size`, (size, size, 3) uint8 RGB, and its facts.

    Images are made smaller, never larger. The size of the image in the square follows from the facts, so decode
    processes need no other answer than for `prepare`. Raises DecodeFailure only.
    """
    side = preprocess.size
    image, facts = decode_image(data, options=options, target_size=side)
    width, height = _looked_size(facts, side)
    square = np.zeros((side, side, 3), np.uint8)
    small = image.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=2.0)
    square[:height, :width] = np.asarray(small)
    return square, facts


def looked_at(square: NDArray[np.uint8], facts: ImageFacts) -> Image.Image:
    """The image of a square that `look` made, in mode RGB."""
    width, height = _looked_size(facts, len(square))
    return Image.fromarray(square[:height, :width])


def _looked_size(facts: ImageFacts, side: int) -> tuple[int, int]:
    """Width and height with the longer one at most `side`, in the proportions of the image."""
    share = min(1.0, side / max(facts.width, facts.height))
    return max(1, round(facts.width * share)), max(1, round(facts.height * share))


@contextmanager
def failing() -> Iterator[None]:
    """Turn whatever a decoder raises into a DecodeFailure, and silence its warnings.

    The broad `except` is right here and nowhere else: a plug-in of Pillow may raise anything on bad data, and that is
    the end of this datum, not of the run. Pillow warns of doubtful metadata only; what matters raises.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except DecodeFailure:
            raise
        except Exception as fault:
            raise failure_of(fault) from fault


def _decode(
    data: bytes, options: DecodeOptions, target_size: int | None
) -> tuple[Image.Image, ImageFacts, Reduced | None]:
    stored = _stored(without_metadata(data), options, target_size)
    (width, height), orientation, image = stored.full_size, stored.orientation, stored.image
    if orientation in _TURNS:
        image = image.transpose(_TURNS[orientation])
    if orientation >= 5:
        width, height = height, width
    reduced = Reduced((width, height), _turned(stored.drafted, image.size, orientation)) if stored.drafted else None
    facts = ImageFacts(width, height, stored.format, stored.mode, stored.animated, stored.remark)
    return image, facts, reduced


def _stored(data: bytes, options: DecodeOptions, target_size: int | None) -> Stored:
    try:
        image = open_image(data, max_pixels=options.max_pixels)
    except DecodeFailure as refusal:
        if not data.startswith(TIFF_SIGNATURES):
            raise
        try:
            return _stored_bands(data, options)
        except NoDirectory:
            raise refusal from None
    if _is_misread(image):
        with suppress(DecodeFailure, NoDirectory):  # then as Pillow reads it
            return _stored_bands(data, options)
    try:
        return _loaded(data, image, options, target_size)
    except DecodeFailure as failure:
        if failure.reason == "truncated" and image.format == "JPEG" and lacks_its_end_only(data):
            data += _END_OF_JPEG
            ended = _loaded(data, open_image(data, max_pixels=options.max_pixels), options, target_size)
            return replace(ended, remark=_remarks("no end mark", ended.remark))
        raise (what_is_not_decoded(data) if failure.reason == "corrupt" else None) or failure from None


def _stored_bands(data: bytes, options: DecodeOptions) -> Stored:
    try:
        return read_bands(data, max_pixels=options.max_pixels)
    except (DecodeFailure, NoDirectory):
        raise
    except Exception as fault:  # tifffile raises what it likes, as Pillow does
        raise failure_of(fault, format_="TIFF") from fault


def _is_misread(image: ImageFile.ImageFile) -> bool:
    """Whether Pillow takes a TIFF for what it is not: signed bytes for unsigned ones, and of many deep bands the upper
    bytes for all there is."""
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return False
    bits = max(image.tag_v2.get(_BITS_PER_SAMPLE, (1,)))
    return (bits == 8 and _SIGNED in image.tag_v2.get(_SAMPLE_FORMAT, ())) or (
        bits > 8 and bool(_bands_left_out(image))
    )


def _loaded(data: bytes, image: ImageFile.ImageFile, options: DecodeOptions, target_size: int | None) -> Stored:
    size, mode, format_ = image.size, image.mode, str(image.format)
    animated = format_ in _ANIMATING and _has_frames(image)
    drafted = None
    if options.scaled and target_size and format_ in _SCALABLE:
        side = int(options.scale_margin * target_size)
        drafted = image.draft(None, (side, side))
    try:
        fast = turbo.decoded(data, image)
        if fast is None:
            image.load()
    except Exception as fault:
        failure = failure_of(fault, format_=format_)
        raise (failure if has_room(*size) else no_memory(format_)) from fault
    rgb, remark = shown(image) if fast is None else (fast, "")
    remark = _remarks(_bands_left_out(image), remark)
    return Stored(rgb, size, format_, mode, animated, _orientation(image), drafted and drafted[1], remark)


def _bands_left_out(image: ImageFile.ImageFile) -> str:
    """A remark on bands of a TIFF that Pillow leaves out: those after red, green and blue that are no alpha."""
    count = image.tag_v2.get(_SAMPLES_PER_PIXEL, 1) if isinstance(image, TiffImagePlugin.TiffImageFile) else 0
    bands = len(image.getbands())
    return f"first {bands} of {count} bands" if count > bands else ""


def _remarks(*remarks: str) -> str:
    return ", ".join(filter(None, remarks))


def _turned(box: Box, size: tuple[int, int], orientation: int) -> Box:
    """Where the box (0, 0, right, bottom) of the stored image is in the upright one, which has `size`."""
    right, bottom = (box[3], box[2]) if orientation >= 5 else (box[2], box[3])
    left = size[0] - right if orientation in (2, 3, 6, 7) else 0.0
    top = size[1] - bottom if orientation in (3, 4, 7, 8) else 0.0
    return left, top, left + right, top + bottom


def _has_frames(image: ImageFile.ImageFile) -> bool:
    """Whether there is a second frame. Looks for it, never walks all of them as Pillow's `n_frames` does."""
    try:
        return bool(getattr(image, "is_animated", False))
    except Exception:  # a broken second frame is no reason to lose the first
        return False


def _orientation(image: ImageFile.ImageFile) -> int:
    """EXIF orientation, 1 (upright) to 8; 1 where EXIF is missing or malformed, which is no reason to lose an image.

    TIFF images are turned by Pillow as it loads them, and say 1 afterwards.
    """
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
        return int(value) if value in _TURNS else 1
    except Exception:  # Pillow's EXIF reader raises what it likes on bad tags
        return 1

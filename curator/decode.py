"""Bytes to pixels, or the reason why not.

Pillow opens the image, an allow-list of its formats, its pixel limit and this module's own decide what passes. Every
image ends as 8-bit RGB as a person would see it: EXIF orientation applied, transparency on white, first frame or page.
`fit` then gives the square that an encoder wants. Worker processes hold this module, so it imports Pillow and NumPy
only.

Large JPEGs are decoded at a reduced size (libjpeg scales in the DCT domain) when that leaves at least
`scale_margin` times the side that is wanted. Measured on photographs of 2048 px: four times faster, and pixels after
`fit` differ from the full decode by less than SCALED_DRIFT on average.
"""

from __future__ import annotations

import io
import struct
import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from curator.types import ImageFacts, Preprocess

# Formats of photographs and graphics. Left out: interpreters (EPS, PDF, WMF), containers of science data, and stubs.
FORMATS = (
    "JPEG", "PNG", "WEBP", "AVIF", "GIF", "TIFF", "BMP", "DIB", "ICO", "CUR", "ICNS", "JPEG2000", "PSD", "TGA",
    "PPM", "PCX", "DDS", "SGI", "QOI", "XBM", "SUN", "BLP",
)  # fmt: skip

REASONS: Mapping[str, str] = {
    "empty": "there are no bytes",
    "git_lfs_pointer": "a Git LFS pointer stands in the place of the image: `git lfs pull` fetches it",
    "text": "the bytes are text",
    "not_an_image": "no known image format begins like this",
    "unsupported_format": "an image format that is not decoded here",
    "too_many_pixels": "more pixels than decode.max_pixels",
    "truncated": "the data end before the image does",
    "corrupt": "the image format is known, its data are not valid",
    "out_of_memory": "decoding took more memory than a decode process may have",
}

SCALED_DRIFT = 1.5  # mean absolute difference of pixels (0-255) after `fit`, scaled against full decode
EXTREME_ASPECT = 8  # beyond it only the centre of the image is resized

RESAMPLE = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}
HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"mif1", b"msf1", b"heim", b"heis")


@dataclass(frozen=True, slots=True)
class DecodeOptions:
    """max_pixels: larger images fail on their header. scaled: decode large JPEGs at a reduced size, no smaller than
    `scale_margin` times the side that is wanted."""

    max_pixels: int = 89_478_485
    scaled: bool = True
    scale_margin: int = 2


class DecodeFailure(Exception):
    """Bytes that do not become pixels. `reason` is a key of REASONS, `detail` one line."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = one_line(detail)


def one_line(text: str, *, limit: int = 200) -> str:
    """`text` on one line, without control characters, cut at `limit`."""
    clean = " ".join("".join(character if character.isprintable() else " " for character in text).split())
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"


def prepare(data: bytes, preprocess: Preprocess, options: DecodeOptions) -> tuple[NDArray[np.uint8], ImageFacts]:
    """Pixels for an encoder, (size, size, 3) uint8 RGB, and what was learnt of the image. Raises DecodeFailure only."""
    image, facts = decode_image(data, options=options, target_size=preprocess.size)
    return fit(image, preprocess), facts


def decode_image(
    data: bytes, *, options: DecodeOptions, target_size: int | None = None
) -> tuple[Image.Image, ImageFacts]:
    """The image in mode RGB, and its facts. With `target_size` a large JPEG may come at a reduced size; the facts give
    the full one. Raises DecodeFailure only."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's doubts about metadata; what matters fails below
            return _decode(data, options, target_size)
    except DecodeFailure:
        raise
    except MemoryError as fault:
        raise DecodeFailure("out_of_memory", str(fault) or "not enough memory") from fault
    # Broad on purpose: a plug-in of Pillow may raise anything on bad data, and that is this datum's end, not the run's.
    except Exception as fault:
        raise _failure_of(fault) from fault


def _decode(data: bytes, options: DecodeOptions, target_size: int | None) -> tuple[Image.Image, ImageFacts]:
    image = _open(data)
    width, height = image.size
    if width * height > options.max_pixels:
        raise DecodeFailure("too_many_pixels", f"{width} x {height} is more than {options.max_pixels} pixels")
    if width < 1 or height < 1:
        raise DecodeFailure("corrupt", f"{width} x {height} pixels")
    format_, mode = image.format or "?", image.mode
    animated = bool(getattr(image, "is_animated", False)) and format_ not in ("MPO", "TIFF", "PSD")
    if options.scaled and target_size and format_ == "JPEG":
        side = target_size * options.scale_margin
        image.draft("RGB", (side, side))
    image.load()
    turned = _upright(image)
    sideways = turned is not image and (turned.width > turned.height) != (image.width > image.height)
    shown = (height, width) if sideways else (width, height)
    return to_rgb(turned), ImageFacts(*shown, format_, mode, animated)


def _open(data: bytes) -> Image.Image:
    if not data:
        raise DecodeFailure("empty", "0 bytes")
    try:
        # Pillow's own bomb limit is global state; ours is checked on the size that it has read by now.
        return Image.open(io.BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError as fault:
        raise _unknown(data) from fault


def _unknown(data: bytes) -> DecodeFailure:
    """Why no format was recognised."""
    head = data[:512]
    if head.startswith(b"version https://git-lfs"):
        return DecodeFailure("git_lfs_pointer", "run `git lfs pull` in the source")
    if head[4:8] == b"ftyp" and head[8:12] in HEIF_BRANDS:
        return DecodeFailure("unsupported_format", "HEIF: convert it to AVIF or JPEG")
    if head.lstrip().startswith((b"<svg", b"<?xml", b"%PDF", b"%!PS")):
        return DecodeFailure("unsupported_format", f"begins with {head[:16]!r}")
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError:
        return DecodeFailure("not_an_image", f"begins with the bytes {head[:8].hex(' ')}")
    if text.isprintable() or all(character.isprintable() or character.isspace() for character in text):
        return DecodeFailure("text", f"begins with {text[:40]!r}")
    return DecodeFailure("not_an_image", f"begins with the bytes {head[:8].hex(' ')}")


def _failure_of(fault: Exception) -> DecodeFailure:
    text = str(fault) or type(fault).__name__
    if isinstance(fault, EOFError | struct.error) or "truncated" in text.lower() or "not enough" in text.lower():
        return DecodeFailure("truncated", text)
    if isinstance(fault, Image.DecompressionBombError):
        return DecodeFailure("too_many_pixels", text)
    return DecodeFailure("corrupt", f"{type(fault).__name__}: {text}")


def _upright(image: Image.Image) -> Image.Image:
    """The image turned as its EXIF orientation says. Malformed EXIF is no reason to lose an image."""
    try:
        return ImageOps.exif_transpose(image) or image
    except Exception:  # Pillow's EXIF reader raises what it likes on bad tags; the pixels are fine without
        return image


def to_rgb(image: Image.Image) -> Image.Image:
    """Any mode as 8-bit RGB. Transparency goes on white: what a viewer shows, where dropping alpha shows leftovers."""
    if image.mode == "RGB":
        return image
    if image.mode.startswith("I") or image.mode == "F":
        return _deep_grey(image).convert("RGB")
    if image.mode == "LAB":
        return ImageCms.profileToProfile(
            image, ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), outputMode="RGB"
        ) or image.convert("L").convert("RGB")
    if image.has_transparency_data:
        over = image.convert("RGBA")
        white = Image.new("RGBA", over.size, "white")
        return Image.alpha_composite(white, over).convert("RGB")
    return image.convert("RGB")


def _deep_grey(image: Image.Image) -> Image.Image:
    """16-bit, 32-bit and float grey as 8 bits.

    Values that fit 8 bits stay; other values up to 65,535 are divided by 257, unless none exceeds 4,095: such data
    come from 12-bit sensors and are divided by 4,095/255. Anything else is stretched from its least to its largest.
    """
    values = np.asarray(image, dtype=np.float64)
    values = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(values.min()), float(values.max())
    if low < 0 or high > 65_535 or (image.mode == "F" and high <= 1.0):
        scaled = (values - low) * (255.0 / (high - low)) if high > low else values * 0.0
    elif high > 4_095:
        scaled = values / 257.0
    else:
        scaled = values * (255.0 / 4_095.0) if high > 255 else values
    return Image.fromarray(np.rint(scaled).astype(np.uint8))


def fit(image: Image.Image, preprocess: Preprocess) -> NDArray[np.uint8]:
    """The square that an encoder wants, (size, size, 3) uint8, from an RGB image.

    Equals, bit for bit, what open_clip and torchvision do to a PIL image before they make a tensor of it: antialiased
    resize, then centre crop. An image more than 8 times as long as wide differs: only its centre is resized, because
    the whole of it, with the short side at `size`, could take any amount of memory.
    """
    size, resample = preprocess.size, RESAMPLE[preprocess.interpolation]
    width, height = image.size
    if preprocess.resize == "squash":
        return np.asarray(image.resize((size, size), resample))
    short, long = sorted((width, height))
    if long > EXTREME_ASPECT * short:
        left, top = (width - short) / 2, (height - short) / 2
        return np.asarray(image.resize((size, size), resample, box=(left, top, left + short, top + short)))
    scaled = int(size * long / short)  # torchvision cuts, it does not round
    wide, high = (size, scaled) if width <= height else (scaled, size)
    left, top = round((wide - size) / 2.0), round((high - size) / 2.0)
    resized = image if (wide, high) == image.size else image.resize((wide, high), resample)
    return np.asarray(resized.crop((left, top, left + size, top + size)))

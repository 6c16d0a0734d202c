"""Decoding and resizing of JPEGs against Pillow alone, on one core, side by side."""

from __future__ import annotations

import io
import re
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import simplejpeg
import torch
from numpy.typing import NDArray
from PIL import Image

from curator.decode import DecodeOptions, prepare_sampled
from curator.decode.quality import SampledFacts
from curator.engines.decode_pool import DecodePool
from curator.types import Preprocess
from tests.bench.measures import photographs

PREPROCESS = Preprocess(224)
SIZES = {"640 x 480": ((640, 480), 100), "4000 x 3000": ((4000, 3000), 4)}
ROUNDS = 7


@dataclass(frozen=True, slots=True)
class DecodeSpeed:
    """Milliseconds an image, and the largest memory of a decode process, bytes.

    pillow: with a large image decoded at the reduced size that a scan takes, and `full`, as open_clip and torchvision
    do. torch: libjpeg-turbo into RGB, reduced likewise, and torch's resize of the whole. decoder: libjpeg-turbo's part
    of `ours`, which no resizing can undercut. measures: of the picture, beside it.
    """

    size: str
    ours: float
    pillow: float
    full: float
    torch: float
    decoder: float
    measures: float
    peak_bytes: int


def by_pillow(data: bytes, *, reduced: bool = True) -> NDArray[np.uint8]:
    """One resize of the whole, the middle of it."""
    image = Image.open(io.BytesIO(data))
    (width, height), side = image.size, PREPROCESS.side
    drafted = image.draft(None, (2 * side, 2 * side)) if reduced else None
    wide = int(side * width / height)
    whole = image.convert("RGB").resize((wide, side), Image.Resampling.BICUBIC, box=drafted[1] if drafted else None)
    left = round((wide - side) / 2)
    return np.array(whole.crop((left, 0, left + side, side)))


def by_torch(data: bytes) -> NDArray[np.uint8]:
    """As `by_pillow`."""
    whole = torch.from_numpy(_decoder(data, "RGB")).permute(2, 0, 1)[None]
    (height, width), side = whole.shape[2:], PREPROCESS.side
    wide = int(side * width / height)
    resized = torch.nn.functional.interpolate(whole, (side, wide), mode="bicubic", antialias=True)
    left = round((wide - side) / 2)
    return resized[0, :, :, left : left + side].permute(1, 2, 0).contiguous().numpy()


def decode_speed() -> list[DecodeSpeed]:
    """Medians over rounds that take turns: this machine's noise meets both."""
    found, threads = [], torch.get_num_threads()
    torch.set_num_threads(1)
    for name, (size, count) in SIZES.items():
        contents = [enlarged(data, size) for data in photographs(count)]
        ways = (_ours, by_pillow, partial(by_pillow, reduced=False), by_torch, _decoder)
        rounds = [[_milliseconds(way, contents) for way in ways] + [_measures(contents)] for _ in range(ROUNDS)]
        ours, pillow, full, by_tensor, decoder, measures = (
            statistics.median(times) for times in zip(*rounds, strict=True)
        )
        found.append(DecodeSpeed(name, ours, pillow, full, by_tensor, decoder, measures, peak_bytes(contents)))
    torch.set_num_threads(threads)
    return found


def peak_bytes(contents: Sequence[bytes]) -> int:
    """The largest memory of a decode process that does all of these and nothing else, as Linux counts it, with the
    pages that it shares."""
    with DecodePool(workers=1, preprocess=PREPROCESS, options=DecodeOptions()) as pool:
        for data in contents:
            pool.submit([data]).result()
        process = pool._workers[0]._process
        assert process is not None
        status = Path(f"/proc/{process.pid}/status").read_text()
    return 1024 * int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0])


def enlarged(data: bytes, size: tuple[int, int]) -> bytes:
    image = Image.open(io.BytesIO(data))
    if image.size == size:
        return data
    buffer = io.BytesIO()
    image.resize(size, Image.Resampling.LANCZOS).save(buffer, "JPEG", quality=88)
    return buffer.getvalue()


def _ours(data: bytes) -> SampledFacts:
    return prepare_sampled(data, PREPROCESS, DecodeOptions())[1]


def _decoder(data: bytes, colours: str = "RGBA") -> NDArray[np.uint8]:
    image = Image.open(io.BytesIO(data))
    image.draft(None, (2 * PREPROCESS.side, 2 * PREPROCESS.side))
    return simplejpeg.decode_jpeg(data, colours, min_width=image.width, min_height=image.height)


def _measures(contents: Sequence[bytes]) -> float:
    """Of a batch together, as decode processes do."""
    facts = [_ours(data) for data in contents]
    started = time.process_time()
    for item in facts:
        item.measured()
    return 1e3 * (time.process_time() - started) / len(facts)


def _milliseconds(make: Callable[[bytes], object], contents: Sequence[bytes]) -> float:
    started = time.process_time()
    for data in contents:
        make(data)
    return 1e3 * (time.process_time() - started) / len(contents)

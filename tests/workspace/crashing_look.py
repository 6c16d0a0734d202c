"""Decode tasks that do to their process what hostile images do, for images that end with a magic word."""

from __future__ import annotations

from crashing_task import crash_on_magic

from curator.decode import DecodeOptions, look, prepare
from curator.types import ImageFacts, Pixels, Preprocess

MAGIC = (b"KILL", b"SEGV", b"EXIT", b"SPIN")


def look_or_crash(data: bytes, preprocess: Preprocess, options: DecodeOptions) -> tuple[Pixels, ImageFacts]:
    """`look`, but for a few images."""
    return crash_on_magic(data[-4:], preprocess, options) if data.endswith(MAGIC) else look(data, preprocess, options)


def prepare_or_crash(data: bytes, preprocess: Preprocess, options: DecodeOptions) -> tuple[Pixels, ImageFacts]:
    """`prepare`, but for a few images."""
    task = crash_on_magic if data.endswith(MAGIC) else prepare
    return task(data[-4:] if data.endswith(MAGIC) else data, preprocess, options)

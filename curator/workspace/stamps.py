"""Stamps: by their times make knows which banks are made. Who makes a bank leaves one, so that make does not again."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

FOLDER = "banks/.stamps"


def stamp_of(bank: str) -> str:
    """The stamp of a bank, from the root of its workspace."""
    return f"{FOLDER}/{bank}.built"


def mark_built(root: Path, bank: str, *, began: int, parents: Iterable[str], encoder: str) -> None:
    """Stamp a bank with the time `began` (nanoseconds) or, where that is later, with the time of a parent's stamp: what
    changed since is newer, and make builds again.

    parents: the banks that it takes labels from. encoder: the line of `curator config` that names the encoder; where it
    is another than at the last build, the stamps of all other banks are older than what says so.
    """
    stamps = [root / stamp_of(parent) for parent in parents]
    moment = max([began, *(stamp.stat().st_mtime_ns for stamp in stamps if stamp.is_file())])
    known = root / FOLDER / "encoder"
    with suppress(OSError):  # without its stamp a bank is made once more, and is the same
        known.parent.mkdir(parents=True, exist_ok=True)
        if not known.is_file() or known.read_text(encoding="utf-8") != encoder:
            known.write_text(encoder, encoding="utf-8")
            os.utime(known, ns=(moment, moment))
        stamp = root / stamp_of(bank)
        stamp.touch()
        os.utime(stamp, ns=(moment, moment))

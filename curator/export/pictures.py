"""The bytes of exported images, read again from where the lake has them and compared with their content id."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

from curator.engines.stages import content_id
from curator.errors import SourceError
from curator.export.rows import Row
from curator.lake import ReadOptions, read_datum
from curator.urls import scheme_of

AT_A_TIME = 32  # images read ahead: their bytes are held
ESCAPED = re.compile(rb"\\x([89a-f][0-9a-f])")


def read_pictures(rows: Iterable[Row], options: ReadOptions) -> Iterator[tuple[Row, bytes | SourceError]]:
    """Each row with its image's bytes, or why they are not to be had; in order."""
    with ThreadPoolExecutor(options.read_threads, thread_name_prefix="curator-export") as threads:
        rest = iter(rows)
        while batch := list(islice(rest, AT_A_TIME)):
            yield from zip(batch, threads.map(lambda row: _read(row, options), batch), strict=True)


def _read(row: Row, options: ReadOptions) -> bytes | SourceError:
    try:
        data = read_datum(
            path_of(row["object_uri"]),
            row["kind"],
            member=row["member"],
            byte_offset=row["byte_offset"],
            byte_size=row["byte_size"],
            options=options,
        )
    except SourceError as fault:
        return fault
    if content_id(data) != row["image_id"]:
        return SourceError(f"{row['uri']}: its content has changed", hint="scan its source again")
    return data


def path_of(object_uri: str) -> str:
    """Where an object is: its address. The ledger has bytes of a local name that are not UTF-8 as `\\xff`."""
    if scheme_of(object_uri) is None and "\\x" in object_uri and not os.path.lexists(object_uri):
        raw = ESCAPED.sub(lambda match: bytes([int(match[1], 16)]), object_uri.encode())
        return os.fsdecode(raw)
    return object_uri


def local_file(row: Row) -> Path | None:
    """The file that is the image and nothing else, if there is one on this machine."""
    is_one = row["kind"] == "file" and scheme_of(row["object_uri"]) is None
    return Path(path_of(row["object_uri"])) if is_one else None

"""Images that were seen before: read again from where the ledger has them, and compared with the id of their content.

Of one image its bytes alone; of many, each Parquet file once, whatever order they are asked for in: rows cannot be read
by themselves, and a pass for each would be quadratic. What such a pass finds is put aside on disk until its turn comes,
so memory grows neither with the images nor with their files.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import threading
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from pathlib import Path
from typing import IO, Any

from curator.errors import CuratorError, SourceError
from curator.lake.options import ReadOptions
from curator.lake.read import read_datum, read_rows
from curator.types import ObjectKind
from curator.urls import scheme_of

AT_A_TIME = 32  # images read ahead: their bytes are held
ASIDE_BYTES = 1 << 20  # that are put aside before a file is made for them
ESCAPED = re.compile(rb"\\x([89a-f][0-9a-f])")


def content_id(data: bytes) -> str:
    """The id of a content: the first 32 hex digits of the SHA-256 of its bytes."""
    return hashlib.sha256(data).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class ImagePlace:
    """A place of an image as the ledger has it: of its object, and in it."""

    image_id: str
    uri: str
    object_uri: str
    kind: ObjectKind
    member: str | None
    byte_offset: int | None
    byte_size: int

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> ImagePlace:
        """From a row that has these columns, among others."""
        return cls(**{item.name: row[item.name] for item in fields(cls)})

    @property
    def path(self) -> str:
        """What opens the object."""
        return path_of(self.object_uri)


def path_of(object_uri: str) -> str:
    """Where an object is: its address. The ledger has bytes of a local name that are not UTF-8 as `\\xff`."""
    if scheme_of(object_uri) is None and "\\x" in object_uri and not os.path.lexists(object_uri):
        raw = ESCAPED.sub(lambda match: bytes([int(match[1], 16)]), object_uri.encode())
        return os.fsdecode(raw)
    return object_uri


def read_image(place: ImagePlace, options: ReadOptions) -> bytes:
    """The bytes of an image. Raises SourceError where they are out of reach, or others by now."""
    data = read_datum(
        place.path,
        place.kind,
        member=place.member,
        byte_offset=place.byte_offset,
        byte_size=place.byte_size,
        options=options,
    )
    return _confirmed(place, data)


def read_images(
    places: Sequence[ImagePlace], options: ReadOptions, *, scratch: Path | None = None
) -> Iterator[bytes | CuratorError]:
    """The bytes of images, or why they are not to be had, in order. scratch: a folder on a disk with room for them."""
    with (
        ThreadPoolExecutor(options.read_threads, thread_name_prefix="curator-images") as threads,
        tempfile.SpooledTemporaryFile(ASIDE_BYTES, dir=None if scratch is None else str(scratch)) as file,
    ):
        aside = _Aside(file)
        members: defaultdict[str, set[str]] = defaultdict(set)  # of each Parquet file
        for place in places:
            if place.kind == "parquet":
                members[place.object_uri].add(place.member or "0")
        list(threads.map(lambda uri: aside.read(uri, members[uri], options), list(members)))

        def image_or_fault(place: ImagePlace) -> bytes | CuratorError:
            try:
                if place.kind != "parquet":
                    return read_image(place, options)
                found = aside.take(place)
                return _confirmed(place, found) if isinstance(found, bytes) else found
            except CuratorError as fault:
                return fault

        for start in range(0, len(places), AT_A_TIME):
            yield from threads.map(image_or_fault, places[start : start + AT_A_TIME])


def _confirmed(place: ImagePlace, data: bytes) -> bytes:
    if content_id(data) != place.image_id:
        raise SourceError(f"{place.uri}: its content has changed", hint="scan its source again")
    return data


class _Aside:
    """Images of Parquet files in a temporary file, by object and member, or why there is none."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._one = threading.Lock()
        self._found: dict[tuple[str, str], tuple[int, int] | CuratorError] = {}

    def read(self, object_uri: str, members: Collection[str], options: ReadOptions) -> None:
        """Put the images of one file aside."""
        try:
            for member, data in read_rows(path_of(object_uri), members, options=options):
                with self._one:
                    self._found[object_uri, member] = self._written(data) if isinstance(data, bytes) else data
        except CuratorError as fault:  # such as a package of the store that is missing
            self._found |= {(object_uri, member): fault for member in members}

    def _written(self, data: bytes) -> tuple[int, int]:
        start = self._file.seek(0, os.SEEK_END)
        return start, self._file.write(data)

    def take(self, place: ImagePlace) -> bytes | CuratorError:
        with self._one:
            found = self._found[place.object_uri, place.member or "0"]
            if isinstance(found, CuratorError):
                return found
            self._file.seek(found[0])
            return self._file.read(found[1])

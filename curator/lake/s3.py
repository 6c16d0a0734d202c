"""S3 beneath fsspec: listings a page at a time, and reads of exactly the bytes that are wanted.

s3fs lists a prefix into several structures at once, and asks for an object's size before it reads it. Here a listing
holds one page, and a read is one GET whose answer names the version that its bytes belong to: an object that was
replaced since it was listed, or between two reads, shows at once and costs no further request.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from fsspec import AbstractFileSystem
from fsspec.asyn import sync

from curator.lake.encodings import is_gzip, unpacked
from curator.lake.patience import CutShort, chain, patiently
from curator.lake.versions import Info, confirm_version, version_of
from curator.urls import scheme_of

FIRST_BLOCK_BYTES = 1 << 16
MAX_BLOCK_BYTES = 8 << 20


def is_s3(address: str) -> bool:
    return scheme_of(address) in ("s3", "s3a")


def list_prefix(filesystem: AbstractFileSystem, path: str) -> Iterator[tuple[str, Info]]:
    """The objects under a folder, in the store's order, as (path, info); holds one page at a time.

    A path that ends with slashes is taken as it is: `in//` is not `in/`.
    """
    bucket, key = place_of(filesystem, path)
    prefix = key if key.endswith("/") or not key else f"{key}/"
    ask = partial(filesystem.call_s3, "list_objects_v2", Bucket=bucket, Prefix=prefix)
    page = patiently(ask)
    while True:
        for entry in page.get("Contents", ()):
            yield f"{bucket}/{entry['Key']}", {"size": entry["Size"], **entry}
        if not page.get("IsTruncated"):
            return
        page = patiently(partial(ask, ContinuationToken=page["NextContinuationToken"]))


def place_of(filesystem: AbstractFileSystem, path: str) -> tuple[str, str]:
    """Bucket and key. Unlike `split_path` of s3fs, nothing of a key is taken for the version of an object."""
    bucket, key = filesystem._find_bucket_key(path) if "/" in path else (path, "")
    return str(bucket), str(key)


def is_archived(fault: BaseException) -> bool:
    """Whether an object could not be read because it lies in an archive, such as Glacier, and was not restored."""
    answers = [answer for link in chain(fault) if isinstance(answer := getattr(link, "response", None), Mapping)]
    return any(answer.get("Error", {}).get("Code") == "InvalidObjectState" for answer in answers)


@dataclass(frozen=True, slots=True)
class S3Object:
    """An object to be read; repeating is the caller's. `version`: as it was listed, or empty for whichever is there."""

    filesystem: AbstractFileSystem
    path: str
    version: str = ""

    def head(self) -> Info:
        """What the store tells of it: what `version_of` needs, and `is_gzip`: whether gzip is its Content-Encoding."""
        bucket, key = place_of(self.filesystem, self.path)
        answer = self.filesystem.call_s3("head_object", Bucket=bucket, Key=key)
        return {**answer, "size": answer["ContentLength"], "is_gzip": is_gzip(answer.get("ContentEncoding"))}

    def read(self, limit: int) -> bytes:
        """All its bytes, decoded, or the first `limit + 1` where it has more. Raises ChangedWhileRead."""
        data, is_packed = self._get(limit=limit + 1)
        return unpacked(data, limit + 1) if is_packed else data

    def read_range(self, start: int, end: int) -> bytes:
        """The bytes from `start` to before `end`, or to its end, as they are stored. Raises ChangedWhileRead."""
        return self._get(span=(start, end))[0] if start < end else b""

    def _get(self, *, span: tuple[int, int] | None = None, limit: int = -1) -> tuple[bytes, bool]:
        found: tuple[bytes, bool] = sync(self.filesystem.loop, self._answer, span, limit)
        return found

    async def _answer(self, span: tuple[int, int] | None, limit: int) -> tuple[bytes, bool]:
        bucket, key = place_of(self.filesystem, self.path)
        wanted = {} if span is None else {"Range": f"bytes={span[0]}-{span[1] - 1}"}
        answer = await self.filesystem._call_s3("get_object", Bucket=bucket, Key=key, **wanted)
        async with answer["Body"] as body:
            size = int(str(answer.get("ContentRange", answer["ContentLength"])).rpartition("/")[2])
            self._confirm(size, version_of({**answer, "size": size}))
            promised = size if span is None else min(span[1], size) - span[0]
            if 0 <= limit < promised:
                return await _first(body, limit), False
            data: bytes = await body.read()
        if len(data) != promised:
            raise CutShort(f"{len(data)} bytes came of {promised}")
        return data, is_gzip(answer.get("ContentEncoding"))

    def _confirm(self, size: int, found: str) -> None:
        listed_size, _, listed_tag = self.version.partition("-")
        if found == f"{size}-{listed_tag}" and size < int(listed_size):
            raise CutShort(f"{size} bytes came of {listed_size}")  # the same content, so something between lost a part
        confirm_version(self.version, found)


async def _first(body: Any, count: int) -> bytes:
    """So many bytes of a body that has more."""
    parts = []
    while count and (part := await body.read(min(count, MAX_BLOCK_BYTES))):
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


class S3File(io.RawIOBase):
    """An object opened to be read in any order.

    What is read ahead doubles with each further block in a row, from 64 kB: a few bytes cost few, a stream is read in
    large pieces, each once.
    """

    def __init__(self, item: S3Object, size: int) -> None:
        self._item = item
        self._size = size
        self._end = size  # of what is read ahead
        self._position = 0
        self._start = 0
        self._block = b""
        self._ahead = FIRST_BLOCK_BYTES

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if origin + offset < 0:
            raise ValueError(f"negative seek position {origin + offset}")
        self._position = origin + offset
        return self._position

    def read_no_further(self, end: int) -> None:
        self._end = min(end, self._size)

    def readinto(self, buffer: Any) -> int:
        count = min(len(buffer), self._size - self._position)
        if count <= 0:
            return 0
        if not self._start <= self._position < self._start + len(self._block):
            self._fetch(count)
        at = self._position - self._start
        data = self._block[at : at + count]
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)

    def _fetch(self, count: int) -> None:
        is_next = self._position == self._start + len(self._block) and bool(self._block)
        self._ahead = min(2 * self._ahead, MAX_BLOCK_BYTES) if is_next else FIRST_BLOCK_BYTES
        end = max(min(self._position + max(count, self._ahead), self._end), self._position + count)
        self._block = self._item.read_range(self._position, end)
        self._start = self._position

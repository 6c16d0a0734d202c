"""Thumbnails of images of the lake: made in decode processes, kept in the workspace by content id, bounded in bytes."""

from __future__ import annotations

import secrets
import threading
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from curator.decode import DecodeFailure
from curator.errors import CuratorError
from curator.lake import ImagePlace, read_image
from curator.workspace.context import Context
from curator.workspace.logs import log
from curator.workspace.look.pictures import thumbnail_of

SIDE = 192  # pixels of the longer side
LARGE_SIDE = 1024
LARGE_KEPT = 64  # pictures in memory
MOST_BYTES = 1 << 30  # of all thumbnails that are kept
TRIMMED = 0.9  # share of it that is left where they had grown beyond


class Thumbnails:
    """A folder of WebP files. Safe to use from several threads; several servers may share one folder."""

    def __init__(self, context: Context, *, most_bytes: int = MOST_BYTES) -> None:
        self._context = context
        self._folder = context.layout.thumbnails
        self._most_bytes = most_bytes
        self._held_bytes: int | None = None  # in the folder; unknown until it is looked through
        self._one = threading.Lock()
        self.large = lru_cache(LARGE_KEPT)(self._make_large)

    def small(self, place: ImagePlace) -> bytes | None:
        """The thumbnail of an image; None where it cannot be shown."""
        path = self._folder / place.image_id[:2] / f"{place.image_id}.webp"
        with suppress(OSError):
            return path.read_bytes()
        data = self._made(place, SIDE)
        if data is not None:
            self._keep(path, data)
        return data

    def _make_large(self, place: ImagePlace) -> bytes | None:
        return self._made(place, LARGE_SIDE)

    def _made(self, place: ImagePlace, side: int) -> bytes | None:
        try:
            data = read_image(place, self._context.read_options)
            return thumbnail_of(self._context, data, side=side)
        except (CuratorError, DecodeFailure) as fault:
            log.info("image %s cannot be shown: %s", place.image_id, fault)
            return None

    def _keep(self, path: Path, data: bytes) -> None:
        """A disk that is full, or a folder that nobody may write, costs the thumbnail its place only."""
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
            temporary.write_bytes(data)  # not flushed to the disk: it can be made again
            temporary.replace(path)
            with self._one:
                if self._held_bytes is None:
                    self._held_bytes = sum(size for _, size, _ in self._files())
                else:
                    self._held_bytes += len(data)
                if self._held_bytes > self._most_bytes:
                    self._trim()

    def _trim(self) -> None:
        """Remove the oldest until a tenth is free again."""
        held = 0
        for _, size, path in sorted(self._files(), reverse=True):
            held += size
            if held > TRIMMED * self._most_bytes:
                held -= size
                path.unlink(missing_ok=True)
        self._held_bytes = held

    def _files(self) -> list[tuple[int, int, Path]]:
        """Time, bytes and path of each."""
        found = []
        for path in self._folder.glob("*/*.webp"):
            with suppress(OSError):
                facts = path.stat()
                found.append((facts.st_mtime_ns, facts.st_size, path))
        return found

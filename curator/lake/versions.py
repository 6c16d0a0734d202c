"""Versions: the text that tells one state of an object from another, made the same way by listings and by readers.

A version is as good as its store makes it: an ETag or a checksum of the content where there is one, else times. Where
a store tells nothing but a size, a change that keeps the size goes unseen.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeAlias

Info: TypeAlias = Mapping[str, Any]  # what a store's client tells of an object: `size` in bytes, and more

# Contents first, times last.
VERSION_KEYS = ("ETag", "etag", "Content-MD5", "Digest", "content_md5", "md5Hash", "checksum", "crc32c", "generation",
                "mtime", "LastModified", "Last-Modified", "last_modified", "updated", "modificationTime", "modified",
                "created")  # fmt: skip


class ChangedWhileRead(OSError):
    """An object is not what was listed: whatever was read of it belongs to another version."""

    def __init__(self, listed: str, found: str) -> None:
        super().__init__(f"listed as {listed}, read as {found}")


def version_of(info: Info) -> str:
    """From what a store tells of an object: its size, and the best that the store has."""
    size = "" if info.get("size") is None else str(info["size"])
    tag = next((info[key] for key in VERSION_KEYS if info.get(key)), "")
    text = tag.isoformat() if isinstance(tag, datetime) else str(tag).strip('"')
    return f"{size}-{text}"


def local_version(status: os.stat_result) -> str:
    """Of a local file: its size, its time and its change time, which tells what was replaced and had both put back."""
    return f"{_size_and_time(status)}-{status.st_ctime_ns}"


def _size_and_time(status: os.stat_result) -> str:
    return f"{status.st_size}-{status.st_mtime_ns}"


def confirm_version(listed: str, found: str) -> None:
    """Raises ChangedWhileRead where they differ. An empty `listed` is unknown, and nothing is promised."""
    if listed and listed != found:
        raise ChangedWhileRead(listed, found)


def confirm_local(listed: str, status: os.stat_result) -> None:
    """The same for a local file, by size and time: other rights or another link, meanwhile, are no other bytes. What
    had both put back is found by the next listing."""
    found = _size_and_time(status)
    if listed and not f"{listed}-".startswith(f"{found}-"):
        raise ChangedWhileRead(listed, found)

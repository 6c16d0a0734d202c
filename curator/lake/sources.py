"""Sources: what a user names, listed without opening anything.

A source is a folder, a file or a glob, here or at an fsspec URL. Local folders are walked with `os.scandir`, which
knows size and time without a call each; everything else goes through fsspec. Objects come in the order of their
addresses. What cannot be listed becomes a reject, so that nothing under it is taken for gone.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from curator.errors import SourceError
from curator.lake.files import file_system, glob_pattern, has_magic, remote_version
from curator.lake.kinds import IGNORED_FOLDERS, kind_of, readable
from curator.types import ObjectKind, Reject, SourceObject


class Source(Protocol):
    """Something that can be listed. `ignored` is filled by `list`: suffix -> number of files that we do not read."""

    @property
    def name(self) -> str:
        """The canonical address."""

    @property
    def prefix(self) -> str:
        """Every address that the source covers begins so."""

    @property
    def ignored(self) -> Mapping[str, int]: ...

    def list(self) -> Iterator[SourceObject | Reject]:
        """The objects, by address. Opens none of them."""

    def covers(self, uri: str) -> bool:
        """Whether `list` would give this address if it were there."""


def open_source(address: str, *, storage_options: Mapping[str, Any] | None = None) -> Source:
    """The source that an address names. Raises SourceError when it does not exist or cannot be reached."""
    scheme, separator, _ = address.partition("://")
    if separator and scheme != "file":
        return RemoteSource.find(address, dict(storage_options or {}))
    return LocalSource.find(address.removeprefix("file://"))


@dataclass(slots=True)
class LocalSource:
    """A folder, a file or a glob of this machine."""

    name: str
    root: str  # of the walk: the folder, the file, or the part of a glob without wildcards
    pattern: re.Pattern[str] | None = None  # of a glob
    ignored: Counter[str] = field(default_factory=Counter)

    @classmethod
    def find(cls, address: str) -> LocalSource:
        path = os.path.abspath(Path(address).expanduser())
        if has_magic(path) and not Path(path).exists():
            root = os.path.dirname(path[: re.search(r"[*?\[]", path).start()])  # type: ignore[union-attr]  # has magic
            if not Path(root).is_dir():
                raise SourceError(f"{address}: there is no folder {root}", hint="check the part before the first *")
            return cls(readable(path), root, glob_pattern(readable(path)))
        if not Path(path).exists():
            raise SourceError(f"{address}: no such file or folder", hint="check the path, and that it is mounted")
        if not os.access(path, os.R_OK):
            raise SourceError(f"{address}: permission denied", hint=f"give this user read access to {path}")
        return cls(readable(path), path)

    @property
    def prefix(self) -> str:
        root = readable(self.root)
        return root if self._is_file else root.rstrip("/") + "/"

    @property
    def _is_file(self) -> bool:
        return self.pattern is None and not Path(self.root).is_dir()

    def covers(self, uri: str) -> bool:
        if self.pattern is not None:
            return self.pattern.fullmatch(uri) is not None
        return uri == self.prefix if self._is_file else uri.startswith(self.prefix)

    def list(self) -> Iterator[SourceObject | Reject]:
        self.ignored.clear()
        if self._is_file:
            kind = kind_of(self.root) or "file"  # one that is named is read, whatever it is called
            yield _local_object(self.root, kind, os.stat(self.root))
            return
        found = [item for item in self._walk(self.root) if self.pattern is None or self.covers(item.uri)]
        yield from sorted(found, key=lambda item: item.uri)

    def _walk(self, folder: str) -> Iterator[SourceObject | Reject]:
        try:
            entries = list(os.scandir(folder))
        except OSError as fault:
            uri = readable(folder)
            yield Reject(uri, uri, "list", "unreadable_folder", fault.strerror or str(fault))
            return
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                if not entry.name.startswith(".") and entry.name not in IGNORED_FOLDERS:
                    yield from self._walk(entry.path)
            elif not (entry.is_symlink() and entry.is_dir()):
                yield from self._file(entry)

    def _file(self, entry: os.DirEntry[str]) -> Iterator[SourceObject | Reject]:
        kind = kind_of(entry.name)
        if kind is None:
            self.ignored[Path(entry.name).suffix.lower()] += 1
            return
        try:
            yield _local_object(entry.path, kind, entry.stat())
        except FileNotFoundError:
            if entry.is_symlink():
                uri = readable(entry.path)
                yield Reject(uri, uri, "list", "dangling_link", f"points to {readable(os.readlink(entry.path))}")
        except OSError as fault:
            uri = readable(entry.path)
            yield Reject(uri, uri, "list", "unreadable_file", fault.strerror or str(fault))


def _local_object(path: str, kind: ObjectKind, status: os.stat_result) -> SourceObject:
    return SourceObject(readable(path), path, kind, status.st_size, f"{status.st_size}-{status.st_mtime_ns}")


@dataclass(slots=True)
class RemoteSource:
    """A folder, an object or a glob at an fsspec URL."""

    name: str
    address: str
    options: dict[str, Any]
    kind: str  # folder, object, glob
    ignored: Counter[str] = field(default_factory=Counter)

    @classmethod
    def find(cls, address: str, options: dict[str, Any]) -> RemoteSource:
        filesystem, path = file_system(address, options)
        with _clear_errors(address):
            if has_magic(path):
                return cls(address, address, options, "glob")
            if not address.endswith("/") and filesystem.isfile(path):
                return cls(address, address, options, "object")
            if filesystem.isdir(path) or filesystem.exists(path):
                return cls(address.rstrip("/"), address.rstrip("/"), options, "folder")
        raise SourceError(f"{address}: no such object or folder", hint="check the URL and the credentials")

    @property
    def prefix(self) -> str:
        if self.kind == "glob":
            return self.address[: re.search(r"[*?\[]", self.address).start()]  # type: ignore[union-attr]  # has magic
        return self.address if self.kind == "object" else f"{self.address}/"

    def covers(self, uri: str) -> bool:
        if self.kind == "glob":
            return glob_pattern(self.address).fullmatch(uri) is not None
        return uri == self.address if self.kind == "object" else uri.startswith(self.prefix)

    def list(self) -> Iterator[SourceObject | Reject]:
        self.ignored.clear()
        filesystem, path = file_system(self.address, self.options)
        filesystem.invalidate_cache()
        with _clear_errors(self.address):
            if self.kind == "object":
                found = {path: filesystem.info(path)}
            elif self.kind == "glob":
                found = filesystem.glob(path, detail=True)
            else:
                found = filesystem.find(path, detail=True)
        objects = [item for key, info in found.items() if (item := self._object(filesystem, key, info)) is not None]
        yield from sorted(objects, key=lambda item: item.uri)

    def _object(self, filesystem: Any, key: str, info: Mapping[str, Any]) -> SourceObject | None:
        kind = kind_of(key) or ("file" if self.kind == "object" else None)
        if info.get("type") == "directory":
            return None
        inner = key.removeprefix(filesystem._strip_protocol(self.address))
        if kind is None or any(part.startswith(".") or part in IGNORED_FOLDERS for part in inner.split("/")):
            self.ignored[Path(key).suffix.lower()] += 1
            return None
        uri = self.address if self.kind == "object" else str(filesystem.unstrip_protocol(key))
        return SourceObject(readable(uri), uri, kind, int(info.get("size") or 0), remote_version(info))


class _clear_errors:
    """Turns what a file system raises into one SourceError that names the address."""

    def __init__(self, address: str) -> None:
        self._address = address

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, _: object) -> None:
        if isinstance(fault, FileNotFoundError):
            raise SourceError(f"{self._address}: no such bucket, folder or object") from fault
        if isinstance(fault, PermissionError):
            raise SourceError(
                f"{self._address}: access denied", hint="check the credentials of your environment for this store"
            ) from fault
        if isinstance(fault, Exception) and not isinstance(fault, SourceError):
            text = str(fault).strip().splitlines()[0] if str(fault).strip() else type(fault).__name__
            raise SourceError(f"{self._address}: cannot be listed: {text}") from fault

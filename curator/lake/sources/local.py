"""Sources on this machine: folders walked with `os.scandir`, single files, globs.

Folders are given in the order of their sorted entries, which is the order of the addresses, so a listing streams and
holds one folder at a time. Links to files are followed; links to folders are not, so no loop can trap a listing.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from curator.errors import SourceError
from curator.lake.kinds import could_be_a_member, kind_of
from curator.lake.passed import FOLDER_LINK, PassedOver, suffix_heading
from curator.lake.sources.filters import EVERYTHING, PathFilter
from curator.lake.sources.globs import Glob, has_magic
from curator.lake.versions import local_version
from curator.paths import expanded
from curator.printable import readable, said_by
from curator.types import ObjectKind, Reject, SourceObject
from curator.urls import scheme_of


def local_path(address: str) -> str:
    """The absolute path that a path, or a URL of one, names; a link keeps the name it was given."""
    return os.path.abspath(expanded(address if scheme_of(address) is None else address.partition("://")[2]))  # noqa: PTH100


@dataclass(slots=True)
class LocalSource:
    """A folder, a file or a glob. `root` is the folder to walk, or the file."""

    name: str
    root: str
    is_file: bool = False
    glob: Glob | None = None
    ignored: PassedOver = field(default_factory=PassedOver)
    filter: PathFilter = EVERYTHING

    @classmethod
    def find(cls, address: str) -> LocalSource:
        """A path, or a URL of one. Raises SourceError for what does not exist or may not be listed."""
        path = local_path(address)
        if has_magic(path) and not os.path.lexists(path):
            glob = Glob.parse(path)
            _check_folder(glob.root, address)
            return cls(readable(path), glob.root, glob=Glob.parse(readable(path)))
        try:
            mode = Path(path).stat().st_mode
        except OSError as fault:
            raise SourceError(f"{address}: {said_by(fault)}", hint="check the path, and that it is mounted") from fault
        if stat.S_ISDIR(mode):
            _check_folder(path, address)
        elif not stat.S_ISREG(mode):
            raise SourceError(f"{address}: neither a folder nor a regular file", hint="name a folder, a file or a glob")
        return cls(readable(path), path, is_file=not stat.S_ISDIR(mode))

    @property
    def prefix(self) -> str:
        if self.glob is not None:
            return self.glob.prefix
        return self.name if self.is_file else self.folder_prefix

    @property
    def folder_prefix(self) -> str:
        return f"{readable(self.root).rstrip('/')}/"

    def covers(self, uri: str) -> bool:
        if self.is_file:
            return uri == self.name
        if not uri.startswith(self.folder_prefix) or kind_of(uri) is None:
            return False
        is_read = self.filter.heading_of_file(uri[len(self.folder_prefix) :]) is None
        return is_read and (self.glob is None or self.glob.matches(uri))

    def list(self) -> Iterator[SourceObject | Reject]:
        self.ignored.clear()
        if not self.is_file:
            yield from self._walk(self.root)
            return
        try:
            # One that is named is read, whatever it is called.
            yield _object(self.root, kind_of(self.root) or "file", Path(self.root).stat())
        except OSError as fault:
            raise SourceError(f"{self.name}: {said_by(fault)}", hint="it was there a moment ago") from fault

    def _walk(self, root: str) -> Iterator[SourceObject | Reject]:
        """A stack of folders rather than recursion: Linux allows folders deeper than Python's call stack."""
        opened = [self._folder(_Folder(root))]
        while opened:
            found = next(opened[-1], None)
            if found is None:
                opened.pop()
            elif isinstance(found, _Folder):
                opened.append(self._folder(found))
            else:
                yield found

    def _folder(self, folder: _Folder) -> Iterator[SourceObject | Reject | _Folder]:
        """What one folder holds, in order; with the folders to be entered."""
        try:
            with os.scandir(folder.path) as found:
                entries = sorted(found, key=_order)
        except OSError as fault:
            yield from self._unreadable_folder(folder.path, fault)
            return
        before = ""
        for entry in entries:
            address = readable(entry.path)
            heading = self.filter.heading(address[len(self.folder_prefix) :], folder.heading)
            is_folder = entry.is_dir(follow_symlinks=False)
            if heading is not None and not (is_folder and self._may_include_below(address)):
                self.ignored.note(heading)
                continue
            order, before = before, _order(entry)
            is_ambiguous = before == order or could_be_a_member(address[len(readable(self.root)) :])
            if not is_folder:
                yield from self._entry(entry, is_ambiguous=is_ambiguous)
            elif self.glob is None or self.glob.may_contain(address):
                yield ambiguous(address) if is_ambiguous else _Folder(entry.path, heading)

    def _may_include_below(self, address: str) -> bool:
        return self.filter.may_include_below(address[len(self.folder_prefix) :])

    def _unreadable_folder(self, folder: str, fault: OSError) -> Iterator[Reject]:
        if folder == self.root:
            raise SourceError(f"{self.name}: {said_by(fault)}", hint="check that it is still mounted") from fault
        if not isinstance(fault, FileNotFoundError):  # one that went away meanwhile is gone, no fault
            yield _reject(folder, "unreadable_folder", said_by(fault))

    def _entry(self, entry: os.DirEntry[str], *, is_ambiguous: bool) -> Iterator[SourceObject | Reject]:
        if self.glob is not None and not self.glob.matches(readable(entry.path)):
            return
        kind = kind_of(entry.name)
        if kind is None:
            self.ignored.note(FOLDER_LINK if _is_folder(entry) else suffix_heading(readable(entry.name)))
            return
        if is_ambiguous:
            yield ambiguous(readable(entry.path))
            return
        try:
            status = entry.stat()
        except OSError as fault:
            yield from _unreadable_entry(entry, fault)
            return
        if stat.S_ISREG(status.st_mode):
            yield _object(entry.path, kind, status)
        elif stat.S_ISDIR(status.st_mode):
            self.ignored.note(FOLDER_LINK)
        else:
            yield _reject(entry.path, "not_a_regular_file", "a pipe, a socket or a device, never opened")


@dataclass(frozen=True, slots=True)
class _Folder:
    """A folder to be entered. heading: under which it is passed over, but for what is included."""

    path: str
    heading: str | None = None


def _check_folder(path: str, address: str) -> None:
    try:
        with os.scandir(path):
            return
    except OSError as fault:
        raise SourceError(f"{address}: {path}: {said_by(fault)}", hint="check the path and its permissions") from fault


def _order(entry: os.DirEntry[str]) -> str:
    """The sort key of an entry: what its address, or any address below it, continues with."""
    return f"{readable(entry.name)}/" if entry.is_dir(follow_symlinks=False) else readable(entry.name)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself, or into a folder that may not be searched
        return False


def _unreadable_entry(entry: os.DirEntry[str], fault: OSError) -> Iterator[Reject]:
    if not entry.is_symlink():
        if not isinstance(fault, FileNotFoundError):
            yield _reject(entry.path, "unreadable_file", said_by(fault))
        return
    try:
        target = readable(str(Path(entry.path).readlink()))
    except FileNotFoundError:
        return  # the link itself went away
    yield _reject(entry.path, "dangling_link", f"points to {target}: {said_by(fault)}")


def ambiguous(name: str) -> Reject:
    """Of a name that becomes the address of something else: one of the two has to stay out of the ledger."""
    detail = "its name makes the address of another image: rename it"
    address = f"{name}@ambiguous"  # which no image has
    return Reject(address, address, "list", "ambiguous_name", detail)


def _reject(path: str, reason: str, detail: str) -> Reject:
    return Reject(readable(path), readable(path), "list", reason, detail)


def _object(path: str, kind: ObjectKind, status: os.stat_result) -> SourceObject:
    return SourceObject(readable(path), path, kind, status.st_size, local_version(status))

"""Sources at URLs: whatever fsspec can list.

A store tells size and version (ETag, checksum or time) with its listing. A web server tells them only when asked for
each object, which costs one HEAD request each; a URL that ends with a slash is read as an index page.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from fsspec import AbstractFileSystem

from curator.errors import SourceError
from curator.lake.files import ABSENT, connect, foreign_faults
from curator.lake.kinds import could_be_a_member, kind_of
from curator.lake.passed import PassedOver, suffix_heading
from curator.lake.patience import patiently
from curator.lake.s3 import is_s3, list_prefix
from curator.lake.sources.filters import EVERYTHING, PathFilter
from curator.lake.sources.globs import Glob, has_magic
from curator.lake.sources.local import ambiguous
from curator.lake.versions import Info, version_of
from curator.printable import readable, said_by
from curator.types import Reject, SourceObject
from curator.urls import is_http

Shape = Literal["folder", "object", "glob"]
CREDENTIAL_FAULTS = frozenset(
    {"NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "ProfileNotFound"}
)
CREDENTIALS_HINT = "check the credentials of this store: its environment variables, profile, or the machine's role"
HEAD_REQUESTS = 16  # at a time


@dataclass(slots=True)
class RemoteSource:
    """A folder, an object or a glob at a URL. `path` is the address as the file system writes it."""

    name: str
    path: str
    shape: Shape
    glob: Glob | None = None
    ignored: PassedOver = field(default_factory=PassedOver)
    filter: PathFilter = EVERYTHING

    @classmethod
    def find(cls, address: str) -> RemoteSource:
        """Asks the store what is there. Raises SourceError or MissingExtra."""
        filesystem, path = connect(address)
        with _listing_faults(address), foreign_faults():
            filesystem.invalidate_cache()
            name = str(filesystem.unstrip_protocol(path))
            if has_magic(path, question_mark=not is_http(name)):
                glob = Glob.parse(name)
                if "://" not in glob.root:
                    raise SourceError(f"{address}: a wildcard where the bucket is named", hint="name one bucket")
                if not is_http(name):
                    patiently(lambda: filesystem.info(filesystem._strip_protocol(glob.root)))
                if not filesystem.exists(path):
                    return cls(name, path, "glob", glob)
            if is_s3(name) and address.endswith("//"):  # an empty part of a key is a part all the same
                slashes = address[len(address.rstrip("/")) :]
                found = cls(f"{name}{slashes}", f"{path}{slashes}", "folder")
                if next(list_prefix(filesystem, found.path), None) is None:
                    raise FileNotFoundError(found.path)
                return found
            if _is_folder(filesystem, path, name):
                return cls(name.rstrip("/"), path, "folder")
        return cls(name, path, "object")

    @property
    def prefix(self) -> str:
        if self.glob is not None:
            return self.glob.prefix
        return self.name if self.shape == "object" else self.folder_prefix

    @property
    def folder_prefix(self) -> str:
        folder = self.glob.root if self.glob is not None else self.name
        return folder if folder.endswith("//") else f"{folder}/"

    def covers(self, uri: str) -> bool:
        if self.shape == "object":
            return uri == readable(self.name)
        if not uri.startswith(self.folder_prefix) or self._heading(uri) is not None:
            return False
        return self.glob is None or self.glob.matches(uri)

    def list(self) -> Iterator[SourceObject | Reject]:
        self.ignored.clear()
        with _listing_faults(self.name), foreign_faults():
            objects = sorted(self._objects(), key=lambda item: item.uri)
        yield from objects

    def _objects(self) -> Iterator[SourceObject | Reject]:
        filesystem, _ = connect(self.name)
        filesystem.invalidate_cache()
        found = self._find(filesystem)
        filesystem.invalidate_cache()  # a listing is true now only, and of a million objects it is large
        wanted = ((key, info) for key, info in found if self._wants(filesystem, key, info))
        for key, info in _complete(filesystem, wanted):
            uri = self.name if self.shape == "object" else str(filesystem.unstrip_protocol(key))
            if self.shape != "object" and could_be_a_member(readable(uri)[len(self.folder_prefix) :]):
                yield ambiguous(readable(uri))
                continue
            size, path = int(info.get("size") or 0), uri.partition("?")[0] if is_http(uri) else uri
            yield SourceObject(readable(uri), uri, kind_of(path) or "file", size, version_of(info))

    def _find(self, filesystem: AbstractFileSystem) -> Iterator[tuple[str, Info]]:
        if self.shape == "object":
            return iter([(self.path, patiently(lambda: filesystem.info(self.path)))])
        if self.shape == "folder" and is_s3(self.name):
            return list_prefix(filesystem, self.path)
        lister = filesystem.glob if self.shape == "glob" else filesystem.find
        return _drain(patiently(lambda: lister(self.path, detail=True)))

    def _wants(self, filesystem: AbstractFileSystem, key: str, info: Info) -> bool:
        if self.shape == "object":
            return True
        uri = readable(str(filesystem.unstrip_protocol(key)))
        if info.get("type") == "directory" or key.endswith("/") or not uri.startswith(self.folder_prefix):
            return False
        if (heading := self._heading(uri)) is not None:
            self.ignored.note(heading)
            return False
        return self.glob is None or self.glob.matches(uri)

    def _heading(self, uri: str) -> str | None:
        """Under which heading an address below the folder is passed over; None where it is not.

        A question mark begins the query of a web URL, and is a sign in a key.
        """
        relative = uri[len(self.folder_prefix) :]
        relative = relative.partition("?")[0] if is_http(self.name) else relative
        heading = self.filter.heading_of_file(relative)
        return heading or (suffix_heading(relative) if kind_of(relative) is None else None)


def _is_folder(filesystem: AbstractFileSystem, path: str, name: str) -> bool:
    """Whether a URL names a folder. Raises FileNotFoundError where nothing is there."""
    if not is_http(name):
        return str(patiently(lambda: filesystem.info(path))["type"]) == "directory"
    if name.endswith("/"):
        patiently(lambda: filesystem.ls(path, detail=False))
        return True
    patiently(lambda: filesystem.info(path))
    return False


def _drain(found: dict[str, Info]) -> Iterator[tuple[str, Info]]:
    """The items of a listing, in order, each forgotten as it is given: a million infos take a gigabyte."""
    for key in list(found):
        yield key, found.pop(key)


def _complete(filesystem: AbstractFileSystem, found: Iterable[tuple[str, Info]]) -> Iterator[tuple[str, Info]]:
    """The same, with size and version asked for where the listing did not tell (index pages of web servers)."""
    bare: list[str] = []
    for key, info in found:
        if info.get("size") is None and info.get("url") is None:  # `url`: it has been asked for
            bare.append(key)
        else:
            yield key, info
    with ThreadPoolExecutor(HEAD_REQUESTS, thread_name_prefix="curator-list") as threads:
        yield from zip(bare, threads.map(lambda key: _info(filesystem, key), bare), strict=True)


def _info(filesystem: AbstractFileSystem, key: str) -> Info:
    """What the store tells of an object; one that it lists but does not tell of is read nevertheless."""
    try:
        found: Info = patiently(lambda: filesystem.info(key))
    except ABSENT:
        return {}
    return found


@contextmanager
def _listing_faults(address: str) -> Iterator[None]:
    """What a store raises as one SourceError that names the address and says what to do."""
    try:
        yield
    except PermissionError as fault:
        raise SourceError(f"{address}: access denied: {said_by(fault)}", hint=CREDENTIALS_HINT) from fault
    except ABSENT as fault:
        cause = f": {said_by(fault.__cause__)}" if fault.__cause__ else ""
        raise SourceError(f"{address}: no such bucket, folder or object{cause}", hint="check the URL") from fault
    except OSError as fault:
        is_unknown = type(fault.__cause__).__name__ in CREDENTIAL_FAULTS
        hint = CREDENTIALS_HINT if is_unknown else "check the network, the URL and the endpoint of this store"
        raise SourceError(f"{address}: cannot be listed: {said_by(fault)}", hint=hint) from fault

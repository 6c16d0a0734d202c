"""Sources: what a user names, to be listed without opening anything.

A source is a folder, a file or a glob, on this machine (`local.py`) or at an fsspec URL (`remote.py`). It knows which
addresses it would list, so that what is gone can be told from what another source brought. A kind of source is one
class and one line of `SOURCES`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

from curator.errors import SourceError
from curator.lake.sources.filters import PathFilter
from curator.registry import Registry
from curator.types import Reject, SourceObject
from curator.urls import refuse_secrets, scheme_of

# By the scheme of an address: `file` also serves those without one, `fsspec` those of all schemes that are not here.
SOURCES = Registry(
    "source",
    {
        "file": "curator.lake.sources.local:LocalSource",
        "fsspec": "curator.lake.sources.remote:RemoteSource",
        "local": "curator.lake.sources.local:LocalSource",
    },
)


class Source(Protocol):
    """Something that can be listed. filter: which names below it are passed over; set once it has been found."""

    filter: PathFilter

    @classmethod
    def find(cls, address: str) -> Source:
        """The source at an address. Raises as `open_source` does."""

    @property
    def name(self) -> str:
        """The canonical address: an absolute path, or a URL."""

    @property
    def prefix(self) -> str:
        """Every address that the source covers begins so."""

    @property
    def folder_prefix(self) -> str:
        """What goes before the paths that the filter is about."""

    @property
    def ignored(self) -> Mapping[str, int]:
        """What the last complete listing passed over: heading (see `passed.py`) to number of files."""

    def list(self) -> Iterator[SourceObject | Reject]:
        """The objects in the order of their uris, each once; opens none of them.

        What cannot be listed is a reject, `unreadable_folder` for everything under its uri. Raises SourceError when
        the source as a whole cannot be listed.
        """

    def covers(self, uri: str) -> bool:
        """Whether `list` would give this address if it were there."""


def open_source(address: str, *, exclude: Iterable[str] = (), include: Iterable[str] = ()) -> Source:
    """The source that an address names; a name that exists as it stands is never a glob.

    exclude, include: patterns of names below it; see `filters.py`. A file that is named is read, whatever they say.

    Raises SourceError when it does not exist or cannot be reached, MissingExtra when its store needs a package,
    UsageError for a URL with credentials in it, or what is no pattern.
    """
    if not address.strip():
        raise SourceError("an empty address is no source", hint="name a folder, a file, a glob or a URL")
    refuse_secrets(address)
    before, separator, _ = address.partition("://")
    if separator and "::" in before:
        raise SourceError(f"{address}: chained URLs are not read", hint="name the store that holds the objects")
    scheme = scheme_of(address) or "file"
    kind: type[Source] = SOURCES.get(scheme if scheme in SOURCES.names() else "fsspec")
    source = kind.find(address)
    source.filter = PathFilter.parse(exclude, include, prefix=source.folder_prefix)
    return source

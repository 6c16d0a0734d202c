"""Sources that are there no more, by the address that they were scanned under."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from curator.errors import SourceError
from curator.lake.passed import PassedOver
from curator.lake.sources.filters import EVERYTHING, PathFilter
from curator.lake.sources.globs import Glob, has_magic
from curator.lake.sources.local import local_path
from curator.printable import readable
from curator.types import Reject, SourceObject
from curator.urls import is_http, refuse_secrets, scheme_of


@dataclass(slots=True)
class GoneSource:
    """An address that nobody looks at, so that all that lay there counts as gone."""

    name: str
    glob: Glob | None = None
    ignored: PassedOver = field(default_factory=PassedOver)
    filter: PathFilter = EVERYTHING

    @classmethod
    def find(cls, address: str) -> GoneSource:
        """Raises SourceError for an empty address or a bad glob, UsageError for a URL with credentials in it."""
        refuse_secrets(address)
        name = readable(local_path(address)) if scheme_of(address) in (None, "file", "local") else address
        if not address.rpartition("://")[2].strip("/ ") or not name.strip("/"):
            raise SourceError(f"{address!r} is no source that can be gone", hint="name it as it was scanned")
        magic = has_magic(name, question_mark=not is_http(name))
        return cls(name.rstrip("/"), Glob.parse(name) if magic else None)

    @property
    def prefix(self) -> str:
        return self.name if self.glob is None else self.glob.prefix

    @property
    def folder_prefix(self) -> str:
        return f"{self.name}/"

    def covers(self, uri: str) -> bool:
        if self.glob is not None and self.glob.matches(uri):
            return True
        return uri == self.name or uri.startswith(self.folder_prefix)  # what has wildcards in its name, too

    def list(self) -> Iterator[SourceObject | Reject]:
        return iter(())

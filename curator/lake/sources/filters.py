"""Which names below a source are read: not what is hidden, in system folders or excluded, unless it is included.

Patterns are about the path below the source. One without a slash names a file or a folder at any depth (`*.tif`,
`cache`), one with a slash is the path from the source on (`2025/**`, `**/raw/*.png`); one that matches a folder stands
for all that is in it. The deepest part of a path that something is said of decides, and there an include goes before
an exclude. An include without a slash brings back what it names in folders that are read; one with a slash also in
others.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from curator.errors import UsageError
from curator.lake.passed import EXCLUDED, passed_as
from curator.lake.sources.globs import Glob


@dataclass(frozen=True, slots=True)
class _Pattern:
    glob: Glob
    is_path: bool

    @classmethod
    def parse(cls, text: str, prefix: str) -> _Pattern:
        """`prefix`: of the addresses of the source, which a pattern may begin with."""
        inside = text.removeprefix(prefix).rstrip("/")
        if not inside.strip("/"):
            raise UsageError(f"{text!r} is no pattern of exclude or include", hint="such as cache, *.tif or 2025/**")
        return cls(Glob.parse(f"/{inside.lstrip('/')}"), "/" in inside or inside != text.rstrip("/"))

    def matches(self, path: str) -> bool:
        return self.glob.matches(f"/{path if self.is_path else path.rpartition('/')[2]}")

    def may_match_below(self, folder: str) -> bool:
        folder = f"/{folder}"
        if f"{self.glob.root.rstrip('/')}/".startswith(f"{folder}/"):
            return True
        return folder.startswith(f"{self.glob.root.rstrip('/')}/") and self.glob.may_contain(folder)


@dataclass(frozen=True, slots=True)
class PathFilter:
    """The patterns of one source. Paths are relative to it, without a slash at either end."""

    exclude: tuple[_Pattern, ...] = ()
    include: tuple[_Pattern, ...] = ()

    @classmethod
    def parse(cls, exclude: Iterable[str], include: Iterable[str], *, prefix: str) -> PathFilter:
        """Raises UsageError or SourceError for what is no pattern. prefix: of all addresses of the source."""
        wanted = (tuple(_Pattern.parse(text, prefix) for text in texts) for texts in (exclude, include))
        return cls(*wanted)

    def heading(self, path: str, inherited: str | None = None) -> str | None:
        """Under which heading a file or folder is passed over, None where it is not. inherited: that of its folder."""
        if any((item.is_path or inherited is None) and item.matches(path) for item in self.include):
            return None
        if any(item.matches(path) for item in self.exclude):
            return EXCLUDED
        return passed_as(path.rpartition("/")[2]) or inherited

    def heading_of_file(self, path: str) -> str | None:
        """The same from the source down to a file."""
        if not self.exclude and not self.include:
            return next(filter(None, map(passed_as, path.split("/"))), None)
        parts, found = path.split("/"), None
        for depth in range(len(parts)):
            found = self.heading("/".join(parts[: depth + 1]), found)
        return found

    def may_include_below(self, folder: str) -> bool:
        """Whether something in a folder that is passed over may be read nevertheless."""
        return any(item.is_path and item.may_match_below(folder) for item in self.include)


EVERYTHING = PathFilter()

"""Globs over addresses: `*` and `?` within a folder, `[...]` for one sign, `**` for any number of folders."""

from __future__ import annotations

import re
from dataclasses import dataclass

from fsspec.utils import glob_translate

from curator.errors import SourceError

MAGIC = re.compile(r"[*?\[]")


def has_magic(address: str, *, question_mark: bool = True) -> bool:
    """Whether an address has wildcards. In a web URL a question mark begins the query and is none."""
    return (MAGIC if question_mark else re.compile(r"[*\[]")).search(address) is not None


@dataclass(frozen=True, slots=True)
class Glob:
    """A pattern. `root` is the folder above its first wildcard, `prefix` the text that all it matches begins with."""

    pattern: str
    root: str
    prefix: str
    expression: re.Pattern[str]
    folders: tuple[re.Pattern[str], ...]  # for the parts under the root, as far as they are one folder each
    is_deep: bool

    @classmethod
    def parse(cls, pattern: str) -> Glob:
        """Raises SourceError for `**` that is not a whole part of the path."""
        found = MAGIC.search(pattern)
        prefix = pattern[: found.start()] if found else pattern
        root = prefix.rpartition("/")[0]
        parts = pattern[len(root) + 1 :].split("/")
        is_deep = "**" in parts
        single = parts[: parts.index("**")] if is_deep else parts[:-1]
        try:
            folders = tuple(re.compile(glob_translate(part)) for part in single)
            return cls(pattern, root or "/", prefix, re.compile(glob_translate(pattern)), folders, is_deep)
        except ValueError as fault:
            raise SourceError(f"{pattern}: ** must stand alone between slashes", hint="write a/**/b") from fault

    def matches(self, address: str) -> bool:
        return self.expression.match(address) is not None

    def may_contain(self, folder: str) -> bool:
        """Whether a match can lie in this folder under the root or below it; what cannot is not walked."""
        parts = folder[len(self.root.rstrip("/")) + 1 :].split("/")
        if len(parts) > len(self.folders) and not self.is_deep:
            return False
        return all(expected.match(part) for expected, part in zip(self.folders, parts, strict=False))

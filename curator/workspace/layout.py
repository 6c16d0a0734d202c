"""Where things lie inside a workspace folder, and how the folder is found."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from curator.config import CONFIG_NAME
from curator.errors import WorkspaceError


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths of a workspace. Everything a run writes is under `root`."""

    root: Path

    @property
    def config(self) -> Path:
        return self.root / CONFIG_NAME

    @property
    def labels(self) -> Path:
        return self.root / "labels.txt"

    @property
    def makefile(self) -> Path:
        return self.root / "Makefile"

    @property
    def lock(self) -> Path:
        return self.root / ".lock"

    @property
    def ledger(self) -> Path:
        """The live DuckDB file; only the holder of the lock opens it."""
        return self.root / "ledger.duckdb"

    @property
    def snapshot(self) -> Path:
        """The published DuckDB file; anyone may open it, read-only."""
        return self.root / "published" / "curator.duckdb"

    @property
    def queries(self) -> Path:
        """A folder of the user's own named queries."""
        return self.root / "queries"

    @property
    def text_cache(self) -> Path:
        return self.root / "cache" / "text"

    @property
    def generated(self) -> Path:
        """Pictures and vectors that painters made, each file named by its content."""
        return self.root / "generated"

    def bank_spec(self, name: str) -> Path:
        return self.root / "banks" / f"{name}.toml"

    def bank_versions(self, name: str) -> Path:
        return self.root / "banks" / name

    def vectors(self, encoder_id: str) -> Path:
        return self.root / "vectors" / slug(encoder_id)

    def index(self, encoder_id: str, collection: str, recipe: str) -> Path:
        return self.root / "index" / slug(encoder_id) / f"{slug(collection)}-{slug(recipe)}"


def slug(text: str) -> str:
    """`text` as a folder name: letters, digits, dot, dash and underscore stay, all else becomes a dash."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.") or "unnamed"


def find_workspace(start: Path) -> Layout:
    """The workspace at `start` or the nearest folder above it, as git finds its repository."""
    start = start.expanduser().resolve()
    for folder in (start, *start.parents):
        if (folder / CONFIG_NAME).is_file():
            return Layout(folder)
    raise WorkspaceError(
        f"{start}: no workspace here or above (no {CONFIG_NAME})",
        hint="make one with `curator init DIR --labels labels.txt`, or name one with -w DIR",
    )

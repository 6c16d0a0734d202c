"""Where things lie inside a workspace folder, and how the folder is found."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from curator.config import CONFIG_NAME
from curator.errors import NoWorkspace, UsageError, WorkspaceError
from curator.paths import expanded
from curator.printable import readable
from curator.ranges import NAME
from curator.urls import refuse_secrets, scheme_of

LOCAL_WORKSPACE = "a workspace is a folder on this machine, because DuckDB needs a local file that it can lock"
STAGED = re.compile(r"[0-9a-f]{16}")  # the name of a folder of exports, a digest
TO_OBJECT_STORAGE = "results go to object storage with `curator publish --to URL`"


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
    def log(self) -> Path:
        """What DuckDB has committed and not yet written into the ledger."""
        return self.root / f"{self.ledger.name}.wal"

    @property
    def aside(self) -> Path:
        """What `curator recover` put away to make it again."""
        return self.root / "aside"

    @property
    def temporary(self) -> Path:
        """Where temporary files of a run lie; DuckDB's own lie beside its files."""
        return self.root / "tmp"

    @property
    def snapshot(self) -> Path:
        """The published DuckDB file; anyone may open it, read-only."""
        return self.root / "published" / "curator.duckdb"

    @property
    def report(self) -> Path:
        """The report views as Parquet: a link to the files that were published last."""
        return self.snapshot.parent / "report"

    @property
    def queries(self) -> Path:
        """A folder of the user's own named queries."""
        return self.root / "queries"

    @property
    def reviews(self) -> Path:
        """Decisions of review pages that wait to be recorded."""
        return self.root / "reviews"

    @property
    def exports(self) -> Path:
        """Exports of people, by names of theirs; and such as are on their way to a URL, `STAGED`."""
        return self.root / "exports"

    @property
    def text_cache(self) -> Path:
        return self.root / "cache" / "text"

    @property
    def painted_cache(self) -> Path:
        """Vectors of pictures that painters made, a folder an encoder."""
        return self.root / "cache" / "painted"

    @property
    def thumbnails(self) -> Path:
        """Small pictures that the app has shown, by content id."""
        return self.root / "cache" / "thumbnails"

    @property
    def projections(self) -> Path:
        """Where UMAP has placed images, a file an encoder and choice of images."""
        return self.root / "cache" / "projections"

    @property
    def resaved(self) -> Path:
        """Vectors of images that evaluations saved alike, a folder an encoder."""
        return self.root / "cache" / "resaved"

    def resaved_cache(self, encoder_id: str) -> Path:
        return self.resaved / slug(encoder_id)

    @property
    def generated(self) -> Path:
        """Pictures and vectors that painters made, each file named by its content."""
        return self.root / "generated"

    def bank_spec(self, name: str) -> Path:
        """Raises UsageError for what is no name of a bank, as it could lead out of the folder."""
        return self.root / "banks" / f"{_bank_name(name)}.toml"

    def bank_versions(self, name: str) -> Path:
        """Raises UsageError as `bank_spec`."""
        return self.root / "banks" / _bank_name(name)

    def vectors(self, encoder_id: str) -> Path:
        return self.root / "vectors" / slug(encoder_id)

    def index(self, encoder_id: str, collection: str, recipe: str) -> Path:
        return self.root / "index" / slug(encoder_id) / f"{slug(collection)}-{slug(recipe)}"

    def partition(self, encoder_id: str) -> Path:
        """Where the images of an encoder lie by nearness, for the search for near-duplicates."""
        return self.root / "index" / slug(encoder_id) / "images.near"


def _bank_name(name: str) -> str:
    if NAME.complaint(name):
        raise UsageError(f"{name!r} is no name of a bank", hint=f"it must be {NAME.accepted}")
    return name


def slug(text: str) -> str:
    """`text` as a folder name: letters, digits, dot, dash and underscore stay, all else becomes a dash."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.") or "unnamed"


def refuse_remote(folder: Path | str, *, why: str = LOCAL_WORKSPACE, hint: str = TO_OBJECT_STORAGE) -> None:
    """Raises WorkspaceError for a URL, UsageError for one with credentials in it."""
    if scheme_of(str(folder)) is not None:
        refuse_secrets(str(folder))
        raise WorkspaceError(f"{folder}: {why}", hint=hint)


def refuse_odd_bytes(root: Path) -> None:
    """Raises WorkspaceError for a folder whose path DuckDB cannot take: it opens no file by other bytes than UTF-8."""
    if readable(str(root)) != str(root):
        raise WorkspaceError(
            f"{readable(str(root))}: a workspace lies under a path that is UTF-8", hint="rename the folder"
        )


def find_workspace(start: Path, *, even_broken: bool = False) -> Layout:
    """The workspace at `start` or the nearest folder above it, as git finds its repository.

    even_broken: also one that has lost its configuration, which is refused otherwise.
    """
    start = expanded(start).resolve()
    for folder in (start, *start.parents):
        layout = Layout(folder)
        had_runs = layout.ledger.is_file() or layout.snapshot.is_file()
        if not (had_runs or layout.config.is_file()):
            continue
        refuse_odd_bytes(folder)
        if even_broken or (layout.config.is_file() and not (had_runs and layout.config.stat().st_size == 0)):
            return layout
        raise WorkspaceError(
            f"{layout.config} is missing or empty, though {folder} is a workspace",
            hint="restore it from a backup or from version control; or write one for the encoder of the ledger by "
            f"`curator -w {shlex.quote(str(folder))} recover`",
        )
    raise NoWorkspace(
        f"{start}: no workspace here or above (no {CONFIG_NAME})",
        hint="make one with `curator init DIR --labels labels.txt`, or name one with -w DIR",
    )

"""What nobody refers to any more: found, counted, and on demand removed.

Runs that are killed leave files behind that no row names, and caches outlive what they were made of. Nothing is
removed that a row of the ledger refers to, or that could not be made again from what stays: without a ledger to ask,
nothing at all. Everything happens under the workspace's lock, so no run is half way through writing what looks
unreferenced; only searches write without the lock (indexes and the text cache), and their young files are left alone.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from curator.banks import TextCache
from curator.config import Config
from curator.errors import WorkspaceError
from curator.export.journal import FOLDER as JOURNAL
from curator.report.notebook import Shown
from curator.workspace.context import Context
from curator.workspace.layout import STAGED, Layout, slug
from curator.workspace.lock import hold_lock
from curator.workspace.session import new_run_id, open_ledger
from curator.workspace.stored.presence import has_ledger, require_presence

YOUNG_SECONDS = 3600.0  # a search that writes an index or texts takes less
WRITTEN_WITHOUT_LOCK = ("index", "cache")
TEMPORARY = re.compile(r"\..+\.[0-9a-f]{16}\.tmp(\..+)?|\.building-.+")  # see durable.py and banks/storage.py


@dataclass(frozen=True, slots=True)
class Kind:
    """What was found of one kind, and why it can go."""

    name: str
    reason: str
    files: int
    byte_size: int


@dataclass(frozen=True, slots=True, repr=False)
class Leftovers(Shown):
    """What nobody refers to, by kind; `removed`: it is gone now."""

    kinds: tuple[Kind, ...]
    removed: bool

    @property
    def files(self) -> int:
        return sum(kind.files for kind in self.kinds)

    @property
    def byte_size(self) -> int:
        return sum(kind.byte_size for kind in self.kinds)

    def as_json(self) -> dict[str, object]:
        return {"removed": self.removed, "files": self.files, "byte_size": self.byte_size} | {
            "kinds": [asdict(kind) for kind in self.kinds]
        }


@dataclass(frozen=True, slots=True)
class References:
    """All that rows of the ledger refer to."""

    vector_files: frozenset[tuple[str, str]]  # folder of the encoder, file name
    artefacts: frozenset[str]
    encoder_ids: frozenset[str]
    knows_encoder: bool  # whether the configured encoder is among them

    @classmethod
    def read(cls, context: Context) -> References:
        """Of the live ledger; the lock must be held."""
        with open_ledger(context) as database:
            rows = {name: database.rows(name) for name in ("list_all_vector_files", "list_artefacts", "list_encoders")}
            known = database.row("find_encoder", address=context.config.encoder.address)
        files = rows["list_all_vector_files"]
        return cls(
            frozenset((slug(row["encoder_id"]), f"{row['vector_file']}.safetensors") for row in files),
            frozenset(row["artefact"] for row in rows["list_artefacts"]),
            frozenset(row["encoder_id"] for row in rows["list_encoders"]),
            known is not None,
        )


def collect_garbage(context: Context, *, remove: bool) -> Leftovers:
    """Find what nobody refers to, and remove it if asked. Raises WorkspaceLocked while a run is writing."""
    layout, config = context.layout, context.config
    require_presence(layout)
    if not has_ledger(layout):
        raise WorkspaceError(f"{layout.root}: there is no ledger that says what is in use", hint="scan first")
    with hold_lock(layout.lock, command="gc", run_id=new_run_id()):
        references = References.read(context)
        found = [(name, reason, list(find(layout, config, references))) for name, reason, find in KINDS]
        kinds = tuple(_kind(name, reason, paths) for name, reason, paths in found)
        if remove:
            for _, _, paths in found:
                _remove(paths)
    return Leftovers(kinds, remove)


def _temporary(layout: Layout, _: Config, __: References) -> Iterator[Path]:
    # Of a run, and what DuckDB spills while it is open: now no run goes on, and it is closed.
    yield from (path for path in (layout.temporary, layout.root / f"{layout.ledger.name}.tmp") if path.is_dir())
    for path in _walk(layout.root):
        place = path.relative_to(layout.root).parts[0]
        if TEMPORARY.fullmatch(path.name) and not (place in WRITTEN_WITHOUT_LOCK and _is_young(path)):
            yield path


def _vectors(layout: Layout, _: Config, references: References) -> Iterator[Path]:
    for folder in _folders(layout.root / "vectors"):
        for path in folder.glob("[!.]*.safetensors"):
            if (folder.name, path.name) not in references.vector_files:
                yield path


def _generated(layout: Layout, _: Config, references: References) -> Iterator[Path]:
    if layout.generated.is_dir():
        for path in layout.generated.glob("[!.]*"):
            if path.is_file() and path.name not in references.artefacts:
                yield path


def _indexes(layout: Layout, config: Config, references: References) -> Iterator[Path]:
    """Those that no search would open as the workspace is configured, and those that were never finished."""
    wanted = {
        layout.index(encoder_id, collection, recipe)
        for encoder_id in references.encoder_ids
        for collection, recipe in (("images", config.index.images), ("labels", config.index.labels))
    } | {layout.partition(encoder_id) for encoder_id in references.encoder_ids}
    for encoder in _folders(layout.root / "index"):
        for folder in _folders(encoder):
            is_whole = (folder / "manifest.json").is_file()
            if (folder not in wanted or not is_whole) and not _is_young(folder):
                yield folder


def _texts(layout: Layout, _: Config, references: References) -> Iterator[Path]:
    """Of encoders that the ledger does not know. One that is not in use yet may be building its first bank."""
    for root in (layout.text_cache, layout.painted_cache):
        wanted = {TextCache(root).encoder_folder(encoder_id) for encoder_id in references.encoder_ids}
        if references.knows_encoder:
            yield from (folder for folder in _folders(root) if folder not in wanted and not _is_young(folder))


def _resaved(layout: Layout, _: Config, references: References) -> Iterator[Path]:
    """Likewise; only evaluations write them, under the lock."""
    wanted = {layout.resaved_cache(encoder_id) for encoder_id in references.encoder_ids}
    if references.knows_encoder:
        yield from (folder for folder in _folders(layout.resaved) if folder not in wanted)


def _exports(layout: Layout, _: Config, __: References) -> Iterator[Path]:
    yield from (
        folder for folder in _folders(layout.exports) if STAGED.fullmatch(folder.name) and not _is_young(folder)
    )


Find = Callable[[Layout, Config, References], Iterator[Path]]
KINDS: tuple[tuple[str, str, Find], ...] = (
    ("vectors", "vector files that no row refers to: of killed runs", _vectors),
    ("generated", "painted files that no call refers to", _generated),
    ("temporary", "half-written files of killed runs", _temporary),
    ("indexes", "indexes that no search opens as the workspace is configured", _indexes),
    ("exports", "exports to URLs that were cut off: they would begin anew", _exports),
    ("texts", "embeddings of texts and paintings, of encoders that are not in use", _texts),
    ("resaved", "vectors of images saved alike for evaluations, of encoders that are not in use", _resaved),
)


def _kind(name: str, reason: str, paths: Sequence[Path]) -> Kind:
    files = [file for path in paths for file in _files(path)]
    return Kind(name, reason, len(files), sum(file.lstat().st_size for file in files))


def _remove(paths: Sequence[Path]) -> None:
    for path in paths:
        try:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        except OSError as fault:
            raise WorkspaceError(f"{path}: cannot be removed: {fault.strerror}") from fault


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def _walk(root: Path) -> Iterator[Path]:
    """Files and folders below, without following links; what is in a folder of a killed build is not listed, nor an
    export, which is written without the lock and clears up after itself."""
    for parent, folders, files in os.walk(root):
        if JOURNAL in folders:
            folders.clear()
            continue
        yield from (Path(parent, name) for name in [*folders, *files])
        folders[:] = [name for name in folders if not name.startswith(".")]


def _files(path: Path) -> list[Path]:
    if path.is_dir() and not path.is_symlink():
        return [Path(parent, name) for parent, _, names in os.walk(path) for name in names]
    return [path]


def _is_young(path: Path) -> bool:
    """Whether something in it was written in the last hour, or, after a jump of the clock, in the future."""
    return any(file.lstat().st_mtime > time.time() - YOUNG_SECONDS for file in [path, *_files(path)])

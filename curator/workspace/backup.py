"""Backups: a copy of the workspace that is whole or not there, and the way back.

    DEST/20260131T020000-1a2b3c/            one backup: the files of the workspace as they were
    DEST/20260131T020000-1a2b3c/backup.json what belongs to it, with sizes and SHA-256; written last

A backup is taken under the workspace's lock, with the ledger closed, so it is the state between two runs. It is put
together under a hidden name and renamed, so a killed one leaves nothing that looks like a backup. Vector files, banks
and painted files never change and are named by their content: the ones that the last backup has already are linked
from there and cost neither time nor space. What can be made again (indexes, text embeddings, the published snapshot)
is left out, and the snapshot is published anew by `restore`.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from curator import __version__
from curator.durable import sync, write_durably
from curator.errors import BackupError, UsageError
from curator.store import Database, publish_snapshot
from curator.store.checks import read_everything
from curator.store.migrate import migrate
from curator.workspace.housekeeping import TEMPORARY
from curator.workspace.layout import Layout, refuse_remote
from curator.workspace.lock import hold_lock
from curator.workspace.mishaps import damage
from curator.workspace.session import RESTORE, new_run_id

FORMAT = 1
MANIFEST = "backup.json"
MAKING = ".making-"
MADE_AGAIN = (".lock", "index", "cache", "published", "tmp", "ledger.duckdb.tmp")
NEVER_CHANGED = ("vectors", "generated")  # files that are named by their content
CHUNK_BYTES = 1 << 22


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of a backup as it was written."""

    byte_size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class BackupSummary:
    """A backup that was made. `linked` of its files were in the one before."""

    path: str
    files: int
    byte_size: int
    linked: int
    copied_bytes: int
    removed: tuple[str, ...] = ()  # older backups, beyond those to be kept

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def refuse_remote_backup(place: Path | str) -> None:
    """Raises WorkspaceError for a URL: what is linked from the backup before needs a file system."""
    refuse_remote(
        place,
        why="a backup is a folder on this machine, because files that have not changed are linked from the one before",
        hint="copy whole backups to object storage, and back, with the tools of the store",
    )


def make_backup(layout: Layout, destination: Path, *, keep: int | None = None) -> BackupSummary:
    """Back the workspace up into a new folder of `destination`; then keep only the newest `keep` backups there.

    Raises BackupError when the disk refuses, WorkspaceLocked while a run is writing.
    """
    destination = destination.expanduser().resolve()
    if destination == layout.root or layout.root in destination.parents:
        raise UsageError(f"{destination} lies in the workspace", hint="back up to another folder, better another disk")
    name = new_run_id()
    with _disk_faults(destination), hold_lock(layout.lock, command="backup", run_id=name):
        destination.mkdir(parents=True, exist_ok=True)
        with hold_lock(destination / ".lock", command="backup", run_id=name):
            for left in destination.glob(f"{MAKING}*"):
                shutil.rmtree(left)
            _close_ledger(layout)
            summary = _copy_workspace(layout, destination, name)
            return _thin_out(destination, summary, keep=keep)


def list_backups(destination: Path) -> list[Path]:
    """The whole backups of a folder, the oldest first."""
    return sorted(path.parent for path in destination.glob(f"[!.]*/{MANIFEST}"))


def restore_backup(backup: Path, folder: Path) -> Layout:
    """Make the workspace of a backup (or of the newest one in a folder of backups) at `folder`, which must be new.

    Every file is compared with the manifest. Raises BackupError for a backup that is not whole, and leaves no folder.
    """
    backup, folder = backup.expanduser().resolve(), folder.expanduser().resolve()
    if not (backup / MANIFEST).is_file() and (found := list_backups(backup)):
        backup = found[-1]
    files = read_manifest(backup)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is there already", hint="restore into a new folder, and swap the two by hand")
    making = folder.parent / f"{MAKING}{folder.name}-{new_run_id()}"
    with _disk_faults(folder):
        try:
            for name, stored in files.items():
                _copy(backup / name, making / name, expected=stored)
            layout = Layout(making)
            if layout.ledger.is_file():
                publish_snapshot(layout.ledger, layout.snapshot)
            making.replace(folder)
        finally:
            shutil.rmtree(making, ignore_errors=True)
        sync(folder.parent)
    return Layout(folder)


def read_manifest(backup: Path) -> dict[str, StoredFile]:
    """What belongs to a backup. Raises BackupError when it is not whole, not readable or of another format."""
    try:
        document = json.loads((backup / MANIFEST).read_bytes())
        stated, files = document["sha256"], document["files"]
        found = {name: StoredFile(**stored) for name, stored in files.items()}
    except FileNotFoundError as fault:
        raise BackupError(f"{backup}: not a whole backup: it has no {MANIFEST}", hint="name another one") from fault
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as fault:
        raise BackupError(f"{backup / MANIFEST} cannot be read: {fault}", hint="name another one") from fault
    if document.get("format") != FORMAT:
        raise BackupError(f"{backup} has format {document.get('format')}, this release reads {FORMAT}")
    if stated != _digest_of(files):
        raise BackupError(f"{backup / MANIFEST} was changed after it was written", hint="name another one")
    if any(Path(name).is_absolute() or ".." in Path(name).parts for name in found):
        raise BackupError(f"{backup / MANIFEST} names files outside the workspace")
    return found


def _close_ledger(layout: Layout) -> None:
    """Bring what a killed run left in DuckDB's log into the file, and see that all of it can be read: a damaged
    ledger must not push good backups out. The lock is ours, so nobody has it open."""
    if layout.ledger.is_file():
        with damage(layout.ledger, remedy=RESTORE), Database.open(layout.ledger) as database:
            migrate(database)
            read_everything(database)
            files = database.rows("list_all_vector_files")
        missing = [
            path
            for row in files
            if not (path := layout.vectors(row["encoder_id"]) / f"{row['vector_file']}.safetensors").is_file()
        ]
        if missing:
            raise BackupError(f"{missing[0]} is missing, and {len(missing) - 1} more", hint="see `curator doctor`")


def _copy_workspace(layout: Layout, destination: Path, name: str) -> BackupSummary:
    before = next(reversed(list_backups(destination)), None)
    known = _known_files(before)
    making = destination / f"{MAKING}{name}"
    files: dict[str, StoredFile] = {}
    linked = 0
    for path in _files_of(layout.root):
        relative = path.relative_to(layout.root).as_posix()
        stored = known.get(relative)
        if before and stored and _never_changes(relative) and _has_size(before / relative, stored, path):
            linked += _link(before / relative, making / relative, stored)
            files[relative] = stored
        else:
            files[relative] = _copy(path, making / relative)
    byte_size = sum(stored.byte_size for stored in files.values())
    copied = sum(stored.byte_size for file, stored in files.items() if known.get(file) != stored)
    listed = {file: asdict(stored) for file, stored in files.items()}
    document = {"format": FORMAT, "version": __version__, "files": listed, "sha256": _digest_of(listed)}
    write_durably(making / MANIFEST, json.dumps(document, indent=1).encode())
    for folder in {path.parent for path in making.rglob("*")}:
        sync(folder)
    making.rename(destination / name)
    sync(destination)
    return BackupSummary(str(destination / name), len(files), byte_size, linked, copied)


def _known_files(before: Path | None) -> Mapping[str, StoredFile]:
    """The files of the last backup; none of one that cannot be read: then all are copied."""
    with suppress(BackupError):
        return read_manifest(before) if before else {}
    return {}


def _thin_out(destination: Path, summary: BackupSummary, *, keep: int | None) -> BackupSummary:
    """Remove the older backups beyond the newest `keep`; each disappears at once, then its files."""
    removed = list_backups(destination)[:-keep] if keep else []
    for path in removed:
        hidden = path.rename(destination / f"{MAKING}gone-{path.name}")
        shutil.rmtree(hidden)
    return BackupSummary(**{**asdict(summary), "removed": tuple(path.name for path in removed)})


def _files_of(root: Path) -> Iterator[Path]:
    """The files that belong to a backup, in order. Links to files are read, links to folders are not followed."""
    for parent, folders, files in os.walk(root):
        is_top = Path(parent) == root
        folders[:] = sorted(
            name for name in folders if not (is_top and name in MADE_AGAIN) and not TEMPORARY.fullmatch(name)
        )
        for name in sorted(files):
            path = Path(parent, name)
            if path.is_file() and not (is_top and name in MADE_AGAIN) and not TEMPORARY.fullmatch(name):
                yield path


def _never_changes(relative: str) -> bool:
    parts = Path(relative).parts
    return parts[0] in NEVER_CHANGED or (parts[0] == "banks" and len(parts) == 4)


def _has_size(kept: Path, stored: StoredFile, now: Path) -> bool:
    """Whether the file of the last backup is as long as it was, and the one in the workspace too."""
    return kept.is_file() and kept.stat().st_size == now.stat().st_size == stored.byte_size


def _link(source: Path, target: Path, stored: StoredFile) -> bool:
    """The file of the last backup again, as a link; a copy where the disk has none. Returns whether it is a link."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        target.hardlink_to(source)
    except OSError:
        _copy(source, target, expected=stored)
        return False
    return True


def _copy(source: Path, target: Path, *, expected: StoredFile | None = None) -> StoredFile:
    """Copy a file, flushed to disk. Raises BackupError when it is not the one that is expected."""
    target.parent.mkdir(parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    with source.open("rb") as reader, target.open("xb") as writer:
        while chunk := reader.read(CHUNK_BYTES):
            digest.update(chunk)
            size += writer.write(chunk)
        writer.flush()
        os.fsync(writer.fileno())
    stored = StoredFile(size, digest.hexdigest())
    if expected is not None and stored != expected:
        raise BackupError(f"{source} is damaged: it is not the file that was backed up", hint="name another backup")
    shutil.copystat(source, target)
    return stored


def _digest_of(files: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()


@contextmanager
def _disk_faults(folder: Path) -> Iterator[None]:
    """What the disk refuses, as a BackupError that names the place."""
    try:
        yield
    except OSError as fault:
        place = fault.filename or folder
        raise BackupError(f"{place}: {fault.strerror or fault}", hint="nothing that was there has changed") from fault

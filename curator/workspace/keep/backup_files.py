"""The files of a backup: which belong to it, how they get there, and the manifest that says what they were.

DEST/20260131T020000-1a2b3c/            one backup: the files of the workspace as they were
DEST/20260131T020000-1a2b3c/backup.json what belongs to it, with sizes and SHA-256; written last
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from curator.durable import write_durably
from curator.errors import BackupError, UsageError
from curator.export.journal import FOLDER, Journal
from curator.printable import said_by
from curator.version import VERSION
from curator.workspace.keep.housekeeping import TEMPORARY
from curator.workspace.logs import log

FORMAT = 1
MANIFEST = "backup.json"
MAKING = ".making-"
MADE_AGAIN = (".lock", "index", "cache", "published", "tmp", "aside", "ledger.duckdb.tmp")
NEVER_CHANGED = ("vectors", "generated")  # files that are named by their content
CHUNK_BYTES = 1 << 22


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of a backup as it was written."""

    byte_size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class BackupManifest:
    """What belongs to a backup. `lost`: what its ledger refers to and the workspace had lost already.

    workspace: whose it is (see backups.py). number: how many backups it is there, 0 for those of earlier releases.
    root: the folder that it was taken of, for people.
    """

    files: Mapping[str, StoredFile]
    lost: tuple[str, ...] = ()
    workspace: str | None = None
    number: int = 0
    root: str | None = None

    def write(self, backup: Path) -> None:
        listed = {name: asdict(stored) for name, stored in self.files.items()}
        document: dict[str, object] = {"format": FORMAT, "version": VERSION}
        document |= {"workspace": self.workspace, "number": self.number, "root": self.root}
        document |= {"files": listed, "sha256": digest_of(listed)}
        if self.lost:
            document["lost"] = list(self.lost)
        write_durably(backup / MANIFEST, json.dumps(document, indent=1).encode())

    @classmethod
    def read(cls, backup: Path) -> BackupManifest:
        """Raises BackupError for a backup that is not whole, not readable or of another format."""
        try:
            document = json.loads((backup / MANIFEST).read_bytes())
            stated, files, lost = document["sha256"], document["files"], tuple(map(str, document.get("lost", ())))
            found = {name: StoredFile(**stored) for name, stored in files.items()}
            workspace, number, root = document.get("workspace"), int(document.get("number", 0)), document.get("root")
        except FileNotFoundError as fault:
            raise BackupError(f"{backup}: not a whole backup: it has no {MANIFEST}", hint="name another one") from fault
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as fault:
            raise BackupError(f"{backup / MANIFEST} cannot be read: {fault}", hint="name another one") from fault
        if document.get("format") != FORMAT:
            raise BackupError(f"{backup} has format {document.get('format')}, this release reads {FORMAT}")
        if stated != digest_of(files):
            raise BackupError(f"{backup / MANIFEST} was changed after it was written", hint="name another one")
        if any(Path(name).is_absolute() or ".." in Path(name).parts for name in found):
            raise BackupError(f"{backup / MANIFEST} names files outside the workspace")
        return cls(found, lost, workspace, number, root)


def files_of(root: Path, *, destination: Path) -> Iterator[Path]:
    """The files that belong to a backup, in order. Links are followed: what they lead to is a part of the workspace.
    Folders of exports of links are left out: these lead to images of the lake.

    Raises BackupError for what cannot be copied: a link that leads nowhere, in a circle or to the backups themselves,
    and what is no file.
    """
    for parent, folders, files in os.walk(root, followlinks=True):
        is_top = Path(parent) == root
        if FOLDER in folders and _leads_to_lake(Path(parent)):
            log.info("%s: an export of links to images of the lake is not backed up", parent)
            folders.clear()
            continue
        folders[:] = sorted(name for name in folders if _belongs(name, is_top=is_top))
        for name in folders:
            _refuse_circle(Path(parent, name), destination)
        for name in sorted(filter(lambda name: _belongs(name, is_top=is_top), files)):
            path = Path(parent, name)
            if not path.is_file():
                what = f"is a link to {path.readlink()}, which is not there" if path.is_symlink() else "is no file"
                raise BackupError(f"{path} {what}, so it cannot be backed up", hint="mount its disk, or remove it")
            yield path


def _leads_to_lake(export: Path) -> bool:
    try:
        _, request = Journal(export).state(export)
    except UsageError:  # it cannot be read
        return False
    return request is not None and request.get("format") == "symlinks"


def _belongs(name: str, *, is_top: bool) -> bool:
    return not (is_top and name in MADE_AGAIN) and not TEMPORARY.fullmatch(name)


def _refuse_circle(folder: Path, destination: Path) -> None:
    if folder.is_symlink():
        target = folder.resolve()
        if any(target == above.resolve() for above in folder.parents):
            raise BackupError(f"{folder} is a link to a folder that it lies in", hint="remove it")
        if target in (destination, *destination.parents) or destination in target.parents:
            raise BackupError(f"{folder} is a link to the backups", hint="remove it, or back up to another folder")


def never_changes(relative: str) -> bool:
    parts = Path(relative).parts
    return parts[0] in NEVER_CHANGED or (parts[0] == "banks" and len(parts) == 4)


def is_as_written(path: Path, stored: StoredFile) -> bool:
    """Whether a file still has the bytes that the manifest tells of."""
    try:
        return path.stat().st_size == stored.byte_size and read_through(path).sha256 == stored.sha256
    except OSError:
        return False


def read_through(source: Path) -> StoredFile:
    with source.open("rb") as reader:
        return StoredFile(os.fstat(reader.fileno()).st_size, hashlib.file_digest(reader, "sha256").hexdigest())


def link_file(source: Path, target: Path, stored: StoredFile) -> bool:
    """The file of the last backup again, as a link; a copy where the disk has none. Returns whether it is a link."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        target.hardlink_to(source)
    except OSError:
        copy_file(source, target, expected=stored)
        return False
    return True


def copy_file(source: Path, target: Path, *, expected: StoredFile | None = None) -> StoredFile:
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


def digest_of(files: Mapping[str, object]) -> str:
    return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()


@contextmanager
def disk_faults(folder: Path) -> Iterator[None]:
    """What the disk refuses, as a BackupError that names the place."""
    try:
        yield
    except OSError as fault:
        place = fault.filename or folder
        raise BackupError(f"{place}: {said_by(fault)}", hint="nothing that was there has changed") from fault

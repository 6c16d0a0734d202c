"""Backups: a copy of the workspace that is whole or not there, whether it still is what was written, and the way back.

A backup is taken under the workspace's lock, with the ledger closed, so it is the state between two runs. It is put
together under a hidden name and renamed, so a killed one leaves nothing that looks like a backup. All that the ledger
refers to is read before, and looked for in the copy after: what is damaged or left out must not push good backups out.
Vector files, banks and painted files never change and are named by their content: the ones that the last backup has
are linked from there and cost no space, once their bytes have been compared with its manifest: rot must not pass from
one backup to the next. What can be made again (indexes, text embeddings, the published snapshot) is left out, and the
snapshot is published anew by `restore`.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from curator.durable import sync
from curator.errors import BackupError, CuratorError, UsageError, WorkspaceError
from curator.paths import expanded
from curator.progress import step
from curator.report.notebook import Shown
from curator.store import Database, publish_snapshot
from curator.store.checks import read_everything
from curator.workspace.context import Context
from curator.workspace.keep.backup_files import (
    MAKING,
    MANIFEST,
    BackupManifest,
    StoredFile,
    copy_file,
    disk_faults,
    files_of,
    is_as_written,
    link_file,
    never_changes,
)
from curator.workspace.keep.backups import first_run, list_backups, newest_backup, own_backups
from curator.workspace.layout import Layout, refuse_odd_bytes, refuse_remote
from curator.workspace.lock import hold_lock
from curator.workspace.logs import log
from curator.workspace.mishaps import damage
from curator.workspace.session import new_run_id, open_ledger
from curator.workspace.stored.losses import all_kept
from curator.workspace.stored.presence import has_ledger, referred_files, require_presence


@dataclass(frozen=True, slots=True, repr=False)
class BackupSummary(Shown):
    """A backup that was made. `linked` of its files were in the one before; `renewed` ones were damaged there, and
    copied afresh; `lost` ones the workspace itself does not have any more."""

    path: str
    files: int
    byte_size: int
    linked: int
    copied_bytes: int
    renewed: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()  # older backups, beyond those to be kept

    def as_json(self) -> dict[str, object]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class BackupCheck:
    """What was found of one backup, as paths in it. `lost`: what its ledger refers to and was never in it.

    `fault`: why its manifest, or its ledger, says nothing.
    """

    path: str
    files: int
    damaged: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    fault: str | None = None

    @property
    def is_whole(self) -> bool:
        return not (self.damaged or self.missing or self.extra or self.lost or self.fault)

    def as_json(self) -> dict[str, object]:
        return {**asdict(self), "whole": self.is_whole}


def refuse_remote_backup(place: Path | str) -> None:
    """Raises WorkspaceError for a URL: what is linked from the backup before needs a file system."""
    refuse_remote(
        place,
        why="a backup is a folder on this machine, because files that have not changed are linked from the one before",
        hint="copy whole backups to object storage, and back, with the tools of the store",
    )


@step("back up")
def make_backup(
    context: Context, destination: Path, *, keep: int | None = None, without_lost: bool = False
) -> BackupSummary:
    """Back the workspace up into a new folder of `destination`; then keep only the newest `keep` of its backups there.

    without_lost: also where files are lost that the ledger refers to; the manifest says which. Raises BackupError for
    such a workspace otherwise, and when the disk refuses; WorkspaceLocked while a run is writing.
    """
    layout, destination = context.layout, expanded(destination).resolve()
    if destination == layout.root or layout.root in destination.parents:
        raise UsageError(f"{destination} lies in the workspace", hint="back up to another folder, better another disk")
    require_presence(layout)
    name = new_run_id()
    with disk_faults(destination), hold_lock(layout.lock, command="backup", run_id=name):
        destination.mkdir(parents=True, exist_ok=True)
        with hold_lock(destination / ".lock", command="backup", run_id=name):
            for left in destination.glob(f"{MAKING}*"):
                shutil.rmtree(left)
            closed = _close_ledger(context)
            if closed.lost and not without_lost:
                raise _refusal(closed.lost)
            before = own_backups(destination, closed.workspace)
            making = destination / f"{MAKING}{name}"
            try:
                summary = _copy_workspace(layout, making, before, closed)
                making.rename(destination / name)
            finally:
                shutil.rmtree(making, ignore_errors=True)
            sync(destination)
            removed = _thin_out(destination, before, keep=keep)
            return replace(summary, path=str(destination / name), removed=removed)


@step("restore")
def restore_backup(backup: Path, folder: Path) -> Layout:
    """Make the workspace of a backup (or of the newest one in a folder of backups) at `folder`, which must be new.

    Every file is compared with the manifest. Raises BackupError for a backup that is not whole and for a folder of
    several workspaces' backups, and leaves no folder.
    """
    backup, folder = expanded(backup).resolve(), expanded(folder).resolve()
    refuse_odd_bytes(folder)
    backup = newest_backup(backup)
    manifest = BackupManifest.read(backup)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is there already", hint="restore into a new folder, and swap the two by hand")
    making = folder.parent / f"{MAKING}{folder.name}-{new_run_id()}"
    with disk_faults(folder):
        try:
            for name, stored in manifest.files.items():
                copy_file(backup / name, making / name, expected=stored)
            layout = Layout(making)
            if layout.ledger.is_file():
                publish_snapshot(layout.ledger, layout.snapshot)
            making.replace(folder)
        finally:
            shutil.rmtree(making, ignore_errors=True)
        sync(folder.parent)
    if lacks := lacking_files(Layout(folder), manifest):
        log.warning("the backup lacks %d files that its ledger refers to, first %s", len(lacks), lacks[0])
    return Layout(folder)


def lacking_files(layout: Layout, manifest: BackupManifest) -> list[str]:
    """What the ledger of a backup, or of what was restored from it, refers to and the backup does not have."""
    if not has_ledger(layout):
        return sorted(manifest.lost)
    with damage(layout.ledger, remedy="name another backup"), Database.open_reader(layout.ledger) as database:
        return sorted(referred_files(layout, database) - manifest.files.keys() | set(manifest.lost))


@step("read the backups")
def verify_backups(place: Path | str) -> list[BackupCheck]:
    """Read every file of a backup, or of all backups of a folder, and compare it with the manifest.

    Raises BackupError where there is no backup.
    """
    refuse_remote_backup(place)
    place = expanded(place).resolve()
    backups = [place] if (place / MANIFEST).is_file() else list_backups(place)
    if not backups:
        raise BackupError(f"{place}: there is no backup", hint="name a backup, or a folder of backups")
    with disk_faults(place):
        return [_verify(backup) for backup in backups]


def _verify(backup: Path) -> BackupCheck:
    try:
        manifest = BackupManifest.read(backup)
    except BackupError as said:
        return BackupCheck(str(backup), 0, fault=said.message)
    there = {path.relative_to(backup).as_posix() for path in backup.rglob("*") if not path.is_dir()} - {MANIFEST}
    damaged = [
        name for name, stored in manifest.files.items() if name in there and not is_as_written(backup / name, stored)
    ]
    missing, extra = manifest.files.keys() - there, there - manifest.files.keys()
    lost, fault = manifest.lost, None
    try:
        if Layout(backup).ledger.name not in {*damaged, *missing}:
            lost = tuple(lacking_files(Layout(backup), manifest))
    except WorkspaceError as said:
        fault = said.message
    return BackupCheck(
        str(backup), len(manifest.files), tuple(damaged), tuple(sorted(missing)), tuple(sorted(extra)), lost, fault
    )


@dataclass(frozen=True, slots=True)
class _Closed:
    """What a closed ledger says: whose it is, the files that a backup must have, and what is lost of them."""

    workspace: str | None = None
    wanted: frozenset[str] = frozenset()
    lost: Mapping[str, CuratorError] = field(default_factory=dict)


def _close_ledger(context: Context) -> _Closed:
    """Bring what a killed run left in DuckDB's log into the file, and read all of it and all that it refers to. The
    lock is ours, so nobody has it open."""
    layout = context.layout
    if not has_ledger(layout):
        return _Closed()  # a new workspace
    with open_ledger(context) as database:
        read_everything(database)
        wanted = {layout.ledger.name, *referred_files(layout, database)}
        lost = {kept.paths[name]: fault for kept in all_kept(layout, database) for name, fault in kept.lost.items()}
        there = frozenset(file for file in wanted if file.removesuffix("/bank.json") not in lost)
        return _Closed(first_run(database), there, lost)


def _refusal(lost: Mapping[str, CuratorError]) -> BackupError:
    first = next(iter(lost.values()))
    more = f", and {len(lost) - 1} more are lost" if len(lost) > 1 else ""
    return BackupError(
        f"{first.message}{more}: the ledger refers to it",
        hint="`curator doctor --check` says how it comes back; or back up without it, by --without-lost",
    )


def _copy_workspace(layout: Layout, making: Path, backups: Sequence[Path], closed: _Closed) -> BackupSummary:
    """backups: those of this workspace that there are, the oldest first."""
    before = backups[-1] if backups else None
    known = BackupManifest.read(before) if before else BackupManifest({})
    files: dict[str, StoredFile] = {}
    linked, renewed = 0, []
    for path in files_of(layout.root, destination=making.parent):
        relative = path.relative_to(layout.root).as_posix()
        stored = known.files.get(relative)
        if before and stored and never_changes(relative) and path.stat().st_size == stored.byte_size:
            if is_as_written(before / relative, stored):
                linked += link_file(before / relative, making / relative, stored)
                files[relative] = stored
                continue
            renewed.append(relative)
        files[relative] = copy_file(path, making / relative)
    if absent := sorted(closed.wanted - files.keys()):
        raise BackupError(f"{absent[0]}, and {len(absent) - 1} more, did not get into the backup", hint="try again")
    lost = tuple(closed.lost)
    BackupManifest(files, lost, closed.workspace, known.number + 1, str(layout.root)).write(making)
    for folder in {path.parent for path in making.rglob("*")}:
        sync(folder)
    byte_size = sum(stored.byte_size for stored in files.values())
    copied = sum(stored.byte_size for file, stored in files.items() if known.files.get(file) != stored)
    return BackupSummary(str(making), len(files), byte_size, linked, copied, tuple(renewed), lost)


def _thin_out(destination: Path, older: Sequence[Path], *, keep: int | None) -> tuple[str, ...]:
    """Remove of the older backups what goes beyond `keep`, with the one that was just made; each disappears at once,
    then its files. Returns their names."""
    removed = older[: max(0, len(older) + 1 - keep)] if keep else ()
    for path in removed:
        hidden = path.rename(destination / f"{MAKING}gone-{path.name}")
        shutil.rmtree(hidden)
    return tuple(path.name for path in removed)

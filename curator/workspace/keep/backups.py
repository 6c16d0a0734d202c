"""The backups of a folder: whose each one is, and in which order they were made. Several workspaces may share a folder.

A workspace is known by the id of its first run, which its ledger keeps for life, in a restored workspace too. What no
identity can be found for (a workspace in which nothing was run yet, a manifest that cannot be read) is nobody's: it is
never removed, and never taken for another's. Clocks jump, so backups are numbered in the order in which they were made.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from curator.errors import BackupError, StoreError
from curator.store import Database
from curator.store.ledger import utc_now
from curator.workspace.keep.backup_files import MANIFEST, BackupManifest
from curator.workspace.layout import Layout
from curator.workspace.logs import log

SECOND = "%Y%m%dT%H%M%S"  # how the name of a backup begins
UNREADABLE = 1 << 62  # as the newest, so that nothing older is restored in its place


def first_run(database: Database) -> str | None:
    """The id of the run that a ledger began with, None before there is one."""
    return next(iter(database.column("find_first_run")), None)


def list_backups(destination: Path) -> list[Path]:
    """The whole backups of a folder, of each workspace the oldest first. Before backups were numbered, names told the
    second, and manifests the order within it."""
    found = [path.parent for path in destination.glob(f"[!.]*/{MANIFEST}")]
    return sorted(found, key=lambda path: (_number_of(path), _second(path), (path / MANIFEST).stat().st_mtime_ns))


def _number_of(backup: Path) -> int:
    try:
        return BackupManifest.read(backup).number
    except BackupError:
        return UNREADABLE


def own_backups(destination: Path, workspace: str | None) -> list[Path]:
    """Those of one workspace, the oldest first. What cannot be read is named: it takes part in nothing."""
    own = []
    for backup in list_backups(destination):
        try:
            manifest = BackupManifest.read(backup)
        except BackupError as fault:
            log.warning("%s: it is neither counted nor removed", fault.message)
            continue
        if workspace is not None and workspace_of(backup, manifest) == workspace:
            own.append(backup)
    _warn_of_future(own)
    return own


def newest_backup(place: Path) -> Path:
    """The backup that `place` is, or the newest in it. Raises BackupError for a folder of several workspaces'."""
    if (place / MANIFEST).is_file() or not (found := list_backups(place)):
        return place
    manifests = {backup: BackupManifest.read(backup) for backup in found}
    newest = {workspace_of(backup, manifest): backup for backup, manifest in manifests.items()}
    if newest.keys() - {workspace_of(found[-1], manifests[found[-1]]), None}:
        raise BackupError(
            f"{place} has backups of more than one workspace",
            hint=f"name one of them; the newest of each: {', '.join(_described(backup) for backup in newest.values())}",
        )
    _warn_of_future(found)
    return found[-1]


def _described(backup: Path) -> str:
    root = BackupManifest.read(backup).root
    return f"{backup} of {root}" if root else str(backup)


def workspace_of(backup: Path, manifest: BackupManifest) -> str | None:
    """Whose a backup is. Releases before did not write it down: there its ledger tells."""
    layout = Layout(backup)
    if manifest.workspace is None and layout.ledger.name in manifest.files:
        with suppress(StoreError), Database.open_reader(layout.ledger) as database:
            return first_run(database)
    return manifest.workspace


def _warn_of_future(backups: list[Path]) -> None:
    now = f"{utc_now():{SECOND}}"
    for backup in backups:
        if backup.name[8:9] == "T" and _second(backup) > now:
            log.warning("%s is dated in the future: a clock was wrong then, or is wrong now", backup)


def _second(backup: Path) -> str:
    return backup.name.partition("-")[0]

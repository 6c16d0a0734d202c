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
    """The whole backups of a folder, of each workspace the oldest first."""
    return [backup for backup, _ in read_backups(destination)]


def read_backups(destination: Path) -> list[tuple[Path, BackupManifest | BackupError]]:
    """The whole backups of a folder, in the order of `list_backups`, each with its manifest or why that cannot be read.
    Before backups were numbered, names told the second, and manifests the order within it."""
    read = [(path.parent, _read(path.parent)) for path in destination.glob(f"[!.]*/{MANIFEST}")]
    return sorted(
        read, key=lambda item: (_number_of(item[1]), _second(item[0]), (item[0] / MANIFEST).stat().st_mtime_ns)
    )


def _read(backup: Path) -> BackupManifest | BackupError:
    try:
        return BackupManifest.read(backup)
    except BackupError as fault:
        return fault


def _number_of(manifest: BackupManifest | BackupError) -> int:
    return UNREADABLE if isinstance(manifest, BackupError) else manifest.number


def own_backups(destination: Path, workspace: str | None) -> list[Path]:
    """Those of one workspace, the oldest first. What cannot be read is named: it takes part in nothing."""
    own = []
    for backup, manifest in read_backups(destination):
        if isinstance(manifest, BackupError):
            log.warning("%s: it is neither counted nor removed", manifest.message)
        elif workspace is not None and workspace_of(backup, manifest) == workspace:
            own.append(backup)
    _warn_of_future(own)
    return own


def newest_backup(place: Path) -> Path:
    """The backup that `place` is, or the newest in it. Raises BackupError for a folder of several workspaces', and for
    a manifest in it that cannot be read."""
    if (place / MANIFEST).is_file() or not (found := read_backups(place)):
        return place
    newest: dict[str | None, tuple[Path, BackupManifest]] = {}
    for backup, manifest in found:
        if isinstance(manifest, BackupError):
            raise manifest
        newest[last := workspace_of(backup, manifest)] = backup, manifest
    if newest.keys() - {last, None}:
        raise BackupError(
            f"{place} has backups of more than one workspace",
            hint=f"name one of them; the newest of each: {', '.join(_described(*item) for item in newest.values())}",
        )
    _warn_of_future([backup for backup, _ in found])
    return found[-1][0]


def _described(backup: Path, manifest: BackupManifest) -> str:
    return f"{backup} of {manifest.root}" if manifest.root else str(backup)


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

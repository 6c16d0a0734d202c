"""`curator backup --verify`: whether backups are still what was written, file by file."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from curator.errors import BackupError, WorkspaceError
from curator.paths import expanded
from curator.workspace.keep.backup import lacking_files, refuse_remote_backup
from curator.workspace.keep.backup_files import MANIFEST, BackupManifest, disk_faults, is_as_written, list_backups
from curator.workspace.layout import Layout


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

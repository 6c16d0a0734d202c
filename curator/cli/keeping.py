"""`curator gc`, `curator backup` and `curator restore`."""

from __future__ import annotations

import click

from curator.cli.app import App, pass_app
from curator.cli.options import json_option
from curator.cli.output import bytes_text, echo_json, say


@click.command()
@click.option("--delete", is_flag=True, help="Remove it. Without this, only say what there is.")
@json_option
@pass_app
def gc(app: App, delete: bool, as_json: bool) -> None:
    """Find files that nobody refers to, and delete them on demand.

    Killed runs leave vector files, painted files and half-written files; and
    there are indexes and text embeddings of what is not in use any more. What
    a bank, score, evaluation or vector of the ledger refers to always stays.

    \b
    Example:
      curator gc
    """
    found = app.open().collect_garbage(remove=delete)
    if as_json:
        return echo_json(found.as_json())
    for kind in found.kinds:
        if kind.files:
            say(f"{kind.files} {kind.reason}: {bytes_text(kind.byte_size)}")
    ending = "deleted" if delete else "delete them with: curator gc --delete"
    say(f"{found.files} files, {bytes_text(found.byte_size)}; {ending}" if found.files else "nothing to delete")
    return None


@click.command()
@click.argument("destination", type=click.Path(file_okay=False))
@click.option("--keep", type=click.IntRange(min=1), metavar="N", help="Then remove all but the newest N backups there.")
@json_option
@pass_app
def backup(app: App, destination: str, keep: int | None, as_json: bool) -> None:
    """Back the workspace up into a new folder of DESTINATION.

    It is the state between two runs, whole or not there. Files that never
    change are linked from the backup before, so a second one costs little.

    \b
    Example:
      curator backup ../backups --keep 8
    """
    summary = app.open().backup(destination, keep=keep)
    if as_json:
        return echo_json(summary.as_json())
    say(
        f"{summary.path}: {summary.files} files, {bytes_text(summary.byte_size)}; {summary.linked} linked from the "
        f"backup before, {bytes_text(summary.copied_bytes)} new"
    )
    for name in summary.removed:
        say(f"removed {name}")
    return None


@click.command()
@click.argument("backup", type=click.Path(file_okay=False))
@click.argument("folder", type=click.Path(file_okay=False))
@pass_app
def restore(app: App, backup: str, folder: str) -> None:
    """Make the workspace of BACKUP at FOLDER, which must be new.

    BACKUP is one backup, or a folder of backups: then the newest. Every file
    is compared with what was written; a damaged backup is refused.

    \b
    Example:
      curator restore ../backups ../restored
    """
    from curator.workspace import Workspace

    app.start_logs()
    restored = Workspace.restore(backup, folder)
    say(f"{restored.layout.root} is as it was backed up; see: curator -w {folder} doctor --check")

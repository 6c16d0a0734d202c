"""`curator gc`, `curator backup`, `curator restore` and `curator recover`."""

from __future__ import annotations

import sys

import click

from curator.cli.app import App, pass_app
from curator.cli.options import WholeRange, json_option
from curator.cli.output import echo_json, say
from curator.cli.terminal.rows import bytes_text
from curator.errors import UsageError


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
@json_option
@pass_app
def measure(app: App, as_json: bool) -> None:
    """Measure images as pictures that were scanned before that was done.

    Scans do it where they decode: dark, bright, blurry, low_information in
    report.scores. Older images have none until they are decoded once more,
    here; nothing is embedded or scored. Killed? Run it again: it goes on.

    \b
    Example:
      curator measure
    """
    found = app.open().measure()
    if as_json:
        return echo_json(found.as_json())
    say(f"{found.measured} images measured" if found.measured or found.left else "every image is measured")
    for reason, count in found.left.items():
        say(f"  {count} not: {reason}")
    return None


@click.command()
@click.argument("destination", type=click.Path(file_okay=False))
@click.option("--keep", type=WholeRange(min=1), metavar="N", help="Then remove all but its newest N backups there.")
@click.option("--without-lost", is_flag=True, help="Also where files are lost that the ledger refers to.")
@click.option("--verify", is_flag=True, help="Make none: compare every file of those there with its manifest.")
@json_option
@pass_app
def backup(app: App, destination: str, keep: int | None, without_lost: bool, verify: bool, as_json: bool) -> None:
    """Back the workspace up into a new folder of DESTINATION.

    It is the state between two runs, whole or not there. Files that never
    change are linked from the backup before, so a second one costs little.
    With --verify, DESTINATION is one backup or a folder of them; the exit code
    is 1 when a file is damaged, missing, or not one of the backup's.

    \b
    Example:
      curator backup ../backups --keep 8
    """
    if verify:
        if keep is not None or without_lost:
            raise UsageError("--verify makes no backup, so it takes neither --keep nor --without-lost")
        return _verify(app, destination, as_json=as_json)
    summary = app.open().backup(destination, keep=keep, without_lost=without_lost)
    if as_json:
        return echo_json(summary.as_json())
    say(
        f"{summary.path}: {summary.files} files, {bytes_text(summary.byte_size)}; {summary.linked} linked from the "
        f"backup before, {bytes_text(summary.copied_bytes)} new"
    )
    for name in summary.renewed:
        say(f"damaged in the backup before, copied afresh: {name}")
    for name in summary.lost:
        say(f"lost in the workspace, so not whole here: {name}")
    for name in summary.removed:
        say(f"removed {name}")
    return None


def _verify(app: App, place: str, *, as_json: bool) -> None:
    from curator.workspace.keep.backup import verify_backups

    found = verify_backups(place)
    if as_json:
        echo_json([check.as_json() for check in found])
    else:
        for check in found:
            say(f"{check.path}: {check.fault or f'{check.files} files'}, {'whole' if check.is_whole else 'NOT WHOLE'}")
            for what in ("damaged", "missing", "extra", "lost"):
                for name in getattr(check, what):
                    say(f"  {what}: {name}")
    if not all(check.is_whole for check in found):
        sys.exit(1)


@click.command()
@click.argument("backup", type=click.Path(file_okay=False))
@click.argument("folder", type=click.Path(file_okay=False))
@pass_app
def restore(app: App, backup: str, folder: str) -> None:
    """Make the workspace of BACKUP at FOLDER, a new or empty one.

    BACKUP is one backup, or a folder of backups: then the newest, if all are
    of one workspace. Every file is compared with what was written; a damaged
    backup is refused.

    \b
    Example:
      curator restore ../backups ../restored
    """
    from curator.workspace import Workspace

    restored = Workspace.restore(backup, folder)
    say(f"{restored.layout.root} is as it was backed up; see: curator -w {folder} doctor --check")


@click.command()
@click.option("--anew", is_flag=True, help="Begin with an empty ledger, where no snapshot is left.")
@json_option
@pass_app
def recover(app: App, anew: bool, as_json: bool) -> None:
    """Make again what the workspace has lost, from what is left of it.

    The ledger, where it is missing, damaged or an older one, from the
    published snapshot; curator.toml, bank spec and labels from the ledger.
    What was in their place is put into aside/. What is whole stays.

    \b
    Example:
      curator recover
    """
    from curator.workspace.keep.recover import recover_workspace

    done = recover_workspace(app.folder, anew=anew)
    if as_json:
        return echo_json(done.as_json())
    for name in done.made:
        say(f"made again: {name}")
    if not done.made:
        say("nothing that could be made again is missing or damaged")
    if done.aside:
        say(f"what was there instead is in {done.aside}: delete it when all is well")
    return say("see: curator doctor --check")

"""`curator init`, `curator doctor`, `curator publish` and `curator config`: the workspace as a whole."""

from __future__ import annotations

import shlex
import sys
from dataclasses import asdict, is_dataclass

import click

from curator.cli.app import App, pass_app
from curator.cli.options import json_option
from curator.cli.output import echo_json, say, say_beside
from curator.printable import printable


@click.command()
@click.argument("folder", type=click.Path(file_okay=False))
@click.option("--labels", required=True, type=click.Path(exists=True, dir_okay=False), help="ID labels, one a line.")
@click.option(
    "--encoder",
    default="mini",
    show_default=True,
    metavar="ADDRESS",
    help="mini, open_clip:<arch>/<pretrained> or transformers:<id or path>.",
)
@pass_app
def init(app: App, folder: str, labels: str, encoder: str) -> None:
    """Make a workspace for your ID labels.

    \b
    Example:
      curator init my-lake --labels labels.txt
    """
    from curator.banks import read_labels
    from curator.encoders import suited_score
    from curator.workspace import Workspace

    workspace = Workspace.create(folder, labels=labels, encoder=encoder)
    suited = suited_score(encoder, len(read_labels(workspace.layout.labels)))
    say(
        f"{workspace.layout.root} is ready, method {suited.method} for {encoder}: {suited.why}. "
        f"Next: curator -w {folder} scan SOURCE; the threshold is a rough one until `calibrate --reference SRC`"
    )


@click.command()
@click.option("--check", is_flag=True, help="Also run every check of sql/checks; exit with 1 when one fails.")
@json_option
@pass_app
def doctor(app: App, check: bool, as_json: bool) -> None:
    """Examine the machine and the workspace.

    \b
    Example:
      curator doctor --check
    """
    findings = app.open().doctor(check=check)
    if as_json:
        echo_json([asdict(finding) for finding in findings])
    else:
        for finding in findings:
            hint = f" ({finding.hint})" if finding.hint else ""
            say_beside(f"{finding.state.ljust(7)}  {finding.subject.ljust(16)}  ", printable(finding.message + hint))
        if not any(finding.state == "failed" for finding in findings):
            echo_next(app)
    if any(finding.state == "failed" for finding in findings):
        sys.exit(1)


def echo_next(app: App) -> None:
    """The three most useful commands of a workspace as it is."""
    from curator.workspace.look.next_steps import next_steps

    start = "curator" if app.folder == "." else f"curator -w {shlex.quote(app.folder)}"
    steps = next_steps(app.results().layout)
    width = max(len(step.command) for step in steps)
    say("\nnext:")
    for step in steps:
        say(f"  {start} {step.command.ljust(width)}  {step.gain}")


@click.command()
@click.option("--to", metavar="URL", help="Also copy the snapshot there: a folder, s3://bucket/key, ...")
@click.option("--replace", is_flag=True, help="Give up runs that the snapshot has and the ledger lacks.")
@pass_app
def publish(app: App, to: str | None, replace: bool) -> None:
    """Publish the ledger as it is now, for readers.

    Every command that writes does this by itself, and copies the snapshot to
    the address in publish.to of curator.toml, if there is one.

    \b
    Example:
      curator publish --to shared/curator.duckdb
    """
    say(app.open().publish(to=to, replace=replace))


@click.command()
@json_option
@pass_app
def config(app: App, as_json: bool) -> None:
    """Show the options in force, resolved.

    \b
    Example:
      curator config
    """
    found = app.open().config
    if as_json:
        return echo_json(asdict(found))
    for name, section in asdict(found).items():
        say(f"[{name}]")
        is_plain = is_dataclass(getattr(found, name))
        for key, value in section.items():
            say(found.line(name, key) if is_plain else f"{key} = {value!r}")
    return None

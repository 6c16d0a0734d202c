"""`curator app` and `curator review`: the lake to look at, and decisions of people, made here or elsewhere."""

from __future__ import annotations

import getpass
import signal
import sys
import threading
from typing import TYPE_CHECKING

import click

from curator.cli.app import App, pass_app
from curator.cli.exit_codes import EXIT_CODES
from curator.cli.options import WholeRange, json_option
from curator.cli.output import echo_json, echo_pairs, echo_records, say

if TYPE_CHECKING:
    from curator.workspace.review.propose import BankProposal

REFUSED_SHOWN = 10
STYLES = ("csv", "jsonl", "fiftyone", "label-studio")

reviewer_option = click.option("--reviewer", metavar="NAME", help="Who decides.  [default: the user]")


def user_name() -> str:
    """The name of whoever runs the command, as far as the system knows."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return "unnamed"


format_of_files = click.option(
    "--format", "style", type=click.Choice(STYLES), help="Of the file.  [default: by its suffix]"
)
limit_option = click.option(
    "-n", "--limit", type=WholeRange(min=1), default=200, show_default=True, help="So many groups, the first."
)


@click.group()
def review() -> None:
    """Decide what is ID and what is OOD, one group of near-duplicates at a time."""


@review.command("export")
@click.option("--to", "target", required=True, type=click.Path(), metavar="FILE", help="A file or folder, a new one.")
@format_of_files
@limit_option
@click.option("--decided", is_flag=True, help="What was decided, instead of what is to be.")
@json_option
@pass_app
def export_(app: App, target: str, style: str | None, limit: int, decided: bool, as_json: bool) -> None:
    """Write what is to be reviewed into FILE, for another tool.

    The suffix says which: .csv, .jsonl, .json for Label Studio's tasks, none
    for a folder with a FiftyOne dataset. Fill in `decision` (id, ood, unsure,
    bad_image) and read the file back with `curator review import`.

    \b
    Example:
      curator review export --to review.csv
    """
    found = app.open().reviews.export_to(target, style=style, limit=limit, decided=decided)
    for image_id, reason in found.left_out.items():
        say(f"curator: image {image_id} is left out: {reason}", err=True)
    facts = {"path": found.path, "format": found.format, "items": found.items, "left_out": len(found.left_out)}
    facts |= {"ruled_by": str(found.ruled_by)}
    echo_json(found.as_json()) if as_json else echo_pairs(facts)


@review.command("import")
@click.argument("file", type=click.Path(exists=True))
@format_of_files
@reviewer_option
@json_option
@pass_app
def import_(app: App, file: str, style: str | None, reviewer: str | None, as_json: bool) -> None:
    """Record the decisions in FILE.

    A line that cannot be used is named with the reason and costs nothing
    else; where all are such, the exit code is 3. Importing the same file
    again changes nothing.

    \b
    Example:
      curator review import decided.csv --reviewer me
    """
    found = app.open().reviews.import_from(file, style=style, reviewer=reviewer or user_name())
    if as_json:
        echo_json(found.as_json())
    else:
        counts = {key: value for key, value in found.as_json().items() if key != "faults"}
        echo_pairs(counts | {"refused": len(found.faults)})
        for fault in found.faults:
            say(f"curator: {file}: {fault.where}: {fault.reason}", err=True)
    if found.faults and len(found.faults) == found.lines:
        app.complain(f"{file}: no line of it can be used", ending="rejects")
        sys.exit(EXIT_CODES["rejects"])


@click.command("app")
@click.option("--port", type=WholeRange(0, 65535), default=0, help="On this port.  [default: a free one]")
@reviewer_option
@pass_app
def app_(app: App, port: int, reviewer: str | None) -> None:
    """Look at the images in a browser of this machine, and decide.

    A grid of all images, or of what is to be reviewed; filters, also in SQL;
    i = ID, o = OOD, u = unsure, b = bad image, z = undo, ? = all keys. Open
    the address that is printed; nobody else can. It follows what scans find.
    Ctrl-C ends it, and nothing that was decided is lost.

    \b
    Example:
      curator app
    """
    ended = threading.Event()
    before = signal.signal(signal.SIGTERM, lambda *_: ended.set())
    workspace = app.open()
    try:
        made, recorded = workspace.serve_app(reviewer=reviewer or user_name(), port=port, ready=_ready, ended=ended)
    finally:
        signal.signal(signal.SIGTERM, before)
    say(f"{made} decisions" + ("" if recorded else "; another run writes: the next command about reviews records them"))


def _ready(address: str, images: int) -> None:
    say(f"{images} images at {address}  (Ctrl-C ends)")


OTHER_NAME = """The app for people who look, as `curator app` has it.

\b
Example:
  curator review serve
"""
review.add_command(click.Command("serve", params=app_.params, callback=app_.callback, help=OTHER_NAME))


@click.command()
@click.option("--parent", default="base", show_default=True, metavar="BANK", help="The bank to change.")
@click.option("--name", metavar="NAME", help="Of the new bank.  [default: PARENT-reviewed]")
@click.option("--method", metavar="NAME", help="Judge by this method.  [default: the configured one]")
@click.option("--write", is_flag=True, help="Write banks/NAME.toml.")
@click.option("--build", is_flag=True, help="Write it, and build a version of it.")
@json_option
@pass_app
def propose(
    app: App, parent: str, name: str | None, method: str | None, write: bool, build: bool, as_json: bool
) -> None:
    """Propose changes of a bank from what reviewers decided.

    Images decided ID but flagged speak against the negative labels that flag
    them; images decided OOD but kept ask for the words nearest to them. Each
    change is tried out, and the whole is judged on other images: what flags
    more ID images or fewer OOD images is refused.

    \b
    Example:
      curator bank propose --parent base
    """
    workspace = app.open()
    found = workspace.reviews.propose(parent, name=name, method=method, write=write, build=build)
    echo_json(found.as_json()) if as_json else echo_proposal(found, method)


def echo_advice(found: BankProposal) -> None:
    """Where nothing is proposed: what each label in question would cost, and what would change the verdict."""
    say("nothing is proposed")
    if found.advice:
        say(found.advice)
    for item in [item for item in found.candidates if item.cost][:REFUSED_SHOWN]:
        change = "without" if item.action == "remove" else "with"
        say(f"{change} {item.label}: {item.cost}; it takes: {item.needs}")


def echo_proposal(found: BankProposal, method: str | None) -> None:
    """The labels with their evidence, the figures before and after, and what became of it. `method`: as asked for."""
    columns = ("action", "label", "witnesses", "decided", "against", "noted", "cosine")
    rows = [
        {name: getattr(item, name) for name in columns}
        | {"images": len(item.images), "example": next(iter(item.images), ""), "outcome": item.outcome or "proposed"}
        for item in found.candidates
    ]
    refused = [row for row in rows if row["outcome"] != "proposed"]
    shown = [row for row in rows if row not in refused[REFUSED_SHOWN:]]
    if shown:
        echo_records(shown)
    if len(refused) > REFUSED_SHOWN:
        say(f"and {len(refused) - REFUSED_SHOWN} more that are not proposed: --json has all")
    say(f"\n{found.reviewed} reviewed, {found.reference} reference images, by {found.method_id} of {found.parent}")
    if found.before is None:
        return echo_advice(found)
    for name in ("before", "after"):
        figures = getattr(found, name)
        area = "" if figures.auroc is None else f", AUROC {figures.auroc:.4f}"
        say(
            f"{name}: flags {figures.id_flagged} of {figures.id_count} ID images and {figures.ood_flagged} of "
            f"{figures.ood_count} OOD images{area}"
        )
    if not found.held_out:
        say("few reviews: the proposal was judged on the images that it was made from")
    say(f"refused: {found.verdict}" if found.verdict else "the proposal makes nothing worse")
    if found.written:
        say(f"wrote {found.written}")
    elif not found.verdict:
        say("write it with --write, or --build to have a version as well")
    if found.built:
        say(f"built {found.built}; put it in force by `curator use {' '.join(filter(None, (found.name, method)))}`")
    return None

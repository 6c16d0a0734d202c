"""`curator bank ants|mmood|synood|eoe|adaneg|tanl`: banks that learn from what a scan found."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from curator.cli.app import App, pass_app
from curator.cli.options import FiniteRange, WholeRange, json_option
from curator.cli.output import echo_json, echo_pairs, echo_rows, say
from curator.printable import printable

if TYPE_CHECKING:
    from curator.generators.asking import PlannedCalls
    from curator.workspace import LearnSummary

Command = TypeVar("Command", bound=Callable[..., Any])
ROLES = ("describer", "reasoner", "painter")


def learning_options(command: Command) -> Command:
    """What all of these commands take."""
    for option in (
        json_option,
        click.option("--wait", type=FiniteRange(min=0), default=0, metavar="SECONDS", help="For another run."),
        click.option("--force", is_flag=True, help="Keep a version that flags more held-out ID images."),
        click.option("--dry-run", is_flag=True, help="List the calls it would make; make none."),
        click.option("--max-calls", type=WholeRange(min=0), metavar="N", help="Send at most N calls."),
        click.option("--painter", metavar="ADDRESS", help="features, diffusers:ID  [default: curator.toml's]"),
        click.option("--reasoner", metavar="ADDRESS", help="wordnet, transformers:ID, endpoint:MODEL"),
        click.option("--describer", metavar="ADDRESS", help="vocabulary, transformers:ID, endpoint:MODEL"),
        click.option("--reference", multiple=True, metavar="SRC", help="Images known to be ID, taken in first."),
        click.option(
            "-s", "--set", "settings", multiple=True, metavar="KEY=VALUE", help="A setting, before the spec's."
        ),
        click.option("--parent", metavar="BANK", help="The bank it starts from.  [default: base]"),
    ):
        command = option(command)
    return command


@click.command()
@click.argument("name", default="ants")
@click.option("--mode", type=click.Choice(["frozen", "online"]), help="Learn and freeze, or score as it learns.")
@learning_options
@pass_app
def ants(app: App, /, name: str, mode: str | None, **given: Any) -> None:
    """Make a bank by ANTS: negative images, described and imagined on.

    Takes the images of the lake that the parent bank doubts most, has them
    described, asks for look-alikes of the ID classes near them, and weighs
    both sides. frozen learns on a sample and scores anything; online scores
    the lake as it learns, so that results depend on the order of images.

    \b
    Example:
      curator bank ants --dry-run
    """
    learn(app, "ants", name, {"mode": mode}, **given)


@click.command()
@click.argument("name", default="mmood")
@click.option("--branch", type=click.Choice(["near", "far", "mix"]), help="Which outliers.  [default: mix]")
@click.option("--mix", type=click.Choice(["labels", "scores"]), help="What mix mixes half and half.")
@learning_options
@pass_app
def mmood(app: App, /, name: str, branch: str | None, mix: str | None, **given: Any) -> None:
    """Make a bank by MM-OOD: near from ID images, far from pictures.

    near shows an image of each ID class to the reasoner. far sketches
    labels for groups of classes, paints the most different ones, and goes
    on from the pictures.

    \b
    Example:
      curator bank mmood --branch near --dry-run
    """
    learn(app, "mmood", name, {"branch": branch, "mix": mix}, **given)


@click.command()
@click.argument("name", default="synood")
@learning_options
@pass_app
def synood(app: App, /, name: str, **given: Any) -> None:
    """Make a bank by SynOOD: outliers near the boundary, and training.

    Paints images near the boundary of the ID classes out of ID images, gives
    each a negative label, and trains a projection of image vectors and the
    vectors of those labels. Needs ID images: see --reference.

    \b
    Example:
      curator bank synood --reference /data/known-id
    """
    learn(app, "synood", name, {}, **given)


@click.command()
@click.argument("name", default="eoe")
@click.option(
    "--task",
    type=click.Choice(["near", "far", "fine-grained", "general", "irrelevant", "dissimilar"]),
    help="Which outlier labels to imagine.  [default: near]",
)
@learning_options
@pass_app
def eoe(app: App, /, name: str, task: str | None, **given: Any) -> None:
    """Make a bank by EOE: outlier labels imagined from the ID labels.

    \b
    Example:
      curator bank eoe --task near --dry-run
    """
    learn(app, "eoe", name, {"task": task}, **given)


@click.command()
@click.argument("name", default="adaneg")
@click.option("--mode", type=click.Choice(["frozen", "online"]), help="Learn and freeze, or score as it learns.")
@learning_options
@pass_app
def adaneg(app: App, /, name: str, mode: str | None, **given: Any) -> None:
    """Make a bank by AdaNeg: labels moved by the images they attract.

    \b
    Example:
      curator bank adaneg
    """
    learn(app, "adaneg", name, {"mode": mode}, **given)


@click.command()
@click.argument("name", default="tanl")
@click.option("--mode", type=click.Choice(["frozen", "online"]), help="Learn and freeze, or score as it learns.")
@learning_options
@pass_app
def tanl(app: App, /, name: str, mode: str | None, **given: Any) -> None:
    """Make a bank by TANL: the negatives that OOD images activate most.

    \b
    Example:
      curator bank tanl
    """
    learn(app, "tanl", name, {"mode": mode}, **given)


SYSTEM_COMMANDS = (ants, mmood, synood, eoe, adaneg, tanl)


def learn(app: App, system: str, name: str, own: Mapping[str, str | None], **given: Any) -> None:
    """What every one of the commands does."""
    from curator.cli.progress import ScanProgress
    from curator.systems.settings import typed
    from curator.workspace import LearnRequest

    workspace = app.open({f"generators.{role}": given[role] for role in ROLES})
    settings = typed(parsed(given["settings"])) | {key: value for key, value in own.items() if value is not None}
    request = LearnRequest(
        system,
        name,
        parent=given["parent"],
        settings=settings,
        reference=given["reference"],
        max_calls=given["max_calls"],
        force=given["force"],
        wait_seconds=given["wait"],
    )
    if given["dry_run"]:
        return echo_plan(workspace.plan_bank(request), as_json=given["as_json"])
    with ScanProgress(quiet=app.verbosity < 0) as progress:
        summary = workspace.learn_bank(request, watcher=progress)
    return echo_json(summary.as_json()) if given["as_json"] else echo_summary(summary)


def parsed(settings: Sequence[str]) -> dict[str, str]:
    """`key=value` pairs. Raises UsageError for one without a value."""
    from curator.errors import UsageError

    pairs = [item.partition("=") for item in settings]
    for key, sign, _ in pairs:
        if not sign or not key.strip():
            raise UsageError(f"{key!r} is no setting", hint="write -s key=value, such as -s images=200")
    return {key.strip(): value.strip() for key, _, value in pairs}


def echo_plan(plan: Sequence[PlannedCalls], *, as_json: bool) -> None:
    """The calls of each prompt, as rows; nothing was sent."""
    from dataclasses import asdict

    import pyarrow as pa

    rows = [asdict(item) | {"to_make": item.to_make} for item in plan]
    if as_json:
        return echo_json(rows)
    shown = ("role", "model", "prompt", "calls", "answered", "to_make")
    echo_rows(pa.table({name: [row[name] for row in rows] for name in shown}))
    for item in plan:
        say(f"{item.prompt}, for example: {printable(' '.join(item.example.split()))}", err=True)
    total = sum(item.to_make for item in plan)
    say(f"{total} calls would be made now; stages that build on their answers come after them", err=True)
    return None


def echo_summary(summary: LearnSummary) -> None:
    """A run in a few lines."""
    from curator.cli.bank import readable

    echo_pairs(
        {
            "bank": f"{summary.bank} ({summary.bank_digest[:12]})",
            "id_labels": summary.id_labels,
            "negative_labels": summary.negative_labels,
            "calls_sent": summary.sent,
            **{f"calls_{status}": count for status, count in summary.calls.items()},
            **{f"learned.{key}": value for key, value in readable(summary.facts).items()},
            **readable(summary.account),
            **{f"online.{key}": value for key, value in readable(summary.online or {}).items()},
            "guard": summary.guard_note,
            "seconds": summary.seconds,
        }
    )
    name = summary.bank.partition(" ")[0]
    say(f"next: curator score --bank {name} --method {summary.method}; curator bank show {name}", err=True)

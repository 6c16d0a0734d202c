"""`curator bank <system>`: banks that learn from what a scan found, a command for every registered system."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from curator.cli.app import App, pass_app
from curator.cli.options import Command, WholeRange, json_option, wait_option
from curator.cli.output import echo_json, echo_pairs, echo_rows, say
from curator.printable import printable
from curator.systems.registry import SYSTEMS, System, find_system

if TYPE_CHECKING:
    from curator.generators.asking import PlannedCalls
    from curator.workspace import LearnSummary

ROLES = ("describer", "reasoner", "painter")


def learning_options(command: Command) -> Command:
    """What all of these commands take."""
    for option in (
        json_option,
        wait_option("For another run."),
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


def learn(
    app: App, /, *, system: System, name: str, settings: Sequence[str], dry_run: bool, as_json: bool, **given: Any
) -> None:
    """What every one of the commands does. given: the roles, the choices of the system, and fields of the request."""
    from curator.cli.progress import ScanProgress
    from curator.workspace import LearnRequest

    workspace = app.open({f"generators.{role}": given.pop(role) for role in ROLES})
    own = {key: value for key in system.choices if (value := given.pop(key)) is not None}
    request = LearnRequest(system.name, name, settings=parsed(settings) | own, **given)
    if dry_run:
        return echo_plan(workspace.plan_bank(request), as_json=as_json)
    with ScanProgress(quiet=app.verbosity < 0) as progress:
        summary = workspace.learn_bank(request, watcher=progress)
    return echo_json(summary.as_json()) if as_json else echo_summary(summary)


def parsed(settings: Sequence[str]) -> dict[str, object]:
    """`key=value` pairs as TOML would hold them: a number, a truth value or a list where they are one, else text.

    Raises UsageError for one without a value.
    """
    from curator.errors import UsageError

    pairs = [item.partition("=") for item in settings]
    for key, sign, _ in pairs:
        if not sign or not key.strip():
            raise UsageError(f"{key!r} is no setting", hint="write -s key=value, such as -s images=200")
    return {key.strip(): _toml_value(value.strip()) for key, _, value in pairs}


def _toml_value(text: str) -> object:
    import tomllib

    try:
        found: object = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
    return found


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


def command_of(system: System) -> click.Command:
    """The command that puts a system to work; settings that are often changed have an option of their own."""
    command = learning_options(pass_app(partial(learn, system=system)))
    for name, choice in reversed(list(system.choices.items())):
        command = click.option(f"--{name}", type=click.Choice(choice.values), help=choice.help)(command)
    command = click.argument("name", default=system.name)(command)
    return click.command(system.name, help=system.help)(command)


SYSTEM_COMMANDS = tuple(command_of(find_system(name)) for name in SYSTEMS.names())

"""`curator bank`: build, list, show, audit and compare label banks; and a command for every system that learns one."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import click

from curator.cli.app import App, pass_app
from curator.cli.bank_plan import echo_plan
from curator.cli.exit_codes import EXIT_CODES
from curator.cli.options import (
    Command,
    FiniteRange,
    Overrides,
    Show,
    WholeRange,
    json_option,
    labels_map_option,
    row_options,
    wait_option,
)
from curator.cli.output import echo_json, echo_pairs, echo_records, echo_rows, say, write_file
from curator.cli.terminal.progress import ScanProgress
from curator.cli.terminal.rows import cell
from curator.errors import UsageError
from curator.systems.registry import SYSTEMS, System, find_system

if TYPE_CHECKING:
    from curator.workspace import DiffReport, LearnSummary
    from curator.workspace.look.bank_flags import FlagChanges

ROLES = ("describer", "reasoner", "viewer", "painter")


@click.group()
def bank() -> None:
    """Build, look at and compare label banks."""


@bank.command()
@click.argument("name", default="base")
@wait_option("Wait so long for another run to end.  [default: 0]")
@json_option
@pass_app
def build(app: App, name: str, wait_seconds: float, as_json: bool) -> None:
    """Build bank NAME from banks/NAME.toml.

    An unchanged spec gives the version that exists.

    \b
    Example:
      curator bank build base
    """
    made = app.open().build_bank(name, wait_seconds=wait_seconds)
    facts = {
        "name": made.name,
        "digest": made.digest,
        "encoder_id": made.encoder_id,
        "id_labels": made.id_count,
        "negative_labels": len(made.labels) - made.id_count,
    }
    echo_json(facts | {"lineage": dict(made.lineage)}) if as_json else echo_pairs(facts)


@bank.command("list")
@row_options
@pass_app
def list_(app: App, show: Show) -> None:
    """List bank versions, the newest first.

    \b
    Example:
      curator bank list
    """
    show(app.results().banks())


@bank.command()
@click.argument("address", default="base")
@click.option("--role", type=click.Choice(["id", "negative"]), help="Only labels of this role.")
@click.option("-n", "--limit", type=WholeRange(min=1), default=20, show_default=True, help="Labels of each role.")
@click.option("--html", type=click.Path(dir_okay=False), metavar="FILE", help="Write it as a page, with its pictures.")
@json_option
@pass_app
def show(
    app: App, address: str, role: Literal["id", "negative"] | None, limit: int, html: str | None, as_json: bool
) -> None:
    """Show a bank version: where it comes from, what is doubtful, its labels.

    ADDRESS is NAME (the newest version), NAME@v2 or NAME@DIGEST.

    \b
    Example:
      curator bank show base --role negative
    """
    if html is not None:
        write_file(html, app.open().bank_page(address))
        return say(f"wrote {html}", err=True)
    facts, labels = app.open().show_bank(address, role=role, limit=limit)
    if as_json:
        return echo_json(facts | {"labels": labels.to_pylist()})
    echo_pairs(readable(facts))
    say()
    echo_rows(labels)
    return None


@bank.command()
@click.argument("address", default="base")
@click.option(
    "--min-cosine", type=FiniteRange(-1, 1), help="A negative is near an ID label from here.  [default: a rule]"
)
@click.option(
    "--fail-on",
    "most_same_names",
    type=WholeRange(min=0),
    metavar="N",
    help="Exit with 4 if more than N negatives are equal or synonymous to an ID label.",
)
@click.option("--left-out", is_flag=True, help="What the rules of the spec left out, and how to restore it.")
@row_options
@pass_app
def audit(
    app: App, address: str, min_cosine: float | None, most_same_names: int | None, left_out: bool, show: Show
) -> None:
    """List the doubtful labels of a bank version, the gravest first.

    A negative is doubtful when it equals an ID label or is its synonym in
    any sense of WordNet; when it is a hyponym (a kind of it) or hypernym up
    to two steps away; when it repeats a text or a vector; and when it is
    near: as near to an ID label as at least half of the ID labels are to
    their nearest neighbour. ID labels are compared with each other.

    --left-out counts instead what never became a candidate, by rule: words
    of kinds that are not asked for, proper nouns, subcategories of an ID
    label, and names of ID labels.

    ADDRESS is NAME (the newest version), NAME@v2 or NAME@DIGEST.

    \b
    Example:
      curator bank audit base
      curator bank audit base --left-out
    """
    report = app.open().audit_bank(address, min_cosine=min_cosine)
    show(report.left_out if left_out else report.table)
    say(
        f"{report.bank}: in doubt are {report.doubtful_negatives} of {report.negative_count} negatives, "
        f"{report.same_names} of them by name, and {report.doubtful_id_labels} of {report.id_count} ID labels; "
        f"a negative is near from cosine {report.min_cosine:.3f}; "
        f"its rules left out {sum(report.left_out['words'].to_pylist())} words, see --left-out",
        err=True,
    )
    if report.remark:
        say(report.remark, err=True)
    if most_same_names is not None and report.same_names > most_same_names:
        say(f"curator: more than {most_same_names} negatives name an ID label", err=True)
        sys.exit(EXIT_CODES["condition"])


@bank.command()
@click.argument("old")
@click.argument("new")
@click.option(
    "-n", "--limit", type=WholeRange(min=1), default=50, show_default=True, help="Changes shown; --json has all."
)
@json_option
@pass_app
def diff(app: App, old: str, new: str, limit: int, as_json: bool) -> None:
    """Compare two bank versions: labels, spec, encoder, and flags.

    Flags are compared where images were scored under both versions; else the
    command that does it is named.

    OLD and NEW are NAME (the newest version), NAME@v2 or NAME@DIGEST.

    \b
    Example:
      curator bank diff base@v1 base
    """
    report = app.open().diff_banks(old, new)
    echo_json(report.as_json()) if as_json else _echo_diff(report, limit)


def _echo_diff(report: DiffReport, limit: int) -> None:
    """Facts and spec keys side by side, the number of changes of each kind, and the first changes."""
    both = {key: (report.old[key], report.new[key]) for key in report.old}
    both |= {f"spec.{key}": values for key, values in report.diff.spec.items()}
    echo_records({"": key, "old": _brief(old), "new": _brief(new)} for key, (old, new) in both.items())
    say()
    echo_pairs(readable(report.counts()))
    changes = [
        {"change": item.change, "role": item.role, "label": item.label, "old": item.old, "new": item.new}
        for item in report.diff.changes[:limit]
    ]
    if changes:
        say()
        echo_records(changes)
    say()
    _echo_flag_changes(report.flags, limit)


def _echo_flag_changes(flags: FlagChanges, limit: int) -> None:
    """How many flags differ, and examples; or what to do to know."""
    if flags.note is not None:
        return say(f"flags: {flags.note}")
    say(f"flags of {flags.images} images under {flags.old} and {flags.new}:")
    say(
        f"{flags.newly_flagged} kept -> flagged, {flags.newly_kept} flagged -> kept; "
        f"{flags.flagged_by_both} flagged by both, {flags.kept_by_both} kept by both"
    )
    if flags.examples:
        say()
        echo_records(flags.examples[:limit])
    return None


@bank.command()
@click.argument("name", required=False)
@pass_app
def deps(app: App, name: str | None) -> None:
    """Print which files and banks the spec of bank NAME reads, for make.

    Without NAME, for all banks of a night, which the variable BANKS names:
    that of [scan] and those of [night] in curator.toml. The Makefile of the
    workspace calls it.

    \b
    Example:
      curator bank deps
      curator bank deps base
    """
    click.echo(app.open().bank_dependencies(name), nl=False)


def learning_options(command: Command) -> Command:
    """What all of these commands take."""
    for option in (
        json_option,
        wait_option("For another run."),
        click.option("--force", is_flag=True, help="Learn without a clear excess of OOD; keep a worse bank."),
        click.option("--ask-again", is_flag=True, help="Ask anew what was rejected; answers stay."),
        click.option("--dry-run", is_flag=True, help="List the calls it would make; make none."),
        click.option(
            "--max-calls",
            type=WholeRange(min=0),
            metavar="N",
            help="Send models at most N calls; embedded ones are free.",
        ),
        click.option(
            "--painter", metavar="ADDRESS", help="features, composites, diffusers:ID  [default: curator.toml's]"
        ),
        click.option("--viewer", metavar="ADDRESS", help="of labels with images; reasoner: the same model"),
        click.option("--reasoner", metavar="ADDRESS", help="wordnet, transformers:ID, endpoint:MODEL"),
        click.option("--describer", metavar="ADDRESS", help="vocabulary, transformers:ID, endpoint:MODEL"),
        labels_map_option,
        click.option("--reference", multiple=True, metavar="SRC", help="Images known to be ID, taken in first."),
        click.option(
            "-s", "--set", "settings", multiple=True, metavar="KEY=VALUE", help="A setting, before the spec's."
        ),
        click.option("--parent", metavar="BANK", help="The bank it starts from.  [default: base]"),
    ):
        command = option(command)
    return command


def learn(
    app: App,
    /,
    *,
    system: System,
    name: str,
    settings: Sequence[str],
    dry_run: bool,
    as_json: bool,
    naming: Overrides,
    **given: Any,
) -> None:
    """What each of the commands does. given: the roles, the choices of the system, and keywords of `learn_bank`."""
    workspace = app.open({**naming, **{f"generators.{role}": given.pop(role) for role in ROLES}})
    own = {key: value for key in system.choices if (value := given.pop(key)) is not None}
    asked = parsed(settings) | own
    if dry_run:
        how = {key: given[key] for key in ("parent", "force", "ask_again")}
        plan = workspace.plan_bank(system.name, name, settings=asked, **how)
        return echo_plan(plan, as_json=as_json)
    with ScanProgress() as progress:
        summary = workspace.learn_bank(system.name, name, settings=asked, **given, watcher=progress)
    return echo_json(summary.as_json()) if as_json else echo_summary(summary, whole=app.verbosity > 0)


def parsed(settings: Sequence[str]) -> dict[str, object]:
    """`key=value` pairs as TOML would hold them: a number, a truth value or a list where they are one, else text.

    Raises UsageError for one without a value.
    """
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


def echo_summary(summary: LearnSummary, *, whole: bool) -> None:
    """A run in a few lines; the `whole` of it with what every step counted."""
    calls = [f"{summary.sent} sent", *(f"{count} {status}" for status, count in summary.calls.items())]
    facts = {f"learned.{key}": value for key, value in readable(summary.facts).items()} | readable(summary.account)
    online = {f"online.{key}": value for key, value in readable(summary.online or {}).items()}
    pairs = {
        "bank": f"{summary.bank} ({summary.bank_digest[:12]})",
        "labels": f"{summary.id_labels} ID, {summary.negative_labels} negative",
        **({"dropped": summary.labels_note} if summary.labels_note else {}),
        "calls": ", ".join(calls),
        **(facts | online if whole else {}),
        **({"lake": summary.excess_note} if summary.excess_note else {}),
        "guard": summary.guard_note,
        "seconds": f"{summary.seconds:.1f}",
    }
    echo_pairs(pairs)
    name = summary.bank.partition(" ")[0]
    steps = [f"curator bank show {name}", f"curator calibrate --bank {name} --method {summary.method}"]
    judge = [] if summary.judged else ["curator evaluate, since nothing judged it"]
    say(f"next: {'; '.join([*judge, *steps])}; then curator use {name}", err=True)
    if not whole and (facts or online):
        say(f"{len(facts | online)} more figures: --json, or `curator -v bank …`", err=True)


def command_of(system: System) -> click.Command:
    """The command that puts a system to work; settings that are often changed have an option of their own."""
    command = learning_options(pass_app(partial(learn, system=system)))
    for name, choice in reversed(list(system.choices.items())):
        command = click.option(f"--{name}", type=click.Choice(choice.values), help=choice.help)(command)
    command = click.argument("name", default=system.name)(command)
    return click.command(system.name, help=system.help)(command)


for system_name in SYSTEMS.names():
    bank.add_command(command_of(find_system(system_name)))


def readable(facts: Mapping[str, object]) -> dict[str, str]:
    """Nested facts as one list of dotted names."""
    from curator.banks.diff import dotted

    return {name: _brief(value) for name, value in dotted(facts).items()}


def _brief(value: object) -> str:
    """A value for a person's eye; of a list, how many and the first three."""
    if isinstance(value, list):
        more = ", …" if len(value) > 3 else ""
        return f"{len(value)}: {', '.join(map(cell, value[:3]))}{more}" if value else "none"
    return "none" if value is None or value == {} else cell(value)

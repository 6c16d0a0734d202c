"""`curator bank`: build, list, show, audit and compare label banks."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

import click

from curator.cli.app import App, pass_app
from curator.cli.options import FiniteRange, Show, WholeRange, json_option, row_options, wait_option
from curator.cli.output import echo_json, echo_pairs, echo_records, echo_rows, say, write_file
from curator.cli.rows import cell
from curator.endings import EXIT_CODES

if TYPE_CHECKING:
    from curator.workspace import DiffReport
    from curator.workspace.look.bank_flags import FlagChanges


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
    show(app.open().banks())


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
@row_options
@pass_app
def audit(app: App, address: str, min_cosine: float | None, most_same_names: int | None, show: Show) -> None:
    """List the doubtful labels of a bank version, the gravest first.

    A negative is doubtful when it equals an ID label or is its synonym in
    any sense of WordNet; when it is a hyponym (a kind of it) or hypernym up
    to two steps away; when it repeats a text or a vector; and when it is
    near: as near to an ID label as at least half of the ID labels are to
    their nearest neighbour. ID labels are compared with each other.

    ADDRESS is NAME (the newest version), NAME@v2 or NAME@DIGEST.

    \b
    Example:
      curator bank audit base
    """
    report = app.open().audit_bank(address, min_cosine=min_cosine)
    show(report.table)
    say(
        f"{report.bank}: in doubt are {report.doubtful_negatives} of {report.negative_count} negatives, "
        f"{report.same_names} of them by name, and {report.doubtful_id_labels} of {report.id_count} ID labels; "
        f"a negative is near from cosine {report.min_cosine:.3f}",
        err=True,
    )
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
@click.argument("name", default="base")
@pass_app
def deps(app: App, name: str) -> None:
    """Print which files and banks the spec of bank NAME reads, for make.

    The Makefile of the workspace calls it.

    \b
    Example:
      curator bank deps base
    """
    click.echo(app.open().bank_dependencies(name), nl=False)


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

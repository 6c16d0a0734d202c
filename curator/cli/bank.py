"""`curator bank`: build, list and show label banks."""

from __future__ import annotations

from typing import Literal, cast

import click

from curator.cli.app import App, pass_app
from curator.cli.options import format_option, json_option, output_option
from curator.cli.output import echo_json, echo_pairs, echo_rows


@click.group()
def bank() -> None:
    """Build and look at label banks."""


@bank.command()
@click.argument("name", default="base")
@json_option
@pass_app
def build(app: App, name: str, as_json: bool) -> None:
    """Build bank NAME from banks/NAME.toml.

    An unchanged spec gives the version that exists.

    \b
    Example:
      curator bank build base
    """
    made = app.open().build_bank(name)
    facts = {
        "name": made.name,
        "digest": made.digest,
        "encoder_id": made.encoder_id,
        "id_labels": made.id_count,
        "negative_labels": len(made.labels) - made.id_count,
    }
    echo_json(facts | {"lineage": dict(made.lineage)}) if as_json else echo_pairs(facts)


@bank.command("list")
@format_option
@output_option
@json_option
@pass_app
def list_(app: App, style: str | None, output: str | None, as_json: bool) -> None:
    """List bank versions, the newest first.

    \b
    Example:
      curator bank list
    """
    echo_rows(app.open().banks(), style="json" if as_json else style, output=output)


@bank.command()
@click.argument("address", default="base")
@click.option("--role", type=click.Choice(["id", "negative"]), help="Only labels of this role.")
@click.option("-n", "--limit", type=click.IntRange(min=1), default=20, show_default=True, help="Labels of each role.")
@json_option
@pass_app
def show(app: App, address: str, role: str | None, limit: int, as_json: bool) -> None:
    """Show a bank version: where it comes from and its labels.

    ADDRESS is NAME or NAME@DIGEST.

    \b
    Example:
      curator bank show base --role negative
    """
    facts, labels = app.open().show_bank(address, role=cast(Literal["id", "negative"] | None, role), limit=limit)
    if as_json:
        return echo_json(facts | {"labels": labels.to_pylist()})
    echo_pairs(facts)
    click.echo()
    echo_rows(labels)
    return None

"""`curator models`: what encoders there are, and how to get their weights."""

from __future__ import annotations

import click

from curator.cli.app import App, pass_app
from curator.cli.options import json_option
from curator.cli.output import echo_json, say


@click.group()
def models() -> None:
    """List encoders and fetch their weights."""


@models.command("list")
@click.option("--family", type=click.Choice(["mini", "open_clip", "transformers", "fake"]), help="Only this family.")
@json_option
@pass_app
def list_(app: App, family: str | None, as_json: bool) -> None:
    """List the encoder addresses that are known by name.

    \b
    Example:
      curator models list --family mini
    """
    from curator.encoders import list_models

    addresses = list_models(family)
    if as_json:
        return echo_json(addresses)
    for address in addresses:
        say(address)
    return None


@models.command()
@click.argument("address")
@pass_app
def fetch(app: App, address: str) -> None:
    """Download the weights of an encoder for work offline.

    \b
    Example:
      curator models fetch mini
    """
    from curator.encoders import fetch_weights

    say(fetch_weights(address))

"""`curator index`: nearest-neighbour indexes and search."""

from __future__ import annotations

from typing import Literal

import click

from curator.cli.app import App, pass_app
from curator.cli.options import Show, WholeRange, row_options


@click.group()
def index() -> None:
    """Build indexes and search them."""


@index.command()
@row_options
@pass_app
def build(app: App, show: Show) -> None:
    """Build or update the image and label indexes.

    Searching does this by itself when an index is stale.

    \b
    Example:
      curator index build
    """
    show(app.open().build_indexes())


@index.command("list")
@row_options
@pass_app
def list_(app: App, show: Show) -> None:
    """List indexes and recipes, and say what is stale.

    \b
    Example:
      curator index list
    """
    show(app.open().indexes())


@index.command()
@click.argument("text", required=False)
@click.option("--image", metavar="FILE", help="Search by an image: a file, or the address of one in the lake.")
@click.option("--label", metavar="NAME", help="Search by a label of the bank.")
@click.option("-k", type=WholeRange(min=1), default=10, show_default=True, help="How many.")
@click.option(
    "--in",
    "among",
    type=click.Choice(["images", "labels"]),
    default="images",
    show_default=True,
    help="What to search.",
)
@row_options
@pass_app
def search(
    app: App,
    text: str | None,
    image: str | None,
    label: str | None,
    k: int,
    among: Literal["images", "labels"],
    show: Show,
) -> None:
    """Find the images (or labels) nearest to TEXT, an image or a label.

    \b
    Example:
      curator index search "a red tram" -k 10
    """
    workspace = app.open()
    found = workspace.search(text=text, image=image, label=label, k=k, among=among)
    show(found, ruled_by=app.ruling(workspace))

"""`curator explain`: why an image is flagged or kept."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from curator.cli.app import App, pass_app
from curator.cli.options import WholeRange, json_option
from curator.cli.output import echo_json, echo_pairs, echo_records, say, write_file
from curator.errors import SourceError, UsageError
from curator.printable import printable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from curator.workspace import Explanation


@click.command()
@click.argument("image")
@click.option("--bank", metavar="NAME", help="Under this bank: NAME or NAME@DIGEST.  [default: as the views judge]")
@click.option("--method", metavar="NAME", help="By this method.  [default: as the views judge]")
@click.option("-k", "count", type=WholeRange(min=1), default=5, show_default=True, help="Of each kind of neighbour.")
@click.option("--thumbnail", metavar="FILE", help="Write the image here, small; -: into the JSON, in base64.")
@click.option("--html", type=click.Path(dir_okay=False), metavar="FILE", help="Write it as a page, with the image.")
@json_option
@pass_app
def explain(
    app: App,
    image: str,
    bank: str | None,
    method: str | None,
    count: int,
    thumbnail: str | None,
    html: str | None,
    as_json: bool,
) -> None:
    """Explain why IMAGE is flagged or kept.

    IMAGE is the address of an image, the end of its address, its id, or a
    file. Shows the nearest labels with their share of the score and what the
    score would be without each, which single label decides and how it was
    made, the nearest ID reference images and lake neighbours, the policy.

    \b
    Example:
      curator explain red-00.png
    """
    if thumbnail == "-" and not as_json:
        raise UsageError("--thumbnail - puts the image into the JSON", hint="add --json, or name a file")
    found = app.open().explain(image, bank=bank, method=method, k=count, thumbnail=bool(thumbnail or html))
    if thumbnail not in (None, "-"):
        if found.thumbnail is None:
            raise SourceError(f"no thumbnail: {found.thumbnail_fault}")
        write_file(str(thumbnail), found.thumbnail)
    if html is not None:
        write_file(html, found.as_html())
        say(f"wrote {html}", err=True)
    if as_json:
        hidden = {"thumbnail": None} if thumbnail != "-" else {}
        echo_json(found.as_json() | hidden)
    elif html is None:
        echo_explanation(found)


def echo_explanation(found: Explanation) -> None:
    """An explanation for a person's eye."""
    from curator.methods.spec import short_forms
    from curator.report.words import label_row, origin_facts, summary_of

    values = asdict(found)
    facts = summary_of(values) | {"method": short_forms([found.method_id])[found.method_id]}
    state = {None: "not judged", True: "FLAGGED", False: "kept"}[found.flagged]
    say(f"{printable(found.uri)}: {state}; {found.verdict()}")
    echo_pairs({name: _text(value) for name, value in facts.items() if value})
    for role, title in (("id", "nearest ID labels"), ("negative", "nearest negative labels")):
        _echo_table(title, [label_row(label) for label in values["labels"] if label["role"] == role])
    if (label := _label_with_origin(values)) is not None:
        say(f"\nhow {printable(label['label'])!r} was made:")
        made = origin_facts(label["made_by"]) if label["made_by"] else {"source": label["source"]}
        echo_pairs({name: _text(value) for name, value in made.items() if value})
    _echo_table("nearest ID reference images", found.reference)
    _echo_table("nearest images of the lake", found.neighbours)


def _label_with_origin(values: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The deciding label, or else the nearest negative."""
    deciding = [label for label in values["labels"] if label["decides"]]
    negatives = [label for label in values["labels"] if label["role"] == "negative"]
    return next(iter((*deciding, *negatives)), None)


def _text(value: object) -> str:
    return ", ".join(value) if isinstance(value, list | tuple) else str(value)


def _echo_table(title: str, rows: Sequence[Mapping[str, object]]) -> None:
    if rows:
        say(f"\n{title}:")
        echo_records(rows)

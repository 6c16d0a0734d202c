"""`curator explain`: why an image is flagged or kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from curator.cli.app import App, pass_app
from curator.cli.options import json_option
from curator.cli.output import echo_json, echo_rows, say
from curator.printable import printable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from curator.workspace import Explanation


@click.command()
@click.argument("image")
@click.option("--bank", metavar="NAME", help="Under this bank: NAME or NAME@DIGEST.  [default: as the views judge]")
@click.option("--method", metavar="NAME", help="By this method.  [default: as the views judge]")
@click.option(
    "-k", "count", type=click.IntRange(min=1), default=5, show_default=True, help="Of each kind of neighbour."
)
@json_option
@pass_app
def explain(app: App, image: str, bank: str | None, method: str | None, count: int, as_json: bool) -> None:
    """Explain why IMAGE is flagged or kept.

    IMAGE is the address of an image of the lake, the end of its address, its
    id, or a file. Shows the nearest labels with their share of the score and
    what the score would be without each, which single label decides, the
    nearest ID reference images and lake neighbours, and the policy.

    \b
    Example:
      curator explain red-00.png
    """
    found = app.open().explain(image, bank=bank, method=method, k=count)
    echo_json(found.as_json()) if as_json else echo_explanation(found)


def echo_explanation(found: Explanation) -> None:
    """An explanation for a person's eye."""
    state = {None: "no policy rules", True: "FLAGGED", False: "kept"}[found.flagged]
    say(f"{printable(found.uri)}: {state}")
    say(f"id_score {found.id_score:.4g} (log-odds {found.log_odds:.4g}) by {found.method_id}, bank {found.bank}")
    if found.policy is not None:
        say(f"policy {found.policy}: flagged below {found.min_id_score:.4g} (log-odds {found.min_log_odds:.4g})")
    if found.deciding is not None:
        other = "kept" if found.flagged else "flagged"
        say(f"decided by the label {printable(found.deciding)!r}: without it the image would be {other}")
    elif found.flagged is not None:
        say("no single label decides")
    for role, title in (("id", "nearest ID labels"), ("negative", "nearest negative labels")):
        _echo_table(title, [_label_row(item) for item in found.as_json()["labels"] if item["role"] == role])
    _echo_table("nearest ID reference images", found.reference)
    _echo_table("nearest images of the lake", found.neighbours)


def _label_row(label: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "label": label["label"] + (" (decides)" if label["decides"] else ""),
        "cosine": label["cosine"],
        "share": f"{label['share']:.1%}",
        "id_score_without": label["id_score_without"],
        "source": label["source"],
    }


def _echo_table(title: str, rows: Sequence[Mapping[str, Any]]) -> None:
    import pyarrow as pa

    if rows:
        say(f"\n{title}:")
        echo_rows(pa.Table.from_pylist([dict(row) for row in rows]))

"""`curator reproduce`: a published table made again, beside the published figures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from curator.cli.app import App, pass_app
from curator.cli.evaluate import FILE, FOLDER
from curator.cli.options import (
    Overrides,
    WholeRange,
    encoder_options,
    format_option,
    json_option,
    look_options,
    output_option,
)
from curator.cli.output import echo_json, echo_records, say
from curator.cli.terminal.progress import ScanProgress
from curator.cli.terminal.tables import Look
from curator.printable import printable

if TYPE_CHECKING:
    from curator.evaluation.reproduction import Reproduction


@click.command()
@click.argument("table")
@click.option("--data", type=FOLDER, required=True, help="Where the lists of images lie, each under its name.")
@click.option("--encoder", "address", metavar="ADDRESS", help="The encoder.  [default: that of the table]")
@click.option("--into", type=FOLDER, metavar="DIR", help="The workspace it is made in.  [default: named by TABLE]")
@click.option("--row", "methods", multiple=True, metavar="METHOD", help="Only the rows of METHOD; may be repeated.")
@click.option("--names", type=FILE, help="CSV or TSV of key,label: other names of the classes, by WordNet id.")
@click.option("--stream", "streams", is_flag=True, help="Also methods that learn from what they score, on streams.")
@click.option("--orders", type=WholeRange(min=1), default=3, show_default=True, help="Shuffled streams of each set.")
@click.option("--bootstrap", "replicates", type=WholeRange(min=0), default=1000, show_default=True, help="Resamples.")
@click.option("--seed", type=WholeRange(min=0), default=0, show_default=True, help="Of the resampling.")
@encoder_options
@format_option
@output_option
@json_option
@look_options
@pass_app
def reproduce(
    app: App,
    /,
    table: str,
    address: str | None,
    into: Path | None,
    style: str | None,
    output: str | None,
    as_json: bool,
    look: Look,
    encoder: Overrides,
    **given: Any,
) -> None:
    """Make a published table again, beside the published figures.

    TABLE is a protocol: imagenet1k-four-ood, openood-v1.5-imagenet1k, or a
    .toml file. Each row that has a recipe (bank, templates, method in its
    printed form, how images are prepared) is measured in full precision;
    the others say why not. Killed and called again, it goes on: finished
    rows are taken as they are, and no image is embedded twice.

    \b
    Example:
      curator reproduce imagenet1k-four-ood --data /data/ood --stream
    """
    from curator.workspace import ReproductionRequest, Workspace

    folder = into or Path(Path(table).name.removesuffix(".toml"))
    request = ReproductionRequest(table=table, encoder=address, overrides=encoder, **given)
    with ScanProgress() as progress:
        found = Workspace.reproduce(folder, request, watcher=progress)
    for warning in found.warnings:
        say(f"warning: {printable(warning)}", err=True)
    if as_json:
        return echo_json({"table": found.protocol.name, "encoder": found.encoder, "rows": found.rows()})
    if style not in (None, "table") or output is not None:
        return echo_records(found.rows(), style=style, output=output)
    _echo_head(found, folder)
    return echo_records(map(_readable, found.rows()), style=style, look=look)


def _echo_head(found: Reproduction, folder: Path) -> None:
    say(f"{found.protocol.title}, encoder {found.encoder}, workspace {printable(str(folder))}")
    stored = sum(item.summary.stored for item in found.results if item.summary)
    measured = sum(item.summary is not None for item in found.results)
    say(f"{measured} of {len(found.results)} rows measured, {stored} of them before")
    say("Figures in percent; FPR95 with the positive class of the row; ± over the orders of a stream\n")


def _readable(row: Mapping[str, Any]) -> dict[str, str]:
    """A row for a person's eye: measured, published, difference."""
    cells = {"method": row["method"] + (f" ({row['note']})" if row["note"] else ""), "ood": row["ood"]}
    for metric in ("auroc", "fpr95"):
        deviation = row[f"{metric}_deviation"]
        cells |= {
            metric: _figure(row[metric]) + ("" if deviation is None else f" ± {deviation:.2f}"),
            f"{metric} published": _figure(row[f"{metric}_published"]),
            f"{metric} difference": _figure(row[f"{metric}_less_published"], "+.2f"),
        }
    why_not = row["not_measured"]
    return {**cells, "positive": row["positive"], "by": f"not measured: {why_not}" if why_not else row["recipe"]}


def _figure(value: float | None, form: str = ".2f") -> str:
    return "" if value is None else format(value, form)

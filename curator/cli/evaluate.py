"""`curator evaluate`: how well banks and methods tell ID from OOD."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from curator.cli.app import App, pass_app
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
from curator.errors import UsageError
from curator.printable import printable

if TYPE_CHECKING:
    from curator.evaluation.formats import SameFormat
    from curator.evaluation.summary import EvaluationSummary
    from curator.metrics import Positive

SHORT = {"auroc": "auroc", "fpr95_id_positive": "fpr95 id", "fpr95_ood_positive": "fpr95 ood"}
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
FOLDER = click.Path(file_okay=False, path_type=Path)


@click.command()
@click.option("--id", "id_sources", multiple=True, metavar="SRC", help="Images that are ID; may be repeated.")
@click.option(
    "--ood", "ood_sources", multiple=True, metavar="NAME=SRC", help="Images that are OOD, as set NAME; may be repeated."
)
@click.option("--positive", type=click.Choice(["id", "ood"]), required=True, help="Positive class of AUPR and FPR95.")
@click.option("--near", metavar="NAME,…", default="", help="These OOD sets are near-OOD, the others far-OOD.")
@click.option("--bank", "banks", multiple=True, metavar="NAME", help="NAME or NAME@DIGEST; may be repeated.")
@click.option("--method", "methods", multiple=True, metavar="NAME", help="mcm, neglabel:group_count=10 …; repeatable.")
@click.option(
    "--reference",
    multiple=True,
    metavar="SRC",
    help="ID images for methods that compare with images; those with an OOD label are left out.",
)
@click.option("--id-labels", type=FILE, help="Only images of --id with a label of this file are ID.")
@click.option("--ood-rest", metavar="NAME", help="The other labelled images of --id are OOD set NAME.")
@click.option("--labels-map", "label_map", type=FILE, help="CSV or TSV of key,label: names for source labels.")
@click.option("--protocol", metavar="NAME", help="Follow a published protocol: its name, or a .toml file.")
@click.option("--data", type=FOLDER, help="Where the protocol's lists lie, each under its name.")
@click.option(
    "--stream",
    "streams",
    multiple=True,
    metavar="SYSTEM",
    help="Also a system that learns as it scores: adaneg, tanl:step=2 …; repeatable.",
)
@click.option("--orders", type=WholeRange(min=1), default=3, show_default=True, help="Shuffled streams of each set.")
@click.option(
    "--same-format",
    is_flag=False,
    flag_value="drawn",
    metavar="[SIZE,QUALITY]",
    help="Also measure all images saved alike: shortest side, JPEG quality.  [drawn from --id]",
)
@click.option("--bootstrap", "replicates", type=WholeRange(min=0), default=1000, show_default=True, help="Resamples.")
@click.option("--seed", type=WholeRange(min=0), default=0, show_default=True, help="Of the resampling.")
@encoder_options
@format_option
@output_option
@json_option
@look_options
@pass_app
def evaluate(
    app: App,
    /,
    near: str,
    ood_sources: tuple[str, ...],
    style: str | None,
    output: str | None,
    as_json: bool,
    look: Look,
    encoder: Overrides,
    **given: Any,
) -> None:
    """Measure how well banks and methods tell ID from OOD.

    Embeds the images once, outside the lake; prints and stores AUROC, AUPR
    and FPR95 with bootstrap intervals for each bank, method and OOD set, and
    the means over sets. FPR95 has two definitions, so --positive is needed:

    \b
      id   share of OOD kept where 95 % of ID are kept (NegLabel, CSP, MCM)
      ood  share of ID flagged where 95 % of OOD are   (OpenOOD v1.5, ANTS)

    Both are stored. Labels come from folder names, WebDataset .cls files or
    Parquet columns. With --id-labels and --ood-rest one source gives both
    sides. Protocols that ship: imagenet1k-four-ood, openood-v1.5-imagenet1k.

    Where ID and OOD images come from different archives, part of a figure
    is the archive: its sizes and its compression. --same-format also saves
    all of them alike before it embeds them; what is left is what they show.

    \b
    Example:
      curator evaluate --id /data/known-id --ood new=/data/incoming --positive id
    """
    sets, near_sets = _named(ood_sources), tuple(filter(None, near.split(",")))
    workspace = app.open(encoder)
    with ScanProgress() as progress:
        summary = workspace.evaluate(ood_sources=sets, near=near_sets, **given, watcher=progress)
    for warning in summary.warnings:
        say(f"warning: {printable(warning)}", err=True)
    if as_json:
        return echo_json(summary.as_json())
    if style not in (None, "table") or output is not None:
        return echo_records(summary.rows(), style=style, output=output)
    _echo_head(summary)
    rows = (
        _side_by_side(summary) if summary.same_format else (_readable(row, summary.positive) for row in summary.rows())
    )
    return echo_records(rows, style=style, look=look)


def _named(pairs: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Sources by the name of their OOD set; a name given twice has several."""
    found: dict[str, tuple[str, ...]] = {}
    for pair in pairs:
        name, separator, source = pair.partition("=")
        if not (name and separator and source):
            raise UsageError(f"--ood {pair} is not NAME=SRC", hint="such as --ood cartoons=/data/cartoons")
        found[name] = (*found.get(name, ()), source)
    return found


def _echo_head(summary: EvaluationSummary) -> None:
    """What the figures are of, in a few lines."""
    say(f"encoder {summary.encoder_id}" + (f", protocol {summary.protocol}" if summary.protocol else ""))
    for item in summary.sets:
        group = f" ({item.near_far})" if item.near_far else ""
        left_out = {"copies": item.copies, "unreadable": item.unreadable, "in the ID set too": item.excluded}
        remarks = ", ".join(f"{count} {what}" for what, count in left_out.items() if count)
        say(
            f"{item.side.upper()} {printable(item.name)}{group}: {item.images} images"
            + (f"; left out: {remarks}" if remarks else "")
        )
    labelled = {(item.bank, item.form): item for item in summary.measured if item.id_label_accuracy is not None}
    if not labelled:
        say("label accuracy on ID not known: no label of an image is among those of a bank")
    for (bank, form), measured in labelled.items():
        accuracy = f"{100 * (measured.id_label_accuracy or 0):.2f} % of {measured.labelled} labelled images"
        say(f"bank {bank}{', same format' if form == 'same_format' else ''}: label accuracy on ID {accuracy}")
    for method, method_id in {item.method: item.method_id for item in summary.measured}.items():
        if method != method_id:
            say(f"method {method}: {method_id}")
    if summary.same_format:
        _echo_format(summary.same_format)
    say(f"Figures in percent, [95 % interval of {summary.replicates} resamples]")
    say("fpr95_id_positive: share of OOD kept where 95 % of ID are")
    say("fpr95_ood_positive: share of ID flagged where 95 % of OOD are\n")


def _echo_format(used: SameFormat) -> None:
    """In what the images were saved alike, and how to read its columns."""
    from curator.evaluation.formats import DRAWN

    drawn = ", drawn from the ID images and no better than OOD sets have it" if used.asked == DRAWN else ""
    side, quality = (_range_text(values) for values in (used.sides, used.qualities))
    say(f"same format: every image saved as JPEG with a shortest side of {side} pixels, quality {quality}{drawn}")
    say("difference: same format less as they are; what formats gave away is gone, what images show is left")


def _range_text(values: tuple[int, int, int]) -> str:
    low, middle, high = values
    return str(low) if low == high else f"{low} to {high} (median {middle})"


def _side_by_side(summary: EvaluationSummary) -> Iterator[dict[str, str]]:
    """The figures of images as they are and saved alike, and the difference, a row for each bank, method and set."""
    rows: list[dict[str, Any]] = summary.rows()
    alike: dict[tuple[object, ...], Mapping[str, Any]] = {
        (row["bank"], row["method"], row["ood"]): row for row in rows if row["form"] == "same_format"
    }
    other = "ood" if summary.positive == "id" else "id"
    for row in rows:
        if row["form"] == "same_format":
            continue
        saved = alike.get((row["bank"], row["method"], row["ood"]), {})
        shown = _readable(row, summary.positive)
        cells = {name: shown[name] for name in ("bank", "method", "ood", "id_n", "ood_n")}
        for metric in ("auroc", f"fpr95_{summary.positive}_positive", f"fpr95_{other}_positive"):
            as_is, same = row[metric], saved.get(metric)
            cells |= {
                metric: _percent(as_is),
                f"{SHORT[metric]} same format": _percent(same),
                f"{SHORT[metric]} difference": "" if as_is is None or same is None else f"{100 * (same - as_is):+.2f}",
            }
        yield {**cells, "source": shown["source"]}


def _readable(row: Mapping[str, Any], positive: Positive) -> dict[str, str]:
    """A row for a person's eye: percent with two decimals as the papers print; the headline metrics, and the other of
    the two FPR95."""
    fpr95 = f"fpr95_{positive}_positive"
    aupr = f"aupr_{positive}_positive"
    other = f"fpr95_{'ood' if positive == 'id' else 'id'}_positive"
    source, note = str(row["source"]), str(row["note"])
    if source == "measured":
        note = ""
    return {
        "bank": row["bank"] or "",
        "method": row["method"],
        "ood": row["ood"] + (f" ({row['near_far']})" if row["near_far"] else ""),
        "id_n": str(row["id_images"] or ""),
        "ood_n": str(row["ood_images"] or ""),
        "auroc": _percent(row["auroc"]),
        "auroc 95%": _interval(row, "auroc"),
        aupr: _percent(row[aupr]),
        fpr95: _percent(row[fpr95]),
        "fpr95 95%": _interval(row, fpr95),
        other: _percent(row[other]),
        "source": f"{source}: {note}" if note else source,
    }


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.2f}"


def _interval(row: Mapping[str, Any], metric: str) -> str:
    low, high = row[f"{metric}_low"], row[f"{metric}_high"]
    return "" if low is None else f"[{_percent(low)}, {_percent(high)}]"

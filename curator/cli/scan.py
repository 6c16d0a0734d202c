"""`curator scan`."""

from __future__ import annotations

import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from curator.cli.app import App, in_options, pass_app
from curator.cli.exit_codes import EXIT_CODES
from curator.cli.options import (
    FiniteRange,
    Overrides,
    WholeRange,
    column_options,
    encoder_options,
    json_option,
    wait_option,
)
from curator.cli.output import echo_json, passed_over_text, say, say_ruling
from curator.cli.terminal.progress import ScanProgress
from curator.cli.terminal.rows import bytes_text
from curator.config import ScanSection
from curator.printable import printable
from curator.ranges import choices

if TYPE_CHECKING:
    from collections.abc import Sequence

    from curator.store import ListingCounts
    from curator.workspace import ScanSummary

HELP = """\
Scan SOURCES: embed, score and flag what is new.

A source is a folder, a file, a glob, a WebDataset tar or a Parquet file,
here or at any fsspec URL (s3://, gs://, http://). Killed? Run it again.

A GLOB is a name at any depth (cache, '*.tif') or a path below the source
('2025/**'). What is hidden and folders of systems (@eaDir, lost+found,
$RECYCLE.BIN …) are passed over, too, unless an --include names them.

What has gone for good, or was scanned by mistake, leaves the lake by --gone
with the address that it was scanned under, until it is scanned again.

The bank and the method are those of curator.toml: see `curator use`.

Results are kept, whatever the exit code. A CONDITION compares (>, >=, <,
<=) a figure of this run with a number: flag_rate>0.2, images<1. Figures:
data, images, duplicates, rejects, reject_rate; flagged, flag_rate (of the
images that arrived in this run); lake_flagged, lake_flag_rate;
near_duplicates; listed, new, changed, gone, gone_rate (objects);
unlisted (places that could not be listed); bytes, seconds. A rate of
nothing is no number: no condition on it holds.

\b
Example:
  curator scan /data/incoming
"""


@click.command(help=HELP)
@click.argument("sources", nargs=-1)
@click.option("-n", "--dry-run", is_flag=True, help="Only say what would be read.")
@click.option("--exclude", multiple=True, metavar="GLOB", help="Pass over what has this name or path. Repeatable.")
@click.option("--include", multiple=True, metavar="GLOB", help="Read it nevertheless; see above. Repeatable.")
@click.option("--gone", multiple=True, metavar="SOURCE", help="What lay there leaves the lake; see above. Repeatable.")
@click.option("--rehash", is_flag=True, help="Read everything again, whatever size and time say.")
@click.option("--retry-rejects", is_flag=True, help="Read rejected data again.")
@click.option("--workers", type=WholeRange(min=0), help="Decode processes.  [default: one for each core]")
@click.option("--engine", type=click.Choice(choices(ScanSection, "engine")), help="This machine, or a Ray cluster.")
@click.option(
    "--max-reject-rate",
    type=FiniteRange(0, 1),
    help="Exit with 3 when more of the data are rejects.  [default: half, for one reason]",
)
@click.option("--fail-on", multiple=True, metavar="CONDITION", help="Exit with 4 when it holds; see above. Repeatable.")
@wait_option()
@click.option("--metrics-file", metavar="FILE", help="Leave the night's figures here, for Prometheus.")
@column_options
@encoder_options
@json_option
@pass_app
def scan(
    app: App,
    sources: tuple[str, ...],
    dry_run: bool,
    exclude: tuple[str, ...],
    include: tuple[str, ...],
    gone: tuple[str, ...],
    rehash: bool,
    retry_rejects: bool,
    workers: int | None,
    engine: str | None,
    max_reject_rate: float | None,
    fail_on: tuple[str, ...],
    wait_seconds: float,
    metrics_file: str | None,
    columns: Overrides,
    encoder: Overrides,
    as_json: bool,
) -> None:
    """Scan SOURCES: embed, score and flag what is new; the exit code says whether somebody has to look."""
    overrides = {
        "scan.decode_workers": workers,
        "scan.engine": engine,
        "scan.metrics_file": str(Path(metrics_file).absolute()) if metrics_file else None,
    }
    workspace = app.open({**overrides, **columns, **encoder})
    which: dict[str, Any] = {"rehash": rehash, "retry_rejects": retry_rejects}
    which |= {"exclude": exclude, "include": include, "gone": gone}
    if dry_run:
        from curator.workspace.night.conditions import Limits

        Limits.resolve(max_reject_rate=max_reject_rate, fail_on=fail_on)
        counts = workspace.preview(*sources, **which)
        echo_json([asdict(item) for item in counts]) if as_json else _echo_listings(counts)
        return
    with ScanProgress() as progress:
        summary = workspace.scan(
            *sources,
            **which,
            max_reject_rate=max_reject_rate,
            fail_on=fail_on,
            wait_seconds=wait_seconds,
            exit_codes=EXIT_CODES,
            watcher=progress,
        )
    _end(app, replace(summary, broken_limits=tuple(map(in_options, summary.broken_limits))), as_json=as_json)


def _end(app: App, summary: ScanSummary, *, as_json: bool) -> NoReturn:
    """Say what the scan did and which limits it broke, and exit accordingly."""
    exit_code = EXIT_CODES[summary.ending]
    echo_json(summary.as_json() | {"exit_code": exit_code}) if as_json else echo_summary(summary)
    for line in summary.broken_limits:
        app.complain(line, ending=summary.ending)
    sys.exit(exit_code)


def _echo_listings(listings: Sequence[ListingCounts]) -> None:
    for item in listings:
        back = f" ({item.objects_back} of them are back)" if item.objects_back else ""
        retried = f" ({item.objects_retried} of them are read again)" if item.objects_retried else ""
        say(
            f"{printable(item.source)}: {item.objects_listed} objects, {bytes_text(item.bytes_listed)}: "
            f"{item.objects_new} new{back}, {item.objects_changed} changed, {item.objects_unchanged} "
            f"unchanged{retried}, {item.objects_gone} gone; {bytes_text(item.bytes_to_read)} to read"
        )
        if item.ignored:
            say(f"  passed over: {passed_over_text(item.ignored)}")
        if item.unlisted:
            say(f"  places that could not be listed: {item.unlisted}; what is known of them is kept")


def echo_summary(summary: ScanSummary) -> None:
    """A scan in a few lines."""
    _echo_listings(summary.listings)
    say(
        f"read {summary.data_read}: {summary.images} images + {summary.duplicates} duplicates + "
        f"{summary.rejects} rejects; {summary.decoded} decoded, {summary.near_duplicates} near-duplicate pairs, "
        f"{summary.seconds:.1f} s"
    )
    for reason, count in summary.reject_reasons.items():
        say(f"  {count} rejected: {reason}")
    if summary.passed_over:
        say(f"  passed over in archives: {passed_over_text(summary.passed_over)}")
    say(f"encoder {summary.encoder_id}")
    say_ruling(summary)
    say(f"{summary.flagged} of {summary.scored} images in the lake are flagged: {summary.policy_note}")

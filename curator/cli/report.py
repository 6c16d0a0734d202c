"""`curator report` and `curator baseline`: a night as a page, and the night that others are compared with."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from curator.cli.app import App, in_options, pass_app
from curator.cli.exit_codes import EXIT_CODES
from curator.cli.options import Show, json_option, row_options
from curator.cli.output import echo_json, echo_pairs, make_folder, passed_over_text, say, write_file

if TYPE_CHECKING:
    from curator.workspace import NightReport

HELP = """\
Write the report of a night: one HTML file that needs no network.

It has the counts of the night, its flag rate against earlier nights,
scores, drift from the pinned baseline, a map, clusters and galleries of
what is flagged, rejects, and what took long. Reads only; images are read
again from the lake for their thumbnails.

A CONDITION compares (>, >=, <, <=) a figure of the report with a number:
psi>0.25, mmd_p<0.01. Figures: data, images, duplicates, rejects,
reject_rate; scored, flagged, flag_rate, flag_rate_low, flag_rate_high,
new_clusters; psi, ks, ks_p, mmd, mmd_p (from the baseline); seconds. A
figure of nothing is no number: no condition on it holds.

With a folder for -o (reports/) each run has a page of its own there, and
latest.html is a copy of the newest; a night in which no image arrived
leaves it as it is.

\b
Example:
  curator report -o night.html --fail-on "flag_rate>0.99"
"""
LATEST = "latest.html"


@click.command(help=HELP)
@click.option("--night", metavar="DATE|RUN", help="2026-01-31, or a run id or its beginning.  [default: the last]")
@click.option("-o", "--output", type=click.Path(), metavar="FILE|FOLDER/", help="[default: report-NIGHT.html]")
@click.option("--fail-on", multiple=True, metavar="CONDITION", help="Exit with 4 when it holds; see above. Repeatable.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON; the page only with -o.")
@pass_app
def report(app: App, night: str | None, output: str | None, fail_on: tuple[str, ...], as_json: bool) -> None:
    """Write the report of a night; the exit code says whether somebody has to look."""
    found = app.open().report(night, fail_on=fail_on, pictures=output is not None or not as_json)
    found.data["broken_limits"] = list(map(in_options, found.broken_limits))
    if output is not None or not as_json:
        write_page(found, output or f"report-{found.data['night']['night']}.html")
    echo_json(found.as_json()) if as_json else echo_report(found)
    for line in found.broken_limits:
        app.complain(line, ending="condition")
    sys.exit(EXIT_CODES["condition"] if found.broken_limits else 0)


def write_page(found: NightReport, output: str) -> None:
    """To a file; or into a folder, under the night and run and as the latest, unless nothing arrived to look at."""
    night, latest = found.data["night"], Path(output) / LATEST
    if not (output.endswith("/") or Path(output).is_dir()):
        write_file(output, found.as_html())
        said = f"wrote {output}"
    elif latest.is_file() and not found.data["flags"]["scored"]:
        said = f"no image arrived in the night of {night['night']}: {latest} stays as it is"
    else:
        page, path = found.as_html(), Path(output) / f"{night['night']}-{night['run_id']}.html"
        make_folder(output)
        write_file(str(path), page)
        write_file(str(latest), page)
        said = f"wrote {path}, and {latest}"
    say(said, err=True)


def echo_report(found: NightReport) -> None:
    """A report in a few lines."""
    data = found.data
    flags, drift, read = data["flags"], data["drift"], data["accounting"]
    say(f"night of {data['night']['night']}, run {data['night']['run_id']}")
    kinds = " + ".join(f"{read[kind]} {kind}" for kind in ("images", "duplicates", "rejects"))
    say(f"read {read['data_read']}: {kinds}")
    for place in ("listing", "archive"):
        found_there = {row["heading"]: row["files"] for row in data["passed_over"] if row["place"] == place}
        if found_there:
            say(f"  passed over in {place}s: {passed_over_text(found_there)}")
    rate = "" if flags["low"] is None else f": {flags['flag_rate']:.1%} ({flags['low']:.1%} to {flags['high']:.1%})"
    say(f"{flags['flagged']} of {flags['scored']} images that arrived are flagged{rate}")
    from curator.report.night_page import ruled_by

    say(ruled_by(data))
    if drift["baseline"] is None:
        say("no baseline to compare with: see `curator baseline pin`")
    else:
        known = {name: data["figures"][name] for name in ("psi", "ks", "ks_p", "mmd", "mmd_p")}
        figures = ", ".join(f"{name} {value:.4g}" for name, value in known.items() if value is not None)
        base = drift["baseline"]
        say(f"against the night of {base['night']}, run {base['night_run_id']}: {figures or 'nothing to compare'}")


@click.group()
def baseline() -> None:
    """Pin the night that reports compare others with."""


@baseline.command()
@click.option("--night", metavar="DATE|RUN", help="2026-01-31, or a run id or its beginning.  [default: the last]")
@json_option
@pass_app
def pin(app: App, night: str | None, as_json: bool) -> None:
    """Pin a night as the baseline.

    Its images are kept as the baseline, or a sample of 20,000 of them, also
    when they leave the lake. The one pinned last rules.

    \b
    Example:
      curator baseline pin
    """
    row = app.open().pin_baseline(night)
    echo_json(row) if as_json else echo_pairs(row)


@baseline.command("list")
@row_options
@pass_app
def list_(app: App, show: Show) -> None:
    """List the pinned baselines, the newest first.

    \b
    Example:
      curator baseline list
    """
    show(app.results().baselines())

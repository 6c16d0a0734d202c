"""`curator calibrate` and `curator score`: thresholds, and scores without embedding."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from curator.cli.app import App, pass_app
from curator.cli.options import encoder_options, encoder_overrides, json_option
from curator.cli.output import echo_json, say
from curator.cli.progress import ScanProgress

if TYPE_CHECKING:
    from curator.workspace import CalibrationSummary


@click.command()
@click.option("--reference", "sources", multiple=True, required=True, metavar="SRC", help="Images known to be ID.")
@click.option(
    "--keep",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.95,
    show_default=True,
    help="Share of ID images to keep.",
)
@click.option("--name", metavar="NAME", help="Name of the policy.  [default: keep-<share>]")
@click.option("--bank", metavar="NAME", help="Calibrate for this bank: NAME or NAME@DIGEST.")
@click.option("--method", metavar="NAME", help="Calibrate for this method.")
@encoder_options
@json_option
@pass_app
def calibrate(
    app: App,
    /,
    sources: tuple[str, ...],
    keep: float,
    name: str | None,
    bank: str | None,
    method: str | None,
    as_json: bool,
    **encoder: Any,
) -> None:
    """Set the threshold from images that are known to be ID.

    Scores the reference images, stores the cut that keeps the wanted share
    of them, and flags the lake by it from now on.

    \b
    Example:
      curator calibrate --reference /data/known-id --keep 0.95
    """
    workspace = app.open({"scan.bank": bank, "scan.method": method} | encoder_overrides(**encoder))
    with ScanProgress(quiet=app.verbosity < 0) as progress:
        summary = workspace.calibrate(*sources, keep=keep, name=name, watcher=progress)
    echo_json(summary.as_json()) if as_json else echo_calibration(summary)


def echo_calibration(summary: CalibrationSummary) -> None:
    """A calibration in two lines, and its warning."""
    say(
        f"policy {summary.policy}: flag below id_score {summary.min_id_score:.4g} (log-odds {summary.min_log_odds:.4g})"
    )
    say(
        f"keeps {summary.kept_share:.1%} of {summary.reference_images} reference images; "
        f"flags {summary.flagged} of {summary.scored} images in the lake"
    )
    if summary.warning:
        say(f"warning: {summary.warning}", err=True)


@click.command()
@click.option("--bank", "banks", multiple=True, metavar="NAME", help="NAME or NAME@DIGEST.  [default: the workspace's]")
@click.option(
    "--method",
    "methods",
    multiple=True,
    metavar="NAME",
    help="csp, mcm, knn:k=5 …  [default: the workspace's]",
)
@click.option("--where", metavar="SQL", help="Only images that meet this condition on report.scores.")
@click.option("--precision", type=click.Choice(["fast", "full"]), help="Of cosines: 8 or 15 bits.  [default: fast]")
@json_option
@pass_app
def score(
    app: App, banks: tuple[str, ...], methods: tuple[str, ...], where: str | None, precision: str | None, as_json: bool
) -> None:
    """Score the stored vectors under other banks or methods.

    Embeds no image. The report views show the new scores at once, but not
    with --where, nor when several banks or methods are named:
    report.compare has all scores side by side.

    \b
    Example:
      curator score --method mcm --where "width >= 32"
      curator query flag_changes -p old=neglabel -p new=mcm
    """
    summary = app.open({"scan.precision": precision}).score(bank=banks, method=methods, where=where)
    if as_json:
        return echo_json(summary.as_json())
    for item in summary.scorings:
        say(f"bank {item.bank}, {item.method_id}: {item.rescored} newly scored")
        say(f"{item.flagged} of {item.scored} images in the lake are flagged: {item.policy_note}")
    if not summary.shown:
        say("the report views stay as they were; see `curator query scorings` and report.compare")
    return None

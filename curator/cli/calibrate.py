"""`curator calibrate` and `curator score`: thresholds, and scores without embedding."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from curator.cli.app import App, pass_app
from curator.cli.exit_codes import EXIT_CODES
from curator.cli.options import (
    FiniteRange,
    Overrides,
    Show,
    WholeRange,
    encoder_options,
    json_option,
    labels_map_option,
    row_options,
    wait_option,
)
from curator.cli.output import echo_json, echo_records, say, say_ruling
from curator.cli.terminal.progress import ScanProgress
from curator.cli.use import echo_use
from curator.errors import UsageError

if TYPE_CHECKING:
    from curator.workspace import CalibrationCheck, CalibrationSummary

HELP = """\
Set the threshold from images that are known to be ID.

Scores the reference images and keeps their scores, stores a policy with
the cut that follows by one of three rules, and flags the lake by it,
unless --bank or --method name others than those that rule:

\b
  --keep   keeps this share of the reference images
  --alpha  flags a new image like them with at most this probability
  --fdr    of a night's flags at most this share is ID, on average
           (Benjamini-Hochberg on conformal p-values)

Thresholds are rows: another one embeds and scores nothing again.

\b
Example:
  curator calibrate --reference /data/known-id --keep 0.95
  curator calibrate --fdr 0.1
"""

SHARE = FiniteRange(0, 1, min_open=True, max_open=True)
bank_option = click.option("--bank", metavar="NAME", help="Calibrate for this bank: NAME or NAME@DIGEST.")
method_option = click.option("--method", metavar="NAME", help="Calibrate for this method.")


@click.group(invoke_without_command=True, help=HELP)
@click.option(
    "--reference",
    "sources",
    multiple=True,
    metavar="SRC",
    help="Images known to be ID.  [default: all those named before]",
)
@click.option("--forget", multiple=True, metavar="SRC", help="Source that is no reference any more.")
@click.option("--keep", type=SHARE, help="Share of ID images to keep.  [default: 0.95]")
@click.option("--alpha", type=SHARE, help="Flag p-values up to this.")
@click.option("--fdr", type=SHARE, help="Share of a night's flags that may be false.")
@click.option("--by-class", is_flag=True, help="A cut for each class that has references enough.")
@click.option("--class-minimum", type=WholeRange(min=1), help="How many are enough.  [default: for 5 below the cut]")
@click.option("--name", metavar="NAME", help="Name of the policy.  [default: as keep-0.95]")
@click.option(
    "--unless-chosen", is_flag=True, help="For nights: by the rule of the policy chosen by hand last, if one was."
)
@bank_option
@method_option
@labels_map_option
@wait_option()
@encoder_options
@json_option
@click.pass_context
@pass_app
def calibrate(
    app: App,
    context: click.Context,
    sources: tuple[str, ...],
    forget: tuple[str, ...],
    keep: float | None,
    alpha: float | None,
    fdr: float | None,
    by_class: bool,
    class_minimum: int | None,
    name: str | None,
    unless_chosen: bool,
    bank: str | None,
    method: str | None,
    wait_seconds: float,
    as_json: bool,
    naming: Overrides,
    encoder: Overrides,
) -> None:
    """Set the threshold from images that are known to be ID."""
    if context.invoked_subcommand is not None:
        return _refuse_options(context)
    workspace = app.open({**encoder, **naming})
    chosen = workspace.policy_chosen() if unless_chosen else None
    if chosen is not None and chosen.rule is None:
        return say(
            f"policy {chosen.name} was chosen by hand and rules on; `curator calibrate --keep 0.95` makes another"
        )
    with ScanProgress() as progress:
        summary = workspace.calibrate(
            *sources,
            keep=keep,
            alpha=alpha,
            fdr=fdr,
            by_class=by_class,
            minimum=class_minimum,
            rule=chosen.rule if chosen else None,
            name=chosen.name if chosen else name,
            for_night=unless_chosen,
            bank=bank,
            method=method,
            forget=forget,
            watcher=progress,
            wait_seconds=wait_seconds,
        )
    section = workspace.config.scan
    which = f"{bank or section.bank} {method or section.method}"
    return echo_json(summary.as_json()) if as_json else echo_calibration(summary, which, all_known=not sources)


def _refuse_options(context: click.Context) -> None:
    """Options before a command are those of a calibration, which is not done then."""
    if any(context.get_parameter_source(name) is ParameterSource.COMMANDLINE for name in context.params):
        raise click.UsageError(f"write the options behind the command: calibrate {context.invoked_subcommand} …")


def echo_calibration(summary: CalibrationSummary, which: str = "BANK METHOD", *, all_known: bool = False) -> None:
    """A calibration in a few lines, and its warning. `which`: bank and method as `curator use` takes them. `all_known`:
    no reference was named."""
    if all_known:
        say(f"reference: all that was named before, {', '.join(summary.sources)}")
    cut = "nothing"
    if summary.min_id_score is not None:
        cut = f"below id_score {summary.min_id_score:.4g} (log-odds {summary.min_log_odds:.4g})"
    by_night = " at most; each night has its own cut" if summary.rule == "fdr" else ""
    by_class = f"; {summary.own_cuts} classes have their own cuts" if summary.by_class else ""
    of = "" if summary.rules else f" of bank {summary.bank}, {summary.method_id}"
    say(f"policy {summary.policy}{of}: flag {cut}{by_night}{by_class}")
    if summary.largest_class < summary.class_minimum:
        say(
            f"the largest class has {summary.largest_class} reference images, {summary.class_minimum} are needed: "
            f"--class-minimum {summary.class_enough}"
        )
    at_least = "at least " if summary.rule == "fdr" else ""  # the share at the mildest cut that a night can have
    say(
        f"keeps {at_least}{summary.kept_share:.1%} of {summary.reference_images} reference images; "
        f"{'flags' if summary.rules else 'would flag'} {summary.flagged} of {summary.scored} images in the lake"
    )
    say_ruling(summary)
    say(summary.advice)
    if not summary.rules:
        say(f"put it in force by `curator use {which} --policy {summary.policy}`")
    if summary.warning:
        say(f"warning: {summary.warning}", err=True)


@calibrate.command("list")
@row_options
@pass_app
def list_policies(app: App, show: Show) -> None:
    """List the policies: their rules, their cuts, and which one decides.

    \b
    Example:
      curator calibrate list
    """
    show(app.results().query("policies"))


@calibrate.command("use")
@click.argument("name")
@wait_option()
@json_option
@pass_app
def use_policy(app: App, name: str, wait_seconds: float, as_json: bool) -> None:
    """Let a policy that was made before decide again: NAME, or its id.

    The same as `curator use --policy NAME`. The policy `default` is the cut
    that no reference image was needed for.

    \b
    Example:
      curator calibrate use default
    """
    echo_use(app.open().use(policy=name, wait_seconds=wait_seconds), as_json=as_json)


@calibrate.command("check")
@click.option(
    "--reference", "sources", multiple=True, metavar="SRC", help="Held-out ID images.  [default: half of those known]"
)
@click.option("--alpha", "alphas", multiple=True, type=SHARE, help="P-value to check.  [default: 0.01, 0.05, 0.1]")
@click.option(
    "--fail-on",
    multiple=True,
    type=click.Choice(["coverage", "drift"]),
    help="Exit with 4 when too many are flagged, or when scores have drifted.",
)
@click.option("--bank", metavar="NAME", help="Score --reference by this bank.  [default: the workspace's]")
@click.option("--method", metavar="NAME", help="Score --reference by this method.")
@encoder_options
@json_option
@pass_app
def check(
    app: App,
    sources: tuple[str, ...],
    alphas: tuple[float, ...],
    fail_on: tuple[str, ...],
    bank: str | None,
    method: str | None,
    as_json: bool,
    encoder: Overrides,
) -> None:
    """Show whether flags keep their promise on held-out ID images.

    Prints the share that is flagged with its exact 95 % interval, for the
    policy in force and for p-values, plain and by class; by_chance is the
    probability of so many or more. Warns of a reference that is too small,
    and of scores that have drifted from it. Without --reference, a random
    half of the reference is held out, and drift is looked for in the images
    that came last and were kept.

    \b
    Example:
      curator calibrate check --alpha 0.05
    """
    if (bank or method) and not sources:
        raise UsageError(
            "--bank and --method say what --reference is scored by",
            hint="name images; without any, what rules is checked",
        )
    workspace = app.open({"scan.bank": bank, "scan.method": method, **encoder})
    chosen = {"alphas": alphas} if alphas else {}
    with ScanProgress() as progress:
        found = workspace.check_calibration(*sources, watcher=progress, **chosen)
    echo_json(found.as_json()) if as_json else echo_check(found)
    broken = sorted(found.tripped & set(fail_on))
    for condition in broken:
        app.complain(f"--fail-on {condition}: see the warnings of the check", ending="condition")
    sys.exit(EXIT_CODES["condition"] if broken else 0)


def echo_check(found: CalibrationCheck) -> None:
    """The rules as a table, the worst classes, drift, and the warnings."""
    half = "a random half of them, the cuts are those of the other half"
    held_out = half if found.held_out == "half" else "the images given"
    say(f"policy {found.policy}, {found.reference_images} reference images; held out: {held_out}")
    if found.left_out:
        say(f"{found.left_out} of the images given are reference images themselves, and left out")
    echo_records(rule.row() for rule in found.rules)
    for rule in found.rules:
        for item in rule.worst:
            share = item.coverage
            say(
                f"{rule.rule}, {item.label}: {share.flagged} of {share.held_out} flagged, "
                f"[{share.low:.3f}, {share.high:.3f}], {item.references} references"
            )
    if found.drift is not None:
        drift = found.drift
        say(
            f"{drift.references} reference scores against {drift.images} of {drift.compared}: distance "
            f"{drift.statistic:.3f}, p = {drift.p_value:.3g}{': drifted' if drift.drifted else ''}"
        )
    for warning in found.warnings:
        say(f"warning: {warning}", err=True)


@click.command()
@click.option("--bank", "banks", multiple=True, metavar="NAME", help="NAME or NAME@DIGEST.  [default: the workspace's]")
@click.option(
    "--method",
    "methods",
    multiple=True,
    metavar="NAME",
    help="csp, mcm, knn:k=5 …  [default: what suits the bank]",
)
@click.option("--where", metavar="SQL", help="Only images that meet this condition on report.scores.")
@click.option("--precision", type=click.Choice(["fast", "full"]), help="Of cosines: 8 or 15 bits.  [default: fast]")
@json_option
@pass_app
def score(
    app: App, banks: tuple[str, ...], methods: tuple[str, ...], where: str | None, precision: str | None, as_json: bool
) -> None:
    """Score the stored vectors under other banks or methods.

    Embeds no image, and changes nothing of what rules: report.compare has
    all scores side by side, and `curator use` puts others in force.

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
        verb = "are" if item.rules(summary.ruled_by) else "would be"
        say(f"{item.flagged} of {item.scored} images in the lake {verb} flagged: {item.policy_note}")
    if summary.ruled_by:
        say(f"ruled by {summary.ruled_by.said}, as before: `curator use BANK METHOD` changes it")
    return None

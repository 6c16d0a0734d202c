"""The command line: each command parses, calls one Workspace method, and prints.

This package imports click and nothing heavy; what a command needs it imports when it runs.
"""

from __future__ import annotations

import click

from curator.cli.app import App, ErrorGroup
from curator.cli.bank import bank
from curator.cli.calibrate import calibrate, score
from curator.cli.demo import demo
from curator.cli.evaluate import evaluate
from curator.cli.explain import explain
from curator.cli.export import export
from curator.cli.index import index
from curator.cli.keeping import backup, gc, measure, recover, restore
from curator.cli.models import models
from curator.cli.operations import config, doctor, init, publish
from curator.cli.plan import plan
from curator.cli.report import baseline, report
from curator.cli.reproduce import reproduce
from curator.cli.review import app_, propose, review
from curator.cli.scan import scan
from curator.cli.sql import query, sql
from curator.cli.use import use
from curator.version import VERSION

EPILOG = """\b
Exit codes:
  0 done                      4 a condition of --fail-on held
  1 failed                    5 workspace locked by another run
  2 usage or configuration    130 interrupted; the same command resumes
  3 too many rejects

\b
Example:
  curator init my-lake --labels labels.txt
"""


@click.group(cls=ErrorGroup, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, "-V", "--version", prog_name="curator")
@click.option(
    "-w",
    "--workspace",
    metavar="DIR",
    default=".",
    envvar="CURATOR_WORKSPACE",
    help="The workspace, or a folder inside it.  [default: here]",
)
@click.option("--log-format", type=click.Choice(["human", "json"]), default="human", help="Log lines on stderr.")
@click.option("-v", "--verbose", is_flag=True, help="Say more, and show tracebacks.")
@click.option("-q", "--quiet", is_flag=True, help="Say only warnings and errors.")
@click.pass_context
def cli(context: click.Context, workspace: str, log_format: str, verbose: bool, quiet: bool) -> None:
    """Find the images in a data lake that do not belong.

    Scans new images, embeds them, scores them against banks of labels, and
    leaves the flagged ones in DuckDB for SQL.
    """
    context.obj = App(workspace, log_format=log_format, verbosity=1 if verbose else -1 if quiet else 0)


for command in (
    init,
    scan,
    plan,
    calibrate,
    score,
    use,
    explain,
    export,
    app_,
    review,
    evaluate,
    reproduce,
    sql,
    query,
    report,
    baseline,
    bank,
    index,
    models,
    doctor,
    publish,
    measure,
    gc,
    backup,
    restore,
    recover,
    config,
    demo,
):
    cli.add_command(command)
bank.add_command(propose)

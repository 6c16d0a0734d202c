"""`curator use`: what rules, and how that is changed."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import click

from curator.cli.app import App, pass_app
from curator.cli.options import json_option, wait_option
from curator.cli.output import echo_json, say, say_ruling

if TYPE_CHECKING:
    from curator.workspace import UseSummary


@click.command()
@click.argument("bank", required=False)
@click.argument("method", required=False)
@click.option("--policy", metavar="NAME", help="A policy of them.  [default: the one chosen or calibrated last]")
@wait_option()
@json_option
@pass_app
def use(app: App, bank: str | None, method: str | None, policy: str | None, wait_seconds: float, as_json: bool) -> None:
    """Say what rules; with BANK (and METHOD), let them rule.

    What rules is the bank, the method and the policy by which everybody sees
    images flagged: in the report views, the reports and the exports. Nothing
    else changes it by itself. BANK is NAME, of which each later version then
    rules, or one version for good: NAME@v2, NAME@DIGEST. Both are written
    into curator.toml, so that every later scan goes by them. METHOD without
    parameters is the one calibrated last, if one was; without METHOD it is
    the one that suits the bank. Images are scored where they lack a score;
    none is embedded.

    \b
    Example:
      curator use
      curator use base mcm
      curator use --policy default
    """
    workspace = app.open()
    if bank is None and method is None and policy is None:
        ruling = workspace.in_force()
        if as_json:
            return echo_json(ruling and ruling.as_json())
        return say(f"ruled by {ruling.said}" if ruling else "nothing rules yet: nothing was scanned")
    summary = workspace.use(bank, method, policy=policy, wait_seconds=wait_seconds)
    if not as_json and method and summary.method != method:
        say(f"{method}: taken as {summary.method}, calibrated last; with its defaults it is '{method}()'")
    return echo_use(summary, as_json=as_json)


def echo_use(summary: UseSummary, *, as_json: bool) -> None:
    """What rules now, and what it makes of the lake."""
    if as_json:
        return echo_json(summary.as_json())
    say_ruling(summary)
    if summary.rescored:
        say(f"{summary.rescored} newly scored")
    say(f"{summary.flagged} of {summary.scored} images in the lake are flagged: {summary.policy_note}")
    if summary.back:
        given = [summary.back[name] for name in ("bank", "method") if name in summary.back]
        policy = ["--policy", summary.back["policy"]] if "policy" in summary.back else []
        say(f"back: {shlex.join(['curator', 'use', *given, *policy])}")
    return None

"""`curator demo`: the main job on a sample lake, from nothing to SQL."""

from __future__ import annotations

from pathlib import Path

import click

from curator.cli.app import App, pass_app
from curator.cli.output import echo_rows
from curator.cli.progress import ScanProgress

FLAGGED = """\
select uri, round(id_score, 3) as id_score, top_id, top_negative
from report.flagged
order by id_score, uri"""
KEPT = FLAGGED.replace("flagged", "kept").replace("order by id_score", "order by id_score desc")
REJECTS = "select uri, stage, reason, detail from report.rejects order by uri"
NEAR = "select uri, neighbour_uri, round(cosine, 3) as cosine from report.near_duplicates order by cosine desc"
ACCOUNTING = "select * from report.accounting"


@click.command()
@click.option("--folder", type=click.Path(file_okay=False), default="demo", show_default=True,
              help="Where to make the sample lake and its workspace.")
@pass_app
def demo(app: App, folder: str) -> None:
    """Scan a sample lake of real photographs and show what is flagged.

    Works offline. Needs the extra `demo` (pip install 'ood-curator[demo]').

    \b
    Example:
      curator demo --folder demo
    """
    from curator.demo import make_sample_lake
    from curator.workspace import Workspace

    app.start_logs()
    sample = make_sample_lake(Path(folder))
    say(f"A lake of photographs is in {sample.lake}. The ID labels: {', '.join(sample.labels.read_text().split(chr(10)))[:-2]}.")
    workspace = Workspace.create(Path(folder) / "workspace", labels=sample.labels)
    with ScanProgress(quiet=app.verbosity < 0) as progress:
        workspace.scan(sample.lake, watcher=progress)
    for title, statement in (
        ("Flagged: these do not look like any ID label", FLAGGED),
        ("Kept, the surest first", KEPT),
        ("Rejected, with the reason", REJECTS),
        ("Nearly the same picture", NEAR),
        ("Every datum is accounted for", ACCOUNTING),
    ):
        say(f"\n{title}:\n\n  {statement.replace(chr(10), chr(10) + '  ')}\n")
        echo_rows(workspace.sql(statement))
    say(f"\nAsk for yourself:\n  curator -w {folder}/workspace query flagged\n"
        f"  curator -w {folder}/workspace index search \"a cup of coffee\" -k 3")


def say(text: str) -> None:
    """Words around the data."""
    click.echo(text)

"""`curator demo`: the main job on a sample lake, from nothing to SQL."""

from __future__ import annotations

from pathlib import Path

import click

from curator.cli.app import App, pass_app
from curator.cli.calibrate import echo_calibration
from curator.cli.output import echo_rows, say, write_file
from curator.cli.scan import echo_summary
from curator.cli.terminal.progress import ScanProgress

QUESTIONS = {
    "What does not belong? The least ID first; name is the common word that fits best.": """\
select name, round(id_score, 3) as id_score, uri
from report.flagged
order by id_score, uri""",
    "What was kept?": """\
select name, round(id_score, 3) as id_score, top_id, uri
from report.kept
order by id_score desc, uri""",
    "What could not be processed, and why?": "select reason, detail, uri from report.rejects order by uri",
    "What lies there twice, or nearly?": """\
select round(cosine, 3) as cosine, uri, neighbour_uri
from report.near_duplicates
union all
select 1, min(uri), max(uri)
from report.locations
where image_id is not null
group by image_id
having count(*) > 1
order by cosine desc, uri""",
    "Is every datum accounted for?": "select * from report.accounting",
}
CAVEAT = """\
The embedded encoder is small: it knows everyday objects, and names what it does not know after those. For work, make
the workspace with --encoder open_clip:ViT-B-16/openai or a larger one."""


@click.command()
@click.option(
    "--folder",
    type=click.Path(file_okay=False),
    default="demo",
    show_default=True,
    help="Where to make the sample lake and its workspace.",
)
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

    sample = make_sample_lake(Path(folder))
    labels = ", ".join(sample.labels.read_text(encoding="utf-8").split("\n")[:-1])
    say(f"A lake of photographs is in {sample.lake}. ID labels, what belongs in it: {labels}.\n")
    workspace = Workspace.create(Path(folder) / "workspace", labels=sample.labels)
    with ScanProgress() as progress:
        echo_summary(workspace.scan(sample.lake, watcher=progress))
    say("\nThe threshold, from 24 mirrored and cropped copies of three ID photographs (real work takes hundreds):")
    with ScanProgress() as progress:
        echo_calibration(workspace.calibrate(sample.reference, keep=0.95, watcher=progress))
    for title, statement in QUESTIONS.items():
        indented = statement.replace("\n", "\n  ")
        say(f"\n{title}\n\n  {indented}\n")
        echo_rows(workspace.sql(statement))
    page = Path(folder) / "night.html"
    write_file(str(page), workspace.report().as_html())
    say(f"\nThe report of this night, with pictures: open {page.resolve()} in a browser.")
    say(
        f"\n{CAVEAT}\n\nAsk for yourself:\n  curator -w {folder}/workspace query flagged\n"
        f'  curator -w {folder}/workspace index search "a cup of coffee" -k 3'
    )

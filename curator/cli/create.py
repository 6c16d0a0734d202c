"""`curator init`."""

from __future__ import annotations

import click

from curator.cli.app import App, pass_app
from curator.cli.output import say


@click.command()
@click.argument("folder", type=click.Path(file_okay=False))
@click.option("--labels", required=True, type=click.Path(exists=True, dir_okay=False), help="ID labels, one a line.")
@click.option(
    "--encoder",
    default="mini",
    show_default=True,
    metavar="ADDRESS",
    help="mini, open_clip:<arch>/<pretrained> or transformers:<id or path>.",
)
@pass_app
def init(app: App, folder: str, labels: str, encoder: str) -> None:
    """Make a workspace for your ID labels.

    \b
    Example:
      curator init my-lake --labels labels.txt
    """
    from curator.encoders import check_address
    from curator.workspace import Workspace

    app.start_logs()
    check_address(encoder)
    workspace = Workspace.create(folder, labels=labels, encoder=encoder)
    say(f"{workspace.layout.root} is ready. Next: curator -w {folder} scan SOURCE")

"""`curator export`."""

from __future__ import annotations

import click

from curator.cli.app import App, pass_app
from curator.cli.options import WholeRange, json_option
from curator.cli.output import echo_json, say
from curator.cli.sql import parameter_pair
from curator.cli.terminal.rows import bytes_text
from curator.errors import UsageError

FORMATS = ("parquet", "csv", "jsonl", "files", "webdataset", "symlinks", "fiftyone", "huggingface")
TAR_BYTES = 268_435_456

HELP = f"""\
Export IMAGES: flagged, kept, or those that a named query finds.

\b
  parquet      files partitioned by night (Hive), with score and labels
  csv, jsonl   the same as one file
  files        one address a line
  webdataset   tars of images, each with a .json of facts
  symlinks     a tree of links to the images, a folder for each label
  fiftyone     folder for FiftyOne (FiftyOneImageClassificationDataset)
  huggingface  folder for load_dataset("imagefolder")

Killed? Run it again: it goes on. Images that are gone or have changed
are in missing.jsonl. DEST is a folder, or a URL (s3://, gs://); one that
holds anything else is refused. Tars hold {bytes_text(TAR_BYTES)} of images.

\b
Example:
  curator export flagged --to flagged-images --format huggingface
"""


@click.command(help=HELP)
@click.argument("images")
@click.option("--to", metavar="DEST", required=True, help="A new folder, or a URL where nothing is.")
@click.option("--format", "style", type=click.Choice(FORMATS), required=True, metavar="FORMAT", help="See above.")
@click.option("--where", metavar="SQL", help="Only those that meet a condition on report.scores.")
@click.option("-p", "--param", "parameters", multiple=True, metavar="NAME=VALUE", help="A parameter of the query.")
@click.option("-n", "--limit", type=WholeRange(min=0), help="So many at most: the lowest scores first.")
@click.option("--group-representatives", is_flag=True, help="One image of each group of near-duplicates.")
@click.option("--flat", is_flag=True, help="symlinks: one folder, not one for each label.")
@click.option(
    "--tar-bytes",
    type=WholeRange(min=1),
    default=TAR_BYTES,
    metavar="BYTES",
    help="webdataset: of images in a tar.",
)
@click.option("--update", is_flag=True, help="Bring a finished export up to date.")
@click.option("--overwrite", is_flag=True, help="Replace the export that is there.")
@json_option
@pass_app
def export(
    app: App,
    /,
    images: str,
    to: str,
    style: str,
    where: str | None,
    parameters: tuple[str, ...],
    limit: int | None,
    group_representatives: bool,
    flat: bool,
    tar_bytes: int,
    update: bool,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Export IMAGES."""
    if update and overwrite:
        raise UsageError("--update and --overwrite are two things", hint="give one of them")
    summary = app.open().export(
        images,
        to=to,
        format=style,
        where=where,
        limit=limit,
        parameters=dict(parameter_pair(text) for text in parameters),
        one_of_each_group=group_representatives,
        by_label=not flat,
        tar_bytes=tar_bytes,
        replace="update" if update else "overwrite" if overwrite else "nothing",
    )
    if as_json:
        echo_json(summary.as_json())
        return
    kept = f", {summary.parts_kept} of {summary.parts} parts were there" if summary.parts_kept else ""
    files = "1 new file" if summary.files == 1 else f"{summary.files} new files"
    say(f"{summary.to}: {summary.images} images in {files}, {summary.format}{kept}")
    if (ruling := summary.ruled_by) is not None:
        from curator.methods.spec import short_forms

        method = short_forms([method_id := ruling["method_id"] or ""])[method_id]
        say(f"  ruled by bank {ruling['bank']}, method {method}, policy {ruling['policy'] or 'none'}")
    if summary.missing:
        say(f"  {summary.missing} are gone or have changed: see missing.jsonl; scan their source again")

"""Options that several commands take, each defined once."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import click

from curator.cli.output import echo_rows
from curator.cli.terminal.tables import Look
from curator.config import EncoderSection
from curator.ranges import choices

if TYPE_CHECKING:
    pass

Command: TypeAlias = Callable[..., None]
Overrides: TypeAlias = Mapping[str, object]  # of the configuration, by dotted name; None: as it is
Show: TypeAlias = "Callable[..., None]"  # of a table, and with what it is `ruled_by`

LARGEST = 10**12  # of any number on the command line: more is a slip, and too large for what counts in 64 bits


class FiniteRange(click.FloatRange):
    """A range of numbers, without those that are none: every comparison with nan is false, so click lets it pass."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        found: float = super().convert(value, param, ctx)
        if not abs(found) <= LARGEST:
            self.fail(f"{value} is not a finite number of at most {LARGEST:,}.", param, ctx)
        return found


class WholeRange(click.IntRange):
    """A range of whole numbers, none of them too large to count with."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        found: int = super().convert(value, param, ctx)
        if found > LARGEST:
            self.fail(f"{found} is larger than {LARGEST:,}.", param, ctx)
        return found


json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object (or array of rows).")
format_option = click.option(
    "-f",
    "--format",
    "style",
    type=click.Choice(["table", "csv", "json", "parquet"]),
    help="How to print rows.  [default: table]",
)
output_option = click.option(
    "-o", "--output", type=click.Path(dir_okay=False), help="Write to a file; its suffix sets the format."
)


def wait_option(said: str = "Wait so long for another run.") -> Callable[[Command], Command]:
    """How long a command waits for another run that writes. `said`: its help text."""
    return click.option("--wait", "wait_seconds", type=FiniteRange(0), default=0, metavar="SECONDS", help=said)


def row_options(command: Command) -> Command:
    """How rows are printed. The command gets `show`, which prints a table so."""

    @look_options
    @wraps(command)
    def with_show(
        *args: object, style: str | None, output: str | None, as_json: bool, look: Look, **given: object
    ) -> None:
        style = "json" if as_json else style
        command(*args, show=partial(echo_rows, style=style, output=output, look=look), **given)

    return format_option(output_option(json_option(with_show)))


def is_for_people(show: Show) -> bool:
    """Whether a table shown so is one on a terminal, and no data for a file, a pipe or a program."""
    given = show.keywords if isinstance(show, partial) else {}
    return given.get("output") is None and given.get("style") in (None, "table") and sys.stdout.isatty()


def look_options(command: Command) -> Command:
    """How a table looks on a terminal. The command gets `look`."""

    @wraps(command)
    def with_look(*args: object, blocks: bool, wide: bool, **given: object) -> None:
        command(*args, look="wide" if wide else "blocks" if blocks else "chosen", **given)

    one = click.option("-x", "--expanded", "blocks", is_flag=True, help="On a terminal: one record a block of lines.")
    return one(click.option("--wide", is_flag=True, help="On a terminal: every column, however wide.")(with_look))


def labels_map_option(command: Command) -> Command:
    """How the labels that images came with are named. The command gets `naming`, an override of the configuration."""

    @wraps(command)
    def with_map(*args: object, labels_map: str | None, **given: object) -> None:
        path = str(Path(labels_map).absolute()) if labels_map and Path(labels_map).is_file() else labels_map
        command(*args, naming={"scan.labels_map": path}, **given)

    said = "Names of the labels images came with: CSV of key,label; imagenet1k; nearest: by vectors."
    return click.option("--labels-map", metavar="FILE", help=said)(with_map)


def column_options(command: Command) -> Command:
    """Which columns of Parquet files are read, on top of the workspace's configuration. The command gets `columns`."""

    @wraps(command)
    def with_columns(*args: object, image_column: str | None, label_column: str | None, **given: object) -> None:
        names = {key: name for key, name in (("image", image_column), ("label", label_column)) if name}
        # The pattern matches every file, and no other is likely to be so called.
        command(*args, columns={"columns.**": names or None}, **given)

    label = click.option("--label-column", metavar="NAME", help="Of Parquet files: the column of the labels.")
    image = click.option("--image-column", metavar="NAME", help="Of Parquet files: the column of the images.")
    return image(label(with_columns))


def encoder_options(command: Command) -> Command:
    """How the encoder runs, on top of the workspace's configuration. The command gets `encoder`."""

    @wraps(command)
    def with_encoder(*args: object, offline: bool | None, compiled: bool | None, **given: object) -> None:
        encoder = {f"encoder.{name}": given.pop(name) for name in ("device", "dtype", "batch_size")}
        encoder |= {"encoder.compile": compiled, "encoder.offline": offline or None}
        command(*args, encoder=encoder, **given)

    for option in (
        click.option("--offline", is_flag=True, default=None, help="Never touch the network."),
        click.option("--batch-size", type=WholeRange(min=1), help="Images at a time through the encoder."),
        click.option("--compile/--no-compile", "compiled", default=None, help="torch.compile the image tower."),
        click.option("--dtype", type=click.Choice(choices(EncoderSection, "dtype")), help="Of the encoder."),
        click.option("--device", metavar="NAME", help="cpu, cuda, cuda:1 …  [default: auto]"),
    ):
        with_encoder = option(with_encoder)
    return with_encoder

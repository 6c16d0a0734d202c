"""Options that several commands take, each defined once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


LARGEST = 10**12  # of any number on the command line: more is a slip, and too large for what counts in 64 bits


class FiniteRange(click.FloatRange):
    """A range of numbers, without those that are none: every comparison with nan is false, so click lets it pass."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        found = super().convert(value, param, ctx)
        if not abs(found) <= LARGEST:
            self.fail(f"{value} is not a finite number of at most {LARGEST:,}.", param, ctx)
        return found


class WholeRange(click.IntRange):
    """A range of whole numbers, none of them too large to count with."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        found = super().convert(value, param, ctx)
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


def column_options(command: Command) -> Command:
    """Which columns of Parquet files are read, on top of the workspace's configuration."""
    label = click.option("--label-column", metavar="NAME", help="Of Parquet files: the column of the labels.")
    return click.option("--image-column", metavar="NAME", help="Of Parquet files: the column of the images.")(
        label(command)
    )


def column_overrides(image_column: str | None, label_column: str | None) -> dict[str, Any]:
    """The same as configuration overrides; the pattern matches every file, and no other is likely to be so called."""
    given = {"image": image_column, "label": label_column}
    return {"columns.**": {key: name for key, name in given.items() if name} or None}


def encoder_options(command: Command) -> Command:
    """How the encoder runs, on top of the workspace's configuration."""
    for option in (
        click.option("--offline", is_flag=True, default=None, help="Never touch the network."),
        click.option("--batch-size", type=WholeRange(min=1), help="Images at a time through the encoder."),
        click.option("--compile/--no-compile", "compiled", default=None, help="torch.compile the image tower."),
        click.option("--dtype", type=click.Choice(["auto", "float32", "bfloat16", "float16"]), help="Of the encoder."),
        click.option("--device", metavar="NAME", help="cpu, cuda, cuda:1 …  [default: auto]"),
    ):
        command = option(command)
    return command


def encoder_overrides(
    device: str | None, dtype: str | None, compiled: bool | None, batch_size: int | None, offline: bool | None
) -> dict[str, Any]:
    """The encoder options as configuration overrides; what was not given is None."""
    return {
        "encoder.device": device,
        "encoder.dtype": dtype,
        "encoder.compile": compiled,
        "encoder.batch_size": batch_size,
        "encoder.offline": offline or None,
    }

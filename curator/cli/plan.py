"""`curator plan`: what a scan would cost on so many machines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from curator.cli.app import App, pass_app
from curator.cli.options import FiniteRange, Overrides, WholeRange, encoder_options, json_option
from curator.cli.output import echo_json, say
from curator.cli.terminal.rows import bytes_text

if TYPE_CHECKING:
    from curator.engines.cost_model import ScanCost
    from curator.workspace import ScanPlan

LAKES = (10_000_000, 100_000_000, 1_000_000_000)
UNITS = (("days", 86_400), ("h", 3_600), ("min", 60))


@click.command()
@click.argument("sources", nargs=-1, required=True)
@click.option("--nodes", type=WholeRange(min=1), default=1, show_default=True, help="Machines.")
@click.option("--cores", type=WholeRange(min=1), help="Of each machine.  [default: those of this one]")
@click.option("--gpus", type=WholeRange(min=0), default=0, show_default=True, help="Of each machine.")
@click.option("--gpu-rate", type=FiniteRange(min=0, min_open=True), help="Images/s of one GPU, not measured here.")
@click.option(
    "--images",
    type=WholeRange(min=1),
    multiple=True,
    help="Of a lake; repeatable.  [10 and 100 million, 1 billion]",
)
@click.option("--night", type=WholeRange(min=1), default=10_000, show_default=True, help="New images of a night.")
@click.option("--sample", type=WholeRange(min=1), default=256, show_default=True, help="Images to measure with.")
@encoder_options
@json_option
@pass_app
def plan(
    app: App,
    sources: tuple[str, ...],
    nodes: int,
    cores: int | None,
    gpus: int,
    gpu_rate: float | None,
    images: tuple[int, ...],
    night: int,
    sample: int,
    as_json: bool,
    encoder: Overrides,
) -> None:
    """Say what a scan of SOURCES would cost on so many machines.

    Measures each stage here on a sample, and works out from that the time, the
    storage and the stage that limits, for the sources as they are and for
    larger lakes; and what a night costs in this lake and in larger ones. A
    lower bound: starting up and uneven work are left out. What grows with the
    lake is as it was measured once, see docs/scaling-out.md.

    \b
    Example:
      curator plan /data/incoming --nodes 4 --cores 16
    """
    found = app.open(encoder).plan(
        *sources,
        nodes=nodes,
        cores=cores,
        gpus=gpus,
        images=images or LAKES,
        night=night,
        sample=sample,
        gpu_rate=gpu_rate,
    )
    echo_json(found.as_json()) if as_json else _echo(found)


def _echo(plan: ScanPlan) -> None:
    costs, fleet = plan.costs, plan.fleet
    where = f"{costs.encode_cores} cores" if costs.encode_cores else "one GPU"
    say(f"measured here on {plan.sampled} data, encoder {plan.encoder_id} on {plan.device}:")
    say(
        f"  read {_ms(costs.read)}, decode {_ms(costs.decode)}, score {_ms(costs.score)} of one core; "
        f"encode {_ms(costs.encode)} of {where}; hand on {_ms(costs.hand_on)} and commit {_ms(costs.commit)}"
    )
    say(f"fleet: {fleet.nodes} x {fleet.cores} cores and {fleet.gpus} GPUs")
    for number, item in enumerate(plan.estimates):
        name = "these sources" if number == 0 else "a lake"
        say()
        say(f"{name}, {item.images:,} images: {duration(item.seconds)}, {item.images / item.seconds:,.0f} images/s")
        _echo_stages(item)
    _echo_nights(plan.nights)


def _echo_stages(item: ScanCost) -> None:
    for stage in item.stages:
        mark = "  <- limits" if stage is item.bottleneck else ""
        beside = "side by side" if stage.beside else "alone"
        say(f"  {stage.name.ljust(32)} {duration(stage.seconds).rjust(10)}  {beside}{mark}")
    say(
        f"  storage: vectors {_bytes(item.vector_bytes)}, ledger {_bytes(item.ledger_bytes)}, its snapshot as much "
        f"again; memory of the driver: {_bytes(item.driver_bytes)}"
    )


def _echo_nights(nights: Sequence[ScanCost]) -> None:
    """A row a stage, a column a lake; the stage that takes longest in each is marked."""
    say()
    say(f"a night of {nights[0].images:,} new images in this lake, and in larger ones; * is what limits:")
    say("  ".join(["".ljust(34), *(f"{item.lake:,}".rjust(14) for item in nights)]))
    for stages in zip(*(item.stages for item in nights), strict=True):
        cells = (
            f"{duration(stage.seconds)}{' *' if stage is item.bottleneck else '  '}".rjust(14)
            for item, stage in zip(nights, stages, strict=True)
        )
        say("  ".join([f"  {stages[0].name}".ljust(34), *cells]))
    say("  ".join(["  in all".ljust(34), *(f"{duration(item.seconds)}  ".rjust(14) for item in nights)]))


def _bytes(count: float) -> str:
    return bytes_text(round(count))


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.3g} ms"


def duration(seconds: float) -> str:
    """A time in the unit that suits it."""
    for unit, size in UNITS:
        if seconds >= 2 * size:
            return f"{seconds / size:,.1f} {unit}"
    return f"{seconds:.1f} s"

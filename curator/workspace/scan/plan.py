"""What a scan would cost on so many machines: its stages measured here, and the cost model asked."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

from curator.engines.cost_model import Fleet, ScanCost, StageCosts, estimate
from curator.errors import SourceError, UsageError
from curator.types import Bank, Reject, SourceObject
from curator.workspace.context import Context
from curator.workspace.published import reading_or_empty
from curator.workspace.scan.listing import open_sources
from curator.workspace.scan.stage_costs import Sample, measure_costs, take_sample
from curator.workspace.session import writing

FEW_OBJECTS = 10_000


@dataclass(frozen=True, slots=True)
class ScanPlan:
    """Measured costs and what they come to: for the sources as they are, then for lakes of other sizes, both from
    nothing; and a night of new images, in the lake of this workspace and in lakes of those sizes."""

    fleet: Fleet
    costs: StageCosts
    sampled: int
    encoder_id: str
    device: str
    estimates: tuple[ScanCost, ...]
    nights: tuple[ScanCost, ...]

    def as_json(self) -> dict[str, Any]:
        plain = asdict(self)
        for name, costs in (("estimates", self.estimates), ("nights", self.nights)):
            for item, found in zip(plain[name], costs, strict=True):
                item |= {"seconds": found.seconds, "bottleneck": found.bottleneck.name}
        return plain


def plan_scan(
    context: Context,
    names: Sequence[str],
    fleet: Fleet,
    *,
    images: Sequence[int],
    night: int,
    sample: int,
    gpu_rate: float | None,
) -> ScanPlan:
    """Measure the stages on `sample` data of the sources and estimate. images: further sizes of the lake. night: new
    images of one. gpu_rate: images/s of one GPU, where it is known.

    Raises UsageError where nothing says how fast a device of the fleet encodes, SourceError without any image.
    """
    device = context.encoder_device
    _check_device(device, fleet, gpu_rate)
    found, list_object = _listed(context, names)
    objects = [item for item in found if isinstance(item, SourceObject)]
    measured = take_sample(context, objects, sample)
    if not measured.facts:
        raise SourceError(f"{', '.join(names)}: there is no image to measure with")
    here = _image_count(objects, measured)
    bank = _bank(context)
    with reading_or_empty(context.layout) as database:
        scorer = context.scorer(bank, database=database)
        costs = measure_costs(context, scorer, measured, list_object=list_object, images=here / len(objects))
        lake = int((database.row("accounting", limit=1) or {"images": 0})["images"])
    if gpu_rate is not None:
        costs = replace(costs, encode=1 / gpu_rate, encode_cores=0)
    expected = partial(
        estimate,
        costs,
        fleet,
        near_duplicates=context.config.near_duplicates.enabled,
        copied=context.config.publish.parquet != "none",
    )
    estimates = tuple(expected(size) for size in (here, *images))
    nights = tuple(expected(night, lake=size) for size in (lake, *images))
    return ScanPlan(fleet, costs, measured.count, context.encoder.encoder_id, device, estimates, nights)


def _listed(context: Context, names: Sequence[str]) -> tuple[list[SourceObject | Reject], float]:
    """What the sources list, and the seconds for each object. A few are listed twice: the first time is to warm up."""
    warm = False
    while True:
        started = time.perf_counter()
        found = [item for source in open_sources(names, context.config.scan) for item in source.list()]
        seconds = time.perf_counter() - started
        if len(found) >= FEW_OBJECTS or warm:
            return found, seconds / max(len(found), 1)
        warm = True


def _check_device(device: str, fleet: Fleet, gpu_rate: float | None) -> None:
    on_gpu = device.startswith("cuda")
    if fleet.gpus and not on_gpu and gpu_rate is None:
        raise UsageError(
            "this machine has no GPU whose speed could be measured",
            hint="give `gpu_rate` in images per second, or run it on a machine that has one",
        )
    if on_gpu and not fleet.gpus:
        raise UsageError("this machine encodes on its GPU", hint="give `gpus`, or `device` cpu to plan without")


def _image_count(objects: list[SourceObject], sample: Sample) -> int:
    """Images in the lake: one a loose file, and as many in containers as their bytes hold."""
    files = sum(item.kind == "file" for item in objects)
    container_bytes = sum(item.byte_size for item in objects if item.kind != "file")
    return files + round(container_bytes / max(sample.mean_bytes, 1.0))


def _bank(context: Context) -> Bank:
    """The bank that a scan would score with; built now where it was not yet."""
    encoder_id = context.encoder.encoder_id
    with reading_or_empty(context.layout) as database:
        bank = context.find_bank(database, context.config.scan.bank, encoder_id=encoder_id)
    if bank is None:
        with writing(context, "plan", {}) as ledger:
            bank = context.bank_for(ledger, context.config.scan.bank, encoder_id=encoder_id)
    return bank

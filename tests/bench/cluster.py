"""A scan by the Ray engine against the local one, and a plan against the scan it foretells: on this one machine."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from curator.workspace import Workspace
from tests.bench.measures import BANK, photographs


@dataclass(frozen=True, slots=True)
class ScanTimes:
    """Seconds of one scan of the same images: foretold, by the local engine, by Ray with its workers' start."""

    images: int
    foretold: float
    local: float
    ray: float


def scan_times(folder: Path, address: str, images: int) -> ScanTimes:
    import ray

    lake = folder / "lake"
    lake.mkdir(parents=True)
    for number, data in enumerate(photographs(images)):
        (lake / f"{number:06d}.jpg").write_bytes(data)
    local = _workspace(folder / "local", address, lake)
    plan = local.plan(lake)
    local_seconds = _scan_seconds(local, lake)
    cluster = _workspace(folder / "ray", address, lake)
    cluster = Workspace.open(cluster.layout.root, overrides={"scan.engine": "ray"})
    ray.init(address="local", include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    try:
        return ScanTimes(images, plan.estimates[0].seconds, local_seconds, _scan_seconds(cluster, lake))
    finally:
        ray.shutdown()


def _workspace(folder: Path, address: str, lake: Path) -> Workspace:
    """With its bank built and its encoder loaded: a night does that once."""
    made = Workspace.create(folder, labels=["cat", "cup of coffee", "person"], encoder=address)
    made.layout.bank_spec("base").write_text(BANK)
    made.scan(lake / "000000.jpg")
    return made


def _scan_seconds(workspace: Workspace, lake: Path) -> float:
    started = time.perf_counter()
    workspace.scan(lake)
    return time.perf_counter() - started

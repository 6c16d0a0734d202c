"""What a scan costs around its decoders and its encoder: with encoders and decoders that cost nothing, or pretend to.

Processor time of the scan's own process is counted over a whole scan, less that of a scan of ten images: what a night
costs whatever it brings. Throughput is of the whole scan, against what decoding alone has with a process on each core,
all at once: those that share caches and memory take longer for an image than one whose neighbours rest. Peaks of memory
are of resident sets, shared pixels included: of the scan's process, which has torch and DuckDB loaded, and of the
largest of its decode and reading processes.
"""

from __future__ import annotations

import logging
import os
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

from curator.engines.local import LocalEngine
from curator.engines.ray_engine import RayEngine
from curator.types import ShardOutcome
from curator.workspace import Workspace
from curator.workspace.logs import log
from curator.workspace.scan import engine as scan_engine
from tests.bench.measures import BANK, decode_seconds_at_once, photographs
from tests.bench.pretended import DeviceEncoder, pretend_to_decode, register

ROUNDS = 3  # of two engines that take turns
ENGINES = {"local": (LocalEngine, "_decoded"), "ray": (RayEngine, "_encoded")}
FEW = 10  # images of a night that has next to none
PHOTOGRAPHS = 1500  # that differ; more images differ from them in bytes behind their end


@dataclass(frozen=True, slots=True)
class Peaks:
    """Bytes: of the scan's process, and of the largest of the processes that it started."""

    parent: int
    worker: int


@dataclass(frozen=True, slots=True)
class ParentCost:
    """Milliseconds of processors an image: of the scan's process, of it and all that it starts, and of decoding alone,
    with all cores at once. share: of the throughput that it has then. stages_ms: of the scan's process, by stage."""

    parent_ms: float
    stages_ms: dict[str, float]
    whole_ms: float
    decode_ms: float
    scanned: float  # images/s
    share: float
    peaks: Peaks


def parent_cost(folder: Path, address: str, images: int) -> ParentCost:
    register()
    lake = folder / "lake"
    contents = list(photographs(min(PHOTOGRAPHS, images)))
    fill(lake, (contents[number % len(contents)] + b"%d" % number for number in range(images)))
    fill(folder / "few", (contents[number] + b"few" for number in range(FEW)))
    fill(folder / "one", [contents[0]])
    decoded = sorted(lake.iterdir())[: len(contents)]
    del contents
    workspace = made(folder / "workspace", address, folder / "one")
    few = _Spent.of(workspace, folder / "few")
    before = decode_seconds_at_once(decoded, workspace._context.encoder.preprocess)
    with watched() as peaks:
        all_of_them = _Spent.of(workspace, lake)
    after = decode_seconds_at_once(decoded, workspace._context.encoder.preprocess)
    decode, rate = (before + after) / 2, images / all_of_them.wall
    return ParentCost(
        parent_ms=1e3 * (all_of_them.parent - few.parent) / images,
        stages_ms={
            name: 1e3 * (spent - few.stages.get(name, 0.0)) / images for name, spent in all_of_them.stages.items()
        },
        whole_ms=1e3 * (all_of_them.whole - few.whole) / images,
        decode_ms=1e3 * decode,
        scanned=rate,
        share=rate * decode / len(os.sched_getaffinity(0)),
        peaks=peaks(),
    )


def busy_share(folder: Path, rate: int, images: int) -> tuple[float, float]:
    """How much of its time a device of so many images a second is busy while decoding is pretended; and images/s."""
    register()
    fill(folder / "lake", (b"image %d" % number for number in range(images)))
    fill(folder / "one", [b"one"])
    pretending = partial(scan_engine.open_pool, task=pretend_to_decode)
    with mock.patch.object(scan_engine, "open_pool", pretending):
        workspace = made(folder / "workspace", f"device:{rate}", folder / "one")
        device = workspace._context.encoder
        assert isinstance(device, DeviceEncoder)
        device.restart()
        workspace.scan(folder / "lake")
    return device.busy_share, images / (device.ended - device.begun)


@contextmanager
def at_work(engine: type[LocalEngine] | type[RayEngine], first: str) -> Iterator[list[float]]:
    """Points of time: when workers that have started begin, which calls `first`, and when the last outcome is there."""
    points: list[float] = []
    run, begin = engine.run, getattr(engine, first)

    def noted(*given: object, **named: object) -> object:
        points.append(time.perf_counter())
        return begin(*given, **named)

    def watched(*given: Any, **named: Any) -> Iterator[ShardOutcome]:
        yield from run(*given, **named)
        points.append(time.perf_counter())

    with mock.patch.object(engine, "run", watched), mock.patch.object(engine, first, noted):
        yield points


def engine_rates(folder: Path, address: str, images: int) -> list[dict[str, float]]:
    """Images a second by engine, with two decode processes and one encoder with all cores, once they have started; in
    rounds that take turns."""
    import ray

    cores = len(os.sched_getaffinity(0))  # Ray has an actor's products take so many threads as it has cores
    options = {"ray.encoders": 1, "ray.decoders": 2, "ray.encoder_cpus": cores, "scan.decode_workers": 2}
    fill(folder / "lake", photographs(images))
    fill(folder / "one", photographs(1, size=(320, 240)))
    rounds = []
    ray.init(address="local", num_cpus=cores + 2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    try:
        for number in range(ROUNDS):
            rates = {}
            for name, (engine, first) in ENGINES.items():
                workspace = made(folder / f"{name}-{number}", address, folder / "one")
                overrides = {"scan.engine": name, "scan.files_per_shard": 128, **options}
                with at_work(engine, first) as points:
                    Workspace.open(workspace.layout.root, overrides=overrides).scan(folder / "lake")
                rates[name] = images / (points[-1] - points[0])
            rounds.append(rates)
    finally:
        ray.shutdown()
    return rounds


def fill(folder: Path, contents: Iterator[bytes] | list[bytes]) -> None:
    folder.mkdir(parents=True)
    for number, data in enumerate(contents):
        (folder / f"{number:06d}.jpg").write_bytes(data)


def made(folder: Path, address: str, first: Path) -> Workspace:
    """With its bank built and its encoder loaded: a night does that once."""
    workspace = Workspace.create(folder, labels=["cat", "cup of coffee", "person"], encoder=address)
    workspace.layout.bank_spec("base").write_text(BANK)
    workspace.scan(first)
    return workspace


@dataclass(frozen=True, slots=True)
class _Spent:
    """Seconds of a scan: of processors, by this process and by it and all that it starts, and by the clock. stages: of
    this process."""

    parent: float
    whole: float
    wall: float
    stages: dict[str, float]

    @classmethod
    def of(cls, workspace: Workspace, lake: Path) -> _Spent:
        before, wall = os.times(), time.perf_counter()
        with _staged() as stages:
            workspace.scan(lake)
        wall, after = time.perf_counter() - wall, os.times()
        own, started = (sum(after[place : place + 2]) - sum(before[place : place + 2]) for place in (0, 2))
        return cls(own, own + started, wall, stages)


@contextmanager
def _staged() -> Iterator[dict[str, float]]:
    """Processor time of this process by stage, which the log tells the end of."""
    spent: dict[str, float] = {}
    last = time.process_time()

    class Clock(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            nonlocal last
            fields = getattr(record, "fields", {})
            before, last = last, time.process_time()
            name = fields.get("stage", "else")
            spent[name] = spent.get(name, 0.0) + last - before

    clock, level = Clock(), log.level
    log.addHandler(clock)
    log.setLevel(logging.INFO)
    try:
        yield spent
    finally:
        log.setLevel(level)
        log.removeHandler(clock)


@contextmanager
def watched() -> Iterator[partial[Peaks]]:
    """Looks at its own resident set ten times a second, and at the peaks of others; the peaks are known at the end."""
    seen, over = {"parent": 0, "worker": 0}, threading.Event()

    def look() -> None:
        looks = 0
        while not over.wait(0.1):
            seen["parent"] = max(seen["parent"], _resident(os.getpid()))
            if not looks % 10:  # whoever looks at all threads ten times a second costs what is to be measured
                seen["worker"] = max(seen["worker"], *map(_most_resident, _children()), 0)
            looks += 1

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield partial(lambda: Peaks(seen["parent"], seen["worker"]))
    finally:
        over.set()
        thread.join()


def _resident(process: int) -> int:
    """Bytes of memory that a process has, what it shares included; 0 where it has ended."""
    try:
        pages = Path(f"/proc/{process}/statm").read_text().split()
    except OSError:
        return 0
    return int(pages[1]) * os.sysconf("SC_PAGE_SIZE")


def _most_resident(process: int) -> int:
    """Bytes of memory that a process had at most so far; 0 where it has ended."""
    try:
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text())
    except OSError:
        return 0
    return 1024 * int(found[1]) if found else 0


def _children() -> list[int]:
    try:
        tasks = list(Path("/proc/self/task").iterdir())
        return [int(child) for task in tasks for child in (task / "children").read_text().split()]
    except OSError:  # a thread that has ended meanwhile
        return []

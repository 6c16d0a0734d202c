"""Which engine works through a scan: this machine, or a Ray cluster."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Protocol

from curator.config import ScanSection
from curator.decode import prepare_sampled
from curator.engines.decode_messages import Prepare
from curator.engines.decode_pool import DecodePool
from curator.engines.known import KnownContents
from curator.engines.local import LocalEngine
from curator.engines.stages import Progress
from curator.errors import MissingExtra
from curator.types import Preprocess, Shard, ShardOutcome
from curator.workspace.context import Context
from curator.workspace.judge.scoring import Scorer

if TYPE_CHECKING:
    from curator.engines.ray_engine import RayEngine

SLOTS = 3  # runs of images that a decode process may have ready before their turn comes


class Engine(Protocol):
    """Brings shards to their outcomes, in order."""

    def run(
        self, shards: Iterable[Shard], *, known: KnownContents, progress: Progress | None = None
    ) -> Iterator[ShardOutcome]: ...


@contextmanager
def open_engine(context: Context, scorer: Scorer | None, *, run_id: str) -> Iterator[Engine]:
    """The engine that `scan.engine` names. `scorer`: for engines whose workers score what they encode."""
    if context.config.scan.engine == "ray":
        with _ray_engine(context, scorer, run_id) as engine:
            yield engine
    else:
        with open_pool(context, context.encoder.preprocess) as pool:
            yield LocalEngine(context.encoder, pool, read=context.read_options)


def check_engine(section: ScanSection) -> None:
    """Raises MissingExtra for an engine that is not installed."""
    if section.engine == "ray" and find_spec("ray") is None:
        raise MissingExtra("ray", extra="ray", needed_for="the engine ray")


def decode_workers(wanted: int) -> int:
    """The number of decode processes: as wanted, or one for each core this process may use."""
    return len(os.sched_getaffinity(0)) if wanted < 0 else wanted


def open_pool(context: Context, preprocess: Preprocess, task: Prepare = prepare_sampled) -> DecodePool:
    """Decode processes as a scan has them, for a task on each image. Use them in a `with`."""
    return DecodePool(
        workers=decode_workers(context.config.scan.decode_workers),
        preprocess=preprocess,
        options=context.decode_options,
        memory_limit_bytes=context.config.decode.memory_limit_bytes,
        task=task,
        slots=SLOTS,
    )


def _ray_engine(context: Context, scorer: Scorer | None, run_id: str) -> RayEngine:
    from curator.engines.ray_engine import RayEngine
    from curator.engines.ray_workers import WorkerSetup

    setup = WorkerSetup(
        encoder=context.encoder_options,
        encoder_id=context.encoder.encoder_id,
        preprocess=context.encoder.preprocess,
        decode=context.decode_options,
        read=context.read_options,
        memory_limit_bytes=context.config.decode.memory_limit_bytes,
        score=partial(scorer.without_caches().score_rows, run_id=run_id) if scorer else None,
    )
    return RayEngine(setup, context.config.ray)

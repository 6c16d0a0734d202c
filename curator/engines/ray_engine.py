"""The Ray engine: the stages of the local engine on the machines of a cluster, for lakes that outgrow one.

    driver ── shards ──▶ lanes: decoder ─▶ encoder ── EncodedShard ──▶ driver, in the order of the shards ──▶ one writer

A lane is a decoder and the encoder it feeds. The driver hands out shards, takes back what came of them in order, and
settles which contents are new: two shards may hold the same image, and then the first one has it, as on one machine.
So the rows are those of the local engine.

Whatever is lost (a process, a node) costs the shards it was at: they are done again elsewhere. A driver that is lost
is run again and goes on after the last shard that was committed. Nothing is written but by the driver.

Encoding such a copy beside its shard's other images is the one thing that differs from the local engine. Where an
encoder's result depends on what else is in a batch (short dtypes on some devices), the last bit may too.
"""

from __future__ import annotations

import io
import logging
import os
import socket
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, redirect_stdout
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self, TypeAlias

from curator.config import RaySection
from curator.engines.known import KnownContents
from curator.engines.ray_workers import RayJob, ShardDecoder, ShardEncoder, WorkerSetup
from curator.engines.stages import EncodedShard, Progress, Settlement
from curator.errors import CuratorError, EngineError
from curator.printable import said_by
from curator.types import Shard, ShardOutcome
from curator.version import VERSION

SHARDS_A_LANE = 2  # one is encoded while the next is read
ATTEMPTS = 5  # of a shard whose workers are lost; then it is likely the shard that kills them
START_SECONDS = 600.0  # for a cluster to bring up all workers, weights loaded
LOST_SECONDS = 300.0  # without any worker, before a run gives up
PAUSE_SECONDS = 0.5
CONNECT_SECONDS = 10.0
CPUS_AN_ENCODER = 8  # at most, where there is no GPU: a batch does not spread well over more

log = logging.getLogger("curator")
_Work: TypeAlias = tuple[int, Shard]  # with its place in the order of shards


@dataclass(frozen=True, slots=True)
class Allotment:
    """Workers of a cluster: encoders with so many cores and GPUs each, and decoders of one core."""

    encoders: int
    encoder_cpus: int
    encoder_gpus: int
    decoders: int

    @property
    def lanes_an_encoder(self) -> int:
        """Decoders that feed one encoder, at most."""
        return -(-self.decoders // self.encoders)

    def __str__(self) -> str:
        gpus = f", {self.encoder_gpus} GPU" if self.encoder_gpus else ""
        return f"{self.encoders} encoders ({self.encoder_cpus} cores{gpus} each) and {self.decoders} decoders (1 core)"


def allot(resources: Mapping[str, float], options: RaySection, *, device: str) -> Allotment:
    """Divide a cluster's resources (`CPU`, `GPU`): one encoder a GPU, or half of the cores for encoders without GPUs.

    Raises EngineError for a cluster that is too small for one encoder and one decoder.
    """
    cpus, gpus = int(resources.get("CPU", 0)), int(resources.get("GPU", 0))
    on_gpu = gpus > 0 and device != "cpu"
    if on_gpu:
        encoders = options.encoders or gpus
        encoder_cpus = options.encoder_cpus or 1
    else:
        encoders = options.encoders or max(1, cpus // (2 * CPUS_AN_ENCODER))
        encoder_cpus = options.encoder_cpus or max(1, cpus // (2 * encoders))
    decoders = options.decoders or max(encoders, cpus - encoders * encoder_cpus)
    allotted = Allotment(encoders, encoder_cpus, int(on_gpu), decoders)
    if encoders * encoder_cpus + decoders > cpus or (on_gpu and encoders > gpus):
        raise EngineError(
            f"the cluster has {cpus} cores and {gpus} GPUs: no room for {allotted}",
            hint="start Ray with more (`ray start --num-cpus N`), or set ray.encoders, ray.decoders, ray.encoder_cpus",
        )
    return allotted


@dataclass(eq=False, slots=True)
class _Lane:
    """A decoder, the encoder it feeds, and how many shards they have."""

    encoder: Any
    decoder: Any
    load: int = 0
    lost: bool = False


@dataclass(slots=True)
class _Flight:
    """What is under way: shards by the reference of their result, and lanes that are coming back."""

    shards: dict[Any, tuple[_Work, _Lane]] = field(default_factory=dict)
    returning: dict[Any, _Lane] = field(default_factory=dict)
    again: deque[_Work] = field(default_factory=deque)
    attempts: dict[int, int] = field(default_factory=dict)
    last_sign: float = field(default_factory=time.monotonic)


class RayEngine:
    """Runs shards on a Ray cluster, for use in a `with`. The scores come with the shards where `setup.score` is given.

    Raises EngineError when the cluster cannot be reached or has no room.
    """

    def __init__(self, setup: WorkerSetup, options: RaySection) -> None:
        self._setup = setup
        self._options = options
        self._leaving = ExitStack()
        self._actors: list[Any] = []
        self._job: RayJob | None = None  # while it is referred to here, workers find it
        self._lanes: list[_Lane] = []

    def __enter__(self) -> Self:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # a cluster that is started here reports to no one
        import ray

        if not ray.is_initialized():
            self._leaving.enter_context(redirect_stdout(_LogStream()))
            _connect(ray, self._options.address)
            self._leaving.callback(ray.shutdown)
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, _: TracebackType | None) -> None:
        import ray

        with self._leaving:
            for actor in self._actors:
                ray.kill(actor, no_restart=True)

    def run(
        self, shards: Iterable[Shard], *, known: KnownContents, progress: Progress | None = None
    ) -> Iterator[ShardOutcome]:
        """Yield one outcome for each shard, in order. As `LocalEngine.run`."""
        self._start(known)
        settlement = Settlement(known)
        for encoded in self._encoded(enumerate(shards)):
            if progress:
                progress(len(encoded.data), sum(item.byte_size or 0 for item in encoded.data))
            yield settlement.settle(encoded)

    # Workers

    def _start(self, known: KnownContents) -> None:
        """Start the workers and pair them; waits until all have their weights."""
        import ray

        resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
        allotted = allot(resources, self._options, device=self._setup.encoder.device)
        restarted = ray.remote(max_restarts=-1)  # wherever there is room, when they are lost
        decoder_class, encoder_class = restarted(ShardDecoder), restarted(ShardEncoder)
        self._job = RayJob(ray.put(self._setup), ray.put(known.before))
        encoders = [
            encoder_class.options(
                num_cpus=allotted.encoder_cpus,
                num_gpus=allotted.encoder_gpus,
                max_concurrency=SHARDS_A_LANE * allotted.lanes_an_encoder + 1,
            ).remote()
            for _ in range(allotted.encoders)
        ]
        decoders = [decoder_class.options(num_cpus=1).remote() for _ in range(allotted.decoders)]
        self._actors = [*encoders, *decoders]
        nodes = _await_ready(self._actors, self._job, allotted)
        self._lanes = _paired(encoders, decoders, nodes)
        log.info("ray: %d encoders and %d decoders on %d nodes", len(encoders), len(decoders), len(set(nodes)))

    # Shards

    def _encoded(self, work: Iterator[_Work]) -> Iterator[EncodedShard]:
        """What came of each shard, in order. At most a few shards a lane are under way or wait for their turn."""
        flight = _Flight()
        done: dict[int, EncodedShard] = {}
        turn, handed_out, exhausted = 0, 0, False
        while True:
            room = 2 * SHARDS_A_LANE * len(self._lanes) - (handed_out - turn)
            while not exhausted and room > 0 and not flight.again and self._free_lane():
                item = next(work, None)
                if item is None:
                    exhausted = True
                else:
                    handed_out, room = handed_out + 1, room - 1
                    self._hand_out(item, flight)
            while flight.again and self._free_lane():
                self._hand_out(flight.again.popleft(), flight)
            if not flight.shards and not flight.again and turn == handed_out and exhausted:
                return
            self._await(flight, done)
            while turn in done:
                yield done.pop(turn)
                turn += 1

    def _free_lane(self) -> _Lane | None:
        lane = min((lane for lane in self._lanes if not lane.lost), key=lambda lane: lane.load, default=None)
        return lane if lane is not None and lane.load < SHARDS_A_LANE else None

    def _hand_out(self, work: _Work, flight: _Flight) -> None:
        lane = self._free_lane()
        assert lane is not None
        lane.load += 1
        flight.shards[lane.encoder.encode.remote(work[1], lane.decoder, self._job)] = (work, lane)

    def _await(self, flight: _Flight, done: dict[int, EncodedShard]) -> None:
        """Wait for something to happen, and note it."""
        import ray

        ready, _ = ray.wait([*flight.shards, *flight.returning], num_returns=1, timeout=PAUSE_SECONDS)
        for reference in ready:
            if reference in flight.shards:
                self._take(reference, flight, done)
            else:
                self._welcome_back(reference, flight)
        if not all(lane.lost for lane in self._lanes):
            flight.last_sign = time.monotonic()
        if time.monotonic() - flight.last_sign > LOST_SECONDS:
            raise EngineError(
                f"no worker of the cluster has answered for {LOST_SECONDS:.0f} s",
                hint="see `ray status`; run the same command again: it goes on after the last finished shard",
            )

    def _take(self, reference: Any, flight: _Flight, done: dict[int, EncodedShard]) -> None:
        """Take the result of a shard, or have it done again when those who did it are lost."""
        (number, shard), lane = flight.shards.pop(reference)
        lane.load -= 1
        try:
            done[number] = _result(reference)
        except _WorkerLost as loss:
            attempts = flight.attempts[number] = flight.attempts.get(number, 0) + 1
            if attempts == ATTEMPTS:
                raise EngineError(
                    f"{shard.objects[0].uri}: the workers of its shard were lost {attempts} times: {loss}",
                    hint="look at its images and at the memory of the nodes; everything before it is kept",
                ) from loss
            log.warning("ray: lost the workers of a shard, it is done again: %s", loss)
            flight.again.append((number, shard))
            if not lane.lost:
                lane.lost = True
                self._call_back(lane, flight)

    def _call_back(self, lane: _Lane, flight: _Flight) -> None:
        """Ask both workers of a lane for a sign of life."""
        for actor in (lane.encoder, lane.decoder):
            flight.returning[actor.ready.remote(self._job)] = lane

    def _welcome_back(self, reference: Any, flight: _Flight) -> None:
        """A lane is back when both its workers answer."""
        lane = flight.returning.pop(reference)
        try:
            _result(reference)
            lane.lost = lane in flight.returning.values()
        except _WorkerLost:
            time.sleep(PAUSE_SECONDS)
            for other in [other for other, theirs in flight.returning.items() if theirs is lane]:
                del flight.returning[other]
            self._call_back(lane, flight)


class _LogStream(io.TextIOBase):
    """Standard output while Ray is there: it prints what befalls its workers, and data only belong there."""

    def write(self, text: str) -> int:
        for line in filter(None, text.splitlines()):
            log.debug("ray: %s", line)
        return len(text)


class _WorkerLost(Exception):
    """A process or a node of the cluster is gone."""


def _result(reference: Any) -> Any:
    """The value of a reference. Raises _WorkerLost, and what the worker raised."""
    import ray
    from ray import exceptions

    lost = (
        exceptions.RayActorError,
        exceptions.ObjectLostError,
        exceptions.WorkerCrashedError,
        exceptions.NodeDiedError,
        exceptions.OutOfMemoryError,
        exceptions.RaySystemError,
    )
    try:
        return ray.get(reference)
    except exceptions.RayTaskError as fault:
        if isinstance(fault.cause, lost):
            raise _WorkerLost(said_by(fault.cause, whole=True)) from fault
        if isinstance(fault.cause, CuratorError):
            raise fault.cause from fault
        raise EngineError(f"a worker of the cluster failed: {said_by(fault.cause, whole=True)}") from fault
    except lost as fault:
        raise _WorkerLost(said_by(fault, whole=True)) from fault


def _paired(encoders: list[Any], decoders: list[Any], nodes: list[str]) -> list[_Lane]:
    """Each decoder with an encoder: evenly, and on its own node where that is even."""
    room = {index: -(-len(decoders) // len(encoders)) for index in range(len(encoders))}
    lanes = []
    for decoder, node in zip(decoders, nodes[len(encoders) :], strict=True):
        index = max(room, key=lambda index: (room[index] > 0, nodes[index] == node, room[index]))
        room[index] -= 1
        lanes.append(_Lane(encoders[index], decoder))
    return lanes


def _await_ready(actors: list[Any], job: RayJob, allotted: Allotment) -> list[str]:
    """The node of each actor. Raises EngineError when they do not all start, or run another version."""
    import ray

    for attempts_left in reversed(range(ATTEMPTS)):
        references = [actor.ready.remote(job) for actor in actors]
        _, missing = ray.wait(references, num_returns=len(references), timeout=START_SECONDS)
        if missing:
            raise EngineError(
                f"{len(missing)} of {len(references)} workers have not started after {START_SECONDS:.0f} s: "
                f"the cluster has no room for {allotted}",
                hint="see `ray status`; set ray.encoders, ray.decoders and ray.encoder_cpus",
            )
        try:
            answers = [str(_result(reference)).split("/") for reference in references]
            break
        except _WorkerLost as loss:  # or out of reach for a moment, on a node that has much to start at once
            if not attempts_left:
                raise EngineError(f"a worker of the cluster cannot start: {loss}", hint="see `ray status`") from loss
            time.sleep(PAUSE_SECONDS)
    if others := {version for _, version in answers} - {VERSION}:
        raise EngineError(f"nodes of the cluster have curator {', '.join(others)}, this one has {VERSION}")
    return [node for node, _ in answers]


def _connect(ray: Any, address: str) -> None:
    """Join the cluster at an address; without one, start it on this machine. Raises EngineError."""
    options: dict[str, Any] = {"address": address} if address else {"address": "local", "include_dashboard": False}
    try:
        _knock(address)
        ray.init(**options, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ValueError, OSError) as fault:
        raise EngineError(
            f"the Ray cluster at {address or 'this machine'} cannot be used: {said_by(fault, whole=True)}",
            hint="start one with `ray start --head`, or leave ray.address empty to use this machine alone",
        ) from fault


def _knock(address: str) -> None:
    """Whether anyone listens at `host:port`: Ray itself would go on trying for minutes. Raises OSError."""
    host, _, port = address.rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS).close()

"""The time of a scan in seconds, the bytes that it leaves on disk, and the stage that limits it, from measured costs.

Reading, decoding and encoding are spread over a cluster and go on side by side, so the slowest of them sets the pace;
one process hands on and commits what they give. Listing goes before, the search for near-duplicates, the counts and the
publication come after, all on the driver; what of that grows with the lake stands in growth.py. The model assumes that
work divides evenly, that storage gives every node what one node had when it was measured, and nothing for starting up;
so it is a lower bound, and names the stage that sets it.
"""

from __future__ import annotations

from dataclasses import dataclass

from curator.engines.growth import MEASURED

ID_BYTES = 16  # of a known image, in the memory of the driver
OBJECT_BYTES = 700  # of a listed object, in the memory of the driver: two texts, a version, and what holds them


@dataclass(frozen=True, slots=True)
class StageCosts:
    """Seconds of one core unless said, for one image unless said; bytes at rest for one image.

    encode: of one device, a GPU or all cores of the machine that was measured. hand_on: of the process that leads,
    which passes images from reading to encoding. publish: for one byte of the ledger. reject_share: of the data; they
    are only read and decoded.
    """

    list_object: float
    read: float
    decode: float
    encode: float
    encode_cores: int  # 0: a GPU
    score: float
    commit: float
    hand_on: float
    publish: float
    object_images: float
    source_bytes: float
    vector_bytes: float
    ledger_bytes: float
    reject_share: float = 0.0


@dataclass(frozen=True, slots=True)
class Fleet:
    """Machines of one kind; gpus: of each."""

    nodes: int
    cores: int
    gpus: int = 0


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of a scan: how long it takes, and whether it goes on beside the others that do."""

    name: str
    seconds: float
    beside: bool


@dataclass(frozen=True, slots=True)
class ScanCost:
    """A scan of so many new images, into a lake that has so many already."""

    images: int
    lake: int
    stages: tuple[Stage, ...]
    vector_bytes: float
    ledger_bytes: float
    driver_bytes: float

    @property
    def seconds(self) -> float:
        side_by_side = max(stage.seconds for stage in self.stages if stage.beside)
        return side_by_side + sum(stage.seconds for stage in self.stages if not stage.beside)

    @property
    def bottleneck(self) -> Stage:
        """The stage that takes longest."""
        return max(self.stages, key=lambda stage: stage.seconds)


def estimate(
    costs: StageCosts, fleet: Fleet, images: int, *, lake: int = 0, near_duplicates: bool = True, copied: bool = True
) -> ScanCost:
    """A scan of `images` new images on the fleet, into a lake of so many. near_duplicates, copied: whether they are
    looked for, and whether the report is copied as Parquet."""
    cores, gpus = fleet.nodes * fleet.cores, fleet.nodes * fleet.gpus
    good, whole = images * (1 - costs.reject_share), lake + images
    objects = whole / costs.object_images
    reading = images * (costs.read + costs.decode)
    if gpus:
        workers: tuple[Stage, ...] = (
            Stage("read and decode", reading / max(cores - gpus, 1), True),
            Stage("encode and score", good * (costs.encode + costs.score) / gpus, True),
        )
    else:
        encoding = good * (costs.encode * costs.encode_cores + costs.score)
        workers = (Stage("read, decode, encode and score", (reading + encoding) / cores, True),)
    ledger_bytes = images * costs.ledger_bytes
    near = good / MEASURED.new * MEASURED.of("near_duplicates", lake + images / 2)  # half of them are there on average
    stages = (
        Stage("list", objects * costs.list_object, False),
        *workers,
        Stage("hand on and commit (one process)", images * (costs.hand_on + costs.commit), True),
        Stage("near-duplicates (driver)", near if near_duplicates else 0.0, False),
        Stage("look through the lake", sum(MEASURED.of(name, whole) for name in ("known", "count", "rest")), False),
        Stage("publish", ledger_bytes * costs.publish + MEASURED.of("publish", lake), False),
        Stage("copy as Parquet", MEASURED.of("copy", whole) if copied else 0.0, False),
    )
    driver_bytes = whole * ID_BYTES + objects * OBJECT_BYTES
    return ScanCost(images, lake, stages, good * costs.vector_bytes, ledger_bytes, driver_bytes)

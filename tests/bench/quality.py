"""`python -m tests.bench.quality ../shared/data`: how often images are flagged as bad pictures, and what that costs.

Photographs are flagged as they are and made darker, brighter and blurred, by a share of the longer side. The cost is
that of decoding with and without the measures, in turns.
"""

from __future__ import annotations

import io
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pyarrow as pa
from PIL import Image, ImageFilter

from curator.decode import DecodeFailure, DecodeOptions, prepare
from curator.decode import image as decoding
from curator.engines.decode_messages import DecodeJob
from curator.engines.decode_pool import SLOT_IMAGES
from curator.engines.decode_worker import decode_batch
from curator.lake import ReadOptions, open_source, plan_shards, read_shard
from curator.store import Database
from curator.store.migrate import migrate
from curator.types import Datum, ImageFacts, Quality, SourceObject
from tests.bench.decoding import PREPROCESS, SIZES, enlarged
from tests.bench.measures import photographs

FLAGS = ("dark", "bright", "blurry", "low_information", "odd_aspect")
SETS = ("objects-folder", "imagenette-wds-0000.tar", "scenes.parquet", "tiny64-wds-0000.tar", "clothing.parquet",
        "flowers.parquet", "cartoons", "brain-mri", "terminal-near-duplicates")  # fmt: skip
PHOTOGRAPHS = SETS[:3]
EACH = 300
ROUNDS = 40
Change = Callable[[Image.Image], Image.Image]


def levels(factor: float, offset: float) -> Change:
    return lambda image: image.point([min(255, round(offset + factor * level)) for level in range(256)] * 3)


def blurred(share: float) -> Change:
    return lambda image: image.filter(ImageFilter.GaussianBlur(share * max(image.size)))


CHANGES: dict[str, Change] = {
    "half as bright": levels(0.5, 0),
    "a quarter as bright": levels(0.25, 0),
    "washed out": levels(0.04, 245),
    **{f"blurred by {share:.0%}": blurred(share) for share in (0.01, 0.02, 0.04)},
}


def images_of(source: str) -> Iterator[bytes]:
    """Up to EACH images from all over a source."""
    objects = [item for item in open_source(source).list() if isinstance(item, SourceObject)]
    found = [
        item.data
        for shard in plan_shards(objects)
        for item in read_shard(shard, options=ReadOptions())
        if isinstance(item, Datum)
    ]
    return iter(found[:: max(1, len(found) // EACH)][:EACH])


def facts_of(contents: Iterator[bytes]) -> Iterator[ImageFacts]:
    for data in contents:
        try:
            yield prepare(data, PREPROCESS, DecodeOptions())[1]
        except DecodeFailure:
            continue


def changed(contents: Iterator[bytes], change: Change) -> Iterator[bytes]:
    for data in contents:
        buffer = io.BytesIO()
        change(Image.open(io.BytesIO(data)).convert("RGB")).save(buffer, "PNG")
        yield buffer.getvalue()


def row(database: Database, name: str, facts: list[ImageFacts]) -> str:
    columns = {field: [getattr(item.quality, field) for item in facts] for field in Quality._fields}
    sides = {side: [getattr(item, side) for item in facts] for side in ("width", "height")}
    counted = ", ".join(f"100 * avg({flag}::integer)" for flag in FLAGS)
    with database.incoming(image=pa.table({**sides, **columns})):
        (shares,) = database.arrow(f"select {counted} from main.assessed('incoming_image')").to_pylist()
    return f"| {name} | {len(facts)} | " + " | ".join(f"{share:.1f} %" for share in shares.values()) + " |"


def cost() -> Iterator[str]:
    """Processor time of decoding a batch without the measures, and what they add, medians of rounds that take turns."""
    job = DecodeJob(PREPROCESS, DecodeOptions())
    squares = np.zeros((SLOT_IMAGES, PREPROCESS.size, PREPROCESS.size, 3), np.uint8)
    for name, (size, count) in SIZES.items():
        contents = [enlarged(data, size) for data in photographs(min(count, SLOT_IMAGES))]
        seconds = np.zeros((ROUNDS, 2))
        for one in range(ROUNDS):
            seconds[one, 0] = decode_batch(contents, job, squares).cpu_seconds
            with patch.object(decoding, "sampled", lambda image: None):
                seconds[one, 1] = decode_batch(contents, job, squares).cpu_seconds
        plain, more = float(np.median(seconds[:, 1])), float(np.median(seconds[:, 0] - seconds[:, 1]))
        each = 1e3 / len(contents)
        yield f"{name}: {each * plain:.2f} ms, and {1e3 * each * more:.0f} µs for the measures ({more / plain:.1%})"


def main(data: Path) -> None:
    print("| images | number | " + " | ".join(FLAGS) + " |\n|---|" + "---|" * (1 + len(FLAGS)))
    with tempfile.TemporaryDirectory() as folder, Database.open(Path(folder) / "ledger.duckdb") as database:
        migrate(database)
        for name in SETS:
            print(row(database, name, list(facts_of(images_of(str(data / name))))))
        plain = [content for name in PHOTOGRAPHS for content in list(images_of(str(data / name)))[::3]]
        for name, change in CHANGES.items():
            print(row(database, f"photographs, {name}", list(facts_of(changed(iter(plain), change)))))
    print(*cost(), sep="\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""Images of an evaluation saved alike: their vectors, made once for each image and format, and remembered.

Their bytes are read again from where they lie, and saved, decoded and made fit in decode processes, like all images.
The vectors are a cache: `cache/resaved` holds files of up to FILE_IMAGES of them, each named by what is in it, with a
key for the image and its format in place of the image's id. A file that is damaged counts as missing.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from curator.decode import SavedFormat, format_of, resaved
from curator.engines.decode_pool import Decoded, DecodedBatch, DecodeFault, DecodePool, PendingBatch
from curator.errors import CuratorError, VectorFault
from curator.store import Database
from curator.types import Preprocess, Vectors
from curator.vectors import at_rest, read_shard, write_shard
from curator.workspace.context import Context
from curator.workspace.logs import log
from curator.workspace.look.pictures import read_pictures
from curator.workspace.scan.engine import open_pool
from curator.workspace.scan.request import ScanWatcher

CODE = 1  # goes up when the same format gives other pixels
FILE_IMAGES = 2048
TASK_IMAGES = 16  # decoded together
AHEAD = 16  # of such tasks, while the encoder works

Item = TypeVar("Item")


def shortest_sides(database: Database, image_ids: Sequence[str]) -> dict[str, int]:
    """The shortest side of images, in pixels, by id."""
    with database.incoming(wanted=pa.table({"image_id": pa.array(image_ids, pa.string())})):
        return {row["image_id"]: row["side"] for row in database.rows("list_shortest_sides")}


def measured_formats(context: Context, database: Database, sides: Mapping[str, int]) -> dict[str, SavedFormat]:
    """How images are saved as they are, by id, given their shortest sides; those that cannot be read are left out."""
    with open_pool(context, Preprocess(1), format_of) as pool:
        pictures = _pictures(context, database, list(sides), [])
        found = _decoded(pool, pictures, [])
        return {image_id: SavedFormat(sides[image_id], int(result.pixels[0, 0, 0])) for image_id, result in found}


def resaved_vectors(
    context: Context,
    database: Database,
    wanted: Mapping[str, SavedFormat],
    *,
    encoder_id: str,
    watcher: ScanWatcher,
    unsaved: list[str],
) -> dict[str, NDArray[np.float32]]:
    """The vectors of images saved in these formats, by image id, (d,) each, as files keep them.

    unsaved: gets a line for each image that has none.
    """
    folder = context.layout.resaved_cache(encoder_id)
    key_of = {image_id: _key(context, image_id, format_) for image_id, format_ in wanted.items()}
    known = _remembered(folder, encoder_id, frozenset(key_of.values()))
    missing = {image_id: format_ for image_id, format_ in wanted.items() if key_of[image_id] not in known}
    made = _encoded(context, database, missing, unsaved) if missing else iter(())
    for part in _runs(made, FILE_IMAGES):
        keys, vectors = [key_of[image_id] for image_id, _ in part], np.stack([vector for _, vector in part])
        name = hashlib.sha256("".join(keys).encode()).hexdigest()[:32]
        write_shard(folder / f"{name}.safetensors", keys, vectors, encoder_id=encoder_id)
        known |= dict(zip(keys, at_rest(vectors), strict=True))
        watcher.advance(data=len(part))
    return {image_id: known[key] for image_id, key in key_of.items() if key in known}


def _key(context: Context, image_id: str, saved: SavedFormat) -> str:
    """All that shapes the vector of an image, but for its encoder."""
    facts = (CODE, image_id, saved.side, saved.quality, context.config.decode.scaled)
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:32]


def _remembered(folder: Path, encoder_id: str, keys: frozenset[str]) -> dict[str, NDArray[np.float32]]:
    found: dict[str, NDArray[np.float32]] = {}
    for path in sorted(folder.glob("[!.]*.safetensors")):
        try:
            shard = read_shard(path)
        except VectorFault as fault:
            log.warning("%s: its images are saved and embedded again", fault.message)
            continue
        if shard.encoder_id == encoder_id:
            rows = zip(shard.image_ids, shard.vectors, strict=True)
            found |= {key: vector for key, vector in rows if key in keys}
    return found


def _encoded(
    context: Context, database: Database, wanted: Mapping[str, SavedFormat], unsaved: list[str]
) -> Iterator[tuple[str, NDArray[np.float32]]]:
    encoder = context.encoder
    pictures = _pictures(context, database, list(wanted), unsaved)
    asked = ((image_id, wanted[image_id].before(data)) for image_id, data in pictures)
    with open_pool(context, encoder.preprocess, resaved) as pool:
        for part in _runs(_decoded(pool, asked, unsaved), encoder.batch_size):
            vectors: Vectors = encoder.encode_images(np.stack([result.pixels for _, result in part]))
            for (image_id, _), vector in zip(part, vectors, strict=True):
                if np.all(np.isfinite(vector)):
                    yield image_id, vector
                else:
                    unsaved.append(f"image {image_id}: the encoder gave no finite vector")


def _pictures(
    context: Context, database: Database, image_ids: Sequence[str], unsaved: list[str]
) -> Iterator[tuple[str, bytes]]:
    for image_id, data in read_pictures(context, database, image_ids):
        if isinstance(data, CuratorError):
            unsaved.append(data.message)
        else:
            yield image_id, data


def _decoded(
    pool: DecodePool, pictures: Iterable[tuple[str, bytes]], unsaved: list[str]
) -> Iterator[tuple[str, Decoded]]:
    """What decode processes make of pictures, in order; some tasks are always ahead."""
    waiting: deque[tuple[tuple[str, ...], PendingBatch]] = deque()

    def settled(image_ids: Sequence[str], batch: DecodedBatch) -> Iterator[tuple[str, Decoded]]:
        for image_id, result in zip(image_ids, batch.items, strict=True):
            if isinstance(result, DecodeFault):
                unsaved.append(f"image {image_id}: {result.reason}: {result.detail}")
            else:
                yield image_id, result

    for part in _runs(pictures, TASK_IMAGES):
        waiting.append((tuple(image_id for image_id, _ in part), pool.submit([data for _, data in part])))
        if len(waiting) > AHEAD:
            image_ids, pending = waiting.popleft()
            yield from settled(image_ids, pending.result())
    for image_ids, pending in waiting:
        yield from settled(image_ids, pending.result())


def _runs(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    rest = iter(items)
    while run := list(islice(rest, size)):
        yield run

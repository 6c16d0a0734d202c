"""While a batch is encoded the next one is gathered, over the ends of shards too, as long as there is room for it."""

from __future__ import annotations

import threading
from unittest import mock

import numpy as np
import pytest

from curator.decode import DecodeOptions
from curator.engines import chunks
from curator.engines.batches import BUFFERS, Encoding
from curator.engines.decode_pool import DecodedBatch, DecodeFault, DecodePool
from curator.engines.known import KnownContents
from curator.engines.local import LocalEngine
from curator.engines.stages import EncodedShard, ShardBuilder
from curator.errors import EncoderError
from curator.lake import PassedOver, ReadOptions
from curator.types import Datum, ImageFacts, Pixels, Preprocess, Seen, Shard, SourceObject, Vectors
from tests.patience import BRAKE_SECONDS

PREPROCESS = Preprocess(size=1)


class Held:
    """An encoder whose n-th batch is done when it is let go."""

    batch_size, dimension, preprocess = 2, 4, PREPROCESS

    def __init__(self) -> None:
        self.begun: list[list[int]] = []
        self.let_go = threading.Semaphore(0)

    def encode_images(self, pixels: Pixels) -> Vectors:
        self.begun.append(pixels[:, 0, 0, 0].tolist())
        assert self.let_go.acquire(timeout=BRAKE_SECONDS)
        return np.eye(4, dtype=np.float32)[pixels[:, 0, 0, 0] % 4]


def decode(data: bytes, preprocess: Preprocess, options: DecodeOptions) -> tuple[Pixels, ImageFacts]:
    return np.full((1, 1, 3), data[0], np.uint8), ImageFacts(1, 1, "PNG", "RGB", False)


def shard_of(number: int) -> Shard:
    item = SourceObject(f"o{number}", f"o{number}", "tar", 0, "v")
    return Shard(f"s{number}", "tar", (item,), None, (item,))


def outcomes(encoder: object, lake: list[list[int]], progress=None):  # type: ignore[no-untyped-def]
    """Of shards whose contents are numbers."""

    def read(shard, *, options, passed):  # type: ignore[no-untyped-def]
        name = shard.objects[0].uri
        for place, content in enumerate(lake[int(name[1:])]):
            yield Datum(f"{name}#{place}", name, bytes([content]), str(place))

    pool = DecodePool(workers=0, preprocess=PREPROCESS, options=DecodeOptions(), task=decode)
    with mock.patch.object(chunks, "read_shard", read):
        engine = LocalEngine(encoder, pool, read=ReadOptions())  # type: ignore[arg-type]
        shards = [shard_of(number) for number in range(len(lake))]
        yield from engine.run(shards, known=KnownContents(), progress=progress)


def test_shards_are_gathered_while_the_first_batch_is_encoded():
    encoder = Held()
    seen = 0

    def progress(data: int, byte_size: int) -> None:
        nonlocal seen
        seen += data
        if seen == 4:  # the first shard and the second are gathered, and nothing is encoded yet
            encoder.let_go.release(10)

    found = list(outcomes(encoder, [[1, 2], [3, 4], [5]], progress))
    assert [[image.byte_size for image in outcome.images] for outcome in found] == [[1, 1], [1, 1], [1]]
    assert encoder.begun == [[1, 2], [3, 4], [5]]
    assert [outcome.vectors.argmax(axis=1).tolist() for outcome in found] == [[1, 2], [3, 0], [1]]


def test_whoever_wants_more_batches_than_there_is_room_for_waits():
    encoder = Held()
    with Encoding(encoder) as encoding:
        for _ in range(BUFFERS):
            encoding.encode(encoding.buffer(), 1)
        wanted = threading.Thread(target=lambda: encoding.give_back(encoding.buffer()))
        wanted.start()
        wanted.join(0.05)
        assert wanted.is_alive()
        encoder.let_go.release(BUFFERS)
        wanted.join(BRAKE_SECONDS)
        assert not wanted.is_alive()


def gathered(batch: DecodedBatch, encoder: Held) -> EncodedShard:
    """A shard of one chunk, all of whose images are fresh, encoded at once."""
    data = [
        Seen(f"o#{place}", "o", None, None, 1, None, f"{place}", True, True) for place in range(len(batch.outcomes))
    ]
    encoder.let_go.release(10)
    with Encoding(encoder) as encoding:
        builder = ShardBuilder(shard_of(0), encoding, failed={})
        builder.add(data, PassedOver(), batch)
        builder.close()
        return builder.result()


@pytest.mark.parametrize(("count", "in_place"), [(4, True), (3, False)])
def test_a_chunk_of_whole_batches_is_encoded_where_it_was_decoded_and_then_released(count, in_place):
    facts, met, released = ImageFacts(1, 1, "PNG", "RGB", False), [], []

    class Watched(Held):
        def encode_images(self, pixels: Pixels) -> Vectors:
            met.append(np.shares_memory(pixels, squares))
            assert not (met[-1] and released)
            return super().encode_images(pixels)

    squares = np.arange(3 * count, dtype=np.uint8).reshape(count, 1, 1, 3)
    encoded = gathered(DecodedBatch((facts,) * count, squares, 0.0, lambda: released.append(True)), Watched())
    assert met == [in_place] * 2
    assert released == [True]
    assert encoded.image_ids == [str(place) for place in range(count)] and len(encoded.facts) == count
    assert encoded.vectors.argmax(axis=1).tolist() == [3 * place % 4 for place in range(count)]


def test_a_chunk_with_a_fault_is_gathered_around_it():
    facts, fault = ImageFacts(1, 1, "PNG", "RGB", False), DecodeFault("empty", "no bytes")
    squares = np.arange(6, dtype=np.uint8).reshape(2, 1, 1, 3)
    encoded = gathered(DecodedBatch((facts, fault, facts), squares, 0.0), Held())
    assert encoded.image_ids == ["0", "2"] and [*encoded.faults] == ["1"]
    assert encoded.vectors.argmax(axis=1).tolist() == [0, 3]


def test_a_fault_of_the_encoder_ends_the_run():
    class Broken(Held):
        def encode_images(self, pixels: Pixels) -> Vectors:
            raise EncoderError("the GPU has too little memory")

    with pytest.raises(EncoderError, match="too little memory"):
        list(outcomes(Broken(), [[number, number + 1] for number in range(0, 40, 2)]))

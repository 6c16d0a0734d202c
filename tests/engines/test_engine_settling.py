"""A shard's vectors depend on the shard alone, and shards that were done without knowing each other settle as if they
had been done one by one."""

from __future__ import annotations

from collections.abc import Iterator
from unittest import mock

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from curator.decode import DecodeFailure, DecodeOptions
from curator.engines import chunks
from curator.engines.batches import Encoding
from curator.engines.chunks import shard_chunks
from curator.engines.decode_pool import DecodePool
from curator.engines.known import KnownContents, id_table
from curator.engines.local import LocalEngine
from curator.engines.stages import EncodedShard, Settlement, ShardBuilder
from curator.lake import PassedOver, ReadOptions, content_id
from curator.types import Datum, ImageFacts, Pixels, Preprocess, Reject, Shard, ShardOutcome, SourceObject, Vectors

PREPROCESS = Preprocess(size=1)
OPTIONS = ReadOptions()


class PickyEncoder:
    """Its vectors depend on the shape of a batch and on the place in it, as those of real ones may in the last bit.
    One content gives no finite vector."""

    batch_size = 3
    dimension = 4
    preprocess = PREPROCESS

    def encode_images(self, pixels: Pixels) -> Vectors:
        value = pixels[:, 0, 0, 0].astype(np.float32)
        place = np.arange(len(pixels), dtype=np.float32)
        count = np.full(len(pixels), len(pixels), np.float32)
        vectors = np.stack([value, place, count, np.ones(len(pixels), np.float32)], axis=1)
        vectors[value == 7] = np.nan
        return vectors


def decode(data: bytes, preprocess: Preprocess, options: DecodeOptions) -> tuple[Pixels, ImageFacts]:
    """A content is one byte; some are bad."""
    if data[0] in (5, 6):
        raise DecodeFailure("corrupt", "it is")
    return np.full((1, 1, 3), data[0], np.uint8), ImageFacts(1, 1, "PNG", "RGB", False)


def pool() -> DecodePool:
    return DecodePool(workers=0, preprocess=PREPROCESS, options=DecodeOptions(), task=decode)


def shard_of(number: int) -> Shard:
    item = SourceObject(f"o{number}", f"o{number}", "tar", 0, "v")
    return Shard(f"s{number}", "tar", (item,), None, (item,))


def reading(lake: list[list[int]]):  # type: ignore[no-untyped-def]
    """Shards whose contents are numbers; 9 cannot be read."""

    def read(shard: Shard, *, options: ReadOptions, passed: PassedOver) -> Iterator[Datum | Reject]:
        name = shard.objects[0].uri
        for place, content in enumerate(lake[int(name[1:])]):
            uri = f"{name}#{place}"
            yield (
                Reject(uri, name, "read", "read_failed", "no")
                if content == 9
                else Datum(uri, name, bytes([content]), str(place))
            )

    return mock.patch.object(chunks, "read_shard", read)


def one_by_one(lake: list[list[int]], known: KnownContents, *, first: int = 0) -> list[ShardOutcome]:
    with reading(lake):
        engine = LocalEngine(PickyEncoder(), pool(), read=OPTIONS)  # type: ignore[arg-type]
        return list(engine.run([shard_of(number) for number in range(first, len(lake))], known=known))


def each_alone(lake: list[list[int]], known: KnownContents) -> list[ShardOutcome]:
    """As the workers of a cluster do: no shard knows of the others."""
    settlement = Settlement(known)
    with reading(lake):
        return [settlement.settle(encoded_alone(number, known)) for number in range(len(lake))]


def encoded_alone(number: int, known: KnownContents) -> EncodedShard:
    shard = shard_of(number)
    with Encoding(PickyEncoder()) as encoding:
        builder = ShardBuilder(shard, encoding, failed={})
        for chunk in shard_chunks(shard, KnownContents(known.before), OPTIONS):
            builder.add(chunk.data, chunk.passed, pool().submit_parcel(chunk.parcel, chunk.fresh).result())
        builder.close()
        return builder.result()


def plain(outcome: ShardOutcome) -> list[object]:
    data = [(item.uri, getattr(item, "image_id", None), getattr(item, "fresh", None)) for item in outcome.data]
    counts = (outcome.duplicate_count, outcome.decoded_count, outcome.byte_count)
    return [data, outcome.rejects, outcome.images, outcome.vectors.tolist(), counts]


keys = st.binary(min_size=16, max_size=16)
lakes = st.lists(st.lists(st.integers(0, 9), max_size=40), max_size=5)


@given(lake=lakes, before=st.sets(st.integers(0, 4)))
def test_shards_done_alone_settle_as_if_done_one_by_one(lake, before):
    known = id_table(content_id(bytes([content])) for content in before)
    expected = one_by_one(lake, KnownContents(known))
    assert [plain(outcome) for outcome in each_alone(lake, KnownContents(known))] == list(map(plain, expected))


@given(lake=lakes.filter(bool), data=st.data())
def test_vectors_after_a_restart_are_those_of_an_unbroken_run(lake, data):
    """Killed after some shards, what they hold is known before the second run; later vectors do not change by it."""
    unbroken = one_by_one(lake, KnownContents())
    finished = data.draw(st.integers(0, len(lake)))
    images = [image.image_id for outcome in unbroken[:finished] for image in outcome.images]
    resumed = one_by_one(lake, KnownContents(id_table(images)), first=finished)
    for now, then in zip(resumed, unbroken[finished:], strict=True):
        assert [image.image_id for image in now.images] == [image.image_id for image in then.images]
        assert now.vectors.tolist() == then.vectors.tolist()


@given(
    ids=st.lists(st.binary(min_size=16, max_size=16), unique=True), others=st.lists(st.binary(min_size=16, max_size=16))
)
def test_known_contents_are_found_zeros_at_their_end_included(ids, others):
    known = KnownContents(id_table(image_id.hex() for image_id in ids))
    assert not any(known.add(image_id.hex()) for image_id in ids)
    for other in others:
        assert known.add(other.hex()) == (other not in ids)
        assert not known.add(other.hex())
        ids.append(other)


def test_a_batch_of_contents_that_have_vectors_is_not_encoded():
    encoder = mock.Mock(spec=PickyEncoder, wraps=PickyEncoder(), batch_size=3, dimension=4, preprocess=PREPROCESS)
    known = id_table(content_id(bytes([content])) for content in (0, 1, 2))
    with reading([[0, 1, 2, 3, 4]]):
        (outcome,) = LocalEngine(encoder, pool(), read=OPTIONS).run([shard_of(0)], known=KnownContents(known))
    assert len(outcome.images) == 2
    assert encoder.encode_images.call_count == 1

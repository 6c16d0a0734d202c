"""Stored vectors by id: in any order, block by block, of files that are checked before anything of them is used."""

from __future__ import annotations

import numpy as np
import pytest

from curator.errors import VectorFault
from curator.vectors import ImageCollection, at_rest, write_shard
from curator.workspace.learn import stored
from curator.workspace.learn.stored import StoredImages, blocks


def names(count: int) -> list[str]:
    return [f"{number:030x}aa" for number in range(count)]


@pytest.fixture
def collection(tmp_path, unit):
    vectors = unit(np.random.default_rng(0).normal(size=(10, 8)))
    for file, rows in (("a", slice(0, 6)), ("b", slice(6, 10))):
        write_shard(tmp_path / f"{file}.safetensors", names(10)[rows], vectors[rows], encoder_id="e@1")
    return ImageCollection(tmp_path, ("a", "b"), 8, verified=True), at_rest(vectors)


def test_images_come_in_the_order_asked_for_and_in_blocks(collection, monkeypatch):
    images, vectors = collection
    order = [9, 0, 6, 3, 3]
    found = StoredImages(images, [names(10)[place] for place in order])
    np.testing.assert_array_equal(found[:], vectors[order])
    monkeypatch.setattr(stored, "ROWS", 2)
    parts = list(blocks(found))
    assert [len(part) for part in parts] == [2, 2, 1]
    np.testing.assert_array_equal(np.concatenate(parts), vectors[order])
    assert [part.shape for part in blocks(StoredImages(images, []))] == [(0, 8)]


def test_an_image_without_a_vector_is_named(collection):
    with pytest.raises(VectorFault, match=f"image {'0' * 30}ff has no vector"):
        StoredImages(collection[0], [names(1)[0], "0" * 30 + "ff"])[:]


def test_a_damaged_file_is_refused_and_a_sound_one_beside_it_is_read(collection):
    images, vectors = collection
    path = images.folder / "b.safetensors"
    data = bytearray(path.read_bytes())
    data[-100] ^= 1
    path.write_bytes(data)
    np.testing.assert_array_equal(StoredImages(images, names(6))[:], vectors[:6])
    with pytest.raises(VectorFault, match="its checksum does not match"):
        StoredImages(images, names(10))[:]

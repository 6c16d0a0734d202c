"""Vector files: what is written comes back, and what is damaged is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import save_file

from curator.errors import VectorFault
from curator.vectors import at_rest, read_rows, read_shard, write_shard
from curator.vectors.collections import unit
from curator.vectors.shards import id_bytes, id_texts, read_info

image_ids = st.binary(min_size=16, max_size=16).map(bytes.hex)


@st.composite
def shards(draw, max_size=12):
    ids = draw(st.lists(image_ids, max_size=max_size))
    dimension = draw(st.integers(1, 9))
    seed = draw(st.integers(0, 2**32 - 1))
    raw = np.random.default_rng(seed).standard_normal((len(ids), dimension)).astype(np.float32)
    return ids, unit(raw) if len(ids) else raw


@pytest.fixture
def written(tmp_path, vectors_of):
    path = tmp_path / "a.safetensors"
    vectors = vectors_of(5)
    write_shard(path, [f"{n:032x}" for n in range(5)], vectors, encoder_id="fake@1")
    return path, vectors


@given(shards())
def test_a_shard_reads_back_as_it_rests(tmp_path_factory, shard):
    ids, vectors = shard
    path = tmp_path_factory.mktemp("shards") / "a.safetensors"
    write_shard(path, ids, vectors, encoder_id="fake@1")
    read = read_shard(path)
    assert read.image_ids == ids
    assert read.encoder_id == "fake@1"
    assert read.vectors.dtype == np.float32
    assert np.array_equal(read.vectors, at_rest(vectors))


@given(shards(), st.data())
def test_writing_in_parts_and_reading_rows_equal_the_whole(tmp_path_factory, shard, data):
    ids, vectors = shard
    cut = data.draw(st.integers(0, len(ids)))
    folder = tmp_path_factory.mktemp("shards")
    for name, part in (("whole", slice(None)), ("head", slice(cut)), ("tail", slice(cut, None))):
        write_shard(folder / name, ids[part], vectors[part], encoder_id="fake@1")
    whole, head, tail = (read_shard(folder / name) for name in ("whole", "head", "tail"))
    assert head.image_ids + tail.image_ids == whole.image_ids
    assert np.array_equal(np.concatenate([head.vectors, tail.vectors]), whole.vectors)
    rows = data.draw(st.lists(st.integers(0, len(ids) - 1))) if ids else []
    assert np.array_equal(read_rows(folder / "whole", rows), whole.vectors[np.array(rows, dtype=int)])


@given(st.integers(0, 2**32 - 1))
def test_resting_vectors_rest_unchanged_and_cosines_stay_within_the_stated_bound(seed):
    a, b = (unit(rows) for rows in np.random.default_rng(seed).standard_normal((2, 20, 64)).astype(np.float32))
    assert np.array_equal(at_rest(at_rest(a)), at_rest(a))
    bound = 2**-10 + np.sqrt(64) * 2**-24
    assert np.abs(at_rest(a) @ at_rest(b).T - a @ b.T).max() <= bound


def test_equal_content_gives_equal_bytes(tmp_path, written):
    path, vectors = written
    again = tmp_path / "b.safetensors"
    write_shard(again, [f"{n:032x}" for n in range(5)], vectors, encoder_id="fake@1")
    assert again.read_bytes() == path.read_bytes()


def test_the_file_is_plain_safetensors_that_others_can_read(written):
    path, vectors = written
    with safe_open(path, framework="numpy") as file:
        assert file.get_tensor("vectors").dtype == np.float16
        assert np.array_equal(file.get_tensor("vectors"), vectors.astype(np.float16))
        assert file.get_tensor("image_ids").shape == (5, 16)


def test_a_truncated_file_is_named_at_every_length(written):
    path, _ = written
    whole = path.read_bytes()
    for length in (0, 4, 8, 40, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        for read in (read_shard, lambda broken: read_rows(broken, [0])):
            with pytest.raises(VectorFault, match=r"a\.safetensors is damaged"):
                read(path)


def test_a_flipped_bit_anywhere_in_ids_or_vectors_is_noticed(written):
    path, _ = written
    whole, info = bytearray(path.read_bytes()), read_info(path)
    for offset in (info.id_offset, info.id_offset + 79, info.vector_offset, info.vector_offset + 159):
        broken = bytearray(whole)
        broken[offset] ^= 1
        path.write_bytes(broken)
        with pytest.raises(VectorFault, match="checksum"):
            read_shard(path)


def test_a_missing_file_and_a_foreign_file_are_told_apart(tmp_path):
    with pytest.raises(VectorFault, match=r"gone\.safetensors is missing"):
        read_shard(tmp_path / "gone.safetensors")
    save_file({"weights": np.zeros(3, np.float32)}, tmp_path / "foreign.safetensors")
    with pytest.raises(VectorFault, match=r"foreign\.safetensors is damaged"):
        read_shard(tmp_path / "foreign.safetensors")
    with pytest.raises(VectorFault, match="is damaged"):
        read_shard(tmp_path)


def test_a_later_format_is_refused_by_its_number(tmp_path):
    path = tmp_path / "later.safetensors"
    tensors = {"vectors": np.zeros((1, 2), np.float16), "image_ids": np.zeros((1, 16), np.uint8)}
    save_file(tensors, path, metadata={"curator": '{"format": 2, "encoder_id": "e", "crc32": 0}'})
    with pytest.raises(VectorFault, match="format 2 is not known"):
        read_shard(path)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 0.0, 2.0])
def test_vectors_that_are_not_unit_norm_are_refused(tmp_path, vectors_of, bad):
    vectors = vectors_of(3)
    vectors[1] *= bad
    ids = [f"{n:032x}" for n in range(3)]
    with pytest.raises(VectorFault, match=f"first that of image {ids[1]}"):
        write_shard(tmp_path / "a.safetensors", ids, vectors, encoder_id="e")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("bad", ["", "0" * 31, "0" * 31 + "A", "0" * 30 + " 1", "0" * 15 + "gg" + "0" * 15, "0" * 33])
def test_only_ids_of_32_lower_case_hex_digits_are_taken(bad):
    with pytest.raises(VectorFault, match="32 hex digits"):
        id_bytes(["0" * 32, bad])


@given(st.lists(image_ids))
def test_ids_survive_packing(ids):
    assert id_texts(id_bytes(ids)) == ids


def test_rows_outside_the_file_are_refused(written):
    path, _ = written
    for rows in ([5], [-1], [0, 7]):
        with pytest.raises(VectorFault, match="has 5 rows"):
            read_rows(path, rows)


def test_a_failed_write_leaves_the_old_file_and_no_litter(written, monkeypatch):
    path, vectors = written
    before = path.read_bytes()

    def no_space(self: Path, data: bytes) -> int:
        self.open("wb").close()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", no_space)
    with pytest.raises(OSError, match="No space"):
        write_shard(path, [f"{n:032x}" for n in range(5)], vectors[::-1].copy(), encoder_id="fake@1")
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]

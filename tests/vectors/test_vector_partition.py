"""The partition finds what comparing everything finds, however nights were cut, and each of them keeps it up."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curator.errors import IndexFault
from curator.types import Vectors
from curator.vectors import damaged_partition, joining, near_source, partition, write_shard
from curator.vectors.collections import unit
from curator.vectors.joining import Everything, nearest_within
from curator.vectors.partition import Manifest, Partition
from tests.vectors.conftest import Lake


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cells, blocks and segments that a few hundred vectors fill, and no disk is waited for."""
    monkeypatch.setattr("curator.durable.sync", lambda _: None)
    for module, sizes in {
        partition: {"MIN_VECTORS": 1, "SEGMENT": 150, "BLOCK_ROWS": 64, "_TILE": 512, "_CHOICES": 64},
        joining: {"_FEW": 8, "DIRECTIONS": (4, 4), "_WAITING": 50, "_COLUMNS": 20},
    }.items():
        for name, size in sizes.items():
            monkeypatch.setattr(module, name, size)


def grown(lake: Lake, folder: Path, nights: list[Vectors]) -> Partition:
    """The partition after a few nights, each one vector file."""
    for vectors in nights:
        lake.add(vectors, name=f"{len(lake.files) * 7 % 11:03d}-{len(lake.files)}")  # not in the order of their names
        found = near_source(lake.collection(dimension=vectors.shape[1]), folder, lake.files[-1:])
    assert isinstance(found, Partition)
    return found


def pairs_of(source, queries: Vectors, min_cosine: float, k: int = 4) -> list[list[tuple[str, float]]]:
    """Ids and cosines: positions differ between orders of files."""
    positions, cosines = nearest_within(source, queries, k, min_cosine=min_cosine)
    return [
        list(zip(source.collection.ids_at(row[row >= 0]), cosine[row >= 0].tolist(), strict=True))
        for row, cosine in zip(positions, cosines, strict=True)
    ]


def alike(seed: int, count: int, dimension: int, spread: float) -> Vectors:
    generator = np.random.default_rng(seed)
    centres = generator.standard_normal((5, dimension))
    noise = generator.standard_normal((count, dimension)) * spread
    return unit((centres[generator.integers(5, size=count)] + noise).astype(np.float32))


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    cuts=st.lists(st.integers(1, 120), min_size=1, max_size=3),
    dimension=st.sampled_from([2, 7, 24]),
    spread=st.sampled_from([0.0, 0.02, 0.1, 1.0]),
    min_cosine=st.sampled_from([-1.0, 0.0, 0.5, 0.9, 0.98, 0.999, 1.0]),
)
def test_a_partition_finds_what_comparing_everything_finds(tmp_path_factory, seed, cuts, dimension, spread, min_cosine):
    vectors = alike(seed, sum(cuts), dimension, spread)
    folder = tmp_path_factory.mktemp("lake")
    found = grown(Lake(folder), folder / "near", np.split(vectors, np.cumsum(cuts)[:-1]))
    queries = unit(np.concatenate([vectors[::3], alike(seed + 1, 20, dimension, 1.0)]))
    positions = np.arange(len(vectors))
    everything = Everything(found.collection, positions)
    assert pairs_of(found, queries, min_cosine) == pairs_of(everything, queries, min_cosine)
    some = positions[:: 1 + seed % 4]
    among = Everything(found.collection, some)
    assert pairs_of(found.among(some), queries, min_cosine) == pairs_of(among, queries, min_cosine)


def test_a_night_writes_itself_and_not_the_lake(lake, tmp_path, vectors_of):
    folder = tmp_path / "near"
    grown(lake, folder, [vectors_of(130)])
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    found = grown(lake, folder, [vectors_of(20, seed=night) for night in range(1, 4)])
    assert [segment.count for segment in found.manifest.segments] == [130, 60]
    after = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    kept = before.keys() & after.keys()
    assert kept >= {name for name in before if name != "manifest.json"}
    assert all(before[name] == after[name] for name in kept - {"manifest.json"})
    assert set(after) == {"manifest.json", *found.manifest.files}, "what was merged has gone"
    assert not damaged_partition(folder)


def test_a_damaged_cell_is_noticed_when_it_is_looked_into(lake, tmp_path, vectors_of):
    folder = tmp_path / "near"
    found = grown(lake, folder, [vectors_of(100)])
    rows = folder / f"{found.manifest.segments[0].name}.rows.npy"
    data = bytearray(rows.read_bytes())
    data[-3] ^= 1
    rows.write_bytes(data)
    again = near_source(lake.collection(), folder, [])
    with pytest.raises(IndexFault, match="checksum of cell"):
        nearest_within(again, unit(vectors_of(100)), 3, min_cosine=0.9)
    assert "checksum of cell" in damaged_partition(folder)
    rows.write_bytes(data[:200])
    assert damaged_partition(folder)


@pytest.mark.parametrize("part", ["centres", "directions", "cells"])
def test_what_says_where_to_look_is_checked_before_anything_is_looked_for(lake, tmp_path, vectors_of, part):
    folder = tmp_path / "near"
    grown(lake, folder, [vectors_of(100)])
    (path,) = folder.glob(f"*.{part}.npy")
    data = bytearray(path.read_bytes())
    data[-2] ^= 1
    path.write_bytes(data)
    with pytest.raises(IndexFault, match="is damaged"):
        near_source(lake.collection(), folder, [])
    assert "is damaged" in damaged_partition(folder)


@pytest.mark.parametrize("case", ["no manifest", "a file is missing", "a member has gone", "a member is another"])
def test_a_partition_that_does_not_fit_is_made_anew(lake, tmp_path, vectors_of, case):
    folder = tmp_path / "near"
    before = grown(lake, folder, [vectors_of(90), vectors_of(40, seed=1)]).manifest
    fresh: list[str] = []
    if case == "no manifest":
        (folder / "manifest.json").write_text("{}")
        assert damaged_partition(folder)
    elif case == "a file is missing":
        (folder / before.files[-1]).unlink()
    elif case == "a member has gone":
        lake.files.pop()
    else:
        fresh = lake.files[-1:]
        ids = lake.collection().ids_at(np.arange(90, 130))
        path = lake.folder / f"{fresh[0]}.safetensors"
        write_shard(path, ids, vectors_of(40, seed=2), encoder_id="fake@0123")
    collection = lake.collection()
    found = near_source(collection, folder, fresh)
    assert isinstance(found, Partition) and found.manifest.name != before.name
    queries = unit(collection.vectors_at(np.arange(len(collection))))
    assert pairs_of(found, queries, 0.9) == pairs_of(Everything(collection, np.arange(len(collection))), queries, 0.9)
    manifest = Manifest.read(folder)
    assert manifest is not None and {path.name for path in folder.iterdir()} == {"manifest.json", *manifest.files}


@pytest.mark.parametrize("nights", [0, 2])
@pytest.mark.parametrize("at", [".npy", "manifest.json"])
def test_a_disk_that_refuses_costs_time_and_no_pair(lake, tmp_path, vectors_of, monkeypatch, caplog, nights, at):
    folder, written = tmp_path / "near", partition.durable
    if nights:
        grown(lake, folder, [vectors_of(60, seed=night) for night in range(nights)])
    lake.add(vectors_of(40, seed=9), name="new")

    def full(path: Path):
        if path.name.endswith(at):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        return written(path)

    with monkeypatch.context() as patch:
        patch.setattr(partition, "durable", full)
        found = near_source(lake.collection(), folder, ["new"])
        assert "near: cannot be written: No space left on device; near-duplicates" in caplog.text
        every = np.arange(len(found.collection))
        queries, everything = unit(found.collection.vectors_at(every)), Everything(found.collection, every)
        assert pairs_of(found, queries, 0.5) == pairs_of(everything, queries, 0.5)
        if isinstance(found, Partition):
            some = Everything(found.collection, every[::3])
            assert pairs_of(found.among(every[::3]), queries, 0.5) == pairs_of(some, queries, 0.5)
    assert isinstance(near_source(lake.collection(), folder, []), Partition) and not damaged_partition(folder)


def test_a_partition_that_was_outgrown_gets_centres_anew(lake, tmp_path, vectors_of):
    folder = tmp_path / "near"
    first = grown(lake, folder, [vectors_of(50)]).manifest
    assert grown(lake, folder, [vectors_of(149, seed=1)]).manifest.name == first.name
    assert grown(lake, folder, [vectors_of(2, seed=2)]).manifest.name != first.name

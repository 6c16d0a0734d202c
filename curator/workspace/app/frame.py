"""A frame: all scored images of one published snapshot in memory, as columns, so that filters and orders take
milliseconds. Images have numbers that stay the same from one snapshot to the next, for as long as the server runs."""

from __future__ import annotations

import json
import struct
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from curator.errors import StoreError
from curator.lake import ImagePlace
from curator.review.reviews import DECISIONS
from curator.workspace.judge.in_force import InForce
from curator.workspace.layout import Layout
from curator.workspace.published import reading

CODES = {name: code for code, name in enumerate(("", *DECISIONS, "disputed"))}  # of decisions, as the page has them
NAMED = ("name", "top_id", "top_negative", "source_label", "first_run_id", "source", "group_id")
PICTURES = ("dark", "bright", "blurry", "low_information", "odd_aspect")
NIGHT_FORMS = ("%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M:%S.%f")
NOWHERE = np.iinfo(np.int32).max

Whole = NDArray[np.int64]


@dataclass
class Numbers:
    """The numbers of images: the first seen is 0. Only grows."""

    of: dict[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.of)

    def take(self, ids: Sequence[str]) -> Whole:
        """Those of some images, new ones for images that have none."""
        return np.fromiter((self.of.setdefault(name, len(self.of)) for name in ids), np.int64, len(ids))


@dataclass(frozen=True, slots=True)
class Texts:
    """A column of texts, each once: `codes` (n,) are places in `known`, which is sorted."""

    codes: NDArray[np.int32]
    known: list[str]

    @classmethod
    def of(cls, column: pa.ChunkedArray) -> Texts:
        encoded = pc.fill_null(column, "").combine_chunks().dictionary_encode()
        known = encoded.dictionary.to_pylist()
        order = sorted(range(len(known)), key=known.__getitem__)
        ranks = np.empty(len(known), np.int32)
        ranks[order] = np.arange(len(known), dtype=np.int32)
        return cls(ranks[encoded.indices.to_numpy()], [known[place] for place in order])

    def is_in(self, text: str) -> NDArray[np.bool_]:
        """Where it is that text."""
        places = [place for place, known in enumerate(self.known) if known == text]
        found: NDArray[np.bool_] = self.codes == (places[0] if places else -1)
        return found

    def counts(self, mask: NDArray[np.bool_]) -> list[tuple[str, int]]:
        """Each text with how often it occurs where the mask holds, the most frequent first."""
        counted = np.bincount(self.codes[mask], minlength=len(self.known))
        return sorted(((self.known[place], int(counted[place])) for place in np.flatnonzero(counted)), key=_often)


def _often(item: tuple[str, int]) -> tuple[int, str]:
    return -item[1], item[0]


@dataclass
class LakeFrame:
    """The images of one snapshot, by row, in the order of their ids. `rows`: by number, -1 for one that is gone.

    own: what the reviewer said before, by subject: decision, wrong label and note. reference: log-odds, sorted.
    tags: by tag, the rows of the images that have it. alike: the rows of images with near-duplicates.
    """

    generation: int
    table: pa.Table
    numbers: Whole
    rows: Whole
    texts: Mapping[str, Texts]
    queue: NDArray[np.int32]
    nights: Sequence[Mapping[str, Any]]
    ruling: InForce | None
    own: Mapping[tuple[str, str], Mapping[str, Any]]
    reference: NDArray[np.float64]
    tags: Mapping[str, Whole]
    alike: Whole

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @cached_property
    def flagged(self) -> NDArray[np.bool_]:
        return self._numpy("flagged")

    @cached_property
    def log_odds(self) -> NDArray[np.float64]:
        return self._numpy("log_odds")

    @cached_property
    def p_values(self) -> NDArray[np.float64]:
        """NaN where there is none."""
        found: NDArray[np.float64] = pc.fill_null(self.table["p_value"].cast(pa.float64()), np.nan).to_numpy()
        return found

    @cached_property
    def of_newest_night(self) -> NDArray[np.bool_]:
        """Which images came with the newest scan that brought any."""
        runs = self.texts["first_run_id"]
        here = set(runs.known)
        newest = next((str(night["run_id"]) for night in self.nights if night["run_id"] in here), "")
        return runs.is_in(newest)

    @cached_property
    def night_names(self) -> dict[str, str]:
        """What nights are called wherever they are shown, by run: by the date; where that repeats with the time, as
        exact as tells them apart."""
        runs = {str(night["run_id"]): night["started_at"] for night in self.nights}
        found: dict[str, str] = {}
        for form in NIGHT_FORMS:
            said = {run: f"{started:{form}}" for run, started in runs.items()}
            often = Counter(said.values())
            found |= {run: name for run, name in said.items() if run not in found and often[name] == 1}
        return found

    def night_name(self, night: Mapping[str, Any]) -> str:
        return self.night_names.get(str(night["run_id"]), str(night["night"]))

    @cached_property
    def seen(self) -> Whole:
        found: Whole = self.table["first_seen"].cast(pa.timestamp("us")).cast(pa.int64()).to_numpy()
        return found

    @cached_property
    def decisions(self) -> NDArray[np.uint8]:
        """Codes of the decisions that hold, by row."""
        found = Texts.of(self.table["decision"])
        return np.array([CODES.get(text, 0) for text in found.known] or [0], np.uint8)[found.codes]

    @cached_property
    def quality(self) -> dict[str, NDArray[np.bool_]]:
        """What images are as pictures, by fact and row. One that was not measured has none of the facts of pixels; that
        it was not is a fact of its own."""
        found = {name: pc.fill_null(self.table[name], False).to_numpy() for name in PICTURES}
        alike = np.zeros(len(self), bool)
        alike[self.alike] = True
        return {**found, "near_duplicate": alike, "unmeasured": pc.is_null(self.table["dark"]).to_numpy()}

    @cached_property
    def group_sizes(self) -> Whole:
        """By the code of the group."""
        groups = self.texts["group_id"]
        return np.bincount(groups.codes, minlength=len(groups.known))

    def by_number(self, values: NDArray[Any], *, missing: float = 0) -> NDArray[Any]:
        """A column by number instead of by row; images that are gone have what is `missing`."""
        found = np.full(len(self.rows), missing, values.dtype)
        found[self.numbers] = values
        return found

    def row(self, number: int) -> dict[str, Any] | None:
        """All that is known of an image; None for one that is gone or was never there."""
        place = int(self.rows[number]) if 0 <= number < len(self.rows) else -1
        return None if place < 0 else dict(self.table.slice(place, 1).to_pylist()[0])

    def place_of(self, number: int) -> ImagePlace | None:
        found = self.row(number)
        return None if found is None or found["kind"] is None else ImagePlace.of(found)

    def _numpy(self, name: str) -> NDArray[Any]:
        found: NDArray[Any] = self.table[name].to_numpy()
        return found


@dataclass(frozen=True, slots=True)
class SnapshotRows:
    """What a frame is made of, as it was read."""

    table: pa.Table
    queue: pa.ChunkedArray
    nights: Sequence[Mapping[str, Any]]
    own: Sequence[Mapping[str, Any]]
    ruling: InForce | None
    reference: NDArray[np.float64]
    tags: pa.Table
    pairs: pa.Table


def read_rows(layout: Layout, reviewer: str) -> SnapshotRows:
    """All that the app reads of the snapshot as it is now."""
    with reading(layout) as database:
        with suppress(StoreError):  # a sealed connection of this process may have locked the settings
            database.execute("set enable_progress_bar = false")  # which DuckDB shows in a process that was spawned
        ruling = InForce.of(database)
        reference = np.zeros(0)
        if ruling is not None:
            reference = database.table("list_reference_scores", **ruling.scoring)["log_odds"].to_numpy()
        return SnapshotRows(
            database.table("app_images"),
            database.table("app_queue")["image_id"],
            database.rows("app_nights"),
            database.rows("app_own_reviews", reviewer=reviewer),
            ruling,
            np.sort(reference),
            database.table("app_tags"),
            database.table("app_pairs"),
        )


def make_frame(read: SnapshotRows, numbers: Numbers, *, generation: int) -> LakeFrame:
    """The frame of what was read."""
    ids = read.table["image_id"].to_pylist()
    taken = numbers.take(ids)
    rows = np.full(len(numbers), -1, np.int64)
    rows[taken] = np.arange(len(ids))
    table = read.table
    texts = {name: Texts.of(_source(table) if name == "source" else table[name]) for name in NAMED}
    places = np.full(len(ids), NOWHERE, np.int32)
    queued = pc.index_in(read.queue, value_set=table["image_id"].combine_chunks()).to_numpy()
    places[queued.astype(np.int64)] = np.arange(len(queued), dtype=np.int32)
    ends = [
        pc.index_in(read.pairs[end], value_set=table["image_id"].combine_chunks()) for end in read.pairs.column_names
    ]
    pairs = np.stack([end.fill_null(-1).to_numpy() for end in ends])
    alike = np.unique(pairs[:, (pairs >= 0).all(axis=0)]).astype(np.int64)
    tagged = pc.index_in(read.tags["image_id"], value_set=table["image_id"].combine_chunks())
    tags = _rows_by(read.tags["tag"].filter(pc.is_valid(tagged)), tagged.drop_null())
    said = {subject_of(row["image_id"], row["group_id"]): row for row in read.own}
    return LakeFrame(
        generation, table, taken, rows, texts, places, read.nights, read.ruling, said, read.reference, tags, alike
    )


def _rows_by(tags: pa.ChunkedArray, rows: pa.ChunkedArray) -> dict[str, Whole]:
    """The rows of each tag."""
    known, places = Texts.of(tags), rows.to_numpy().astype(np.int64)
    return {tag: places[known.codes == code] for code, tag in enumerate(known.known)}


def _source(table: pa.Table) -> pa.ChunkedArray:
    """Where images come from, as people group them: the folder of a file, else the archive or table itself."""
    folder = pc.replace_substring_regex(table["object_uri"], pattern=r"/[^/]*$", replacement="")
    return pa.chunked_array([pc.if_else(pc.equal(table["kind"], "file"), folder, table["object_uri"]).combine_chunks()])


def subject_of(image_id: str, group_id: str | None) -> tuple[str, str]:
    """What a review is about, as `Review.subject` has it, apart from who says it."""
    return ("group", group_id) if group_id else ("image", image_id)


def packed(facts: Mapping[str, object], arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Facts and arrays in one body, as the page reads them: the length of the JSON, the JSON, which names each array
    with its type and length, and the arrays, all little-endian and each at a multiple of eight bytes."""
    listed = {name: [array.dtype.newbyteorder("<").str, array.size] for name, array in arrays.items()}
    head = json.dumps({**facts, "arrays": listed}, default=str).encode()
    parts = [struct.pack("<Q", len(head)), _padded(head)]
    parts += [_padded(array.astype(array.dtype.newbyteorder("<")).tobytes()) for array in arrays.values()]
    return b"".join(parts)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 8)

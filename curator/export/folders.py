"""Folders of images: for FiftyOne, for Hugging Face `datasets`, and trees of links.

FiftyOne's form is `FiftyOneImageClassificationDataset`: pictures in `data/`, and `labels.json` with a label and
attributes for each. That of `datasets` is `imagefolder`: pictures anywhere, and `metadata.jsonl` with a `file_name` for
each.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa

from curator.durable import durable
from curator.export.links import cut_links, write_links
from curator.export.parts import Format, Options, Part, Written, in_slices, put
from curator.export.pictures import read_pictures
from curator.export.rows import Row, facts_of, file_name, json_line, label_of, rows_of

PART_ROWS = 1000


def _slices(rows: pa.Table, options: Options) -> list[Part]:
    return in_slices(rows, PART_ROWS, "images")


def _write_into(place: Callable[[Row], str]) -> Callable[[Part, Path, Options], Written]:
    def write(part: Part, folder: Path, options: Options) -> Written:
        written = Written()
        for row, data in read_pictures(part.rows, options.read, scratch=folder):
            if isinstance(data, bytes):
                written.files.append(put(folder, place(row), data))
            else:
                written.lacks(row, data)
        return written

    return write


def _huggingface_place(row: Row) -> str:
    return f"images/{row['image_id'][:2]}/{file_name(row)}"


def _huggingface_metadata(rows: pa.Table, folder: Path, options: Options) -> Sequence[str]:
    with durable(folder / "metadata.jsonl") as temporary, temporary.open("wb") as file:
        for row in rows_of(rows):
            file.write(json_line({"file_name": _huggingface_place(row), **facts_of(row), "label": label_of(row)}))
    return ["metadata.jsonl"]


def _fiftyone_labels(rows: pa.Table, folder: Path, options: Options) -> Sequence[str]:
    classes: set[str] = set()
    with durable(folder / "labels.json") as temporary, temporary.open("w", encoding="utf-8") as file:
        file.write('{"labels": {')
        for number, row in enumerate(rows_of(rows)):
            classes.add(label_of(row))
            target = {"label": label_of(row), "attributes": facts_of(row)}
            file.write(f"{',' * (number > 0)}\n{json.dumps(row['image_id'])}: {json.dumps(target)}")
        file.write(f'}},\n"classes": {json.dumps(sorted(classes))}}}\n')
    return ["labels.json"]


FIFTYONE = Format(_slices, _write_into(lambda row: f"data/{file_name(row)}"), _fiftyone_labels)
HUGGINGFACE = Format(_slices, _write_into(_huggingface_place), _huggingface_metadata)
SYMLINKS = Format(cut_links, write_links)

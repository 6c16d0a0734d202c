"""Parquet: rows with an image in them, in Hugging Face's layout (a struct of bytes and path) or as plain bytes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from curator.lake.files import file_system
from curator.lake.options import ReadOptions
from curator.types import Datum, Reject, SourceObject

IMAGE_NAMES = ("image", "img", "image_bytes", "bytes", "content", "jpg", "jpeg", "png", "data")
LABEL_NAMES = ("label", "cls", "class", "labels")
BATCH_ROWS = 64
READ_FAULTS = (pa.ArrowException, OSError, ValueError)


def count_row_groups(path: str) -> int | None:
    """The number of row groups, from the footer; None when the file cannot be opened as Parquet."""
    try:
        with _open(path) as file:
            return int(file.num_row_groups)
    except READ_FAULTS:
        return None


def read_parquet(item: SourceObject, row_group: int | None, options: ReadOptions) -> Iterator[Datum | Reject]:
    """The data of one row group, in order; with `row_group` None, the one reject that says why there is none."""
    given = 0
    try:
        with _open(item.path) as file:
            if row_group is None:
                if file.num_row_groups:
                    yield _container_reject(item, "unreadable_parquet", "the file has changed since it was listed")
                return
            column = image_column(file.schema_arrow, options.image_column)
            if column is None:
                names = ", ".join(f"{entry.name}: {entry.type}" for entry in file.schema_arrow)
                yield _container_reject(item, "no_image_column", f"name it with image_column; columns: {names}")
                return
            for found in _rows(file, item, row_group, column, options):
                given += 1
                yield found
    except READ_FAULTS as fault:
        yield _container_reject(item, "unreadable_parquet", f"after {given} rows: {fault}", row_group)


def image_column(schema: pa.Schema, wanted: str | None) -> str | None:
    """The column with the images: as wanted, else the struct with `bytes`, else the only or best-named binary one."""
    if wanted is not None:
        return wanted if wanted in schema.names else None
    structs = [entry.name for entry in schema if _has_bytes(entry.type)]
    binaries = [entry.name for entry in schema if _is_binary(entry.type)]
    for candidates in (structs, binaries):
        if len(candidates) == 1:
            return str(candidates[0])
        for name in IMAGE_NAMES:
            if name in candidates:
                return name
    return None


def read_row(path: str, row: int, options: ReadOptions) -> bytes:
    """The bytes of the image in one row. Raises OSError when they are not there."""
    with _open(path) as file:
        column = image_column(file.schema_arrow, options.image_column)
        for group in range(file.num_row_groups):
            rows = file.metadata.row_group(group).num_rows
            if row < rows and column is not None:
                value = file.read_row_group(group, columns=[column])[column][row].as_py()
                data = value.get("bytes") if isinstance(value, dict) else value
                if data is not None:
                    return bytes(data)
            row -= rows
    raise OSError(f"{path}: no image in this row")


def _open(path: str) -> pq.ParquetFile:
    filesystem, inner = file_system(path)
    return pq.ParquetFile(filesystem.open(inner, "rb"), pre_buffer=False)


def _rows(
    file: pq.ParquetFile, item: SourceObject, row_group: int, column: str, options: ReadOptions
) -> Iterator[Datum | Reject]:
    schema = file.schema_arrow
    label = options.label_column or next((name for name in LABEL_NAMES if name in schema.names), None)
    names = class_names(schema, label)
    row = sum(file.metadata.row_group(index).num_rows for index in range(row_group))
    columns = [column] if label is None or label not in schema.names else [column, label]
    for batch in file.iter_batches(batch_size=BATCH_ROWS, row_groups=[row_group], columns=columns):
        labels = batch[label].to_pylist() if label in columns else [None] * batch.num_rows
        for value, source_label in zip(batch[column], labels, strict=True):
            yield _datum(item, row, value, _label_text(source_label, names))
            row += 1


def _datum(item: SourceObject, row: int, value: pa.Scalar, label: str | None) -> Datum | Reject:
    content = value.as_py()
    data = content.get("bytes") if isinstance(content, dict) else content
    uri = f"{item.uri}#{row}"
    if data is None:
        return Reject(uri, item.uri, "read", "null_bytes", "the row has no image bytes", member=str(row))
    return Datum(uri, item.uri, data, member=str(row), source_label=label)


def class_names(schema: pa.Schema, label: str | None) -> Sequence[str] | None:
    """Names of a Hugging Face ClassLabel column, which holds numbers."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        names = features[label]["names"]
    except (KeyError, TypeError, ValueError):
        return None
    return [str(name) for name in names] if isinstance(names, list) else None


def _label_text(value: Any, names: Sequence[str] | None) -> str | None:
    if value is None or isinstance(value, dict | list):
        return None
    if names is not None and isinstance(value, int) and 0 <= value < len(names):
        return names[value]
    return str(value)


def _has_bytes(kind: pa.DataType) -> bool:
    return pa.types.is_struct(kind) and any(entry.name == "bytes" and _is_binary(entry.type) for entry in kind)


def _is_binary(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind))


def _container_reject(item: SourceObject, reason: str, detail: str, row_group: int | None = None) -> Reject:
    uri = item.uri if row_group is None else f"{item.uri}#row-group-{row_group}"
    return Reject(uri, item.uri, "read", reason, detail.splitlines()[0][:300], byte_size=item.byte_size)

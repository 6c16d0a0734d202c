"""Which columns of a Parquet file hold the images and their labels, and how their values are read.

Hugging Face writes an image as a struct of `bytes` and `path`, and a label as a number whose names stand in the
schema's metadata under `huggingface`; others write plain binary columns. The type decides first, then the name.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from curator.printable import readable

IMAGE_NAMES = ("image", "img", "image_bytes", "bytes", "content", "jpg", "jpeg", "png", "webp", "data")
MAX_LABEL_BYTES = 4096  # a longer text is no label
LABEL_NAMES = ("label", "cls", "class", "labels")


@dataclass(frozen=True, slots=True)
class Columns:
    """The image column, whether it is a struct, the label column, and the names of its numbers."""

    image: str
    is_struct: bool
    label: str | None = None
    class_names: tuple[str, ...] = ()

    @property
    def leaves(self) -> Iterator[str]:
        """What has to be read, as Parquet paths."""
        yield f"{self.image}.bytes" if self.is_struct else self.image
        if self.label is not None:
            yield self.label

    def images(self, batch: pa.RecordBatch) -> pa.Array:
        """(n,) binary; null where a row has no image."""
        column = batch.column(self.image)
        return pc.struct_field(column, "bytes") if self.is_struct else column

    def labels(self, batch: pa.RecordBatch) -> Sequence[str | None]:
        """(n,) texts; None where a row has no label."""
        if self.label is None:
            return [None] * batch.num_rows
        column = _plain(batch.column(self.label))
        if pa.types.is_nested(column.type):  # no label; as Python objects it might take any amount of memory
            return [None] * batch.num_rows
        return [self._label(value) for value in column.to_pylist()]

    def _label(self, value: Any) -> str | None:
        if isinstance(value, bytes):
            if len(value) > MAX_LABEL_BYTES:
                return None
            return value.decode("utf-8", "backslashreplace").strip() or None
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(self.class_names):
            return self.class_names[value]
        return str(value) if isinstance(value, bool | int | float) else None


def find_columns(schema: pa.Schema, *, image: str | None, label: str | None) -> Columns | None:
    """The columns by the wanted names, else by type and name; None where no column, or more than one, is the image."""
    name = _image_column(schema, image)
    if name is None:
        return None
    wanted = [label] if label in schema.names else [entry for entry in LABEL_NAMES if entry in schema.names]
    found = next((entry for entry in wanted if entry != name and schema.names.count(entry) == 1), None)
    return Columns(name, pa.types.is_struct(schema.field(name).type), found, _class_names(schema, found))


def _image_column(schema: pa.Schema, wanted: str | None) -> str | None:
    structs = [entry.name for entry in schema if _has_bytes(entry.type)]
    binaries = [entry.name for entry in schema if _is_binary(entry.type)]
    if wanted is not None:
        return wanted if [*structs, *binaries].count(wanted) == 1 else None
    for candidates in (structs, binaries):
        if len(candidates) == 1:
            return str(candidates[0])
        for name in IMAGE_NAMES:
            if candidates.count(name) == 1:
                return name
    return None


def _class_names(schema: pa.Schema, label: str | None) -> tuple[str, ...]:
    """The names of a Hugging Face ClassLabel; none where the metadata are missing or not as they should be."""
    try:
        names = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"][label]["names"]
    except (LookupError, TypeError, ValueError, RecursionError):
        return ()
    return tuple(readable(str(name)) for name in names) if isinstance(names, list) else ()


def _plain(column: pa.Array) -> pa.Array:
    """Dictionaries decoded, and texts as bytes: a file may hold texts that are not UTF-8."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_string(column.type):
        return column.cast(pa.binary())
    return column.cast(pa.large_binary()) if pa.types.is_large_string(column.type) else column


def _has_bytes(kind: pa.DataType) -> bool:
    return pa.types.is_struct(kind) and any(entry.name == "bytes" and _is_binary(entry.type) for entry in kind)


def _is_binary(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind))

"""The columns of a Parquet file that may hold images, and the one that holds their labels.

Hugging Face writes an image as a struct of `bytes` and `path`, and a label as a number whose names stand in the
schema's metadata under `huggingface`; Spark writes rows of pixels with their sizes; others write plain binary columns,
lists of several images, or base64 text. A column inside a struct is called by its path: `sample.image`.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from curator.printable import printable, readable

# struct: of `bytes`; pixels: a struct as Spark writes it; bytes; text: base64 or a data URI.
Shape: TypeAlias = Literal["struct", "pixels", "bytes", "text"]
SHAPES: tuple[Shape, ...] = ("struct", "pixels", "bytes", "text")  # in the order of trust
PIXEL_FIELDS = ("height", "width", "nChannels", "mode", "data")
IMAGE_NAMES = ("image", "img", "image_bytes", "bytes", "content", "jpg", "jpeg", "png", "webp", "data")
MAX_LABEL_BYTES = 4096  # a longer text is no label
LABEL_NAMES = ("label", "cls", "class", "labels")
MAX_DEPTH = 8  # of structs in structs
MAX_CANDIDATES = 256
MAX_DETAIL = 900  # characters of a list of columns


@dataclass(frozen=True, slots=True)
class ImageColumn:
    """A column that may hold images. `is_list`: several in a row. `is_declared`: the schema says that they are."""

    path: tuple[str, ...]
    shape: Shape
    kind: pa.DataType
    is_list: bool = False
    is_declared: bool = False

    @property
    def name(self) -> str:
        return ".".join(self.path)

    def leaves(self, paths: Sequence[str]) -> list[str]:
        """What has to be read, among the paths of the leaves of a Parquet file."""
        if self.is_list:
            end = ".bytes" if self.shape == "struct" else ""
            return [path for path in paths if path.startswith(f"{self.name}.") and path.endswith(end)]
        fields = {"struct": ("bytes",), "pixels": PIXEL_FIELDS}.get(self.shape, ())
        return [f"{self.name}.{field}" for field in fields] or [self.name]

    def of(self, batch: pa.RecordBatch) -> pa.Array:
        """The column in a batch; null where one of the structs around it is."""
        return column_at(batch, self.path)


@dataclass(frozen=True, slots=True)
class LabelColumn:
    """The column of the labels, and the names of its numbers."""

    path: tuple[str, ...]
    class_names: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return ".".join(self.path)

    def labels(self, batch: pa.RecordBatch) -> Sequence[str | None]:
        """(n,) texts; None where a row has no label."""
        column = _plain(column_at(batch, self.path))
        if pa.types.is_nested(column.type):  # no label; as Python objects it might take any amount of memory
            return [None] * batch.num_rows
        return [self._label(value) for value in column.to_pylist()]

    def _label(self, value: Any) -> str | None:
        if isinstance(value, bytes):
            if len(value) > MAX_LABEL_BYTES:
                return None
            return value.decode("utf-8", "backslashreplace").strip() or None
        if isinstance(value, bool) or not isinstance(value, int | float):
            return str(value) if isinstance(value, bool) else None
        if not math.isfinite(value):
            return None
        if self.class_names and value == int(value):  # numbers with gaps among them come as floats
            return self._class_name(int(value))
        return str(value)

    def _class_name(self, number: int) -> str | None:
        """-1 is Hugging Face's number for no class."""
        if number < 0:
            return None
        return self.class_names[number] if number < len(self.class_names) else str(number)


def image_columns(schema: pa.Schema) -> list[ImageColumn]:
    """The columns that may hold images by their types, at most so many. One of two with the same name is none."""
    features = _features(schema)
    found = (
        ImageColumn(path, shape, kind, is_list, is_declared=_is_declared(features, path))
        for path, kind in _paths(schema, ())
        for shape, is_list in _shapes(kind)
    )
    return list(islice(found, MAX_CANDIDATES))


def label_column(schema: pa.Schema, wanted: str | None, *, image: ImageColumn) -> LabelColumn | None:
    """The column of that name, else the first one at the top that is called as labels are."""
    paths = {".".join(path): path for path, kind in _paths(schema, ()) if not pa.types.is_nested(kind)}
    names = [wanted] if wanted in paths else LABEL_NAMES
    name = next((entry for entry in names if entry is not None and entry in paths and entry != image.name), None)
    if name is None:
        return None
    return LabelColumn(paths[name], _class_names(_features(schema), paths[name]))


def holds_bytes(kind: pa.Schema | pa.DataType) -> bool:
    """Whether bytes are anywhere in a type, as they are or as lists of small numbers."""
    if isinstance(kind, pa.Schema):
        return any(holds_bytes(entry.type) for entry in kind)
    if pa.types.is_struct(kind):
        return any(holds_bytes(entry.type) for entry in kind)
    if pa.types.is_map(kind):
        return holds_bytes(kind.key_type) or holds_bytes(kind.item_type)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return pa.types.is_uint8(kind.value_type) or pa.types.is_int8(kind.value_type) or holds_bytes(kind.value_type)
    return _is_binary(kind)


def described(schema: pa.Schema) -> str:
    """The columns with their types, on one line."""
    names = ", ".join(f"{entry.name}: {entry.type}" for entry in islice(schema, MAX_CANDIDATES))
    return printable(readable(names or "none"))[:MAX_DETAIL]


def column_at(batch: pa.RecordBatch, path: Sequence[str]) -> pa.Array:
    """A column of a batch, through the structs around it."""
    column = batch.column(path[0])
    return pc.struct_field(column, list(path[1:])) if len(path) > 1 else column


def _paths(fields: pa.Schema | pa.StructType, within: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], pa.DataType]]:
    """The columns, and those inside of structs, each by a path that is its own."""
    counts = Counter(entry.name for entry in fields)
    for entry in fields:
        if counts[entry.name] == 1:
            path = (*within, entry.name)
            yield path, entry.type
            if pa.types.is_struct(entry.type) and not any(_shapes(entry.type)) and len(path) < MAX_DEPTH:
                yield from _paths(entry.type, path)


def _shapes(kind: pa.DataType) -> Iterator[tuple[Shape, bool]]:
    """The shape of an image column of a type and whether it is a list; nothing for other types."""
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind)
    if is_list:
        kind = kind.value_type
    if _has(kind, "bytes"):
        yield "struct", is_list
    elif _has(kind, "data") and all(kind.get_field_index(name) >= 0 for name in PIXEL_FIELDS) and not is_list:
        yield "pixels", False
    elif _is_binary(kind) and not (is_list and pa.types.is_fixed_size_binary(kind)):
        yield "bytes", is_list
    elif _is_text(kind) and not is_list:
        yield "text", False


def _is_binary(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    tests = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view, pa.types.is_fixed_size_binary)
    return any(test(kind) for test in tests)


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return any(test(kind) for test in (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view))


def _has(kind: pa.DataType, name: str) -> bool:
    """Whether a type is a struct with such a field of bytes."""
    if not pa.types.is_struct(kind) or kind.get_field_index(name) < 0:
        return False
    return _is_binary(kind.field(name).type) and not pa.types.is_fixed_size_binary(kind.field(name).type)


def _features(schema: pa.Schema) -> Mapping[str, Any]:
    """Hugging Face's own words about the columns; none where the metadata are missing or not as they should be."""
    try:
        found = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
    except (LookupError, TypeError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _feature(features: Mapping[str, Any], path: Sequence[str]) -> Any:
    found: Any = features
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return found


def _is_declared(features: Mapping[str, Any], path: Sequence[str]) -> bool:
    """Whether a column is an image, or a list of images, by its feature."""
    feature = _feature(features, path)
    if isinstance(feature, list) and feature:
        feature = feature[0]
    if isinstance(feature, dict) and "feature" in feature:
        feature = feature["feature"]
    return isinstance(feature, dict) and feature.get("_type") == "Image"


def _class_names(features: Mapping[str, Any], path: Sequence[str]) -> tuple[str, ...]:
    feature = _feature(features, path)
    names = feature.get("names") if isinstance(feature, dict) else None
    return tuple(readable(str(name)) for name in names) if isinstance(names, list) else ()


def _plain(column: pa.Array) -> pa.Array:
    """Dictionaries decoded, and texts as bytes: a file may hold texts that are not UTF-8."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_string(column.type):
        return column.cast(pa.binary())
    return column.cast(pa.large_binary()) if pa.types.is_large_string(column.type) else column

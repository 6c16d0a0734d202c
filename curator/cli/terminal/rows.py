"""Rows as bytes: aligned text, CSV, JSON, Parquet. Every value that DuckDB has comes out in each.

What a format has no type for is text in it; CSV has a list as its JSON. JSON is strict: NaN and infinity are null.
Columns of one name are told apart in JSON and Parquet, as DuckDB does in a subquery: `a`, `a_1`.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from curator.printable import printable, printable_json

if TYPE_CHECKING:
    import pyarrow as pa


def encode(table: pa.Table, style: str, *, ruled_by: Mapping[str, object] | None = None) -> bytes:
    """The rows in one of the formats of `--format`; as JSON with what they are `ruled_by`."""
    if style == "table":
        return _aligned(table).encode()
    if style == "json":
        more = {} if ruled_by is None else {"ruled_by": ruled_by}
        names = unique_names([*table.column_names, *more])
        rows = [dict(zip(names, (*values, *more.values()), strict=True)) for values in row_values(table)]
        return (json_text(rows) + "\n").encode()
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    if style == "csv":
        import pyarrow.csv

        pyarrow.csv.write_csv(_fitted(table, pyarrow.csv.write_csv, but=_is_no_csv), sink)
    else:
        import pyarrow.parquet

        named = table.rename_columns(unique_names(table.column_names))
        pyarrow.parquet.write_table(_fitted(named, pyarrow.parquet.write_table), sink, compression="zstd")
    return bytes(sink.getvalue())


def json_text(value: object) -> str:
    """One strict JSON value."""
    return printable_json(json.dumps(_plain(value), indent=2, ensure_ascii=False, allow_nan=False))


def cell(value: object) -> str:
    """One value for a person's eye."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    if isinstance(value, bytes) or _is_interval(value):
        return printable(str(_plain(value)))
    return printable(str(value))


def bytes_text(count: int) -> str:
    """A number of bytes for a person's eye: `3.4 MB`."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    raise AssertionError(count)


def row_values(table: pa.Table) -> Iterator[tuple[object, ...]]:
    """Row by row, also where columns share a name."""
    columns = [_values(column) for column in table.columns]
    return zip(*columns, strict=True) if columns else iter([])


def unique_names(names: Sequence[str]) -> list[str]:
    """Names that differ, also without regard to case."""
    seen: Counter[str] = Counter()
    unique = []
    for name in names:
        wanted = name
        while seen[wanted.lower()]:
            wanted = f"{wanted}_{seen[wanted.lower()]}"
        seen[name.lower()] += 1
        seen[wanted.lower()] += wanted.lower() != name.lower()
        unique.append(wanted)
    return unique


def _aligned(table: pa.Table) -> str:
    """Columns aligned by spaces, nothing cut: what a pipe or a file gets."""
    rows = [list(map(printable, table.column_names)), *([cell(value) for value in row] for row in row_values(table))]
    widths = [max(len(row[column]) for row in rows) for column in range(table.num_columns)]
    lines = ("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows)
    return "\n".join(lines) + "\n"


def _values(column: pa.ChunkedArray) -> list[object]:
    try:
        return list(column.to_pylist())
    except (OverflowError, ValueError):  # one of them is beyond what Python has
        return [_value(scalar) for scalar in column]


def _value(scalar: Any) -> object:
    """A value for Python; a date or time beyond its own as text, also within lists and the like."""
    try:
        return scalar.as_py()
    except (OverflowError, ValueError):
        pass
    if hasattr(scalar, "keys"):
        return {name: _value(scalar[name]) for name in scalar}
    if hasattr(scalar, "values"):
        return [_value(item) for item in scalar.values]
    number = getattr(scalar, "value", None)
    if isinstance(number, int) and abs(number) in (2**31 - 1, 2**63 - 1):
        return "infinity" if number > 0 else "-infinity"
    import pyarrow as pa

    try:
        return str(scalar.cast(pa.string())).strip("<>")
    except pa.ArrowException:
        return str(number)


def _fitted(
    table: pa.Table, write: Callable[..., None], *, but: Callable[[pa.ChunkedArray], bool] = lambda _: False
) -> pa.Table:
    """The table with text for the columns that the format has no type for, `but` others too."""
    import pyarrow as pa

    columns = [
        pa.array(map(_text, _values(column)), pa.string()) if but(column) or not _has_type(column, write) else column
        for column in table.columns
    ]
    return pa.table(columns, names=table.column_names)


def _has_type(column: pa.ChunkedArray, write: Callable[..., None]) -> bool:
    import pyarrow as pa

    try:
        write(pa.table([column.slice(0, 0)], names=["a"]), pa.BufferOutputStream())
    except pa.ArrowException:
        return False
    return True


def _is_no_csv(column: pa.ChunkedArray) -> bool:
    """Bytes need not be text, and dates beyond those of Python come out as `<value out of range>`."""
    from pyarrow import compute, types

    if types.is_date(column.type) or types.is_timestamp(column.type):
        try:
            compute.min_max(column).as_py()
        except (OverflowError, ValueError):
            return True
    return bool(types.is_binary(column.type) or types.is_interval(column.type))


def _text(value: object) -> str | None:
    """One value of a format that has no type for it: as JSON, but for what is text already."""
    plain = _plain(value)
    return plain if plain is None or isinstance(plain, str) else json.dumps(plain, ensure_ascii=False)


def _plain(value: Any) -> object:
    """What JSON has for a value."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, bytes):
        return "".join(chr(byte) if 32 <= byte < 127 and byte != 92 else f"\\x{byte:02X}" for byte in value)
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() and value.as_tuple().exponent == 0 else str(value)
    if isinstance(value, Mapping):
        return {str(_text(key)): _plain(item) for key, item in value.items()}
    if _is_interval(value):
        return f"P{value.months}M{value.days}DT{value.nanoseconds / 1e9:.9g}S"
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    return str(value)


def _is_interval(value: object) -> bool:
    return type(value).__name__ == "MonthDayNano"

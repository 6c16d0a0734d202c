"""Exports without pixels: Parquet partitioned by night, CSV, JSON lines, and lists of addresses."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from curator.durable import durable
from curator.export.parts import Format, Options, Part, Written, in_slices
from curator.export.rows import json_line, rows_of

FILE_ROWS = 1_000_000  # of one Parquet file


def _by_night(rows: pa.Table, options: Options) -> list[Part]:
    parts: list[Part] = []
    for night in sorted(pc.unique(rows["night"]).to_pylist()):
        of_night = rows.filter(pc.equal(rows["night"], pa.scalar(night, pa.date32())))
        parts += in_slices(of_night, FILE_ROWS, f"night={night}/part")
    return parts


def _whole(rows: pa.Table, options: Options) -> list[Part]:
    return [Part(options.name, rows)]


def _one_file(suffix: str, write: Callable[[pa.Table, BinaryIO], object]) -> Callable[[Part, Path, Options], Written]:
    """Writes each part as one file. Arrow opens UTF-8 names only, so it is given the open file."""

    def write_part(part: Part, folder: Path, options: Options) -> Written:
        name = part.place + suffix
        with durable(folder / name) as temporary, temporary.open("wb") as file:
            write(part.rows, file)
        return Written([name])

    return write_part


def _parquet(rows: pa.Table, file: BinaryIO) -> None:
    """The night is in the name of the folder, as Hive has it, and so not in the file."""
    pq.write_table(rows.drop_columns(["night"]), file, compression="zstd")


def _addresses(rows: pa.Table) -> Iterator[bytes]:
    """One a line. An address with a line break, or with a quote in front, is a JSON text: so a line that begins with a
    quote is always one, and every other is the address as it is."""
    for batch in rows["uri"].chunks:
        for uri in batch.to_pylist():
            is_plain = not uri.startswith('"') and uri.splitlines() == [uri]
            yield (uri if is_plain else json.dumps(uri)).encode() + b"\n"


PARQUET = Format(_by_night, _one_file(".parquet", _parquet))
CSV = Format(_whole, _one_file(".csv", pyarrow.csv.write_csv))
JSONL = Format(_whole, _one_file(".jsonl", lambda rows, file: file.writelines(map(json_line, rows_of(rows)))))
FILES = Format(_whole, _one_file(".txt", lambda rows, file: file.writelines(_addresses(rows))))

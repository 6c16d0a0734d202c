"""Files of the Parquet copy: of which view, of which nights, and what tells whether their rows are others."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from curator.durable import copy_file, sync
from curator.errors import StoreError
from curator.store.database import Database, quoted

BY_NIGHT = {  # the date of a row, of views that only grow where nothing about an image changes
    "arrivals": "night",
    "images": "first_seen::date",
    "kept": "first_seen::date",
    "locations": "scanned_at::date",
    "scores": "first_seen::date",
}
UNDATED = "undated"
MONTH_ROWS = 1_000_000  # nights of a former month share a file if they have no more
STATE = "_state.json"  # readers of Parquet pass over what begins with _


@dataclass(frozen=True, slots=True)
class CopiedFile:
    """A file: a fingerprint of its rows, and the nights that they are of, none where a view is one file."""

    fingerprint: str
    nights: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Generation:
    """A copy that was made. inputs: what it follows from, each with a fingerprint. parts: by the names of its files."""

    folder: Path
    inputs: dict[str, str] = field(default_factory=dict)
    parts: dict[str, CopiedFile] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path | None) -> Generation | None:
        """That in a folder; None where there is none, or one of another form, or files of it are gone."""
        if folder is None:
            return None
        try:
            said = json.loads((folder / STATE).read_text(encoding="utf-8"))
            parts = {file: CopiedFile(mark, tuple(nights)) for file, (mark, nights) in said["parts"].items()}
            inputs = dict(said["inputs"])
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None
        return cls(folder, inputs, parts) if all((folder / file).is_file() for file in parts) else None

    def write(self) -> None:
        """Which says that it is whole: the last of it."""
        parts = {file: (part.fingerprint, part.nights) for file, part in self.parts.items()}
        (self.folder / STATE).write_text(json.dumps({"inputs": self.inputs, "parts": parts}), encoding="utf-8")
        sync(self.folder / STATE)
        sync(self.folder)

    def of(self, view: View) -> dict[str, CopiedFile]:
        """The files of a view that has some for its nights."""
        return {file: part for file, part in self.parts.items() if file.startswith(f"{view.name}.parquet/")}

    def keep(self, file: str, part: CopiedFile, former: Generation | None) -> bool:
        """Take a file that is the same in the copy before; False where it is not."""
        if former is None or former.parts.get(file) != part:
            return False
        try:
            os.link(former.folder / file, self.folder / file)
        except OSError:  # a file system without hard links
            copy_file(former.folder / file, self.folder / file)
            sync(self.folder / file)
        self.parts[file] = part
        return True


@dataclass(frozen=True, slots=True)
class View:
    """A view with its columns (name: type as DuckDB says it) and what is said of it and of them (name: text)."""

    name: str
    columns: Mapping[str, str]
    comments: Mapping[str, str]

    @property
    def night(self) -> str:
        """SQL of the night of a row."""
        return f"coalesce(({BY_NIGHT[self.name]})::varchar, '{UNDATED}')"

    @property
    def selected(self) -> str:
        """Its columns; Parquet has no whole numbers of 128 bits, and would have them as floating-point numbers."""
        return ", ".join(
            f'"{name}"::bigint as "{name}"' if kind == "HUGEINT" else f'"{name}"' for name, kind in self.columns.items()
        )

    @property
    def named(self) -> str:
        """Its columns as they are copied."""
        return ", ".join(f'"{name}"' for name in self.columns)

    @property
    def total(self) -> str:
        """SQL of what tells rows that were copied from others: how many, and the sum of their hashes."""
        return f"count(*), sum(hash({self.named})::hugeint)"

    @property
    def metadata(self) -> str:
        """The comments as DuckDB's `kv_metadata`."""
        pairs = ", ".join(f"{quoted(name)}: {quoted(text)}" for name, text in self.comments.items())
        return f", kv_metadata {{{pairs}}}" if pairs else ""

    def fingerprint(self, count: int, total: int | None) -> str:
        """Of a file with so many rows and such a sum of their hashes."""
        said = json.dumps([dict(self.columns), dict(self.comments)])
        return f"{hashlib.sha256(said.encode()).hexdigest()[:16]}-{count}-{total}"


def views_of(database: Database) -> Iterator[View]:
    """The report views of `published`."""
    found: dict[str, tuple[dict[str, str], dict[str, str]]] = {}
    for row in database.rows("columns_of_report"):
        columns, comments = found.setdefault(row["view"], ({}, {"view": row["about"] or ""}))
        columns[row["name"]] = row["type"]
        if row["comment"]:
            comments[row["name"]] = row["comment"]
    yield from (View(name, *both) for name, both in found.items())


def parquet(generation: Generation, files: list[str]) -> str:
    """SQL of the rows of files."""
    return f"read_parquet([{', '.join(quoted(str(generation.folder / file)) for file in files)}])"


def write_whole(database: Database, view: View, made: Generation, former: Generation | None) -> None:
    """A view as one file."""
    database.execute(f"create or replace table main.copied as select {view.selected} from report.{view.name}")
    _write(database, view, "from main.copied", f"{view.name}.parquet", (), made, former)


def write_nights(
    database: Database, view: View, fresh: str, made: Generation, former: Generation | None, *, stale: str = ""
) -> None:
    """A view as a file a night, or a month: the rows of the table `fresh`, and those of the copy before that are not
    `stale`, a condition in SQL; without one, those of `fresh` alone. Only files that have others are read and written.

    Raises StoreError where a file of the copy before is not what was written.
    """
    (made.folder / f"{view.name}.parquet").mkdir()
    there = former.of(view) if former and stale else {}
    counted = Counter[str]()
    touched = set[str]()
    for night, rows in database.execute(f"select {view.night}, count(*) from {fresh} group by 1").fetchall():
        counted[night] += rows
        touched.add(night)
    if former and there:
        for night, rows, gone in database.execute(
            f"select {view.night}, count(*), count(*) filter ({stale}) from {parquet(former, list(there))} group by 1"
        ).fetchall():
            counted[night] += rows - gone
            touched |= {night} if gone else set()
    parts, anew = _nights_of_parts(+counted), dict[str, tuple[str, ...]]()
    for name, nights in parts.items():
        file = f"{view.name}.parquet/{name}.parquet"
        part = there.get(file)
        if part is None or part.nights != nights or touched & {*nights} or not made.keep(file, part, former):
            anew[name] = nights
    _compose(database, view, fresh, former, anew, stale=stale)
    for name, nights in anew.items():
        rows = f"select {view.named} from main.composed where _part = {quoted(name)}"
        _write(database, view, rows, f"{view.name}.parquet/{name}.parquet", nights, made, former)
    database.execute("drop table main.composed")
    sync(made.folder / f"{view.name}.parquet")


def _nights_of_parts(rows: Mapping[str, int]) -> dict[str, tuple[str, ...]]:
    """The nights of each part. Those before the newest month are joined to months unless they are large, so that
    there are not many small files; of no rows there is one, which says which columns they would have."""
    newest = max((night for night in rows if night != UNDATED), default=UNDATED)[:7]
    months = Counter[str]()
    for night, count in rows.items():
        months[night[:7]] += count
    parts: dict[str, tuple[str, ...]] = {}
    for night in sorted(rows) or [UNDATED]:
        month = night[:7]
        name = night if night == UNDATED or month == newest or months[month] > MONTH_ROWS else month
        parts[name] = (*parts.get(name, ()), night)
    return parts


def _compose(
    database: Database,
    view: View,
    fresh: str,
    former: Generation | None,
    anew: Mapping[str, tuple[str, ...]],
    *,
    stale: str,
) -> None:
    """The table main.composed: the rows of parts that are made anew, with their part, in the order of parts."""
    wanted = {night: name for name, nights in anew.items() for night in nights}
    rows = f"select {view.night} as _night, {view.selected} from {fresh}"
    there = former.of(view) if former and stale else {}
    sources = [file for file, part in there.items() if not wanted.keys().isdisjoint(part.nights)]
    for file in sources:
        if former and _fingerprint(database, view, f"from {parquet(former, [file])}") != there[file].fingerprint:
            raise StoreError(f"{former.folder / file} is not what was written into it")
    if former and sources:
        rows += f" union all select {view.night}, {view.named} from {parquet(former, sources)} where not ({stale})"
    database.execute(
        f"""create or replace table main.composed as
        with placed as (select unnest($nights::varchar[]) as _night, unnest($parts::varchar[]) as _part)
        select placed._part, rows.* exclude (_night) from ({rows}) as rows join placed using (_night)
        order by placed._part""",
        {"nights": list(wanted), "parts": list(wanted.values())},
    )


def _fingerprint(database: Database, view: View, rows: str) -> str:
    return view.fingerprint(*database.execute(f"select {view.total} from ({rows})").fetchall()[0])


def _write(
    database: Database,
    view: View,
    rows: str,
    file: str,
    nights: tuple[str, ...],
    made: Generation,
    former: Generation | None,
) -> None:
    """One file, unless it is the one of the copy before, read back: raises StoreError where what the disk has is not
    what was written."""
    part = CopiedFile(_fingerprint(database, view, rows), nights)
    if made.keep(file, part, former):
        return
    path = made.folder / file
    database.execute(f"copy ({rows}) to {quoted(str(path))} (format parquet, compression zstd{view.metadata})")
    if _fingerprint(database, view, f"from {parquet(made, [file])}") != part.fingerprint:
        with suppress(OSError):
            path.unlink()
        raise StoreError(f"{path} is not what was written into it", hint="check the disk, then run `curator publish`")
    sync(path)
    made.parts[file] = part

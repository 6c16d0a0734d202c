"""The journal of an export, in `.curator-export/` of its folder: what was asked for, its rows, which parts are done.

    export.json    the request, and whether it is finished
    rows.arrow     the rows as they were when the export began; gone once it is finished
    parts.jsonl    a line for each part that is done: its digest, its files, the images that were missing

So a killed export goes on with the rows it began with, whatever the lake has become, and knows which files are its own.
A line is written once the files of its part are on disk; a torn last line is a part that is not done.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.ipc

from curator.durable import durable, remove_leftovers, write_durably
from curator.errors import OutputError, UsageError
from curator.export.parts import Written
from curator.export.rows import json_line
from curator.printable import said_by

FOLDER = ".curator-export"
VERSION = 1
LEFTOVER = re.compile(r"\.(?:.*\.)?[0-9a-f]{16}\.tmp", re.DOTALL)

Request = dict[str, object]
State = Literal["new", "unfinished", "finished"]


@dataclass(frozen=True, slots=True)
class Done:
    """A part that is done. Without a digest: files of an export before this one, to be removed at the end."""

    place: str
    digest: str
    written: Written = field(default_factory=Written)


class Journal:
    """The journal of the export in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._head = folder / FOLDER / "export.json"
        self._rows = folder / FOLDER / "rows.arrow"
        self._parts = folder / FOLDER / "parts.jsonl"
        self._lock = folder / FOLDER / "lock"

    def state(self, folder: Path) -> tuple[State, Request | None]:
        """How far the export in this folder is, and what was asked for. Raises UsageError for a folder that holds
        anything but an export."""
        if self._head.is_file():
            try:
                head = json.loads(self._head.read_text(encoding="utf-8"))
                if head["version"] == VERSION:
                    return ("finished" if head["finished"] else "unfinished"), head["request"]
            except (ValueError, KeyError, TypeError) as fault:
                raise UsageError(f"{self._head}: cannot be read", hint="export into a new folder") from fault
            raise UsageError(f"{folder}: an export of another release", hint="export into a new folder")
        others = [item.name for item in folder.iterdir() if item.name != FOLDER] if folder.exists() else []
        if others:
            raise UsageError(f"{folder}: is not empty, and no export wrote it", hint="export into a new folder")
        return "new", None

    def begin(self, request: Request, rows: pa.Table, done: list[Done]) -> None:
        """Begin an export of these rows of which some parts are done: it has begun once its head is there."""
        remove_leftovers(self._rows)
        with (
            durable(self._rows) as temporary,
            temporary.open("wb") as sink,
            pyarrow.ipc.new_file(sink, rows.schema) as file,
        ):
            file.write_table(rows)
        write_durably(self._parts, b"".join(map(_line_of, done)))
        self._write_head(request, finished=False)

    def rows(self) -> pa.Table:
        with self._rows.open("rb") as source, pyarrow.ipc.open_file(source) as file:
            return file.read_all()

    def parts(self) -> Iterator[Done]:
        """The parts that are done."""
        text = self._parts.read_bytes() if self._parts.is_file() else b""
        for line in text.split(b"\n")[:-1]:
            item = json.loads(line)
            files = [name for name in item["files"] if not {"..", ""} & set(name.split("/"))]  # none outside of it
            yield Done(item["place"], item["digest"], Written(files, item["missing"]))

    def record(self, done: Done) -> None:
        """A part is done: its files are on disk."""
        with self._parts.open("ab") as file:
            file.write(_line_of(done))
            file.flush()
            os.fsync(file.fileno())

    @contextmanager
    def held(self) -> Iterator[None]:
        """Nobody else writes the export meanwhile. Raises UsageError when somebody does."""
        self._lock.parent.mkdir(parents=True, exist_ok=True)
        with self._lock.open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as fault:
                hint = "wait for it, or name another folder"
                raise UsageError(f"{self._lock.parent.parent}: is being exported to now", hint=hint) from fault
            yield

    def clear(self, folder: Path) -> None:
        """Remove what a killed export left: half files, and a torn last line."""
        for path in folder.rglob(".*.tmp"):
            if LEFTOVER.fullmatch(path.name):
                path.unlink(missing_ok=True)
        data = self._parts.read_bytes()
        if data and not data.endswith(b"\n"):
            write_durably(self._parts, data[: data.rfind(b"\n") + 1])

    def finish(self, request: Request, outcome: dict[str, object]) -> None:
        self._write_head(request, finished=True, outcome=outcome)
        self._rows.unlink(missing_ok=True)

    def outcome(self) -> dict[str, Any]:
        """What a finished export wrote."""
        return dict(json.loads(self._head.read_text(encoding="utf-8"))["outcome"])

    def _write_head(self, request: Request, *, finished: bool, outcome: dict[str, object] | None = None) -> None:
        head = {"version": VERSION, "finished": finished, "request": request, "outcome": outcome}
        write_durably(self._head, json.dumps(head, indent=1).encode() + b"\n")


def _line_of(done: Done) -> bytes:
    return json_line(
        {"place": done.place, "digest": done.digest, "files": done.written.files, "missing": done.written.missing}
    )


def explain_refusal(folder: Path, state: State, *, is_same: bool) -> UsageError:
    """Why an export does not go into a folder that holds one."""
    if not is_same:
        what = "a finished export" if state == "finished" else "an unfinished export"
        return UsageError(
            f"{folder}: holds {what} of something else", hint="name another folder, or give `overwrite` to replace it"
        )
    return UsageError(
        f"{folder}: this export is finished",
        hint="give `update` to bring it up to date, or `overwrite` to make it again",
    )


def disk_fault(folder: Path, fault: OSError) -> OutputError:
    return OutputError(f"{folder}: cannot be written: {said_by(fault)}", hint="the same command goes on from there")

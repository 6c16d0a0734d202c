"""An export into a folder: begun, resumed, brought up to date, or refused; never over files that are not its own."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from curator.errors import UsageError
from curator.export.folders import FIFTYONE, HUGGINGFACE, SYMLINKS
from curator.export.journal import Done, Journal, Request, disk_fault, explain_refusal
from curator.export.parts import Format, Options, Part, Written, put
from curator.export.rows import digest_of, json_line, ruled_by_of
from curator.export.tables import CSV, FILES, JSONL, PARQUET
from curator.export.tars import WEBDATASET
from curator.progress import step

FORMATS: dict[str, Format] = {
    "parquet": PARQUET,
    "csv": CSV,
    "jsonl": JSONL,
    "files": FILES,
    "webdataset": WEBDATASET,
    "symlinks": SYMLINKS,
    "fiftyone": FIFTYONE,
    "huggingface": HUGGINGFACE,
}
WRITING = "write"  # the step
MISSING = "missing.jsonl"

Replace = Literal["nothing", "update", "overwrite"]


@dataclass(frozen=True, slots=True)
class ExportOutcome:
    """What an export wrote. parts_kept: parts that were there already. ruled_by: what judged its rows, None where that
    is not known."""

    images: int
    missing: int
    files: int
    parts: int
    parts_kept: int
    ruled_by: dict[str, str | None] | None = None


def export_into(
    folder: Path, request: Request, find_rows: Callable[[], pa.Table], options: Options, *, replace: Replace
) -> ExportOutcome:
    """Export into a folder, or go on with the unfinished export of the same request that is there.

    request: all that shapes the export, `format` among it, as JSON has it. find_rows: the rows in the schema of
    exports; not asked when an export goes on, which has its own. Raises UsageError for a folder that holds anything
    else, OutputError when it cannot be written.
    """
    journal, kind = Journal(folder), FORMATS[str(request["format"])]
    try:
        begin = _has_to_begin(journal, folder, request, replace)
        rows = find_rows() if begin else None
        with journal.held():
            if rows is not None:
                kept, stale = _kept(journal, kind.cut(rows, options), folder, replace)
                journal.begin(request, rows, [*kept, *([Done("", "", Written(stale))] if stale else [])])
            journal.clear(folder)
            return _go_on(journal, kind, folder, request, options)
    except OSError as fault:
        raise disk_fault(folder, fault) from fault


def _has_to_begin(journal: Journal, folder: Path, request: Request, replace: Replace) -> bool:
    """Whether to begin anew; False: to go on. Raises UsageError where neither is right."""
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder}: is a file", hint="an export is a folder")
    state, found = journal.state(folder)
    if state == "new" or replace == "overwrite":
        return True
    is_same = found == request
    if is_same and state == "unfinished":
        return False
    if is_same and replace == "update":
        return True
    raise explain_refusal(folder, state, is_same=is_same)


def _kept(journal: Journal, parts: Iterable[Part], folder: Path, replace: Replace) -> tuple[list[Done], list[str]]:
    """Of an earlier export here: the parts to keep, and the files of the others."""
    wanted = {part.place: digest_of(part.rows) for part in parts} if replace == "update" else {}
    kept: list[Done] = []
    stale: list[str] = []
    for done in journal.parts():
        is_kept = wanted.get(done.place) == done.digest and not done.written.missing
        if is_kept and all((folder / name).exists() for name in done.written.files):
            kept.append(done)
        else:
            stale += done.written.files
    return kept, stale


def _go_on(journal: Journal, kind: Format, folder: Path, request: Request, options: Options) -> ExportOutcome:
    rows = journal.rows()
    known = {done.place: done for done in journal.parts() if done.digest}
    made = 0
    with step(WRITING, rows.num_rows, "images") as progress:
        for part in kind.cut(rows, options):
            if part.place not in known:
                written = kind.write(part, folder, options)
                known[part.place] = Done(part.place, digest_of(part.rows), written)
                journal.record(known[part.place])
                made += 1
            progress.advance(part.rows.num_rows)
    files = [name for item in known.values() for name in item.written.files]
    missing = [row for item in known.values() for row in item.written.missing]
    lost = pa.array([row["image_id"] for row in missing], pa.string())
    closing = list(kind.close(rows.filter(pc.invert(pc.is_in(rows["image_id"], lost))), folder, options))
    closing += _write_missing(folder, missing)
    _remove_stale(journal, folder, {*files, *closing})
    journal.record(Done("", "", Written(closing)))  # so that whatever replaces this export knows them
    outcome = ExportOutcome(
        images=rows.num_rows - len(missing),
        missing=len(missing),
        files=len(files) + len(closing),
        parts=len(known),
        parts_kept=len(known) - made,
        ruled_by=ruled_by_of(rows),
    )
    journal.finish(request, asdict(outcome))
    return outcome


def _write_missing(folder: Path, missing: list[dict[str, str]]) -> list[str]:
    if not missing:
        return []
    return [put(folder, MISSING, b"".join(map(json_line, missing)))]


def _remove_stale(journal: Journal, folder: Path, own: set[str]) -> None:
    """Remove the files of the export that was replaced, and the folders that are empty without them."""
    old = [name for item in journal.parts() if not item.digest for name in item.written.files]
    for name in old:
        if name not in own:
            (folder / name).unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # other files are in it
                (folder / name).parent.rmdir()

"""`curator export`: which images, with which rows, and where they go.

Reads the published snapshot only, so no run waits for an export and no export for a run. An export to a URL is made in
`exports/` of the workspace and then sent file by file; it goes on where it stopped, too.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa

from curator.errors import UsageError
from curator.export.journal import Journal
from curator.export.parts import Options
from curator.export.rows import as_exported
from curator.export.run import FORMATS, ExportOutcome, Replace, export_into
from curator.lake.files import connect, foreign_faults
from curator.paths import expanded
from curator.progress import step
from curator.report.notebook import Shown
from curator.store.queries import NamedQuery
from curator.urls import scheme_of
from curator.workspace.context import Context
from curator.workspace.judge.in_force import InForce
from curator.workspace.look.neighbours import wanted_images
from curator.workspace.outputs import check_destination, put_output
from curator.workspace.published import reading

VIEWS = {"flagged": "report.flagged", "kept": "report.kept"}
NO_LIMIT = (1 << 62) - 1
SENT = ".sent"


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """What to export. images: `flagged`, `kept`, or the name of a query whose rows have an `image_id` or a `uri`."""

    images: str
    to: str
    format: str
    where: str | None
    limit: int | None
    parameters: Mapping[str, object]
    one_of_each_group: bool
    by_label: bool
    tar_bytes: int
    replace: Replace

    def as_recorded(self) -> dict[str, object]:
        """What makes two exports the same one, wherever they go."""
        left_out = ("to", "replace")
        facts = {name: value for name, value in asdict(self).items() if name not in left_out}
        return dict(json.loads(json.dumps(facts, default=str)))


@dataclass(frozen=True, slots=True, repr=False)
class ExportSummary(Shown):
    """What an export did. parts_kept: what was there already from a run before. ruled_by: the bank, method and policy
    that judged the images, as of when the export began."""

    to: str
    format: str
    images: int
    missing: int
    files: int
    parts: int
    parts_kept: int
    ruled_by: Mapping[str, str | None] | None = None

    def as_json(self) -> dict[str, object]:
        return asdict(self)


@step("export")
def run_export(
    context: Context,
    queries: Mapping[str, NamedQuery],
    request: ExportRequest,
    *,
    held: AbstractContextManager[object] | None = None,
) -> ExportSummary:
    """Export, or go on with the same export where it was killed. held: while the snapshot is read.

    Raises UsageError for a destination that holds anything else, for a query without images, or a bad condition.
    """
    options = Options(
        name=request.images, tar_bytes=request.tar_bytes, by_label=request.by_label, read=context.read_options
    )
    if request.format not in FORMATS:
        raise UsageError(f"no format is called {request.format!r}", hint=f"known: {', '.join(FORMATS)}")

    def find() -> pa.Table:
        with held or nullcontext():
            return _rows(context, queries, request)

    is_url = scheme_of(request.to) is not None
    folder = _staging(context, request) if is_url else expanded(request.to).absolute()
    if is_url and (folder / SENT).exists():
        outcome = ExportOutcome(**Journal(folder).outcome())
    else:
        outcome = export_into(
            folder,
            request.as_recorded(),
            find,
            options,
            replace="update" if is_url else request.replace,
        )
    if is_url:
        _send(folder, request.to)
    return _summary(request, outcome)


def _summary(request: ExportRequest, outcome: ExportOutcome) -> ExportSummary:
    return ExportSummary(to=request.to, format=request.format, **asdict(outcome))


def _rows(context: Context, queries: Mapping[str, NamedQuery], request: ExportRequest) -> pa.Table:
    """The rows to export, in their order, from the snapshot as it is now."""
    ids = _chosen(context, queries, request)
    wanted = wanted_images(ids, [0.0] * len(ids))
    with reading(context.layout) as database, database.incoming(wanted=wanted):
        rows = database.table(
            "list_export_rows",
            by_score=request.images in VIEWS,
            representatives=request.one_of_each_group,
            most=NO_LIMIT if request.limit is None else request.limit,
        )
        ruling = InForce.of(database)
    return as_exported(rows, None if ruling is None else ruling.as_json())


def _chosen(context: Context, queries: Mapping[str, NamedQuery], request: ExportRequest) -> list[str]:
    """The ids of the images asked for, each once."""
    if request.images in VIEWS:
        with reading(context.layout, sealed=True) as database:
            return sorted(database.filtered_ids(VIEWS[request.images], request.where or "true"))
    if request.images not in queries:
        known = ", ".join([*VIEWS, *queries])
        raise UsageError(f"no query is called {request.images!r}", hint=f"known: {known}")
    query = queries[request.images]
    given = {"limit": NO_LIMIT, **request.parameters} if "limit" in query.parameters else dict(request.parameters)
    if given.keys() != set(query.parameters):
        raise UsageError(f"query {query.name!r} takes the parameters {', '.join(query.parameters) or '(none)'}")
    with reading(context.layout, sealed=True) as database:
        found = database.arrow(query.sql, given)
        allowed = None if request.where is None else set(database.filtered_ids("report.scores", request.where))
    ids = _ids_in(context, query.name, found)
    return [image_id for image_id in dict.fromkeys(ids) if allowed is None or image_id in allowed]


def _ids_in(context: Context, name: str, found: pa.Table) -> Sequence[str]:
    for column in ("image_id", "uri"):
        if column in found.column_names:
            values = [str(value) for value in found[column].to_pylist() if value is not None]
            if column == "image_id":
                return values
            with (
                reading(context.layout) as database,
                database.incoming(wanted=wanted_images(values, [0.0] * len(values))),
            ):
                ids: list[str] = database.column("find_images_at")
                return ids
    hint = "its rows need a column image_id or uri; for a table of anything, `curator query NAME -o FILE`"
    raise UsageError(f"query {name!r} finds no images", hint=hint)


def _staging(context: Context, request: ExportRequest) -> Path:
    """Where an export to a URL is made: the same folder for the same export to the same address.

    Raises UsageError when something is at the address that this export did not send.
    """
    check_destination(request.to)
    if request.format == "symlinks":
        raise UsageError(f"{request.to}: links are made in folders of this machine only", hint="take another format")
    if request.replace != "nothing":
        raise UsageError(f"{request.to}: at a URL nothing is replaced", hint="name a new address")
    key = hashlib.sha256(json.dumps([request.to, request.as_recorded()], sort_keys=True).encode()).hexdigest()[:16]
    folder = context.layout.exports / key
    if not (folder / SENT).exists():
        filesystem, inner = connect(request.to.rstrip("/"))
        with foreign_faults():
            if filesystem.exists(inner) and filesystem.find(inner):
                raise UsageError(
                    f"{request.to}: is not empty, and this export did not write it", hint="name another one"
                )
    return folder


def _send(folder: Path, to: str) -> None:
    """Put every file of an export that was not put yet, and then remove it here."""
    with (folder / SENT).open("a+b") as journal:  # with it, the address is ours
        journal.seek(0)
        sent = set(journal.read().split(b"\n")[:-1])
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder).as_posix()
            line = json.dumps(name).encode()
            if path.is_file() and not name.startswith(".") and line not in sent:
                put_output(path, f"{to.rstrip('/')}/{name}")
                journal.write(line + b"\n")
                journal.flush()
    shutil.rmtree(folder)

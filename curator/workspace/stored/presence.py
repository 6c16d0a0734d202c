"""What must be there before a workspace is read or written: what is absent is never taken for what is new.

A ledger that is gone while its works remain was lost, not unmade; one that lacks runs of the published snapshot is an
older one, or another workspace's; a folder of vectors that is empty is a disk that is not mounted. A run that went on
would publish over the only copy of what is missing. It costs a look at some folders and at two columns of run ids.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

from curator.errors import StoreError, WorkspaceError
from curator.store import Database
from curator.store.publish import is_unchanged
from curator.workspace.layout import Layout

PUBLISH = "run `curator publish`: it makes the snapshot again from the ledger"
RECOVER = (
    "run `curator recover`: it makes the ledger from the published snapshot; or restore a backup by `curator restore "
    "BACKUP FOLDER`"
)
BEGIN_ANEW = (
    "restore a backup by `curator restore BACKUP FOLDER`; or begin with an empty ledger by `curator recover --anew`"
)
PARTS = ("published", "vectors", "banks", "generated", "reviews", "queries", "cache", "index")


def require_presence(layout: Layout) -> None:
    """Raises WorkspaceError for a link of the workspace that leads nowhere, and for a ledger that was lost."""
    for fault in (*broken_links(layout), lost_ledger(layout)):
        if fault is not None:
            raise fault


def is_new(layout: Layout) -> bool:
    """Whether nothing was ever written here by a run."""
    return not has_ledger(layout) and next(remains(layout), None) is None and not list(broken_links(layout))


def has_ledger(layout: Layout) -> bool:
    """An empty file is none: DuckDB would make a new database of it."""
    return layout.ledger.is_file() and layout.ledger.stat().st_size > 0


def remains(layout: Layout) -> Iterator[Path]:
    """What only runs with a ledger leave behind."""
    yield from (path for path in (layout.snapshot, layout.log) if path.is_file())
    for pattern in ("vectors/*/*.safetensors", "banks/*/*/bank.json", "generated/[!.]*", "reviews/*.jsonl"):
        yield from layout.root.glob(pattern)


def lost_ledger(layout: Layout) -> WorkspaceError | None:
    """What to say where there is no ledger any more; None where there is one, or never was."""
    if has_ledger(layout) or (left := next(remains(layout), None)) is None:
        return None
    what = "is empty" if layout.ledger.is_file() else "is missing"
    return WorkspaceError(
        f"{layout.ledger} {what}, though {left} is there",
        hint=RECOVER if layout.snapshot.is_file() else BEGIN_ANEW,
    )


def broken_links(layout: Layout) -> Iterator[WorkspaceError]:
    """Links in the place of a part of the workspace that lead nowhere: to a disk that is not mounted, mostly."""
    parts = [layout.root / part for part in PARTS]
    inner = [path for part in parts[:3] for path in (sorted(part.iterdir()) if part.is_dir() else ())]
    for path in (layout.ledger, layout.labels, *parts, *inner):
        if path.is_symlink() and not path.exists():
            yield WorkspaceError(
                f"{path} is a link to {path.readlink()}, which is not there",
                hint=f"mount the disk that it leads to, or remove the link by `rm {shlex.quote(str(path))}`",
            )


def lacking_runs(layout: Layout, ledger: Database) -> list[str]:
    """The runs of the published snapshot that the ledger lacks. None where there is no snapshot that can be read: the
    next run makes it again."""
    if not layout.snapshot.is_file() or is_unchanged(layout.ledger, layout.snapshot):
        return []
    try:
        with Database.open_reader(layout.snapshot) as snapshot:
            published = _runs_of(snapshot)
    except StoreError:
        return []
    return sorted(published - _runs_of(ledger))


def require_all_runs(layout: Layout, ledger: Database) -> None:
    """Raises WorkspaceError for a ledger that would lose runs of the snapshot when it is published."""
    if lacking := lacking_runs(layout, ledger):
        message = f"{layout.ledger} lacks {len(lacking)} runs that the published snapshot has, first {lacking[0]}"
        raise WorkspaceError(message, hint=_which_is_right(layout, ledger))


def _which_is_right(layout: Layout, ledger: Database) -> str:
    """An older ledger knows some of the snapshot's runs. Of two strangers, the one whose files are here is at home."""
    with Database.open_reader(layout.snapshot) as snapshot:
        strangers = not _runs_of(snapshot) & _runs_of(ledger)
        files = referred_files(layout, ledger) if strangers and _runs_of(ledger) else set()
    if files and all((layout.root / file).is_file() for file in files):
        return f"the snapshot is another workspace's: `curator publish --replace` puts this one's there; or {RECOVER}"
    return f"{RECOVER}; `curator publish --replace` gives these runs up"


def referred_files(layout: Layout, database: Database) -> set[str]:
    """The files that rows refer to, as paths from the root; of a bank version, the file that lists the others."""
    vectors = [
        layout.vectors(row["encoder_id"]) / f"{row['vector_file']}.safetensors"
        for row in database.rows("list_all_vector_files")
    ]
    banks = [
        layout.bank_versions(row["name"]) / row["bank_digest"] / "bank.json" for row in database.rows("list_banks")
    ]
    pictures = [layout.generated / row["artefact"] for row in database.rows("list_artefacts")]
    return {path.relative_to(layout.root).as_posix() for path in (*vectors, *banks, *pictures)}


def _runs_of(database: Database) -> set[str]:
    """None for a database without tables, which is not a ledger yet."""
    if "run" not in database.column("list_tables"):
        return set()
    return set(database.column("list_run_ids"))


def require_vectors(layout: Layout, ledger: Database, address: str) -> None:
    """Raises WorkspaceError where all vectors of the encoder in use are gone. Single files are for who reads them."""
    encoder = ledger.row("find_encoder", address=address)
    if encoder is None or next(layout.vectors(encoder["encoder_id"]).glob("*.safetensors"), None) is not None:
        return
    count = ledger.table("list_vector_files", encoder_id=encoder["encoder_id"]).num_rows
    if count:
        raise WorkspaceError(
            f"{layout.vectors(encoder['encoder_id'])} has none of the {count} vector files that the ledger refers to",
            hint=f"mount its disk, or {rescan(ledger)}",
        )


def rescan(database: Database) -> str:
    """How lost vectors come back: the command, with the sources that were scanned."""
    sources = " ".join(map(shlex.quote, database.column("list_sources")))
    return f"embed again by `curator scan {sources or 'SOURCE'} --rehash`, or restore a backup"

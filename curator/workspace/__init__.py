"""The façade: everything one can do with a workspace, for Python users and for the CLI, its first user.

Reading (`sql`, `query`, `search`, `check`) uses the published snapshot and never waits; writing (`scan`, `calibrate`,
`score`, `build_bank`) takes the workspace's lock for one run. Results are Arrow tables or small frozen summaries.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from curator.config import Config
from curator.errors import BankError, UsageError
from curator.store import CheckResult, ListingCounts, run_checks
from curator.store.queries import NamedQuery, parse_queries, report_queries
from curator.types import Bank
from curator.workspace.context import Context
from curator.workspace.create import create_workspace
from curator.workspace.doctor import Finding, examine
from curator.workspace.layout import Layout, find_workspace
from curator.workspace.nightly import (
    CalibrationSummary,
    ScoreSummary,
    preview_scan,
    run_calibration,
    run_scan,
    run_scoring,
)
from curator.workspace.scan import ScanRequest, ScanSummary, ScanWatcher, SilentWatcher
from curator.workspace.search import build_indexes, list_indexes, search_images, search_labels
from curator.workspace.session import reading, writing

__all__ = [
    "CalibrationSummary",
    "Finding",
    "ScanSummary",
    "ScanWatcher",
    "ScoreSummary",
    "Workspace",
]


class Workspace:
    """A folder with a configuration, label banks, vectors and a ledger. Make one with `create`, open one with `open`.

    Example:

        workspace = curator.open("my-lake")
        summary = workspace.scan("/data/incoming")
        table = workspace.sql("select uri, id_score from report.flagged order by id_score limit 20")
    """

    def __init__(self, layout: Layout, config: Config) -> None:
        self.layout = layout
        self.config = config
        self._context = Context(layout, config)

    @classmethod
    def create(cls, folder: Path | str, *, labels: Path | str | Sequence[str], encoder: str = "mini") -> Workspace:
        """Make a workspace for the ID labels given (a file, one label a line, or a sequence).

        Raises UsageError when the folder is a workspace already or a label is bad.
        """
        layout = create_workspace(Path(folder), labels=labels, encoder=encoder)
        return cls(layout, Config.resolve(layout.config))

    @classmethod
    def open(cls, folder: Path | str = ".", *, overrides: Mapping[str, Any] | None = None) -> Workspace:
        """Open the workspace at `folder` or above it. `overrides` are options keyed `section.key` (see config.py).

        Raises WorkspaceError when there is none, ConfigError for a bad option.
        """
        layout = find_workspace(Path(folder))
        return cls(layout, Config.resolve(layout.config, overrides=overrides))

    # Writing

    def scan(
        self,
        *sources: str | Path,
        rehash: bool = False,
        retry_rejects: bool = False,
        watcher: ScanWatcher | None = None,
    ) -> ScanSummary:
        """Scan sources (folder, file, glob, tar, Parquet; local or any fsspec URL) into the lake, score and flag.

        Only what is new or changed since the last scan is read. A killed scan is resumed by the same call.
        """
        request = ScanRequest(_addresses(sources), rehash=rehash, retry_rejects=retry_rejects)
        return run_scan(self._context, request, watcher or SilentWatcher())

    def preview(self, *sources: str | Path, rehash: bool = False, retry_rejects: bool = False) -> list[ListingCounts]:
        """What a scan of the sources would read: new, changed, unchanged, gone, and bytes. Reads no image."""
        return preview_scan(self._context, ScanRequest(_addresses(sources), rehash=rehash, retry_rejects=retry_rejects))

    def calibrate(
        self,
        *reference: str | Path,
        keep: float = 0.95,
        name: str | None = None,
        watcher: ScanWatcher | None = None,
    ) -> CalibrationSummary:
        """Set the threshold so that the share `keep` of the reference ID images is kept; flags follow at once."""
        return run_calibration(self._context, _addresses(reference), watcher or SilentWatcher(), keep=keep, name=name)

    def score(self, *, bank: str | None = None, method: str | None = None) -> ScoreSummary:
        """Score the stored vectors under another bank (`name` or `name@digest`) or method. Embeds no image."""
        return run_scoring(self._context, bank=bank, method=method)

    def build_bank(self, name: str = "base") -> Bank:
        """Build the bank of `banks/<name>.toml`; an unchanged spec gives the version that exists."""
        with writing(self.layout, "bank build", {"name": name}) as ledger:
            return self._context.build_bank(ledger, name)

    def publish(self) -> Path:
        """Publish the ledger as it is now. Every writing call does this by itself at its end."""
        with writing(self.layout, "publish", {}):
            pass
        return self.layout.snapshot

    # Reading

    def sql(self, query: str, parameters: Mapping[str, Any] | None = None) -> pa.Table:
        """Run SQL on the published snapshot, read-only, without access to other files. Returns the last result."""
        with reading(self.layout) as database:
            return database.arrow(query, parameters)

    def queries(self) -> dict[str, NamedQuery]:
        """The named queries: those that ship, and the workspace's own in `queries/*.sql`, which go first."""
        own: dict[str, NamedQuery] = {}
        for path in sorted(self.layout.queries.glob("*.sql")):
            own |= parse_queries(path.read_text(encoding="utf-8"), origin=str(path))
        return {**report_queries(), **own}

    def query(self, name: str, **parameters: Any) -> pa.Table:
        """Run a named query. `limit` is 20 unless given. Raises UsageError for an unknown name or parameter."""
        queries = self.queries()
        if name not in queries:
            raise UsageError(f"no query is called {name!r}", hint=f"known: {', '.join(queries)}")
        wanted = queries[name].parameters
        given = {"limit": 20, **parameters} if "limit" in wanted else dict(parameters)
        if given.keys() != set(wanted):
            raise UsageError(f"query {name!r} takes the parameters {', '.join(wanted) or '(none)'}")
        return self.sql(queries[name].sql, given)

    def search(
        self,
        *,
        text: str | None = None,
        image: str | Path | None = None,
        label: str | None = None,
        k: int = 10,
        among: Literal["images", "labels"] = "images",
    ) -> pa.Table:
        """The k images (or labels of the bank) nearest to a text, an image or a label, the nearest first."""
        given = {"text": text, "image": image, "label": label}
        if sum(value is not None for value in given.values()) != 1:
            raise UsageError("search by exactly one of text, image and label")
        search = search_images if among == "images" else search_labels
        return search(self._context, text=text, image=None if image is None else str(image), label=label, k=k)

    def build_indexes(self) -> pa.Table:
        """Build or update the image and label indexes by their recipes."""
        return build_indexes(self._context)

    def indexes(self) -> pa.Table:
        """The indexes of the workspace and whether they are fresh."""
        return list_indexes(self._context)

    def banks(self) -> pa.Table:
        """The bank versions, newest first."""
        with reading(self.layout) as database:
            return database.table("list_banks")

    def show_bank(
        self, address: str = "base", *, role: Literal["id", "negative"] | None = None, limit: int = 20
    ) -> tuple[dict[str, Any], pa.Table]:
        """A bank version (`name` or `name@digest`): its facts, and at most `limit` labels of each role, in order."""
        name, _, digest = address.partition("@")
        with reading(self.layout) as database:
            facts = database.row("find_bank", name=name, digest_prefix=digest, encoder_id=None)
            if facts is None:
                raise BankError(f"no bank version {address}", hint="see `curator bank list`")
            labels = database.table("show_labels", bank_digest=facts["bank_digest"], role=role, limit=limit)
        return facts, labels

    def check(self) -> list[CheckResult]:
        """Run every check of `sql/checks` on the published snapshot."""
        with reading(self.layout) as database:
            return run_checks(database)

    def doctor(self, *, check: bool = False) -> list[Finding]:
        """Examine the machine and the workspace: encoder, weights, GPU, FAISS, disk, lock, ledger, vector files."""
        return examine(self._context, check=check)


def _addresses(sources: Sequence[str | Path]) -> tuple[str, ...]:
    if not sources:
        raise UsageError("name at least one source", hint="a folder, file, glob, tar, Parquet file or fsspec URL")
    return tuple(str(source) for source in sources)

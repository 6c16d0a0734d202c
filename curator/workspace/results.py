"""The results of a workspace as SQL sees them; all that `curator sql` and `curator query` import of it."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path

import pyarrow as pa

from curator.errors import UsageError
from curator.store import CheckResult, run_checks
from curator.store.queries import NamedQuery, user_queries
from curator.workspace.judge.in_force import ChosenPolicy, InForce
from curator.workspace.layout import Layout, find_workspace, refuse_remote
from curator.workspace.published import reading, reading_or_empty


class Results:
    """What the published snapshot of a workspace holds."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout

    @classmethod
    def of(cls, folder: Path | str) -> Results:
        """Those of the workspace at `folder` or above it. Raises WorkspaceError when there is none."""
        refuse_remote(folder)
        return Results(find_workspace(Path(folder)))

    def in_force(self) -> InForce | None:
        """What rules: the bank version, method and policy by which the report views judge; None before a first scan."""
        with reading_or_empty(self.layout) as database:
            return InForce.of(database)

    def policy_chosen(self) -> ChosenPolicy | None:
        """The policy that was put in force last by `use`, or by a calibration that was not for a night."""
        with reading_or_empty(self.layout) as database:
            return ChosenPolicy.of(database)

    def sql(self, query: str, parameters: Mapping[str, object] | None = None) -> pa.Table:
        """Run SQL on the published snapshot, read-only, without access to any file. Returns the last result."""
        with reading(self.layout, sealed=True) as database:
            return database.arrow(query, parameters)

    def describe(self, name: str | None = None) -> pa.Table:
        """What a view or table holds, a row a column with its type, meaning, unit and range; without a name, what each
        view is for. Raises UsageError for one that is not there."""
        with reading(self.layout, sealed=True) as database:
            if name is None:
                return database.table("views_described")
            found = database.table("columns_described", relation=name.removeprefix("report.").removeprefix("main."))
            if not found.num_rows:
                known = ", ".join(database.table("views_described")["view"].to_pylist())
                raise UsageError(f"no view or table is called {name!r}", hint=f"views: {known}")
            return found

    def queries(self) -> dict[str, NamedQuery]:
        """The named queries: those that ship, and the workspace's own in `queries/*.sql`, which go first.

        Raises ConfigError for a file that is no text or holds no queries.
        """
        return user_queries(self.layout.queries)

    def query(self, name: str, **parameters: object) -> pa.Table:
        """Run a named query; where it takes a `limit`, all rows unless one is given. Raises UsageError for an unknown
        name or parameter, and for a limit below 0."""
        queries = self.queries()
        if name not in queries:
            near = get_close_matches(name, queries, 1)
            hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(queries)}"
            raise UsageError(f"no query is called {name!r}", hint=hint)
        wanted = queries[name].parameters
        given = {"limit": None, **parameters} if "limit" in wanted else dict(parameters)
        if given.keys() != set(wanted):
            raise UsageError(f"query {name!r} takes the parameters {', '.join(wanted) or '(none)'}")
        if "limit" in given and str(given["limit"]).strip().startswith("-"):
            raise UsageError(f"`limit` is {given['limit']}: no number of rows", hint="leave it out for all rows")
        return self.sql(queries[name].sql, given)

    def banks(self) -> pa.Table:
        """The bank versions, newest first."""
        with reading(self.layout) as database:
            return database.table("list_banks")

    def baselines(self) -> pa.Table:
        """The pinned baselines, the newest first."""
        with reading(self.layout) as database:
            return database.table("list_baselines")

    def check(self) -> list[CheckResult]:
        """Run every check of `sql/checks` on the published snapshot."""
        with reading(self.layout) as database:
            return run_checks(database)

"""Saved views: what was chosen in the app under a name, each a named query in `queries/` of the workspace.

So it is `curator query NAME` and `curator export NAME` as well. Queries that people wrote there are offered too; only
what the app has saved is renamed and removed by it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from curator.app.guard import BadRequest
from curator.durable import write_durably
from curator.errors import ConfigError
from curator.printable import said_by
from curator.store.queries import NamedQuery, parse_queries, report_queries, user_queries
from curator.workspace.layout import Layout

VIEW_NAME = re.compile(r"[a-z][a-z0-9_]{0,59}")
ACCEPTED = "a name is of small letters, digits and _, begins with a letter, and has at most 60 of them"
BY_THE_APP = "Saved in the app:"


class SavedViews:
    """Those of a workspace."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def known(self) -> Mapping[str, NamedQuery]:
        """The queries of the workspace that can be shown: without parameters. Raises ConfigError for a file that holds
        none."""
        own = user_queries(self._layout.queries)
        shipped = report_queries()
        return {name: query for name, query in own.items() if query is not shipped.get(name) and not query.parameters}

    def listed(self) -> list[tuple[str, str, bool]]:
        """Name, what it is, and whether the app made it."""
        try:
            return [(query.name, query.description, _is_ours(query)) for query in self.known().values()]
        except ConfigError:  # `curator query` says which file it is; the app goes on without
            return []

    def sql(self, name: str) -> str:
        """Raises BadRequest for a name that is not known."""
        if (found := self.known().get(name)) is None:
            raise BadRequest(404, f"no saved view is called {name!r}")
        return found.sql

    def save(self, name: object, sql: str, said: str) -> str:
        """Save a statement under a new name. Raises BadRequest for a bad name, for one that is taken, and for a
        statement that no named query can be."""
        checked = self._free(name)
        text = f"-- name: {checked}\n-- {BY_THE_APP} {' '.join(said.split())}\n{sql}\n"
        try:
            made = parse_queries(text, origin=checked)
            if made.keys() != {checked} or made[checked].sql != sql or made[checked].parameters:
                raise ConfigError("it holds a comment or a parameter")
        except ConfigError as fault:
            raise BadRequest(400, f"the condition cannot be saved as a query: {fault.message}") from fault
        self._write(checked, text)
        return checked

    def rename(self, name: object, new: object) -> str:
        """Raises BadRequest as `save`, and for what the app has not saved."""
        found, checked = self._ours(name), self._free(new)
        self._write(checked, f"-- name: {checked}\n-- {found.description}\n{found.sql}\n")
        self._remove(found)
        return checked

    def delete(self, name: object) -> None:
        """Raises BadRequest for what the app has not saved."""
        self._remove(self._ours(name))

    def _free(self, name: object) -> str:
        if not isinstance(name, str) or not VIEW_NAME.fullmatch(name):
            raise BadRequest(400, ACCEPTED)
        if name in user_queries(self._layout.queries) or (self._layout.queries / f"{name}.sql").exists():
            raise BadRequest(409, f"a query is called {name} already")
        return name

    def _ours(self, name: object) -> NamedQuery:
        found = self.known().get(str(name))
        if found is None or not _is_ours(found):
            raise BadRequest(404, f"the app has saved no view that is called {str(name)!r}")
        return found

    def _write(self, name: str, text: str) -> None:
        try:
            self._layout.queries.mkdir(exist_ok=True)
            write_durably(self._layout.queries / f"{name}.sql", text.encode())
        except OSError as fault:
            raise BadRequest(507, f"the view cannot be written: {said_by(fault)}") from fault

    def _remove(self, query: NamedQuery) -> None:
        try:
            (self._layout.queries / f"{query.name}.sql").unlink(missing_ok=True)
        except OSError as fault:
            raise BadRequest(507, f"the view cannot be removed: {said_by(fault)}") from fault


def _is_ours(query: NamedQuery) -> bool:
    return query.description.startswith(BY_THE_APP) and query.origin.endswith(f"/{query.name}.sql")

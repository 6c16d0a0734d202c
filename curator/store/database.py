"""A connection to one DuckDB file: opening, named statements, Arrow in and out, and errors of one kind.

A DuckDB file that is open for writing cannot be opened by another process at all, so only the holder of the
workspace lock opens the live file; everyone else reads published snapshots (see publish.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import duckdb
import pyarrow as pa

from curator.errors import StoreError
from curator.printable import readable
from curator.store.faults import store_error
from curator.store.interruption import interrupts, read
from curator.store.queries import shipped_queries

# No statement of ours touches other files, loads code, or takes a Python variable for a table. So none can.
CLOSED = {
    "enable_external_access": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "python_enable_replacements": "false",
}
# The form of new ledgers, and with them of snapshots: DuckDB clients from 1.3 on open the file and read every view,
# those from 1.4 on also attach it under any name (tried: 1.3.2, 1.4.4, 1.5.0). A ledger keeps the form it was begun in.
STORAGE = "v1.3.0"
# The file itself stays open to `copy … to` in spite of all that, under its own path and that of its log: DuckDB always
# allows what is attached. Without a file system there is no way left to write it, nor to spill to disk.
SEALS = (
    "set memory_limit = '{memory}'",
    "set disabled_filesystems = 'LocalFileSystem'",
    "set lock_configuration = true",
)
PLANNING = (duckdb.BinderException, duckdb.CatalogException, duckdb.ParserException)  # nothing was run yet
Fetched = TypeVar("Fetched")
SEALED_SHARE = 0.5  # of the memory that DuckDB would take: a query beside a scan must not end it


def quoted(text: str) -> str:
    """Text as SQL has it."""
    doubled = text.replace("'", "''")
    return f"'{doubled}'"


def _sound(parameters: Mapping[str, object] | None) -> dict[str, object]:
    """As DuckDB takes them: names that a command line gives may be of other bytes than UTF-8."""
    given = dict(parameters or {})
    return {key: readable(value) if isinstance(value, str) else value for key, value in given.items()}


def _what_to_do(fault: duckdb.Error) -> str | None:
    if isinstance(fault, duckdb.PermissionException | duckdb.OutOfMemoryException):
        return (
            "SQL here reaches no file, not even to put aside what does not fit into memory; for more, open the "
            "published file with a DuckDB client of your own"
        )
    return None


class Database:
    """One connection. Close it, or use it in a `with`."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection

    @classmethod
    def open(cls, path: Path | str, *, memory_limit: str | None = None) -> Database:
        """Open a file (or `:memory:`) for writing. memory_limit: such as 25% or 4GB; 80 % of the machine's by default.

        Raises StoreError when another process has the file open, or DuckDB does not know such a limit.
        """
        return cls._connect(path, read_only=False, memory_limit=memory_limit)

    @classmethod
    def open_reader(cls, path: Path) -> Database:
        """Open a file for reading only, for the statements that ship: what is large may spill beside the file."""
        return cls._connect(path, read_only=True)

    @classmethod
    def open_beside(cls, path: Path, folder: Path) -> Database:
        """A database in memory with a file as `published`, for reading only, whose statements, all ours, may read and
        write files within `folder`, and spill there."""
        database = cls(duckdb.connect(":memory:"))
        file, within = quoted(str(path)), quoted(str(folder))
        for statement in (
            f"attach {file} as published (read_only)",
            f"set temp_directory = {within}",
            f"set allowed_directories = [{within}]",
            *(f"set {name} = {value}" for name, value in CLOSED.items()),
        ):
            database.execute(statement)
        return database

    @classmethod
    def open_sealed(cls, path: Path) -> Database:
        """Open a file for reading only, for SQL that others wrote.

        It reaches no file, not even to spill what is larger than its share of the memory, and no Python object; it
        loads no code, and nothing of that can be changed back. Temporary tables are of this connection.
        """
        database = cls._connect(path, read_only=True)
        # Connections to one file share their settings within a process: another one may have sealed them already.
        (locked, memory) = database.execute(
            "select current_setting('lock_configuration'), current_setting('memory_limit')"
        ).fetchall()[0]
        if not locked:
            amount, unit = memory.split()
            for seal in SEALS:
                database.execute(seal.format(memory=f"{float(amount) * SEALED_SHARE:.3f} {unit}"))
        return database

    @classmethod
    def _connect(cls, path: Path | str, *, read_only: bool, memory_limit: str | None = None) -> Database:
        # Spilling goes beside the file; without one it would go into the folder that the user is in.
        config: dict[str, str | bool | int | float | list[str]] = {**CLOSED, "storage_compatibility_version": STORAGE}
        if str(path) == ":memory:":
            config["temp_directory"] = ""
        if memory_limit is not None:
            config["memory_limit"] = memory_limit
        try:
            return cls(duckdb.connect(str(path), read_only=read_only, config=config))
        except duckdb.Error as fault:
            raise store_error(fault, where=f"{path}: cannot open the ledger: ") from fault

    @classmethod
    def require_whole(cls, path: Path) -> None:
        """Raises StoreError for a file that does not open, which reads its catalogue: all tables, and where their rows
        are."""
        cls.open_reader(path).close()

    def close(self) -> None:
        with suppress(duckdb.ResourceInUseException):  # a query was left behind; it closes what it used
            self._connection.close()

    def interrupt(self) -> None:
        """End the statement that another thread runs on this connection; it raises StoreError."""
        self._connection.interrupt()

    def __enter__(self) -> Database:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def execute(self, sql: str, parameters: Mapping[str, object] | None = None) -> duckdb.DuckDBPyConnection:
        """Run one statement. Raises StoreError, and KeyboardInterrupt on Ctrl-C within it."""
        try:
            with interrupts():
                return self._connection.execute(sql, _sound(parameters))
        except duckdb.Error as fault:
            raise store_error(fault) from fault

    def arrow(self, sql: str, parameters: Mapping[str, object] | None = None) -> pa.Table:
        """Run one query and fetch its rows as an Arrow table; a statement without rows gives an empty one.

        Raises StoreError, and KeyboardInterrupt on Ctrl-C within it, however long it would go on.
        """

        def fetch() -> pa.Table:
            try:
                relation = self._connection.sql(sql, params=_sound(parameters))
            except PLANNING as fault:
                raise self._with_place(sql, parameters, fault) from fault.__cause__
            return pa.table({}) if relation is None else relation.to_arrow_table()

        try:
            return read(self._connection, fetch)
        except duckdb.Error as fault:
            raise store_error(fault, hint=_what_to_do(fault)) from fault

    def _with_place(self, sql: str, parameters: Mapping[str, object] | None, fault: duckdb.Error) -> duckdb.Error:
        """The error with `LINE 1: … ^`, which DuckDB gives only where it would run a statement right away."""
        try:
            if len(self._connection.extract_statements(sql)) == 1:
                self._connection.execute(sql, _sound(parameters))
        except PLANNING as other:
            return other
        return fault

    def filtered_ids(self, view: str, condition: str) -> list[str]:
        """The image_id of each row of a view that meets an SQL condition, which cannot be more than a condition.

        Raises StoreError, and KeyboardInterrupt as `arrow`.
        """

        def fetch() -> list[tuple[object, ...]]:
            return self._connection.table(view).filter(condition).project("image_id").fetchall()

        try:
            rows = read(self._connection, fetch)
        except duckdb.Error as fault:
            raise store_error(fault, where=f"`where` {condition}: ") from fault
        return [str(image_id) for (image_id,) in rows]

    def run(self, name: str, /, **parameters: object) -> None:
        """Run a named statement."""
        self.execute(shipped_queries()[name].sql, parameters)

    def table(self, name: str, /, **parameters: object) -> pa.Table:
        """Run a named query and fetch its rows as an Arrow table."""
        return self.arrow(shipped_queries()[name].sql, parameters)

    def rows(self, name: str, /, **parameters: object) -> list[dict[str, Any]]:
        """Run a named query and fetch its rows as dictionaries.

        For a few rows: half the time of `table`, which plans a query twice, and is the faster for many.
        """

        def fetch(found: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
            names = [column for column, *_ in found.description]
            return [dict(zip(names, row, strict=True)) for row in found.fetchall()]

        return self._fetched(name, parameters, fetch)

    def column(self, name: str, /, **parameters: object) -> list[Any]:
        """Run a named query of one column, of texts or whole numbers, and fetch its values.

        Planned once, as `rows`, and for many as fast as `table`.
        """

        def fetch(found: duckdb.DuckDBPyConnection) -> list[Any]:
            (values,) = found.fetchnumpy().values()
            listed: list[Any] = values.tolist()
            return listed

        return self._fetched(name, parameters, fetch)

    def _fetched(
        self, name: str, parameters: Mapping[str, object], fetch: Callable[[duckdb.DuckDBPyConnection], Fetched]
    ) -> Fetched:
        statement, given = shipped_queries()[name].sql, _sound(parameters)
        try:
            return read(self._connection, lambda: fetch(self._connection.execute(statement, given)))
        except duckdb.Error as fault:
            raise store_error(fault) from fault

    def row(self, name: str, /, **parameters: object) -> dict[str, Any] | None:
        """The first row of a named query, or None."""
        rows = self.rows(name, **parameters)
        return rows[0] if rows else None

    def append(self, once: str | None = None, /, **tables: pa.Table) -> None:
        """Add rows to the tables of these names. once: a column; rows whose value in it is in the table stay out."""
        filled = {name: table for name, table in tables.items() if table.num_rows}
        with self.incoming(**filled):
            for name in filled:
                unknown = f" anti join {name} using ({once})" if once else ""
                self.execute(f"insert into {name} select incoming.* from incoming_{name} as incoming{unknown}")

    def insert(self, once: str | None, table: str, rows: Sequence[Mapping[str, object]]) -> None:
        """Add a few rows of the same keys to a table, which takes a fifth of what it takes through Arrow. A key that is
        no column stays out, and a column that is no key is null. once: as `append` has it."""
        described = self._connection.table(table)
        types = {name: kind for name, kind in zip(described.columns, described.types, strict=True) if name in rows[0]}
        names = ", ".join(types)
        given = {f"{name}_{place}": row[name] for place, row in enumerate(rows) for name in types}
        values = ", ".join(
            f"({', '.join(f'${name}_{place}::{kind}' for name, kind in types.items())})" for place in range(len(rows))
        )
        unknown = f" anti join {table} using ({once})" if once else ""
        self.execute(f"insert into {table} ({names}) select * from (values {values}) as new({names}){unknown}", given)

    def schema(self, table: str) -> pa.Schema:
        """The Arrow schema of a ledger table: what `incoming` tables for it must have."""
        return self.arrow(f"select * from {table} limit 0").schema

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All statements inside commit together, or none does; on Ctrl-C within the commit, either."""
        try:
            self.execute("begin transaction")
            yield
            self.execute("commit")
        except BaseException:
            # After a fault of the disk DuckDB takes nothing any more, and nothing is kept; after the commit there is
            # nothing to take back.
            with suppress(StoreError):
                self.execute("rollback")
            raise

    @contextmanager
    def incoming(self, **tables: pa.Table) -> Iterator[None]:
        """Make Arrow tables readable in SQL as `incoming_<name>` for the statements inside."""
        for name, table in tables.items():
            self._connection.register(f"incoming_{name}", table)
        try:
            yield
        finally:
            for name in tables:
                # A transaction that was struck takes nothing but a rollback, which undoes this too.
                with suppress(duckdb.TransactionException):
                    self._connection.unregister(f"incoming_{name}")

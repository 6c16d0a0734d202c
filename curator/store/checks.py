"""Rules about the data, each a query in `sql/checks` that returns the violators. A healthy ledger returns none."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from curator.resources import read_folder
from curator.store.database import Database

SHOWN = 20  # violators of each check, at most


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One check: its name, what it states, and the rows that break it (at most `limit`)."""

    name: str
    statement: str
    violators: pa.Table

    @property
    def healthy(self) -> bool:
        return bool(self.violators.num_rows == 0)


def read_everything(database: Database) -> int:
    """Read every value of every table, and with it each block, whose checksum DuckDB compares. Returns the rows read.

    Raises StoreError for a damaged block.
    """
    tables = database.column("list_tables")
    counts = " union all ".join(f'select count(*) as n, bit_xor(hash(t)) as h from "{name}" as t' for name in tables)
    return int(sum(database.arrow(counts)["n"].to_pylist())) if tables else 0


def run_checks(database: Database) -> list[CheckResult]:
    """Run every check of `sql/checks`, in name order."""
    results = []
    for name, sql in read_folder("curator.sql", "checks", suffix=".sql").items():
        lines = sql.strip().splitlines()
        statement = " ".join(line[2:].strip() for line in lines if line.startswith("--"))
        body = "\n".join(line for line in lines if not line.startswith("--")).rstrip().rstrip(";")
        shown = f"select * from (\n{body}\n) order by all limit {SHOWN}"
        # As a table it is asked for once it is known to have rows, and plans them twice.
        violators = database.arrow(shown) if database.execute(shown).fetchall() else pa.table({})
        results.append(CheckResult(name, statement, violators))
    return results

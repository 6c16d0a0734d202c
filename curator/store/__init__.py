"""The ledger: one DuckDB file, its migrations, and every statement the program runs on it.

Only this package imports duckdb. Callers see Arrow tables, plain rows and `StoreError`.
"""

from curator.store.checks import CheckResult, run_checks
from curator.store.database import Database
from curator.store.ledger import Ledger, ListingCounts
from curator.store.publish import publish_snapshot
from curator.store.queries import NamedQuery, parse_queries

__all__ = [
    "CheckResult",
    "Database",
    "Ledger",
    "ListingCounts",
    "NamedQuery",
    "parse_queries",
    "publish_snapshot",
    "run_checks",
]

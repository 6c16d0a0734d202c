"""Numbered, forward-only migrations: each applied in one transaction with the row that records it.

A migration that was applied is frozen: its digest is stored, and an edited file raises MigrationChanged.
Macros and views are not migrations; they are made anew when their texts or the tables differ from those at hand.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime

from curator.errors import MigrationChanged, StoreError
from curator.resources import read_folder
from curator.store.database import Database
from curator.store.dictionary import dictionary_text, write_comments

RECORD_TABLE = """
create table if not exists schema_migration (
    number integer not null, name varchar not null, digest varchar not null, applied_at timestamp not null
)
"""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file of `sql/migrations`: `0001_ledger` has number 1."""

    number: int
    name: str
    sql: str

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def shipped_migrations() -> list[Migration]:
    """The migrations that ship, in order. Raises StoreError when a number is missing or taken twice."""
    texts = read_folder("curator.sql", "migrations", suffix=".sql")
    migrations = [Migration(int(stem.partition("_")[0]), stem, text) for stem, text in texts.items()]
    if [migration.number for migration in migrations] != list(range(1, len(migrations) + 1)):
        raise StoreError(f"sql/migrations is not numbered 1, 2, 3 …: {list(texts)}")
    return migrations


def migrate(database: Database, migrations: list[Migration] | None = None, *, described: bool = True) -> list[str]:
    """Apply what is pending and make the macros and views. Returns the names of the migrations applied now.

    described: write what tables and columns hold as comments, half of the time; not where nobody will read them.

    Raises MigrationChanged when an applied migration differs from the one given, and StoreError when the ledger was
    written by a newer release.
    """
    migrations = shipped_migrations() if migrations is None else migrations
    try:
        applied, views = _applied(database)
    except StoreError:
        database.execute(RECORD_TABLE)
        applied, views = _applied(database)
    pending = _pending(applied, migrations)
    for migration in pending:
        with database.transaction():
            database.execute(migration.sql)
            database.execute(
                "insert into schema_migration values ($number, $name, $digest, $now)",
                {
                    "number": migration.number,
                    "name": migration.name,
                    "digest": migration.digest,
                    "now": datetime.now(UTC).replace(tzinfo=None),
                },
            )
    texts, digest = shipped_views()
    if pending or views != digest:  # making them takes a third of a run that finds nothing new
        with database.transaction():
            for sql in texts:
                database.execute(sql)
            if described:
                write_comments(database)
            database.execute(f"create or replace macro views_digest() as '{digest}'")
    return [migration.name for migration in pending]


def pending_migrations(database: Database) -> list[Migration]:
    """What would be applied to a ledger. Raises as `migrate`."""
    return _pending(_applied(database)[0], shipped_migrations())


def _applied(database: Database) -> tuple[list[tuple[int, str]], str | None]:
    """The migrations that were applied, by number and digest, in order; and the digest of the macros and views, which a
    macro keeps: None where none were made yet."""
    asked = "select number, digest, {} from schema_migration order by number"
    try:
        rows = database.execute(asked.format("views_digest()")).fetchall()
    except StoreError:
        rows = database.execute(asked.format("null")).fetchall()
    return [(number, digest) for number, digest, _ in rows], rows[0][2] if rows else None


def _pending(applied: list[tuple[int, str]], migrations: list[Migration]) -> list[Migration]:
    if applied and applied[-1][0] > len(migrations):
        raise StoreError(
            f"the ledger has schema {applied[-1][0]}, this release knows {len(migrations)}",
            hint="it was written by a newer curator: upgrade, pip install -U ood-curator; or restore a backup by "
            "`curator restore BACKUP FOLDER`",
        )
    for (_, digest), migration in zip(applied, migrations, strict=False):
        if digest != migration.digest:
            raise MigrationChanged(f"migration {migration.name} differs from the one that this ledger was made with")
    return migrations[len(applied) :]


def is_behind(database: Database) -> bool:
    """Whether a snapshot was published by an earlier release, so that what this one asks for may not be there."""
    try:
        applied, views = _applied(database)
        return bool(_pending(applied, shipped_migrations())) or views != shipped_views()[1]
    except StoreError:  # by a later one, or it cannot be read
        return False


def shipped_views() -> tuple[list[str], str]:
    """Macros and views in the order in which they are made, and the digest of all, with what is said of them."""
    texts = [
        *read_folder("curator.sql", "macros", suffix=".sql").values(),
        *read_folder("curator.sql", "views", suffix=".sql").values(),  # which use macros
    ]
    return texts, hashlib.sha256("\0".join([*texts, dictionary_text()]).encode()).hexdigest()

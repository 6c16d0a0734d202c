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


def migrate(database: Database, migrations: list[Migration] | None = None) -> list[str]:
    """Apply what is pending and make the macros and views. Returns the names of the migrations applied now.

    Raises MigrationChanged when an applied migration differs from the one given, and StoreError when the ledger was
    written by a newer release.
    """
    database.execute(RECORD_TABLE)
    pending = pending_migrations(database, migrations)
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
    _make_views(database, anew=bool(pending))
    return [migration.name for migration in pending]


def pending_migrations(database: Database, migrations: list[Migration] | None = None) -> list[Migration]:
    """What would be applied to a ledger. Raises as `migrate`."""
    migrations = shipped_migrations() if migrations is None else migrations
    applied = database.arrow("select number, name, digest from schema_migration order by number").to_pylist()
    if applied and applied[-1]["number"] > len(migrations):
        raise StoreError(
            f"the ledger has schema {applied[-1]['number']}, this release knows {len(migrations)}",
            hint="it was written by a newer curator: upgrade, pip install -U ood-curator; or restore a backup by "
            "`curator restore BACKUP FOLDER`",
        )
    for row, migration in zip(applied, migrations, strict=False):
        if row["digest"] != migration.digest:
            raise MigrationChanged(f"migration {migration.name} differs from the one that this ledger was made with")
    return migrations[len(applied) :]


def is_behind(database: Database) -> bool:
    """Whether a snapshot was published by an earlier release, so that what this one asks for may not be there."""
    try:
        return bool(pending_migrations(database)) or _digest_of_views(database) != shipped_views()[1]
    except StoreError:  # by a later one, or it cannot be read
        return False


def shipped_views() -> tuple[list[str], str]:
    """Macros and views in the order in which they are made, and the digest of all, with what is said of them."""
    texts = [
        *read_folder("curator.sql", "macros", suffix=".sql").values(),
        *read_folder("curator.sql", "views", suffix=".sql").values(),  # which use macros
    ]
    return texts, hashlib.sha256("\0".join([*texts, dictionary_text()]).encode()).hexdigest()


def _make_views(database: Database, *, anew: bool) -> None:
    """Making them takes a third of a run that finds nothing new, so a macro keeps the digest of what was made."""
    texts, digest = shipped_views()
    if not anew and _digest_of_views(database) == digest:
        return
    with database.transaction():
        for sql in texts:
            database.execute(sql)
        write_comments(database)
        database.execute(f"create or replace macro views_digest() as '{digest}'")


def _digest_of_views(database: Database) -> str | None:
    """None where no views were made yet. Asking for the macro's text would list thousands of functions first."""
    try:
        return str(database.arrow("select views_digest() as digest")["digest"][0])
    except StoreError:
        return None

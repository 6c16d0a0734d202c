"""The files of sql/: they parse, bind, migrate, and their checks find what they are for."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from curator.errors import MigrationChanged, StoreError
from curator.resources import read_folder
from curator.store import Database, run_checks
from curator.store.migrate import Migration, migrate, shipped_migrations
from curator.store.queries import parse_queries, report_queries, shipped_queries

QUERIES = shipped_queries()
CHECKS = read_folder("curator.sql", "checks", suffix=".sql")
MACROS = read_folder("curator.sql", "macros", suffix=".sql")
VIEWS = read_folder("curator.sql", "views", suffix=".sql")

# What callers register before they run a statement, as empty tables.
INCOMING = {
    "incoming_object": "select 0::bigint as position, '' as object_uri, '' as role, '' as kind, "
    "0::bigint as byte_size, '' as version",
    "incoming_gone": "select '' as object_uri",
    "incoming_wanted": "select 0::bigint as position, '' as image_id, 0::float as cosine",
    "incoming_address": "select '' as uri",
    "incoming_call": "select '' as call_id",
    "incoming_lost": "select '' as vector_file",
    "incoming_lost_image": "select '' as image_id",
    "incoming_measured": "select '' as image_id, 0.0 as brightness_5, 0.0 as brightness_99, 0.0 as entropy, "
    "0.0 as edge_deviation, 0.0 as level_deviation",
    "incoming_named": "select '' as image_id",
    "incoming_evaluated": "select 0::bigint as position, '' as image_id",
    **{
        f"incoming_{table}": f"select * from {table}"
        for table in (
            "listing", "location", "image", "vector", "reject", "shard", "score", "bank", "label", "near_duplicate",
            "group_member", "compared_file", "evaluation_set", "evaluation_metric", "generator_call", "label_evidence",
            "bank_picture", "bank_guard", "calibration_score", "policy_class", "policy_night", "review", "run_stage",
            "passed_member", "image_name", "tagging",
        )
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def bound(empty_ledger: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """An empty ledger with all that callers register; for `explain`, which changes nothing."""
    with Database.open(shutil.copyfile(empty_ledger, tmp_path_factory.mktemp("bound") / "ledger.duckdb")) as database:
        for view, sql in INCOMING.items():
            database.execute(f"create temp view {view} as {sql} limit 0")
        yield database


def schema_of(database: Database) -> list[dict[str, object]]:
    return database.arrow(
        "select table_schema, table_name, column_name, data_type, is_nullable from information_schema.columns "
        "where table_schema in ('main', 'report') order by table_schema, table_name, ordinal_position"
    ).to_pylist()


@pytest.mark.parametrize("name", QUERIES)
def test_query_binds_with_all_parameters_null(name, bound):
    bound.execute(f"explain {QUERIES[name].sql}", dict.fromkeys(QUERIES[name].parameters))


@pytest.mark.parametrize("name", QUERIES)
def test_query_is_one_statement_with_a_description_and_the_parameters_it_names(name):
    statements = duckdb.extract_statements(QUERIES[name].sql)
    assert len(statements) == 1
    assert set(statements[0].named_parameters) == set(QUERIES[name].parameters)
    assert QUERIES[name].description.endswith(".")


def test_every_query_has_a_caller_or_is_for_users():
    import curator

    code = "\n".join(path.read_text() for path in Path(curator.__file__).parent.rglob("*.py"))
    unused = [name for name in QUERIES if name not in report_queries() and f'"{name}"' not in code]
    assert unused == []


@pytest.mark.parametrize("name", VIEWS)
def test_view_file_makes_the_view_it_is_named_for_and_says_what_it_answers(name):
    assert f"create or replace view report.{name[3:]} as" in VIEWS[name]
    assert VIEWS[name].startswith("-- ")


@pytest.mark.parametrize("name", MACROS)
def test_macro_file_makes_the_macro_it_is_named_for_and_says_what_it_answers(name):
    assert f"create or replace macro {name}(" in MACROS[name]
    assert MACROS[name].startswith("-- ")


def test_migrations_one_by_one_give_the_same_schema_as_all_at_once(database):
    with Database.open(":memory:") as other:
        for count in range(1, len(shipped_migrations()) + 1):
            try:
                migrate(other, shipped_migrations()[:count])
            except StoreError:
                assert count < len(shipped_migrations()), "views may need the newest schema, and only that"
        assert schema_of(other) == schema_of(database)


def test_migrating_again_applies_nothing(database):
    assert migrate(database) == []


def test_views_are_made_anew_when_their_texts_change_and_only_then(database, monkeypatch):
    made: list[str] = []
    execute = Database.execute

    def recording(self, sql, parameters=None):
        made.extend(name for name in ("view report.images ", "view report.scores ") if f"replace {name}" in sql)
        return execute(self, sql, parameters)

    monkeypatch.setattr(Database, "execute", recording)
    migrate(database)
    assert made == []
    monkeypatch.setattr(
        "curator.store.migrate.read_folder",
        lambda *folders, suffix: {
            name: text.replace("images.uri,", "images.uri as uri,")
            for name, text in read_folder(*folders, suffix=suffix).items()
        },
    )
    migrate(database)
    migrate(database)
    assert made == ["view report.images ", "view report.scores "]


def test_failing_migration_leaves_no_trace(database):
    bad = Migration(len(shipped_migrations()) + 1, "9999_bad", "create table trace (x int); select no_such_column;")
    with pytest.raises(StoreError):
        migrate(database, [*shipped_migrations(), bad])
    assert "trace" not in {row["table_name"] for row in schema_of(database)}
    assert migrate(database) == []


def test_edited_migration_is_refused(database):
    first = shipped_migrations()[0]
    with pytest.raises(MigrationChanged, match=first.name):
        migrate(database, [Migration(first.number, first.name, first.sql + "\n-- edited"), *shipped_migrations()[1:]])


def test_ledger_of_a_newer_release_is_refused(database):
    database.execute("insert into schema_migration values (999, 'x', 'y', now()::timestamp)")
    with pytest.raises(StoreError, match="newer"):
        migrate(database)


def test_schema_equals_the_golden(database, golden):
    lines = [" ".join(str(value) for value in row.values()) for row in schema_of(database)]
    golden("schema.txt", "\n".join(lines) + "\n")


def test_all_checks_are_silent_on_an_empty_ledger(database):
    assert [result.name for result in run_checks(database) if not result.healthy] == []
    assert all(result.statement.endswith(".") for result in run_checks(database))


IMAGE = (
    "insert into image (image_id, byte_size, width, height, format, mode, animated, run_id) "
    "values ('{id}', 10, 4, 4, 'PNG', 'RGB', false, 'r')"
)
LOCATION = "insert into location values ('{uri}', 'lake', '{uri}', 'v', null, null, 10, null, {id}, 's', 'r')"
OBJECT = "insert into source_object values ('{uri}', 'lake', 'file', 10, 'v', 'e', {count}, 'r', null)"
VECTOR = "insert into vector values ('{id}', 'e', 'f', {row}, 'r')"
BANK = "insert into bank values ('b', 'base', 1, 'e', 1, 1, '{}', '{}', now()::timestamp, 'r')"
LABELS = (
    "insert into label values ('b', 0, 'cat', 'id', 's', null, null, null, null), "
    "('b', 1, 'x', 'negative', 's', null, null, null, null)"
)
SCORE = "insert into score values ('{id}', 'e', 'b', 'm', {score}, {odds}, {label}, 0.5, 1, 0.2, 'r')"
ENCODER = "insert into encoder values ('e', 'fake', 4, 100, '{}', 'r')"

HEALTHY = [
    OBJECT.format(uri="/a", count=1), LOCATION.format(uri="/a", id="'i'"), IMAGE.format(id="i"),
    VECTOR.format(id="i", row=0), ENCODER, BANK, LABELS, SCORE.format(id="i", score=0.5, odds=0.0, label=0),
]  # fmt: skip

# For each check, statements on top of the healthy ledger that break just the rule it states.
VIOLATIONS = {
    "accounting": ["update source_object set data_count = 2"],
    "finished_objects": [
        "insert into shard values ('s', 'e', 'lake', 'file', 'r', now()::timestamp, 1, 1, 0, 0, 1, 9, 0, 0)",
        "update source_object set version = 'w'",
    ],
    "group_members": ["insert into group_member values ('i', 'j', 'e', 0.99, 'r')"],
    "location_outcome": [LOCATION.format(uri="/b", id="null")],
    "object_data": [OBJECT.format(uri="/b", count=3)],
    "references": ["delete from bank"],
    "review_decisions": [
        "insert into review values (1, 'v', 'i', null, 'perhaps', null, null, 'me', now()::timestamp, 'page', null, '')"
    ],
    "run_order": ["insert into run values ('r', 'scan', 'done', now()::timestamp, null, '1', 'h', 1, '{}', null, 2)"],
    "score_coverage": [
        IMAGE.format(id="j"), VECTOR.format(id="j", row=1), LOCATION.format(uri="/b", id="'j'"),
        OBJECT.format(uri="/b", count=1), "insert into selection values (1, 'e', 'b', 'm', null, 'r')",
    ],
    "score_ranges": [IMAGE.format(id="j"), SCORE.format(id="j", score=0.1, odds=9.0, label=0)],  # ranks otherwise
    "shard_counts": [
        "insert into shard values ('s', 'e', 'lake', 'file', 'r', now()::timestamp, 3, 1, 1, 0, 2, 9, 0, 0)"
    ],
    "unique_keys": [IMAGE.format(id="i")],
    "vector_coverage": [IMAGE.format(id="j")],
    "vector_rows": [IMAGE.format(id="j"), VECTOR.format(id="j", row=5)],
}  # fmt: skip


def test_all_checks_are_silent_on_a_small_healthy_ledger(database):
    for statement in HEALTHY:
        database.execute(statement)
    assert [result.name for result in run_checks(database) if not result.healthy] == []


@pytest.mark.parametrize("name", CHECKS)
def test_check_finds_its_planted_violator(name, database):
    for statement in [*HEALTHY, *VIOLATIONS[name]]:
        database.execute(statement)
    assert name in [result.name for result in run_checks(database) if not result.healthy]


def test_query_file_without_a_name_or_with_a_name_twice_is_refused():
    from curator.errors import ConfigError

    with pytest.raises(ConfigError, match="does not begin"):
        parse_queries("select 1", origin="own.sql")
    with pytest.raises(ConfigError, match="twice"):
        parse_queries("-- name: a\nselect 1;\n-- name: a\nselect 2;", origin="own.sql")
    with pytest.raises(ConfigError, match="no statement"):
        parse_queries("-- name: a\n-- only a comment\n", origin="own.sql")

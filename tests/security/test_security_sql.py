"""SQL that others wrote reads the results, and nothing else: no write, no file, no secret, no Python object."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys

import pyarrow as pa
import pytest

from curator.errors import StoreError
from curator.store import Database, database

pytestmark = pytest.mark.usefixtures("real_reading")  # seals are of all connections to one file
MODULE_TABLE = pa.table({"a": ["python"]})

WRITES = [
    "create table stolen as select 1",
    "create view report.stolen as select 1",
    "create macro stolen(a) as a",
    "create schema stolen",
    "insert into run select * from run",
    "update run set status = 'done'",
    "delete from run",
    "truncate run",
    "drop view report.images",
    "alter table run rename to stolen",
    "comment on table run is 'x'",
    "merge into run using (select 1 as a) as s on s.a = 1 when matched then delete",
    "with gone as (delete from run returning *) select * from gone",
    "select 1; delete from run; select 2",
    "attach '{folder}/new.duckdb' as other",
    "attach '{snapshot}' as again (read_write)",
    "copy run to '{folder}/out.csv'",
    "copy run to '{folder}/out.parquet' (format parquet)",
    "export database '{folder}/exported'",
    "import database '{folder}/exported'",
    # what is attached stays allowed to `copy` however external access is set: these would ruin the snapshot itself
    "copy (select 1) to '{snapshot}' (use_tmp_file false)",
    "copy (select 1) to '{snapshot}.wal'",
    "copy (select 1) to 'file://{snapshot}.wal'",
    "copy (select 1) to '{snapshot}.wal.recovery'",
    "copy (select 1) to '{snapshot}.tmp/x.csv'",
    "copy (select 1) to '{snapshot}.tmp/../../x.csv' (use_tmp_file false)",
    "explain analyze copy (select 1) to '{snapshot}.wal'",
    "prepare it as copy (select 1) to '{snapshot}.wal'; execute it",
    "with it as (copy (select 1) to '{snapshot}.wal' (use_tmp_file false)) select * from it",
    "select * from query('with it as (copy (select 1) to ''{snapshot}.wal'' (use_tmp_file false)) select * from it')",
]
SETTINGS = [
    "set enable_external_access = true",
    "set disabled_filesystems = ''",
    "set lock_configuration = false",
    "reset lock_configuration",
    "set memory_limit = '900GB'",
    "set threads = 64",
    "set temp_directory = '{folder}'",
    "set python_enable_replacements = true",
    "set extension_directory = '{folder}'",
    "set profile_output = '{folder}/profile.txt'",
    "pragma enable_profiling",
    "call enable_logging(storage='file', storage_path='{folder}/logs')",
    "call enable_profiling(save_location='{folder}/profile.json')",
    "install httpfs",
    "load httpfs",
    "load '{folder}/x.duckdb_extension'",
    "create secret stolen (type s3, key_id 'a', secret 'b')",
]
READS = [
    "select * from read_csv('{secret}')",
    "select * from '{secret}'",
    "from '{folder}/*.csv'",
    "select * from read_text('{secret}')",
    "select * from read_blob('{secret}')",
    "select * from read_text('{snapshot}.tmp/../../../secret.csv')",
    "select * from read_text(['{snapshot}.wal', '{secret}'])",
    "select * from read_json('{secret}')",
    "select * from read_json_objects('{secret}')",
    "select * from read_parquet('{secret}')",
    "select * from read_parquet('http://127.0.0.1:9/x.parquet')",
    "select * from read_csv('s3://bucket/x.csv')",
    "select * from read_duckdb('{folder}/workspace/ledger.duckdb')",
    "select * from parquet_metadata('{secret}')",
    "select * from sniff_csv('{secret}')",
    "select * from glob('{folder}/*')",
    "select * from read_text('/proc/self/environ')",
    "select * from read_csv('/dev/stdin')",
    "select * from query('select * from read_csv(''{secret}'')')",
    "select * from query_table('{secret}')",
    "select * from json_execute_serialized_sql(json_serialize_sql('select * from read_csv(''{secret}'')'))",
    "describe '{secret}'",
    "create temp macro look() as table select * from read_csv('{secret}'); from look()",
    "select getenv('SECRET_OF_THE_TEST')",
    "select * from MODULE_TABLE",
    "select * from local_table",
    "select * from query('select * from MODULE_TABLE')",
    "select * from query_table('MODULE_TABLE')",
    "select * from arrow_scan(1, 2, 3)",
    "select * from pandas_scan(null)",
    "select * from python_map_function(null, (select 1))",
]

CALLS = ("select * from {}('{}')", "call {}('{}')", "pragma {}('{}')")


@pytest.fixture
def run(attacked):
    """Run an attack, and see that the workspace and its surroundings are as before, whatever came of it."""
    folder = attacked.layout.root.parent
    places = {"folder": folder, "snapshot": attacked.layout.snapshot, "secret": folder / "secret.csv"}

    def state():
        return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    def attack(statement: str) -> pa.Table:
        local_table = pa.table({"a": ["python"]})
        before = state()
        try:
            return attacked.sql(statement.format(**places))
        finally:
            assert state() == before
            del local_table

    return attack


@pytest.mark.parametrize("statement", WRITES)
def test_sql_cannot_write(run, statement):
    with pytest.raises(StoreError):
        run(statement)


@pytest.mark.parametrize("statement", SETTINGS)
def test_sql_cannot_loosen_its_bonds(run, statement):
    with pytest.raises(StoreError):
        run(statement)


@pytest.mark.parametrize("statement", READS)
def test_sql_reads_no_file_no_environment_and_no_python_object(run, statement, monkeypatch):
    monkeypatch.setenv("SECRET_OF_THE_TEST", "top-secret")
    with pytest.raises(StoreError):
        run(statement)


def test_what_duckdb_tells_of_itself_holds_no_secret(run, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "top-secret")
    functions = ("settings", "secrets", "variables", "external_file_cache", "temporary_files", "logs")
    for name in functions:
        with contextlib.suppress(StoreError):  # some look for files
            assert "top-secret" not in str(run(f"select * from duckdb_{name}()").to_pylist())


def test_no_function_of_this_duckdb_opens_a_file(attacked):
    """Every function that takes a text first, among them those of later releases."""
    snapshot, secret = attacked.layout.snapshot, attacked.layout.root.parent / "secret.csv"
    before = snapshot.read_bytes(), sorted(attacked.layout.root.rglob("*"))
    with Database.open_sealed(snapshot) as sealed:
        rows = sealed.arrow(
            "select distinct function_name as name from duckdb_functions() where function_type in ('table', 'pragma') "
            "and len(parameter_types) > 0 and parameter_types[1] in ('VARCHAR', 'ANY', 'VARCHAR[]')"
        ).to_pylist()
        names = sorted({row["name"] for row in rows})
        assert {"read_csv", "read_text", "glob", "parquet_metadata"} <= set(names)
        for call in (form.format(name, secret) for name in names for form in CALLS):
            with contextlib.suppress(StoreError):
                assert "top-secret" not in str(sealed.arrow(call).to_pylist()), call
    assert (snapshot.read_bytes(), sorted(attacked.layout.root.rglob("*"))) == before


def test_several_statements_give_the_last_result_and_temporary_tables_are_of_the_call(run):
    assert run("create temp table mine as select 42 as n; select n from mine").to_pylist() == [{"n": 42}]
    with pytest.raises(StoreError, match="mine"):
        run("select * from mine")
    assert run("select count(*) as n from report.images").to_pylist() == [{"n": 3}]
    assert run("explain select * from report.images").num_rows == 1


@pytest.mark.parametrize(
    "condition",
    [
        "true) union all select name from bank --",
        "true; delete from run",
        "id_score > 0, uri",
        "exists (select * from read_csv('{secret}'))",
        "exists (with gone as (delete from run returning *) select * from gone)",
        "exists (with it as (copy (select 1) to '{snapshot}' (use_tmp_file false)) select * from it)",
        "exists (select * from read_blob('{snapshot}'))",
        "image_id in (select a from MODULE_TABLE)",
    ],
)
def test_a_condition_is_no_more_than_a_condition(attacked, condition):
    places = {"snapshot": attacked.layout.snapshot, "secret": attacked.layout.root.parent / "secret.csv"}
    before = attacked.layout.snapshot.read_bytes(), attacked.layout.ledger.read_bytes()
    with pytest.raises(StoreError):
        attacked.score(where=condition.format(**places))
    assert (attacked.layout.snapshot.read_bytes(), attacked.layout.ledger.read_bytes()) == before


def test_named_queries_of_a_workspace_are_sealed_too(attacked):
    queries = attacked.layout.queries
    queries.mkdir(exist_ok=True)
    (queries / "mine.sql").write_text(f"-- name: look\nselect * from read_csv('{attacked.layout.root}/labels.txt')\n")
    try:
        with pytest.raises(StoreError):
            attacked.query("look")
    finally:
        (queries / "mine.sql").unlink()


def test_a_parameter_is_a_value(attacked):
    evil = "x' or true; delete from run; --"
    assert attacked.sql("select $name as name", {"name": evil}).to_pylist() == [{"name": evil}]


def test_sql_has_its_share_of_the_memory_and_spills_nowhere(attacked, monkeypatch):
    monkeypatch.setattr(database, "SEALED_SHARE", 0.002)
    with Database.open_sealed(attacked.layout.snapshot) as sealed:
        with pytest.raises(StoreError) as caught:
            sealed.arrow("select count(distinct (range, random())) from range(10000000)")
        assert "does not fit into memory" in (caught.value.hint or "")
        assert sealed.arrow("select count(*) as n from report.images").to_pylist() == [{"n": 3}]
    assert [path.name for path in attacked.layout.snapshot.parent.iterdir()] == ["curator.duckdb"]


def test_readers_of_one_process_do_not_unseal_each_other(attacked):
    snapshot = attacked.layout.snapshot
    with Database.open_reader(snapshot), Database.open_sealed(snapshot) as first, Database.open_sealed(snapshot):
        with Database.open_reader(snapshot) as reader:
            assert reader.arrow("select count(*) as n from report.images").to_pylist() == [{"n": 3}]
        with pytest.raises(StoreError):
            first.arrow(f"copy (select 1) to '{snapshot}.wal'")
    assert not snapshot.with_name("curator.duckdb.wal").exists()


@pytest.mark.parametrize("statement", ["select * from read_csv('{}')", "copy (select 1) to '{}'", "load httpfs"])
def test_the_writer_reaches_no_other_file_either(tmp_path, statement):
    (tmp_path / "a.csv").write_text("a\n1\n")
    with Database.open(tmp_path / "ledger.duckdb") as writer, pytest.raises(StoreError):
        writer.execute(statement.format(tmp_path / "a.csv"))


def test_the_command_says_what_is_refused_in_one_line(attacked, run_cli):
    result = run_cli("sql", "from read_csv('/etc/passwd')", folder=attacked.layout.root, code=1)
    assert result.output.count("\n") == 1 and "reaches no file" in result.output


def test_a_query_of_the_command_line_in_its_own_process(attacked):
    """As an analyst runs it, with secrets in the environment."""
    environment = os.environ | {"AWS_SECRET_ACCESS_KEY": "top-secret"}
    command = [sys.executable, "-m", "curator", "-w", str(attacked.layout.root), "sql"]
    attack = f"copy (select 1) to '{attacked.layout.snapshot}' (use_tmp_file false)"
    refused = subprocess.run([*command, attack], capture_output=True, text=True, env=environment, check=False)
    assert refused.returncode == 1 and "top-secret" not in refused.stderr
    works = subprocess.run([*command, "select 41 + 1 as n", "--json"], capture_output=True, text=True, check=True)
    assert '"n": 42' in works.stdout

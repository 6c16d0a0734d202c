"""`curator sql`: where the SQL comes from, what it says of a mistake, and every value in every format."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import subprocess
import sys

import pyarrow.parquet as pq
import pytest

from curator.cli.terminal.rows import unique_names
from curator.errors import UsageError


@pytest.fixture
def ask(first_night, run_cli):
    return lambda *words, **how: run_cli("sql", *words, folder=first_night[0].layout.root, **how)


def rows_of(text: str):
    """The rows of an answer, and not by what they are judged."""
    return [{name: value for name, value in row.items() if name != "ruled_by"} for row in strictly(text)]


def strictly(text: str):
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(text, parse_constant=refuse)


def test_mistake_is_told_with_candidates_and_place(ask, run_cli, first_night):
    told = ask("select hots from run", code=1).stderr.splitlines()
    assert told[0] == 'curator: Binder Error: Referenced column "hots" not found in FROM clause!'
    assert told[1].startswith('Candidate bindings: "host"')
    assert told[-2:] == ["LINE 1: select hots from run", "               ^^^^"]
    whole = run_cli("-v", "sql", "select hots from run", folder=first_night[0].layout.root, code=1).stderr
    assert whole.startswith("Traceback") and whole.endswith(f"{told[0]}\n")
    assert whole.rpartition("direct cause")[2].count(told[1]) == 1, "the traceback ends with it"
    assert "LINE 2: selec 2" in ask("select 1;\nselec 2", code=1).stderr


def test_message_cannot_steer_the_terminal(ask):
    assert "\x1b" not in ask('select "\x1b[2J" from run', code=1).stderr


@pytest.mark.parametrize("data", [b"select 'caf\xe9'", b"\xff\xfes\x00e\x00"])
def test_sql_that_is_no_text_is_one_line(ask, tmp_path, data):
    (tmp_path / "query.sql").write_bytes(data)
    for words, how in (
        (["-i", tmp_path / "query.sql"], {}),
        ([], {"stdin": data}),
        ([data.replace(b"\0", b"").decode(errors="surrogateescape")], {}),
    ):
        told = ask(*words, code=2, **how).stderr
        assert told.count("\n") == 1 and "not UTF-8 text" in told


def test_sql_comes_from_a_file_with_a_mark_of_its_encoding(ask, tmp_path):
    (tmp_path / "query.sql").write_bytes("\ufeffselect 'é' as a".encode())
    assert ask("-i", tmp_path / "query.sql", "--json").stdout.split()[:4] == ["[", "{", '"a":', '"é",']


def test_own_query_that_is_no_text_is_one_line(first_night, run_cli):
    queries = first_night[0].layout.queries
    queries.mkdir(exist_ok=True)
    (queries / "mine.sql").write_bytes(b"-- name: mine\nselect '\xe9'\n")
    told = run_cli("query", folder=first_night[0].layout.root, code=2).stderr
    assert told.count("\n") == 1 and "mine.sql: cannot be read: " in told


@pytest.fixture
def many(first_night):
    """A workspace with a query of 25 rows."""
    workspace, _ = first_night
    workspace.layout.queries.mkdir(exist_ok=True)
    text = "-- name: many\n-- Many rows.\nselect range as number from range(25) order by number limit $limit;\n"
    (workspace.layout.queries / "many.sql").write_text(text)
    return workspace


def test_query_gives_all_rows_to_files_pipes_and_python(many, run_cli, tmp_path):
    def query(*words):
        return run_cli("query", "many", *words, folder=many.layout.root).stdout

    query("-o", tmp_path / "many.csv")
    assert len((tmp_path / "many.csv").read_text().splitlines()) == 26
    assert len(json.loads(query("--json"))) == 25 and len(query("-f", "csv").splitlines()) == 26
    assert len(json.loads(query("--json", "-n", 3))) == 3 and len(json.loads(query("--json", "-n", 0))) == 25
    assert many.query("many").num_rows == many.query("many", limit=None).num_rows == 25
    assert many.query("many", limit=7).num_rows == 7 and many.query("many", limit=0).num_rows == 0
    with pytest.raises(UsageError, match="`limit` is -1: no number of rows"):
        many.query("many", limit=-1)
    told = run_cli("query", "many", "-p", "limit=-1", folder=many.layout.root, code=2).stderr
    assert told.startswith("curator: --limit is -1: ") and told.count("\n") == 1


def test_query_shows_twenty_rows_on_a_terminal_and_says_so(many):
    def query(*words):
        """Rows that were shown, and what stderr got."""
        terminal, end = pty.openpty()
        command = [sys.executable, "-m", "curator", "-w", str(many.layout.root), "query", "many", *words]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=end, stderr=subprocess.PIPE, check=True)
        os.close(end)
        shown = os.read(terminal, 1 << 16).decode()
        os.close(terminal)
        return sum(line.strip().isdigit() for line in shown.splitlines()), done.stderr.decode()

    assert query() == (20, "20 of at least 21 rows; all of them: -n 0\n")
    assert query("-n", "0") == (25, "") and query("-n", "22") == (22, "")


@pytest.mark.parametrize("style", ["table", "csv", "json", "parquet"])
def test_every_type_of_duckdb_comes_out(ask, tmp_path, style):
    file = tmp_path / "all"
    ask("select * from test_all_types()", "-f", style, "-o", file)
    data = file.read_bytes()
    if style == "json":
        assert len(strictly(data.decode())) == 3
    elif style == "parquet":
        assert pq.read_table(file).num_rows == 3
    else:
        assert "infinity" in data.decode()


VALUES = (
    "select 'nan'::double as x, [1.5, 'inf'::double, null] as l, {'a': date 'infinity'} as s, map {'k': 1} as m, "
    "interval '1 month 2 days 3.5 seconds' as i, '\\x00ab'::blob as b, sum(5::bigint) as h, 1.50::decimal(9, 2) as d, "
    "timestamptz '2020-01-01 00:00:00+00' as z, timestamp '-infinity' as t, 'e'::enum('e') as e, date '9999-12-31' as y"
)


def test_json_is_strict_and_exact(ask):
    assert rows_of(ask(VALUES, "--json").stdout) == [
        {
            "x": None, "l": [1.5, None, None], "s": {"a": "infinity"}, "m": [["k", 1]], "i": "P1M2DT3.5S",
            "b": "\\x00ab", "h": 5, "d": "1.50", "z": "2020-01-01T00:00:00+00:00", "t": "-infinity", "e": "e",
            "y": "9999-12-31",
        }
    ]  # fmt: skip


def test_csv_has_lists_as_json_and_dates_beyond_python_as_text(ask):
    (row,) = csv.DictReader(io.StringIO(ask(VALUES, "-f", "csv").stdout))
    assert (strictly(row["l"]), strictly(row["s"])) == ([1.5, None, None], {"a": "infinity"})
    assert (row["t"], row["i"], row["b"], row["h"], row["d"]) == ("-infinity", "P1M2DT3.5S", "\\x00ab", "5", "1.50")
    assert row["z"].startswith("2020-01-01 00:00:00"), "as before"


def test_columns_of_one_name_are_kept_apart(ask, tmp_path):
    assert rows_of(ask("select 1 as a, 2 as a, 3 as A", "--json").stdout) == [{"a": 1, "a_1": 2, "A_2": 3}]
    (row,) = strictly(ask("select 'mine' as ruled_by", "--json").stdout)
    assert row["ruled_by"] == "mine" and row["ruled_by_1"]["bank"] == "base@v1"
    ask("select 1 as a, 2 as a", "-o", tmp_path / "two.parquet")
    assert pq.read_table(tmp_path / "two.parquet").to_pydict() == {"a": [1], "a_1": [2]}
    assert ask("select 1 as a, 2 as a", "-f", "csv").stdout == '"a","a"\n1,2\n'
    assert unique_names(["a", "a", "a_1", "b"]) == ["a", "a_1", "a_1_1", "b"]


def test_file_that_cannot_be_written_is_one_line(ask, tmp_path):
    told = ask("select 1", "-o", tmp_path / "none" / "a.csv", code=2).stderr
    assert told == f"curator: {tmp_path}/none/a.csv: cannot be written: No such file or directory\n"
    assert ask("select 1", "-o", "/dev/full", "-f", "csv", code=2).stderr.endswith("No space left on device\n")


@pytest.mark.parametrize("words", [["sql", "select 1"], ["query", "flagged"], ["query"]], ids=" ".join)
def test_sql_starts_without_what_computes(first_night, words):
    """What starting costs is what is imported: DuckDB, Arrow and NumPy, and of curator the rooms of the ledger."""
    code = "import sys; from curator.cli import cli; cli(sys.argv[1:], standalone_mode=False); print(*sys.modules)"
    command = [sys.executable, "-c", code, "-w", str(first_night[0].layout.root), *words]
    loaded = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1].split()
    rooms = {"banks", "decode", "encoders", "engines", "generators", "lake", "methods", "vectors"}
    heavy = {"PIL", "faiss", "fsspec", "matplotlib", "prompt_toolkit", "torch", *(f"curator.{room}" for room in rooms)}
    assert heavy.isdisjoint(loaded)

"""Every command, run as a user runs it."""

from __future__ import annotations

import base64
import io
import json
import shlex
import subprocess

import pyarrow.parquet as pq
import pytest

from curator.cli.output import passed_over_text
from tests import interpreter


def rows_of(text: str):
    """The rows of an answer, and not by what they are judged."""
    return [{name: value for name, value in row.items() if name != "ruled_by"} for row in json.loads(text)]


@pytest.fixture
def scanned(first_night):
    return first_night[0].layout.root


def test_init_makes_a_workspace_that_scans(tmp_path, lake, run_cli):
    labels = tmp_path / "labels.txt"
    labels.write_text("# what we know\nred\ngreen\n")
    result = run_cli("init", tmp_path / "lake-1", "--labels", labels, "--encoder", "fake")
    assert "is ready" in result.output
    assert (tmp_path / "lake-1" / "labels.txt").read_text() == "red\ngreen\n"
    assert (tmp_path / "lake-1" / "banks" / "base.toml").is_file()
    again = run_cli("init", tmp_path / "lake-1", "--labels", labels, code=2)
    assert "is a workspace already" in again.output


@pytest.mark.parametrize(
    ("encoder", "message"),
    [("clip", "no encoder family is called 'clip'"), ("open_clip:", "open_clip has no architecture")],
)
def test_init_refuses_a_bad_encoder_before_it_writes(tmp_path, run_cli, encoder, message):
    labels = tmp_path / "labels.txt"
    labels.write_text("red\ngreen\n")
    result = run_cli("init", tmp_path / "w", "--labels", labels, "--encoder", encoder, code=2)
    assert message in result.output
    assert not (tmp_path / "w").exists()


def test_scan_says_what_it_did(workspace, lake, run_cli):
    result = run_cli("scan", lake, folder=workspace.layout.root)
    assert "17 objects" in result.output
    assert "14 images + 4 duplicates + 3 rejects" in result.output
    assert "passed over: 1 .txt" in result.output
    assert "see `curator calibrate`" in result.output


def test_scan_summary_as_json(workspace, lake, run_cli):
    summary = json.loads(run_cli("scan", lake, "--json", folder=workspace.layout.root).stdout)
    assert summary["images"] + summary["duplicates"] + summary["rejects"] == summary["data_read"] == 21
    assert summary["listings"][0]["objects_new"] == 17
    assert summary["reject_reasons"]["decode/empty"] == 1


def test_a_dry_run_says_what_patterns_leave_out(workspace, lake, run_cli):
    patterns = ("--exclude", "red-*", "--exclude", "*.tar", "--include", "red-00.png")
    result = run_cli("scan", lake, "--dry-run", *patterns, folder=workspace.layout.root)
    assert "14 objects" in result.output and "passed over: 3 (excluded), 1 .txt" in result.output
    (counts,) = json.loads(run_cli("scan", lake, "--dry-run", "--json", *patterns, folder=workspace.layout.root).stdout)
    assert counts["ignored"] == {"(excluded)": 3, ".txt": 1}


def test_what_is_gone_is_named_without_a_source(first_night, scanned, run_cli):
    _, lake = first_night
    result = run_cli("scan", "--gone", lake, "--dry-run", folder=scanned)
    assert result.exit_code == 0 and f"{lake}: 0 objects" in result.output and " 17 gone" in result.output
    nothing = run_cli("scan", folder=scanned, code=2)
    assert "name at least one source" in nothing.output


def test_what_is_passed_over_is_said_most_first_and_in_a_bounded_line():
    assert passed_over_text({"(hidden)": 2, ".txt": 3}) == "3 .txt, 2 (hidden)"
    assert passed_over_text({f".{number:02}": 1 for number in range(30)}).endswith(", 1 .19, 10 others")


def test_dry_run_lists_without_a_ledger(workspace, lake, run_cli):
    result = run_cli("scan", lake, "--dry-run", folder=workspace.layout.root)
    assert "17 new, 0 changed, 0 unchanged, 0 gone" in result.output
    listing = json.loads(run_cli("scan", lake, "--dry-run", "--json", folder=workspace.layout.root).stdout)
    assert listing[0]["objects_new"] == 17
    assert not workspace.layout.ledger.exists()


def test_too_many_rejects_exit_with_three(workspace, lake, run_cli):
    result = run_cli("scan", lake, "--max-reject-rate", "0.1", folder=workspace.layout.root, code=3)
    assert "3 of 21 data are rejects" in result.output


def test_calibrate_and_score(scanned, lake, run_cli):
    result = run_cli("calibrate", "--reference", lake / "red-*.png", "--keep", "0.5", folder=scanned)
    assert "policy keep-0.5: flag below id_score" in result.output
    assert "warning:" in result.output
    summary = json.loads(run_cli("score", "--method", "mcm", "--json", folder=scanned).stdout)
    (scoring,) = summary["scorings"]
    assert scoring["rescored"] == 14
    assert "nothing is flagged" in scoring["policy_note"]
    several = run_cli("score", "--method", "eoe", "--method", "energy", "--precision", "full", folder=scanned)
    assert several.stdout.count("14 newly scored") == 2
    assert "as before: `curator use BANK METHOD` changes it" in several.stdout


def test_explain_shows_labels_neighbours_and_the_policy(scanned, run_cli):
    shown = run_cli("explain", "red-00.png", "-k", "2", folder=scanned).stdout
    for text in (
        "nearest ID labels:",
        "nearest negative labels:",
        "nearest images of the lake:",
        "default: flagged below",
    ):
        assert text in shown
    found = json.loads(run_cli("explain", "red-00.png", "--json", folder=scanned).stdout)
    assert found["labels"][0]["label"] == "red"
    assert (found["flagged"] is False) == ("kept" in shown.splitlines()[0])
    assert found["thumbnail"] is None
    assert "neither in the lake nor a file" in run_cli("explain", "no.png", folder=scanned, code=2).output


def test_explain_writes_a_page_and_a_thumbnail(scanned, run_cli, tmp_path):
    run_cli(
        "explain", "red-00.png", "--html", tmp_path / "why.html", "--thumbnail", tmp_path / "t.webp", folder=scanned
    )
    picture = (tmp_path / "t.webp").read_bytes()
    page = (tmp_path / "why.html").read_text()
    assert picture[8:12] == b"WEBP"
    assert f"data:image/webp;base64,{base64.b64encode(picture).decode()}" in page
    assert "default-src 'none'" in page and "<script" not in page and "http:" not in page and "https:" not in page
    found = json.loads(run_cli("explain", "red-00.png", "--json", "--thumbnail", "-", folder=scanned).stdout)
    assert base64.b64decode(found["thumbnail"]) == picture
    assert "add --json" in run_cli("explain", "red-00.png", "--thumbnail", "-", folder=scanned, code=2).output


STATEMENT = "select uri, id_score from report.flagged order by id_score, uri limit 2"


def test_sql_prints_each_format(scanned, run_cli, tmp_path):
    table = run_cli("sql", STATEMENT, folder=scanned).stdout
    assert table.splitlines()[0].split() == ["uri", "id_score"]
    rows = rows_of(run_cli("sql", STATEMENT, "--json", folder=scanned).stdout)
    assert len(rows) == 2
    assert run_cli("sql", STATEMENT, "-f", "csv", folder=scanned).stdout.startswith('"uri","id_score"\n')
    parquet = run_cli("sql", STATEMENT, "-f", "parquet", folder=scanned).stdout_bytes
    assert pq.read_table(io.BytesIO(parquet)).to_pylist() == rows
    run_cli("sql", STATEMENT, "-o", tmp_path / "rows.parquet", folder=scanned)
    assert pq.read_table(tmp_path / "rows.parquet").to_pylist() == rows


def test_sql_takes_files_and_standard_input(scanned, run_cli, tmp_path):
    file = tmp_path / "query.sql"
    file.write_text("select 1 as one;")
    assert rows_of(run_cli("sql", "-i", file, "--json", folder=scanned).stdout) == [{"one": 1}]
    assert rows_of(run_cli("sql", "--json", folder=scanned, stdin="select 2 as two").stdout) == [{"two": 2}]
    assert rows_of(run_cli("sql", "-", "--json", folder=scanned, stdin="select 3 as three").stdout) == [{"three": 3}]
    run_cli("sql", "select 1", "-i", file, folder=scanned, code=2)
    run_cli("sql", "", folder=scanned, code=2)


@pytest.mark.parametrize(
    "statement",
    [
        "delete from image",
        "create table x (y int)",
        "copy (select 1) to '/tmp/curator-leak.csv'",
        "select * from read_csv('/etc/passwd')",
        "select * from '/etc/passwd'",
        "attach '/tmp/curator-leak.duckdb'",
        "install httpfs",
        "set enable_external_access = true",
    ],
)
def test_sql_cannot_write_or_reach_other_files(scanned, run_cli, statement):
    before = run_cli("sql", "select count(*) from image", folder=scanned).stdout
    result = run_cli("sql", statement, folder=scanned, code=1)
    assert result.output.startswith("curator: ") and "Traceback" not in result.output
    assert run_cli("sql", "select count(*) from image", folder=scanned).stdout == before


def test_query_lists_and_runs_named_queries(scanned, run_cli):
    listed = run_cli("query", folder=scanned).stdout
    assert "flagged" in listed
    assert "rejects" in listed
    rows = json.loads(run_cli("query", "flagged", "--json", "-n", "3", folder=scanned).stdout)
    assert len(rows) == 3
    assert rows == sorted(rows, key=lambda row: row["id_score"])
    for name in ("kept", "rejects", "near_duplicates", "duplicates", "night", "accounting", "negatives"):
        assert json.loads(run_cli("query", name, "--json", folder=scanned).stdout)
    said = run_cli("query", "flaged", folder=scanned, code=2).output
    assert "no query is called 'flaged' (did you mean flagged?)" in said


def test_query_of_ones_own(scanned, run_cli):
    (scanned / "queries").mkdir()
    (scanned / "queries" / "mine.sql").write_text(
        "-- name: by_format\n-- Images of one format.\n"
        "select count(*) as n from report.images where format = $format;\n"
    )
    rows = rows_of(run_cli("query", "by_format", "-p", "format=PNG", "--json", folder=scanned).stdout)
    assert rows == [{"n": 13}]
    assert "takes the parameters format" in run_cli("query", "by_format", folder=scanned, code=2).output
    for data in (b"-- name: by_format\n-- caf\xe9\nselect 1", "-- name: by_format".encode("utf-16")):
        (scanned / "queries" / "mine.sql").write_bytes(data)
        said = run_cli("query", folder=scanned, code=2)
        assert "mine.sql: cannot be read" in said.stderr and said.stderr.count("\n") == 1
    (scanned / "queries" / "mine.sql").unlink()


def test_bank_build_list_show(workspace, run_cli):
    folder = workspace.layout.root
    made = json.loads(run_cli("bank", "build", "--json", folder=folder).stdout)
    assert made["id_labels"] == 2
    assert made["negative_labels"] > 10
    again = json.loads(run_cli("bank", "build", "base", "--json", folder=folder).stdout)
    assert again["digest"] == made["digest"]
    listed = json.loads(run_cli("bank", "list", "--json", folder=folder).stdout)
    assert [row["bank_digest"] for row in listed] == [made["digest"]]
    shown = run_cli("bank", "show", f"base@{made['digest'][:8]}", "--role", "id", folder=folder).stdout
    assert "red" in shown
    assert "no version" in run_cli("bank", "show", "other", folder=folder, code=1).output.replace("no bank ", "no ")


def test_index_build_list_search(scanned, run_cli):
    built = json.loads(run_cli("index", "build", "--json", folder=scanned).stdout)
    assert {(row["collection"], row["state"]) for row in built} == {("images", "fresh"), ("labels", "fresh")}
    assert "fresh" in run_cli("index", "list", folder=scanned).stdout
    rows = json.loads(run_cli("index", "search", "red", "-k", "2", "--json", folder=scanned).stdout)
    assert len(rows) == 2
    assert rows[0]["cosine"] >= rows[1]["cosine"]
    labels = json.loads(
        run_cli("index", "search", "green", "--in", "labels", "-k", "1", "--json", folder=scanned).stdout
    )
    assert labels[0]["label"] == "green"
    assert run_cli("index", "search", "", folder=scanned, code=2).stderr == "curator: the text to search by is empty\n"


def test_models_list_and_fetch(run_cli):
    assert run_cli("models", "list", "--family", "mini").stdout.split() == ["mini"]
    assert "nothing to fetch" in run_cli("models", "fetch", "mini").stdout
    assert "no encoder family" in run_cli("models", "fetch", "nonsense", code=2).output


def test_doctor_is_content_with_a_healthy_workspace(scanned, run_cli):
    findings = json.loads(run_cli("doctor", "--check", "--json", folder=scanned).stdout)
    assert {finding["state"] for finding in findings} == {"ok"}
    assert {finding["subject"] for finding in findings} == {
        "python", "encoder", "device", "faiss", "generators", "disk", "lock", "ledger", "vectors", "checks",
        "ledger file", "vector files", "bank versions", "generated files", "ruling",
    }  # fmt: skip


def test_doctor_finds_a_missing_vector_file(scanned, run_cli):
    next(scanned.glob("vectors/*/*.safetensors")).unlink()
    result = run_cli("doctor", folder=scanned, code=1)
    assert "vector files are missing" in result.output


def test_publish_and_config(scanned, run_cli):
    assert run_cli("publish", folder=scanned).stdout.strip().endswith("curator.duckdb")
    shown = run_cli("config", folder=scanned).stdout
    assert "address = 'fake'  # an address such as mini, " in shown
    assert "offline = false  # true or false; never touch the network" in shown
    assert json.loads(run_cli("config", "--json", folder=scanned).stdout)["scan"]["method"] == "neglabel"


def test_workspace_is_found_from_a_folder_inside_it(scanned, run_cli):
    inside = scanned / "banks"
    assert rows_of(run_cli("sql", "select 1 as one", "--json", folder=inside).stdout) == [{"one": 1}]


def test_doctor_ends_with_what_to_do_next(scanned, make_workspace, tmp_path, run_cli):
    def told(root) -> list[str]:
        return run_cli("doctor", folder=root).stdout.partition("\nnext:\n")[2].splitlines()

    assert [line.split()[3] for line in told(make_workspace(tmp_path / "new").layout.root)] == [
        "scan",
        "plan",
        "config",
    ]
    first, second, third = told(scanned)
    assert first.strip().startswith(f"curator -w {scanned} calibrate --reference SRC  a threshold")
    assert " query flagged " in second and " report -o night.html " in third


def test_no_workspace_is_one_clear_line(tmp_path, run_cli):
    result = run_cli("query", "flagged", folder=tmp_path, code=2)
    assert "no workspace here or above" in result.output
    assert "curator init" in result.output
    assert len(result.output.strip().splitlines()) == 1


def test_locked_workspace_exits_with_five(workspace, lake, run_cli):
    from curator.workspace.lock import hold_lock

    with hold_lock(workspace.layout.lock, command="scan", run_id="other"):
        result = run_cli("scan", lake, folder=workspace.layout.root, code=5)
    assert "locked by run other" in result.output


def test_json_log_lines_carry_the_run_id(workspace, lake):
    command = [
        *interpreter.command(),
        "-m",
        "curator",
        "-w",
        str(workspace.layout.root),
        "--log-format",
        "json",
        "scan",
        str(lake),
    ]
    result = subprocess.run([*command, "--json"], capture_output=True, text=True, check=True)
    lines = [json.loads(line) for line in result.stderr.splitlines()]
    of_run = [line for line in lines if line.get("event") != "heartbeat"]  # which may come before there is a run
    assert of_run
    assert {line["run_id"] for line in of_run} == {json.loads(result.stdout)["run_id"]}


def test_names_with_control_characters_do_not_reach_the_terminal(workspace, lake, run_cli):
    (lake / "evil\x1b[31m\nname.png").write_bytes((lake / "red-00.png").read_bytes() + b"x")
    run_cli("scan", lake, folder=workspace.layout.root)
    shown = run_cli("sql", "select uri from report.images where uri like '%evil%'", folder=workspace.layout.root).stdout
    assert "\x1b" not in shown
    assert "evil\\x1b[31m\\nname.png" in shown


def test_output_into_a_closed_pipe_is_no_error(scanned):
    command = f"{shlex.join(interpreter.command())} -m curator -w {scanned} sql 'select * from range(200000)' | head -1"
    result = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True)
    assert result.stdout.startswith("range")
    assert "Traceback" not in result.stderr

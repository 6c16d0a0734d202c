"""Names from a lake are data: found literally in SQL, harmless on a terminal, unchanged in files for programs."""

from __future__ import annotations

import csv
import io
import json
import logging
import unicodedata
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from curator.cli import output
from curator.cli.terminal.rows import encode
from curator.printable import printable, printable_json, printable_lines
from curator.workspace import Workspace
from curator.workspace.logs import HumanFormatter

NAMES = [
    "'; drop table image; --.png",
    "x' or '1'='1.png",
    '"; delete from run; --.png',
    "$name.png",
    "{braces}.png",
    "%s%n.png",
    "read_csv('x').png",
    "a;b.png",
    "line\nbreak.png",
    "\x1b[31mred\x1b]0;title\x07.png",
    "\x9b31m.png",
    "back\b\b\bspace\r.png",
    "\u202egnp.elif",
    "=cmd|' 'C!A0.png",
    "@sum(1+1)*cmd.png",
    "-2+3.png",
    "<b onload=x>.png",
    "-rf.png",
]


@pytest.fixture(scope="module")
def scanned(tmp_path_factory):
    """A workspace with one image for each name, all of another content."""
    folder = tmp_path_factory.mktemp("names")
    (folder / "lake").mkdir()
    for number, name in enumerate(NAMES):
        Image.new("RGB", (20, 20), (number * 10, 1, 2)).save(folder / "lake" / name, "PNG")
    made = Workspace.create(folder / "workspace", labels=["red", "green"], encoder="fake")
    text = 'name = "base"\n[id]\nlabels = "labels.txt"\n[negatives.wordnet]\ninclude = ["noun.shape"]\n'
    made.layout.bank_spec("base").write_text(text)
    made.scan(folder / "lake")
    return made


def names_in(rows: list[dict[str, str]]) -> list[str]:
    return sorted(Path(row["uri"]).name for row in rows)


@pytest.fixture(scope="module")
def with_pictures() -> list[str]:
    return sorted(name for name in NAMES if name.endswith(".png"))


def test_every_name_is_a_row_as_it_is(scanned, with_pictures):
    """What does not end like an image is none; all else is found by its very name."""
    assert names_in(scanned.sql("select uri from report.images").to_pylist()) == with_pictures
    for name in with_pictures:
        found = scanned.sql("select uri from report.images where ends_with(uri, $name)", {"name": f"/{name}"})
        assert names_in(found.to_pylist()) == [name]
    assert [check.name for check in scanned.check() if not check.healthy] == []


def test_json_and_csv_give_names_back_as_they_are(scanned, run_cli, with_pictures):
    """A cell that a spreadsheet would take for a formula stays as it is: a file for programs must not lie."""
    statement = "select uri from report.images"
    as_json = run_cli("sql", statement, "--json", folder=scanned.layout.root).stdout
    assert names_in(json.loads(as_json)) == with_pictures
    as_csv = run_cli("sql", statement, "--format", "csv", folder=scanned.layout.root).stdout
    assert names_in(list(csv.DictReader(io.StringIO(as_csv, newline="")))) == with_pictures


def is_harmless(text: str) -> bool:
    kinds = {unicodedata.category(character) for character in text if character != "\n"}
    return not kinds & {"Cc", "Cf", "Cs", "Zl", "Zp"}


@pytest.mark.parametrize(
    "command",
    [
        ["sql", "select uri from report.images"],
        ["sql", "select uri from report.images", "--json"],
        ["query", "flagged"],
        ["query", "near_duplicates", "--json"],
        ["sql", 'select 1 as "\x1b[31m"'],
        ["sql", "pivot (select uri from report.images) on uri using count(*)"],
        ["index", "search", "--text", "red"],
        ["bank", "show", "\x1b[31m"],
        ["bank", "build", "\x1b[31m"],
        ["sql", "select \x1b[31m"],
        ["scan", "/nowhere/\x1b[31m\u202e"],
        ["-v", "scan", "/nowhere/\x1b[31m\u202e"],
        ["--log-format", "json", "scan", "/nowhere/\x1b[31m\u202e"],
    ],
    ids=lambda command: " ".join(command).encode("ascii", "backslashreplace").decode(),
)
def test_no_command_sends_control_characters(scanned, run_cli, monkeypatch, command):
    monkeypatch.setattr("click.utils.should_strip_ansi", lambda *_, **__: False)  # as on a terminal
    result = run_cli(*command, folder=scanned.layout.root, code=None)
    assert is_harmless(result.output)


def test_explain_and_dry_run_are_harmless_too(scanned, run_cli):
    lake = scanned.layout.root.parent / "lake"
    for name in NAMES[8:13]:
        assert is_harmless(run_cli("explain", lake / name, folder=scanned.layout.root, code=None).output)
    assert is_harmless(run_cli("scan", lake, "--dry-run", folder=scanned.layout.root).output)


@pytest.mark.parametrize("style", ["table", "csv", "json"])
def test_a_terminal_gets_no_control_characters_in_any_format(monkeypatch, capsys, style):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("TERM", "dumb")  # else the headings are bold, by escapes of our own
    output.echo_rows(pa.table({"\x1b[31m[red]": ["\x1b]0;x\x07", "[link=http://x]y[/link]"]}), style=style)
    shown = capsys.readouterr().out
    assert is_harmless(shown) and "[link=http://x]" in shown.replace("\n", "")


def test_columns_of_one_name_are_all_shown():
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["n", "n"])
    assert encode(table, "table") == b"n  n\n1  2\n"


@given(st.text())
def test_what_is_shown_is_printable_and_says_what_it_was(text):
    shown = printable(text)
    assert shown.isprintable() and (shown == text or not text.isprintable())
    assert is_harmless(printable_lines(text))
    document = json.dumps({"name": text}, indent=1, ensure_ascii=False)
    assert is_harmless(printable_json(document)) and json.loads(printable_json(document)) == {"name": text}


def test_a_name_cannot_forge_a_line_of_the_log():
    record = logging.LogRecord("curator", logging.INFO, "", 0, "%s is new", ("a\nerror: all is lost\x1b[2K",), None)
    assert HumanFormatter(verbose=False).format(record) == "a\\nerror: all is lost\\x1b[2K is new"


@pytest.mark.parametrize("option", [["bank", "show", "--html"], ["sql", "select 1", "--format", "csv", "-o"]])
def test_a_file_that_cannot_be_written_is_one_clear_line(scanned, run_cli, tmp_path, option):
    assert "cannot be written" in run_cli(*option, tmp_path / "no" / "x", folder=scanned.layout.root, code=2).output

"""The prompt of `curator sql`: what is sent when, what completes a word, and what is answered."""

from __future__ import annotations

import os
import pty
import re
import select
import sys
import time

import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.document import Document
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from curator.cli import prompt
from curator.cli.app import App
from curator.cli.output import echo_rows
from curator.workspace.results import Results


@pytest.fixture(scope="module")
def results(first_night_once) -> Results:
    return Results.of(first_night_once[0])


@pytest.fixture
def typed(results, tmp_path, monkeypatch, capsys):
    """What a session prints, on stdout and stderr, of keys."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))

    def session(keys: str):
        with create_pipe_input() as pipe, create_app_session(input=pipe, output=DummyOutput()):
            pipe.send_text(keys)
            prompt.SqlPrompt(App(".", log_format="human", verbosity=0), results, echo_rows).run()
        return capsys.readouterr()

    return session


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("select 1;", True), ("select 1; -- one", True), ("select ';'", False), ("select 1", False), ("", True),
        ("select ';", False), (".tables", True), ("select 1 /* ; */", False), ("/* a */ select 1;", True),
        ('select 1 as ";"', False), ("select 'it''s';", True), ("from a -- b;", False), ("select 1; /* b", False),
    ],
)  # fmt: skip
def test_a_statement_ends_with_a_semicolon_that_is_one(text, whole):
    assert prompt.is_whole(text) == whole


def test_statements_go_over_lines_and_a_fault_ends_none(typed):
    said = typed("select 40 +\r2 as sum;\rselec;\r\x03select 'on' as it;\r\x04")
    assert "sum\n42\n" in said.out and "it\non\n" in said.out
    assert said.err.startswith('curator: Parser Error: syntax error at or near "selec"')


def test_words_with_a_dot_describe_and_turn(typed):
    said = typed(".tables\r.describe flagged\r.describe nothing\r.wide\r.wide\r.what\r.help\r.quit\rselect 17;\r")
    assert "The images that the policy calls OOD." in said.out and "\nid_score " in said.out
    assert (
        "every column\nas many columns as fit\n" in said.out and ".describe NAME" in said.out and "17" not in said.out
    )
    assert "no view or table is called 'nothing'" in said.err and ".what is no word of this prompt" in said.err


def test_no_statement_reaches_a_file(typed, tmp_path):
    said = typed(f"copy (select 1) to '{tmp_path}/out.csv';\rfrom read_csv('/etc/passwd');\r\x04")
    assert said.err.count("curator: Permission Error") == 2 and not (tmp_path / "out.csv").exists()


def test_what_was_asked_is_there_the_next_time_and_nobody_else_reads_it(typed, tmp_path):
    typed("select 40 + 3 as sum;\r\x04")
    assert "43" in typed("\x1b[A\r\x04").out
    assert prompt.history_file().stat().st_mode & 0o077 == 0
    assert prompt.history_file().is_relative_to(tmp_path)


def test_a_state_folder_that_cannot_be_made_takes_no_prompt_away(typed, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    assert "sum\n5\n" in typed("select 5 as sum;\r\x04").out


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("select uri from fla", "", {"report.flagged", "report.flag_groups"}),
        ("select id_s", " from report.flagged", {"id_score"}),
        ("select f.id_s", " from report.flagged f", {"f.id_score"}),
        ("from report.flagged ord", "", {"order", "ordinality"}),
        (".desc", "", {".describe"}),
    ],
)
def test_a_word_is_completed_by_where_it_stands(before, after, words, results):
    completer = prompt.make_completer(results)
    found = completer.get_completions(Document(before + after, len(before)), None)
    assert {item.text for item in found} == words


def test_on_a_terminal_no_statement_opens_the_prompt(results, tmp_path):
    command = [sys.executable, "-m", "curator", "-w", str(results.layout.root), "sql"]
    process, terminal = pty.fork()
    if process == 0:
        os.environ.update(XDG_STATE_HOME=str(tmp_path), TERM="dumb", COLUMNS="100")
        os.execv(command[0], command)
    seen, deadline = b"", time.monotonic() + 60
    keys = [(b"sql> $", b"select 6 *\r7 as product;\r"), (b"42.*sql> $", b".quit\r")]
    while time.monotonic() < deadline and select.select([terminal], [], [], 60)[0]:
        try:
            seen += os.read(terminal, 4096)
        except OSError:
            break
        if keys and re.search(keys[0][0], seen, re.DOTALL):
            os.write(terminal, keys.pop(0)[1])
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 0, seen
    assert b"product" in seen and not keys

"""Standard streams that nobody takes: full, closed, without a reader; for every command, in processes of their own."""

from __future__ import annotations

import os

import click
import pytest

from curator.cli import cli
from curator.workspace import Workspace
from tests.cli.runs import run

pytestmark = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="has no disk that is always full")  # noqa: PTH110


def ended(*orders: tuple[list[str], str, str]) -> list[tuple[int, str]]:
    """Exit code and messages of each [words, stdout, stderr]."""
    runs = [run(*words, stdout=stdout, stderr=stderr) for words, stdout, stderr in orders]
    return [(each.returncode, each.stderr or "") for each in runs]


def commands(group: click.Group = cli, above: tuple[str, ...] = ()) -> list[list[str]]:
    found: list[list[str]] = [list(above)]
    for name, command in group.commands.items():
        path = (*above, name)
        found += commands(command, path) if isinstance(command, click.Group) else [list(path)]
    return found


@pytest.mark.slow
def test_every_command_says_in_one_line_that_its_output_is_lost():
    calls = [*([*path, "--help"] for path in commands()), ["--version"]]
    assert len(calls) > 40
    orders = [(call, kind, "kept") for call in calls for kind in ("full", "closed")]
    for (call, kind, _), (code, said) in zip(orders, ended(*orders), strict=True):
        assert code == 1, (call, kind, said)
        assert said.count("\n") == 1 and said.startswith("curator: standard output cannot be written: "), (call, said)


def test_what_a_command_finds_is_lost_in_one_line_too(first_night):
    at = ["-q", "-w", str(first_night[0].layout.root)]
    calls = [
        ["sql", "select * from report.images"], ["sql", "select 1", "--json"], ["sql", "select 1", "-f", "parquet"],
        ["query"], ["query", "flagged"], ["bank", "list"], ["bank", "show"], ["index", "list"], ["config"],
        ["models", "list", "--family", "mini"], ["doctor"], ["report", "--json"],
    ]  # fmt: skip
    for call, (code, said) in zip(calls, ended(*(([*at, *call], "full", "kept") for call in calls)), strict=True):
        assert (code, said.count("\n")) == (1, 1) and "No space left on device" in said, (call, said)


def test_a_reader_who_has_enough_is_no_fault_and_messages_that_nobody_takes_change_nothing(first_night):
    at = ["-w", str(first_night[0].layout.root)]
    found = ended(
        (["--help"], "gone", "kept"),
        ([*at, "sql", "select * from range(100000)"], "gone", "kept"),
        ([*at, "sql", "select 1"], "kept", "full"),
        ([*at, "sql", "select 1"], "kept", "closed"),
        ([*at, "sql", "select nothing"], "kept", "full"),
        ([*at, "nonsense"], "kept", "closed"),
        ([*at, "sql", "select 1"], "closed", "closed"),
    )
    assert found == [(0, ""), (0, ""), (0, ""), (0, ""), (1, ""), (2, ""), (1, "")]


def test_scan_that_cannot_print_keeps_its_results_and_says_so(workspace, lake):
    call = ["-w", str(workspace.layout.root), "-q", "scan", str(lake), "--workers", "0"]
    for kind in ("full", "closed"):
        ((code, said),) = ended((call, kind, "kept"))
        assert code == 1 and said.splitlines()[-1].endswith("what the command did is kept)")
        assert "Traceback" not in said
        found = Workspace.open(workspace.layout.root).sql("select count(*) as n from report.scores")
        assert found.to_pylist() == [{"n": 14}]


def test_closed_descriptor_goes_to_no_file_of_the_workspace(workspace, lake):
    """Whatever prints to it by its number would write into the ledger."""
    call = ["-w", str(workspace.layout.root), "-q", "scan", str(lake), "--workers", "0"]
    (_, said), (code, _) = ended((call, "closed", "closed"), (["-w", call[1], "doctor", "--check"], "kept", "kept"))
    assert said == "" and code == 0


@pytest.mark.parametrize(
    "words",
    [
        ("-w", "{}", "sql", "select 1"), ("init", "{}", "--labels", "labels.txt"), ("-w", "w", "scan", "{}"),
        ("-w", "w", "calibrate", "--reference", "{}"), ("-w", "w", "backup", "{}"),
        ("-w", "w", "publish", "--to", "{}"),
        ("restore", "{}", "new"), ("restore", "old", "{}"), ("-w", "w", "explain", "{}"),
        ("-w", "w", "index", "search", "--image", "{}"),
        ("-w", "w", "export", "flagged", "--format", "csv", "--to", "{}"),
        ("-w", "w", "models", "fetch", "transformers:{}"), ("-w", "w", "models", "fetch", "open_clip:local-dir:{}"),
    ],
    ids=lambda words: " ".join(words[-3:]),
)  # fmt: skip
def test_home_of_nobody_is_one_line(words, first_night, tmp_path, monkeypatch, run_cli):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "labels.txt").write_text("red\ngreen\n")
    (tmp_path / "w").symlink_to(first_night[0].layout.root)
    result = run_cli(*(word.format("~nobody-of-this-name/x") for word in words), code=2)
    assert "~nobody-of-this-name/x: its home folder is not known" in result.stderr

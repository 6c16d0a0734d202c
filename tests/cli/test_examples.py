"""The example at the end of each command's help works as it stands, in a workspace with a lake beside it."""

from __future__ import annotations

import shlex

import click
import pytest
from click.testing import CliRunner

from curator.cli import cli


def examples(group: click.Group, path: tuple[str, ...] = ()) -> list[str]:
    found = []
    for name, command in sorted(group.commands.items()):
        if isinstance(command, click.Group):
            found += examples(command, (*path, name))
        else:
            text = CliRunner().invoke(cli, [*path, name, "--help"], prog_name="curator", terminal_width=80).output
            found.append(text.partition("Example:")[2].strip().splitlines()[0])
    return found


# `curator demo` is run by `make demo` and by the test of the wheel: it mines all of WordNet, which takes its time.
# `curator app` goes on until it is stopped; tests/app does that. `curator reproduce` needs the images of a
# table: tests/workspace/test_workspace_reproduce.py has made-up ones.
ELSEWHERE = ("curator demo", "curator app", "curator review serve", "curator reproduce")
EXAMPLES = [line for line in examples(cli) if not line.startswith(ELSEWHERE)]


@pytest.mark.parametrize("line", EXAMPLES)
def test_example_works(line, first_night, tmp_path, monkeypatch, run_cli):
    workspace, lake = first_night
    (tmp_path / "labels.txt").write_text("red\ngreen\n")
    words = [
        word.replace("/data/incoming", str(lake)).replace("/data/known-id", str(lake / "red-*.png"))
        for word in shlex.split(line)[1:]
    ]
    if words[0] == "init":
        monkeypatch.chdir(tmp_path)
    else:
        if words[:2] == ["calibrate", "check"]:
            workspace.calibrate(lake / "red-*.png")
        if words[0] == "restore":
            workspace.backup(tmp_path / "backups")
        if words[:2] == ["review", "import"] or words[:2] == ["bank", "propose"]:
            workspace.reviews.export_to(tmp_path / "decided.csv")
            decided = (tmp_path / "decided.csv").read_text().replace(",,,,,", ",ood,,,,", 1)
            (workspace.layout.root / "decided.csv").write_text(decided)
            workspace.reviews.import_from(workspace.layout.root / "decided.csv", reviewer="me")
        if words[0] == "bank" and words[1] in ("adaneg", "ants", "oodd", "tanl"):
            words.append("--force")  # fourteen images hold nothing to learn from for sure
        monkeypatch.chdir(workspace.layout.root)
    assert run_cli(*words).output

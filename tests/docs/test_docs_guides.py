"""The guides say what is: their commands parse, their unit files are valid, their tables are complete."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import click
import pytest

from curator.cli import cli
from curator.engines.growth import MEASURED
from curator.workspace.night.conditions import Condition
from tests.bench.growth import table
from tests.docs.running import commands_of
from tests.patience import BRAKE_SECONDS

ROOT = Path(__file__).resolve().parents[2]
GUIDES = sorted((ROOT / "docs").glob("*.md"))
OPERATIONS = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
FOUND = [(path.name, command) for path in GUIDES for command in commands_of(path.read_text(encoding="utf-8"))]


@pytest.mark.parametrize(("guide", "line"), FOUND, ids=lambda value: value[:60])
def test_command_in_a_guide_parses(guide, line):
    words = [word for word in shlex.split(line) if not re.match(r"\d?>", word)]
    command: click.Command = cli
    while isinstance(command, click.Group):
        words = arguments_of(command, words)
        if not words and (command is cli or command.invoke_without_command):
            return  # `curator --help`, `curator calibrate --keep 0.9`
        assert words and words[0] in command.commands, f"{guide}: curator {line}: no such command"
        command = command.commands[words.pop(0)]
    arguments_of(command, [word for word in words if word != "--help"])


def arguments_of(command: click.Command, words: list[str]) -> list[str]:
    """What is left after the options of a command. Raises click.UsageError for one that it does not have."""
    left = [word for word in words if word != "--help"]
    return command.make_parser(click.Context(command, help_option_names=["-h", "--help"])).parse_args(args=left)[1]


def test_there_are_commands_to_test():
    assert len(FOUND) >= 15


def test_conditions_in_the_guide_are_conditions():
    found = re.findall(r'--fail-on "([^"]+)"', OPERATIONS)
    assert len(found) >= 3 and all(Condition.parse(text) for text in found)


def test_every_exit_code_has_its_row():
    rows = re.findall(r"^\| (\d+) \|", OPERATIONS, re.MULTILINE)
    assert rows == ["0", "1", "2", "3", "4", "5", "130"]


def test_metrics_in_the_guide_are_those_that_are_written():
    source = (ROOT / "curator" / "workspace" / "night" / "metrics.py").read_text(encoding="utf-8")
    written = {f"curator_{name}" for name in re.findall(r'_(?:gauge|by)\("([a-z_]+)"', source)}
    written |= set(re.findall(r'Metric\(\s*"([a-z_]+)"', source)) - {"curator_info"}
    table = OPERATIONS.partition("## Metrics")[2].partition("A process that is killed")[0]
    assert set(re.findall(r"`(curator_[a-z_]+)", table)) == {name for name in written if name != "curator_info"}


def test_links_in_the_guides_lead_somewhere():
    for path in GUIDES:
        for target, heading in re.findall(r"\]\((?!http)([^)#]*)#?([^)]*)\)", path.read_text(encoding="utf-8")):
            there = path.parent / target if target else path
            assert there.exists(), f"{path.name}: {target}"
            assert not heading or heading in headings(there), f"{path.name}: {target}#{heading}"


def headings(guide: Path) -> set[str]:
    """The headings of a guide as links name them."""
    found = re.findall(r"^#+ (.*)$", guide.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in found}


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not on this machine")
def test_unit_files_are_valid(tmp_path):
    program = tmp_path / "curator"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    units = re.findall(r"`/etc/systemd/system/([^`]+)`[^`]*```ini\n(.*?)```", OPERATIONS, re.DOTALL)
    assert [name for name, _ in units] == ["curator-scan.service", "curator-scan.timer", "curator-failed@.service"]
    for name, text in units:
        text = text.replace("/opt/curator/bin/curator", str(program)).replace("/usr/bin/logger", "/bin/true")
        (tmp_path / name).write_text(text)
    files = [str(tmp_path / name) for name, _ in units if "@" not in name]
    environment = os.environ | {"SYSTEMD_UNIT_PATH": f"{tmp_path}:"}
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *files],
        capture_output=True,
        text=True,
        timeout=BRAKE_SECONDS,
        env=environment,
    )
    said = [line for line in done.stderr.splitlines() if "curator" in line]
    assert (done.returncode, said) == (0, []), done.stderr


def test_what_grows_with_the_lake_is_listed_as_it_was_measured():
    text = (ROOT / "docs" / "scaling-out.md").read_text()
    listed = text.partition("printed -->\n")[2].partition("<!-- /growth -->")[0]
    assert listed == "\n".join([f"Measured on {MEASURED.machine}.", "", *table(MEASURED), ""])

"""The guide to exports: each of its commands runs as it stands, and what it says of files is so."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import duckdb
import pytest

from curator.export.run import FORMATS

GUIDE = (Path(__file__).resolve().parents[2] / "docs" / "export.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", GUIDE, re.DOTALL | re.MULTILINE)
COMMANDS = [line for kind, block in BLOCKS if kind == "" for line in block.splitlines() if "s3://" not in line]


@pytest.fixture
def site(tmp_path, workspace, lake, monkeypatch):
    workspace.scan(lake)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CURATOR_WORKSPACE", str(workspace.layout.root))
    return workspace


@pytest.mark.slow
def test_every_command_of_the_guide_runs_in_its_order(site, run_cli, tmp_path):
    assert len(COMMANDS) >= 10
    for line in COMMANDS:
        assert run_cli(*shlex.split(line)[1:]).output, line
    statement = re.search(r'duckdb\.sql\("(.*)"\)', GUIDE)[1]
    with duckdb.connect() as database:
        rows = database.execute(statement).fetchall()
    assert [count for _, count in rows] == site.sql("select count(*) as n from report.flagged")["n"].to_pylist()
    assert (tmp_path / "worst" / "metadata.jsonl").is_file() and (tmp_path / "events" / "labels.json").is_file()


def test_every_format_is_in_the_table():
    rows = re.findall(r"^\| (`.*?) \|", GUIDE, re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"`([a-z]+)`", row)} == set(FORMATS)


def test_the_command_offers_every_format():
    from curator.cli.export import FORMATS as offered
    from curator.cli.export import TAR_BYTES
    from curator.export.parts import Options

    assert set(offered) == set(FORMATS)
    assert Options().tar_bytes == TAR_BYTES

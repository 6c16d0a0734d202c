"""The memory that the live database may take: as configured, and one clear line where it is too little."""

from __future__ import annotations

import pytest

from curator.errors import ConfigError, WorkspaceError
from curator.workspace import Workspace
from curator.workspace.session import writing


def test_the_ledger_takes_the_memory_that_is_configured(workspace, monkeypatch):
    def limit() -> str:
        opened = Workspace.open(workspace.layout.root)
        with writing(opened._context, "test", {}) as ledger:
            return ledger.database.arrow("select current_setting('memory_limit') as it")["it"][0].as_py()

    config = workspace.layout.config.read_text()
    workspace.layout.config.write_text(config.replace("[ledger]\n", '[ledger]\nmemory_limit = "3GB"\n'))
    assert limit() == "2.7 GiB"
    monkeypatch.setenv("CURATOR_LEDGER_MEMORY_LIMIT", "512MiB")
    assert limit() == "512.0 MiB"


def test_too_little_memory_is_one_line_and_the_next_run_goes_on(workspace, lake, monkeypatch):
    monkeypatch.setenv("CURATOR_LEDGER_MEMORY_LIMIT", "2MB")
    with pytest.raises(WorkspaceError, match="the database has used up its memory") as told:
        Workspace.open(workspace.layout.root).scan(lake)
    assert "ledger.memory_limit" in told.value.hint
    monkeypatch.delenv("CURATOR_LEDGER_MEMORY_LIMIT")
    workspace.scan(lake)
    assert workspace.sql("select count(*) as n from report.images")["n"].to_pylist() == [14]
    assert all(result.healthy for result in workspace.check())


@pytest.mark.parametrize("limit", ["", "0%", "lots", "4", "-1GB"])
def test_what_is_no_amount_is_refused_before_any_work(workspace, monkeypatch, limit):
    monkeypatch.setenv("CURATOR_LEDGER_MEMORY_LIMIT", limit)
    with pytest.raises(ConfigError, match=r"ledger\.memory_limit"):
        Workspace.open(workspace.layout.root)

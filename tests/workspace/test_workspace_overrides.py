"""What a caller overrides holds for the whole run: the configuration is resolved once, when a workspace is opened."""

from __future__ import annotations

import shutil

import pytest

import curator
from curator.config import Config
from curator.errors import WorkspaceError
from curator.store import Database
from curator.workspace.session import open_ledger, writing


def test_the_ledger_takes_the_memory_that_the_caller_says_whoever_opens_it(first_night, monkeypatch):
    site, lake = first_night
    monkeypatch.setenv("CURATOR_LEDGER_MEMORY_LIMIT", "3GB")
    opened = curator.open(site.layout.root, overrides={"ledger.memory_limit": "512MiB"})
    with writing(opened._context, "test", {}) as ledger:
        assert limit_of(ledger.database) == "512.0 MiB"
    with open_ledger(opened._context) as database:
        assert limit_of(database) == "512.0 MiB"
    limits = []
    original = Database.open.__func__
    monkeypatch.setattr(
        Database,
        "open",
        classmethod(lambda cls, *a, **k: (limits.append(k.get("memory_limit")), original(cls, *a, **k))[1]),
    )
    opened.scan(lake)
    opened.collect_garbage()
    opened.backup(site.layout.root.parent / "backups")
    assert set(limits) - {None} == {"512MiB"} and len(limits) >= 3


def limit_of(database: Database) -> str:
    return database.arrow("select current_setting('memory_limit') as it")["it"][0].as_py()


@pytest.mark.parametrize("to", ["copies/", "{tmp}/copies/curator.duckdb"])
def test_every_run_puts_its_snapshot_where_the_caller_says(first_night, tmp_path, monkeypatch, to):
    site, lake = first_night
    monkeypatch.setenv("CURATOR_PUBLISH_TO", str(tmp_path / "elsewhere.duckdb"))
    opened = curator.open(site.layout.root, overrides={"publish.to": to.format(tmp=tmp_path)})
    copy = (site.layout.root if to == "copies/" else tmp_path) / "copies" / "curator.duckdb"
    for run in (lambda: opened.scan(lake), opened.build_bank, lambda: opened.score(method="mcm")):
        copy.unlink(missing_ok=True)
        run()
        assert copy.read_bytes() == site.layout.snapshot.read_bytes()
    assert not (tmp_path / "elsewhere.duckdb").exists()


def test_vectors_are_looked_for_of_the_encoder_that_the_caller_names(first_night):
    site, _ = first_night
    shutil.rmtree(site.layout.root / "vectors")
    with pytest.raises(WorkspaceError, match=r"has none of the .* vector files"):
        site.pin_baseline()
    opened = curator.open(site.layout.root, overrides={"encoder.address": "mini"})
    with writing(opened._context, "test", {}) as ledger:
        assert ledger.database.row("find_encoder", address="fake")


def test_the_file_is_read_once_however_many_runs_follow(first_night, monkeypatch, tmp_path):
    site, lake = first_night
    opened = curator.open(site.layout.root, overrides={"publish.to": str(tmp_path / "copy.duckdb")})
    site.layout.config.write_text("[encoder\n")
    monkeypatch.setattr(Config, "resolve", None)
    opened.scan(lake)
    opened.calibrate(lake)
    opened.build_bank()
    opened.publish()
    opened.collect_garbage(remove=True)
    opened.backup(tmp_path / "backups")
    assert (tmp_path / "copy.duckdb").read_bytes() == site.layout.snapshot.read_bytes()

"""What the configuration names has to be there: told when a workspace is opened, or before a scan or its dry run."""

from __future__ import annotations

import pytest

from curator.errors import ConfigError, UsageError
from curator.workspace import Workspace


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("encoder.address", "clip:ViT-B-32", "encoder.address: no encoder family is called 'clip'"),
        ("scan.method", "neglable", "scan.method: no method is called 'neglable'"),
        ("scan.method", "neglabel:group_count=-3", "scan.method: neglabel: group_count is -3"),
        ("scan.method", "mcm:temperature=nan", "scan.method: mcm: temperature is 'nan'"),
        ("scan.method", "mcm:t=1", "scan.method: method mcm has no parameter 't'"),
        ("scan.method", "mcm(scale=1", "scan.method is"),
        ("generators.describer", "wordnet", "generators.describer: no describer is called 'wordnet'"),
        ("generators.painter", "diffusers", "generators.painter: painter diffusers: diffusers needs a model"),
        ("generators.guide", "shot", "generators.guide: there is no guide 'shot'"),
        ("index.labels", "flatt", "index.labels: no index recipe is called 'flatt'"),
    ],
)
def test_a_name_that_there_is_not_is_refused_by_every_command(workspace, key, value, message):
    with pytest.raises(ConfigError) as caught:
        Workspace.open(workspace.layout.root, overrides={key: value})
    assert message in caught.value.message


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("index.images", "no-such.toml", "index.images: index recipe no-such.toml cannot be read"),
        ("scan.metrics_file", "no/such/folder/night.prom", "metrics cannot be written there"),
        ("publish.to", "https://example.org/curator.duckdb", "publish.to: .*nothing is written to web servers"),
    ],
)
def test_what_a_scan_would_miss_at_its_end_is_refused_before_it_and_by_its_dry_run(
    workspace, lake, monkeypatch, key, value, message
):
    """A query needs none of it."""
    overridden = Workspace.open(workspace.layout.root, overrides={key: value})
    monkeypatch.setenv(f"CURATOR_{key}".upper().replace(".", "_"), value)
    for opened in (overridden, Workspace.open(workspace.layout.root)):
        with pytest.raises(UsageError, match=message):
            opened.preview(lake)
        with pytest.raises(UsageError, match=message):
            opened.scan(lake)
    assert not workspace.layout.ledger.exists()


def test_a_dry_run_checks_the_conditions_of_the_night(workspace, lake, run_cli):
    result = run_cli("scan", lake, "--dry-run", "--fail-on", "flag_rate>nan", folder=workspace.layout.root, code=2)
    assert "--fail-on flag_rate>nan: not of the form" in result.stderr

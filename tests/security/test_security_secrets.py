"""Secrets are taken from the environment, and end up nowhere: no file of the workspace, no line of output."""

from __future__ import annotations

from pathlib import Path

import pytest

from curator.config import Config
from curator.errors import ConfigError

SECRET = "s3cr3t-0123456789"
ADDRESSES = [
    f"s3://user:{SECRET}@bucket/images",
    f"https://user:{SECRET}@127.0.0.1:9/images",
    f"https://{SECRET}@127.0.0.1:9/images",
    f"https://127.0.0.1:9/a.tar?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature={SECRET}",
    f"https://127.0.0.1:9/a.tar?sv=2024&sig={SECRET}",
    f"https://127.0.0.1:9/a.tar?Signature={SECRET}",
    f"https://127.0.0.1:9/a.tar?token={SECRET}",
    f"https://127.0.0.1:9/a.tar?api-key={SECRET}",
]


def files_with_the_secret(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]


@pytest.mark.parametrize("address", ADDRESSES, ids=lambda address: address.replace(SECRET, "…"))
@pytest.mark.parametrize("command", ["scan", "calibrate --reference"])
@pytest.mark.parametrize("how", ["", "-v", "--log-format json"])
def test_an_address_with_a_secret_is_refused_and_repeated_nowhere(attacked, run_cli, address, command, how):
    result = run_cli(*how.split(), *command.split(), address, folder=attacked.layout.root, code=2)
    assert SECRET not in result.output and "credentials" in result.output
    assert files_with_the_secret(attacked.layout.root) == []


@pytest.mark.parametrize("url", [f"http://me:{SECRET}@127.0.0.1/v1", f"https://example.test/v1?api-key={SECRET}"])
def test_a_service_address_with_a_secret_is_refused_by_the_configuration(attacked, run_cli, monkeypatch, url):
    monkeypatch.setenv("CURATOR_GENERATORS_BASE_URL", url)
    for command in (["config"], ["-v", "bank", "eoe", "new"], ["doctor"]):
        output = run_cli(*command, folder=attacked.layout.root, code=2).output
        assert "generators.base_url has credentials in it" in output and SECRET not in output


def test_a_key_in_place_of_the_name_of_its_variable_is_refused_unseen(tmp_path):
    path = tmp_path / "curator.toml"
    path.write_text(f'[generators]\napi_key_variable = "sk-{SECRET}"\n')
    with pytest.raises(ConfigError, match="no name of a variable") as caught:
        Config.resolve(path, environment={})
    assert SECRET not in str(caught.value)


def test_what_stands_in_the_environment_is_not_stored(attacked, run_cli, monkeypatch):
    for name in ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "OPENAI_API_KEY", "HF_TOKEN"):
        monkeypatch.setenv(name, SECRET)
    root = attacked.layout.root
    output = run_cli("-v", "scan", root.parent / "lake", folder=root).output
    for command in (["config"], ["config", "--json"], ["sql", "select * from duckdb_settings()"]):
        output += run_cli(*command, folder=root, code=None).output
    assert SECRET not in output and files_with_the_secret(root) == []

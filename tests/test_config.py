"""Configuration: what goes before what, and that nothing misspelt passes."""

from __future__ import annotations

import re
import tomllib
from dataclasses import fields

import pytest

from curator.config import Config
from curator.errors import ConfigError
from curator.workspace.create import CONFIG_TEXT


@pytest.fixture
def write(tmp_path):
    def write(text: str):
        path = tmp_path / "curator.toml"
        path.write_text(text)
        return path

    return write


def test_defaults_need_no_file():
    config = Config.resolve(None, environment={})
    assert config.encoder.address == "mini"
    assert config.scan.method == "neglabel"


def test_file_goes_before_defaults(write):
    config = Config.resolve(write('[encoder]\naddress = "fake"\n'), environment={})
    assert config.encoder.address == "fake"


def test_environment_goes_before_file_and_options_before_environment(write):
    path = write("[encoder]\nbatch_size = 1\n")
    environment = {"CURATOR_ENCODER_BATCH_SIZE": "2"}
    assert Config.resolve(path, environment=environment).encoder.batch_size == 2
    resolved = Config.resolve(path, environment=environment, overrides={"encoder.batch_size": 3, "scan.bank": None})
    assert resolved.encoder.batch_size == 3
    assert resolved.scan.bank == "base"


@pytest.mark.parametrize("text", ["true", "1"])
def test_booleans_are_read_from_the_environment(text):
    assert Config.resolve(None, environment={"CURATOR_ENCODER_OFFLINE": text}).encoder.offline is True


def test_an_integer_is_a_number(write):
    assert (
        Config.resolve(write("[near_duplicates]\nmin_cosine = 1\n"), environment={}).near_duplicates.min_cosine == 1.0
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[encodr]\naddress = 'x'\n", r"unknown section \[encodr\]"),
        ("[encoder]\nadress = 'x'\n", "unknown key encoder.adress"),
        ("[encoder]\nbatch_size = 'many'\n", "encoder.batch_size is 'many', expected int"),
        ("[encoder]\nbatch_size = true\n", "expected int"),
        ("[encoder]\noffline = 1\n", "expected bool"),
        ("address = 'x'\n", "unknown section"),
        ("not toml", "cannot be read"),
    ],
)
def test_bad_file_is_one_clear_line(write, text, message):
    with pytest.raises(ConfigError, match=message) as caught:
        Config.resolve(write(text), environment={})
    assert "\n" not in caught.value.message
    assert caught.value.exit_code == 2


def test_bad_number_in_the_environment_names_the_key():
    with pytest.raises(ConfigError, match=r"environment: scan.read_threads is 'many'"):
        Config.resolve(None, environment={"CURATOR_SCAN_READ_THREADS": "many"})


def test_what_init_writes_shows_every_section_with_its_defaults(tmp_path):
    """Commented lines are taken for what they show."""
    shown = re.sub(r"^# (\w+ = )", r"\1", CONFIG_TEXT.format(address='"mini"'), flags=re.MULTILINE)
    path = tmp_path / "curator.toml"
    path.write_text(shown)
    assert list(tomllib.loads(shown).keys() ^ {item.name for item in fields(Config)}) == []
    assert Config.resolve(path, environment={}) == Config.resolve(None, environment={})

"""Configuration: what goes before what, and that nothing misspelt passes."""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import fields
from typing import get_type_hints

import pytest

from curator.config import Config
from curator.endings import ending_of
from curator.errors import ConfigError
from curator.workspace.create import config_text


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
        ("[encoder]\nbatch_size = 'many'\n", "encoder.batch_size is 'many'"),
        ("[encoder]\nbatch_size = true\n", "encoder.batch_size is True"),
        ("[encoder]\noffline = 1\n", "encoder.offline is 1"),
        ("address = 'x'\n", "unknown section"),
        ("not toml", "cannot be read"),
        (f"[encoder]\nbatch_size = {'9' * 5000}\n", "cannot be read"),
        ("[encoder]\nbatch_size = 1979-05-27\n", "encoder.batch_size is datetime.date"),
        ("[columns]\n'*' = 'photo'\n", r"columns\.'\*' is 'photo'"),
        ("[columns]\n'*' = { picture = 'photo' }\n", r"unknown key columns\.'\*'.picture"),
        ("[columns]\n'*' = { image = 5 }\n", r"columns\.'\*'.image is 5"),
    ],
)
def test_bad_file_is_one_clear_line(write, text, message):
    with pytest.raises(ConfigError, match=message) as caught:
        Config.resolve(write(text), environment={})
    assert "\n" not in caught.value.message
    assert ending_of(caught.value) == "usage"


def test_bad_number_in_the_environment_names_the_key():
    with pytest.raises(ConfigError, match=r"environment: scan.read_threads is 'many'"):
        Config.resolve(None, environment={"CURATOR_SCAN_READ_THREADS": "many"})


ABSURD = ("-1", "0", "nan", "inf", "1e308", "", "../../etc", "x" * 5000, "a\0b", "true")
SENSIBLE = {
    "encoder.batch_size": {"0"},
    "encoder.compile": {"0", "true"},
    "encoder.offline": {"0", "true"},
    "encoder.address": {"nan", "inf", "true"},  # a family may be registered under any name
    "scan.bank": {"0", "nan", "inf", "1e308", "true"},
    "scan.method": {"nan", "inf", "true"},
    "scan.decode_workers": {"-1", "0"},
    "scan.change_times": {"0", "true"},
    "scan.exclude": {"-1", "0", "nan", "inf", "1e308", "", "../../etc", "true"},  # one item, divided by nothing
    "scan.include": {"-1", "0", "nan", "inf", "1e308", "", "../../etc", "true"},
    "scan.metrics_file": {"-1", "0", "nan", "inf", "1e308", "", "../../etc", "true"},
    "scan.labels_map": {"-1", "0", "nan", "inf", "1e308", "", "../../etc", "true"},
    "scan.max_reject_rate": {"0"},
    "ray.address": {""},
    "ray.encoders": {"0"},
    "ray.decoders": {"0"},
    "generators.max_new_tokens": {"0"},
    "ray.encoder_cpus": {"0"},
    "decode.scaled": {"0", "true"},
    "index.images": {"0", "nan", "inf", "1e308", "true"},
    "index.labels": {"0", "nan", "inf", "1e308", "true"},
    "night.banks": {"0", "nan", "inf", "1e308", "", "true"},
    "near_duplicates.enabled": {"0", "true"},
    "near_duplicates.min_cosine": {"0"},
    "groups.min_cosine": {"0"},
    "generators.describer": {"nan", "inf", "true"},
    "generators.reasoner": {"nan", "inf", "true"},
    "generators.viewer": {"nan", "inf", "true"},
    "generators.painter": {"nan", "inf", "true"},
    "generators.guide": {"nan", "inf", "true"},
    "generators.api_key_variable": {"nan", "inf", "true"},
    "generators.retries": {"0"},
    "publish.to": {"-1", "0", "nan", "inf", "1e308", "", "../../etc", "true"},
}
KEYS = [f"{item.name}.{key}" for item in fields(Config) for key in get_type_hints(item.default_factory)]


@pytest.mark.parametrize("dotted", KEYS)
@pytest.mark.parametrize("text", ABSURD, ids=lambda text: repr(text[:9]))
def test_absurd_values_are_refused_with_place_value_and_what_is_accepted(write, dotted, text):
    """From file, environment and options alike."""
    section, _, key = dotted.partition(".")
    path = write(f"[{section}]\n{key} = {json.dumps(text)}\n")
    ways = {
        str(path): lambda: Config.resolve(path, environment={}),
        "environment": lambda: Config.resolve(None, environment={f"CURATOR_{section}_{key}".upper(): text}),
        "options": lambda: Config.resolve(None, environment={}, overrides={dotted: text}),
    }
    for source, resolve in ways.items():
        if text in SENSIBLE.get(dotted, set()):
            resolve()
            continue
        with pytest.raises(ConfigError) as caught:
            resolve()
        assert re.match(rf"{re.escape(f'{source}: {dotted}')}(, item 1)? is", caught.value.message)
        assert len(caught.value.message) < len(f"{source}: {dotted}") + 80
        assert caught.value.hint.startswith("give ")


def test_defaults_pass_their_own_ranges():
    defaults = Config.resolve(None, environment={})
    overrides = {dotted: getattr(getattr(defaults, dotted.split(".")[0]), dotted.split(".")[1]) for dotted in KEYS}
    assert Config.resolve(None, environment={}, overrides=overrides) == defaults


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -0.01, 1.01, "nan", True])
def test_shares_and_cosines_are_finite_numbers_from_0_to_1(number):
    with pytest.raises(ConfigError, match=r"near_duplicates.min_cosine is .*give a number from 0 to 1"):
        Config.resolve(None, environment={}, overrides={"near_duplicates.min_cosine": number})


@pytest.mark.parametrize("limit", ["0%", "101%", "4", "GB", "0GB", "1e9GB", "25 %%"])
def test_memory_is_a_share_or_an_amount(limit):
    with pytest.raises(ConfigError, match=r"ledger.memory_limit is .*25%, 4GB, 800MiB"):
        Config.resolve(None, environment={"CURATOR_LEDGER_MEMORY_LIMIT": limit})


def test_an_unknown_section_of_options_is_refused():
    with pytest.raises(ConfigError, match="options: unknown section scn"):
        Config.resolve(None, environment={}, overrides={"scn.bank": "base"})


def test_what_init_writes_shows_every_section_with_its_defaults(tmp_path):
    """Commented lines are taken for what they show."""
    shown = re.sub(r"^# (\w+ = )", r"\1", config_text("mini"), flags=re.MULTILINE)
    path = tmp_path / "curator.toml"
    path.write_text(shown)
    assert list(tomllib.loads(shown).keys() ^ {item.name for item in fields(Config)}) == []
    assert Config.resolve(path, environment={}) == Config.resolve(None, environment={})


def test_columns_of_parquet_files_are_given_by_pattern_and_options_come_last(write):
    path = write('[columns]\n"*" = { image = "a" }\n"*/photos/*" = { image = "b.c", label = "kind" }\n')
    found = Config.resolve(path, environment={}, overrides={"columns.**": {"label": "d"}}).columns
    assert {pattern: (rule.image, rule.label) for pattern, rule in found.items()} == {
        "*": ("a", ""),
        "*/photos/*": ("b.c", "kind"),
        "**": ("", "d"),
    }
    assert list(found) == ["*", "*/photos/*", "**"]

"""Specs of banks that systems make: read strictly, written with every default, overridden from the command line."""

from __future__ import annotations

import tomllib

import pytest

from curator.cli.bank import parsed
from curator.errors import ConfigError
from curator.systems.registry import SYSTEMS, find_system
from curator.systems.spec import SystemSpec, read_system_spec, spec_text


@pytest.fixture
def write(tmp_path):
    def write(text):
        path = tmp_path / "bank.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_a_mined_bank_is_no_system(write):
    assert read_system_spec(write('name = "base"\n[id]\nlabels = "labels.txt"\n')) is None


def test_a_spec_names_its_parent_and_overrides_go_before_it(write):
    spec = read_system_spec(write('name = "a"\nparent = "csp@abc"\n[ants]\nimages = 7\nweight = 0.25\n'))
    assert spec is not None and (spec.name, spec.parent, spec.system, spec.banks) == (
        "a",
        "csp@abc",
        "ants",
        ("csp@abc",),
    )
    settings = spec.settings({"images": 9})
    assert (settings.images, settings.weight, settings.eta) == (9, 0.25, 0.5)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('name = "a"\n[ants]\nimags = 7\n', "did you mean ants.images"),
        ('name = "a"\n[ants]\nimages = "many"\n', "images"),
        ('name = "a"\n[ants]\nweight = 2\n', "weight"),
        ('name = "a"\n[ants]\nthreshold = "low"\n', "threshold"),
        ('name = "a"\nparent = "a"\n[ants]\n', "its own parent"),
        ('name = "a"\n[ants]\n[eoe]\n', "one system"),
        ("[ants]\n", "'name' is missing"),
        ('name = "a"\nrole = "id"\n[ants]\n', "role"),
        ('name = "a"\n[ants\n', "TOML"),
        ('name = "a"\n[mmood]\nbranch = "left"\n', "branch"),
        ('name = "a"\n[synood]\nper_class = 0\n', "per_class"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line_that_names_it(write, text, said):
    with pytest.raises(ConfigError) as caught:
        read_system_spec(write(text))
    assert said in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("system", SYSTEMS.names())
def test_the_spec_that_a_first_run_writes_reads_back_as_the_defaults(write, system):
    """Also with every comment sign removed: what is offered is what would be meant."""
    text = spec_text("mine", system, "base")
    defaults = find_system(system).settings()
    for written in (text, "\n".join(line.removeprefix("# ") for line in text.splitlines()[1:])):
        spec = read_system_spec(write(written))
        assert spec is not None and spec.settings() == defaults
    assert set(tomllib.loads(written)[system]) == set(defaults.as_table())


def test_text_from_the_command_line_becomes_what_toml_would_hold():
    given = {
        "images": "7",
        "weight": "0.5",
        "exclude": "false",
        "choose": "both",
        "kind": "sea bird",
        "x": '["a", "b"]',
    }
    assert parsed([f"{key}={value}" for key, value in given.items()]) == {
        "images": 7, "weight": 0.5, "exclude": False, "choose": "both", "kind": "sea bird", "x": ["a", "b"],
    }  # fmt: skip


def test_overrides_are_held_to_the_same_checks():
    with pytest.raises(ConfigError, match="names"):
        SystemSpec("a", "ants").settings({"names": 0})

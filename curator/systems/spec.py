"""The spec of a bank that a system makes: `banks/NAME.toml` with the parent bank and the system's own table.

    name = "ants"
    parent = "base"

    [ants]
    images = 400

The table's keys are the fields of the system's settings; what is not there has its default.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from curator.banks.spec import read_toml
from curator.errors import ConfigError
from curator.ranges import BANK, NAME, Place, read_table, read_value
from curator.systems.registry import SYSTEMS, System, find_system
from curator.systems.settings import SystemSettings


@dataclass(frozen=True, slots=True)
class SystemSpec:
    """A checked spec. `system` is the name of its table; `parent` the address of the bank that it starts from."""

    name: Annotated[str, NAME]
    system: str
    parent: Annotated[str, BANK] = "base"
    table: Mapping[str, object] = field(default_factory=dict)
    where: str = "spec"

    @property
    def made_by(self) -> System:
        return find_system(self.system)

    def settings(self, overrides: Mapping[str, object] | None = None) -> SystemSettings:
        """The settings, with what the command line says on top. Raises ConfigError."""
        return self.made_by.settings.resolve({**self.table, **(overrides or {})}, source=self.where)

    @property
    def files(self) -> tuple[str, ...]:
        return ()

    @property
    def banks(self) -> tuple[str, ...]:
        return (self.parent,)


def read_system_spec(path: Path) -> SystemSpec | None:
    """The spec of a system; None where the file is the spec of a mined bank. Raises ConfigError."""
    data = read_toml(path)
    named = [key for key in SYSTEMS.names() if key in data]
    if not named:
        return None
    if len(named) > 1:
        raise ConfigError(f"{path}: a bank is made by one system, not by {' and '.join(named)}")
    (system,), place = named, Place(str(path), strict=True)
    table = read_value(data.pop(system), Mapping[str, Any], place.at(system))
    spec = read_table(SystemSpec, data, place, given={"system": system, "table": table, "where": str(path)})
    if spec.parent == spec.name:
        raise ConfigError(f"{path}: bank {spec.name} is its own parent", hint="name another bank, or name@<digest>")
    spec.settings()
    return spec


def spec_text(name: str, system: str, parent: str) -> str:
    """The spec that a first run writes: every setting with its default, to be changed."""
    settings = find_system(system).settings().as_table()
    lines = [f"# Bank {name}, made by `curator bank {system}`. These are the defaults: remove a # to change one."]
    lines += [f'name = "{name}"', f'parent = "{parent}"', "", f"[{system}]"]
    lines += [f"# {key} = {json.dumps(value)}" for key, value in settings.items()]  # plain text: as TOML writes it
    return "\n".join(lines) + "\n"

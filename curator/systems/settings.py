"""Settings of systems: frozen dataclasses, each with a `resolve`, whose fields are the keys of a table in a spec."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import fields
from typing import Any


def as_table(settings: Any) -> dict[str, Any]:
    """All settings as JSON values, for the spec of a bank; those that are None are left out."""
    found = {item.name: getattr(settings, item.name) for item in fields(settings)}
    return {
        key: list(value) if isinstance(value, tuple) else value for key, value in found.items() if value is not None
    }


def typed(values: Mapping[str, str]) -> dict[str, Any]:
    """Values from the command line as TOML would hold them: a number, a truth value or a list where they are one, else
    text."""
    return {key: _toml_value(text) for key, text in values.items()}


def _toml_value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text

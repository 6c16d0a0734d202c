"""Checks of the values of a bank spec, key by key. A check returns the value as the spec holds it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any, TypeAlias

from curator.banks.labels import checked_labels
from curator.banks.prompts import Template, resolve_template
from curator.errors import ConfigError, UsageError
from curator.printable import text_fault
from curator.ranges import NAME_PATTERN

Check: TypeAlias = Callable[[Any], Any]  # raises ValueError, saying what the value must be


def read_table(table: Mapping[str, Any], checks: Mapping[str, Check], where: str, prefix: str = "") -> dict[str, Any]:
    """The table's values, each through the check of its key. Raises ConfigError with `where`, the key and a hint."""
    values = {}
    for key, value in table.items():
        if key not in checks:
            close = get_close_matches(key, checks, n=1)
            hint = f"did you mean {prefix}{close[0]}?" if close else f"known: {', '.join(sorted(checks))}"
            raise ConfigError(f"{where}: unknown key {prefix + key!r}", hint=hint)
        try:
            values[key] = checks[key](value)
        except UsageError as error:
            raise ConfigError(f"{where}: {prefix}{key}: {error.message}", hint=error.hint) from error
        except ValueError as error:
            raise ConfigError(f"{where}: {prefix}{key} must be {error}, not {value!r}") from error
    return values


def text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip() or text_fault(value, lines=True):
        raise ValueError("a text without control characters")
    return value


def name(value: Any) -> str:
    """Also a folder's name and part of an address `name@digest`, so no slash, no @ and no leading dot."""
    if not isinstance(value, str) or not re.fullmatch(NAME_PATTERN, value):
        raise ValueError("up to 64 letters, digits, dots, dashes and underscores")
    return value


def bank_address(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(NAME_PATTERN + "(@[0-9A-Za-z]+)?", value):
        raise ValueError("the name of a bank, or one version of it as name@digest")
    return value


def table(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError("a table")
    return value


def tables(value: Any) -> list[Mapping[str, Any]]:
    if not isinstance(value, list) or not value or not all(isinstance(item, Mapping) for item in value):
        raise ValueError("one or more tables, each written as [[…]]")
    return value


def flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false")
    return value


def share(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1:
        raise ValueError("a number above 0 and at most 1")
    return float(value)


def count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError("a whole number, 0 or more")
    return value


def one_of(value: Any, *, known: tuple[str, ...]) -> str:
    if value not in known:
        raise ValueError(f"one of {', '.join(known)}")
    return str(value)


def some_of(value: Any, *, known: tuple[str, ...]) -> tuple[str, ...]:
    if not isinstance(value, list) or len(set(map(str, value))) != len(value) or not set(map(str, value)) <= set(known):
        raise ValueError(f"a list of distinct names out of {', '.join(known)}")
    return tuple(value)


def texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError("a list of texts")
    return tuple(checked_labels(((f"item {place}", item.strip()) for place, item in enumerate(value, 1)), "the list"))


def template(value: Any) -> Template:
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return resolve_template(value)
    return resolve_template(text(value))


def labels(value: Any) -> str | tuple[str, ...]:
    """A file's path, or the labels themselves."""
    return texts(value) if isinstance(value, list) else text(value)


def synonyms(value: Any) -> dict[str, tuple[str, ...]]:
    return {label: texts(names) for label, names in table(value).items()}

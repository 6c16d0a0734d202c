"""Checks of values that settings of systems hold, beyond those of a bank spec (see banks/checks.py).

A check returns the value as the settings hold it, or raises ValueError that says what the value must be.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields
from functools import partial
from typing import Any

from curator.banks.checks import Check, one_of, read_table
from curator.banks.prompts import Template, resolve_template


def positive_count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError("a whole number, 1 or more")
    return value


def number(value: Any, *, low: float = 0.0, high: float = math.inf) -> float:
    """A number from low to high, both included; an infinite or undefined one never is."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError("a number")
    if not low <= value <= high:
        raise ValueError(f"a number of at least {low:g}" + ("" if math.isinf(high) else f" and at most {high:g}"))
    return float(value)


def positive_number(value: Any) -> float:
    if number(value) == 0:
        raise ValueError("a number above 0")
    return float(value)


def between(low: float, high: float) -> Check:
    return partial(number, low=low, high=high)


def out_of(*known: str) -> Check:
    return partial(one_of, known=known)


def or_none(check: Check) -> Check:
    """None, or what passes the check."""
    return lambda value: None if value is None else check(value)


def template_name(value: Any) -> str | tuple[str, ...]:
    """The name of a template, one of its own, or several; kept as it was written (see banks/prompts.py)."""
    template_of(value)
    return tuple(value) if isinstance(value, list) else value


def template_of(value: Any) -> Template:
    """The template that a setting names. Raises UsageError for one without its place, ValueError for no text."""
    if isinstance(value, str):
        return resolve_template(value)
    if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        return resolve_template(list(value))
    raise ValueError("a template, or a list of them")


def check_fields(settings: Any, checks: Mapping[str, Check], where: str) -> None:
    """Raises ConfigError unless every field of the settings passes its check."""
    read_table({item.name: getattr(settings, item.name) for item in fields(settings)}, checks, where)

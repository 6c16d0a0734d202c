"""What the fields of an options class may hold: said beside each field, by annotation, and held to by one reader.

    batch_size: Annotated[int, Range(0, 65_536, "images")] = 0
    engine: Literal["local", "ray"] = "local"
    exclude: tuple[Annotated[str, TEXT], ...] = ()

A field is a bool, an int, a float, a text, a choice (`Literal`), a list of these (`tuple[X, ...]`) or one of several
kinds (`X | Y`, the first that fits; None is for what is not given). Text is parsed where another kind is wanted, since
an environment holds nothing else: a list is one item a line, or divided by commas.
Numbers are finite always. `accepted` says in words what the reader takes, for messages and for help.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Protocol, Union, get_args, get_origin, get_type_hints

from curator.errors import ConfigError, UsageError
from curator.urls import refuse_secrets

LONGEST_SHOWN = 60
TRUTH = {"true": True, "1": True, "false": False, "0": False}
WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}


class Limit(Protocol):
    """What an annotation holds a value to. `hidden`: the value may be a secret, and no message repeats it."""

    @property
    def accepted(self) -> str:
        """In words, as they follow the kind of the field: ` from 1 to 8`, or a sentence of their own."""

    @property
    def hidden(self) -> bool: ...

    def complaint(self, value: Any) -> str | None:
        """What is wrong with a value of the right kind, as it follows the name of the field; None: nothing."""


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers from `low` to `high`, both included; `above`: `low` itself is not."""

    low: float
    high: float = math.inf
    unit: str = ""
    above: bool = False
    hidden: bool = False

    @property
    def accepted(self) -> str:
        bottom = f" above {_plain(self.low)}" if self.above else f" from {_plain(self.low)}"
        if math.isinf(self.high):
            top = "" if self.above else " up"
        else:
            top = f"{' up' if self.above else ''} to {_plain(self.high)}"
        return bottom + top + (f" ({self.unit})" if self.unit else "")

    def complaint(self, value: Any) -> str | None:
        fits = self.low <= value <= self.high and not (self.above and value == self.low)
        return None if fits else f"is {shown(value)}"


@dataclass(frozen=True, slots=True)
class Form:
    """Text that has the form of a pattern, as a whole, and is printable; `said` describes it.

    fault: what a message says in place of the value, for text in which a secret may stand by mistake.
    secretless: a URL is to have no credentials in it.
    """

    pattern: str
    said: str
    fault: str = ""
    secretless: bool = False
    longest: int = 1000

    @property
    def accepted(self) -> str:
        return self.said

    @property
    def hidden(self) -> bool:
        return bool(self.fault) or self.secretless

    def complaint(self, value: str) -> str | None:
        if self.secretless and _has_secrets(value):
            return "has credentials in it"
        if len(value) <= self.longest and value.isprintable() and re.fullmatch(self.pattern, value):
            return None
        return self.fault or ("is not of that form" if self.hidden else f"is {shown(value)}")


TEXT = Form(r".*\S.*", "a text")
NAME_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"


def accepted(hint: Any) -> str:
    """In words, what a field of this annotation takes."""
    kind, limits = _parts(hint)
    if any(not isinstance(limit, Range) for limit in limits):
        return " and ".join(limit.accepted for limit in limits)
    if kinds := _kinds(kind):
        return " or ".join(map(accepted, kinds))
    if get_origin(kind) is Literal:
        return f"one of {', '.join(map(str, get_args(kind)))}"
    if get_origin(kind) is tuple:
        return f"a list, each item {accepted(get_args(kind)[0])}"
    return WORDS[kind] + "".join(limit.accepted for limit in limits)


def read_fields(kind: Any, values: Mapping[str, tuple[str, Any]], *, where: str) -> dict[str, Any]:
    """Values as the fields of a class hold them; each comes with its source. `where` goes before the name of a field.

    Raises ConfigError with source, field, value and what is accepted.
    """
    hints = get_type_hints(kind, include_extras=True)
    found = {}
    for key, (source, value) in values.items():
        if key not in hints:
            close = get_close_matches(key, hints, n=1)
            known = f"did you mean {where}{close[0]}?" if close else f"known in [{where[:-1]}]: {', '.join(hints)}"
            raise ConfigError(f"{source}: unknown key {where}{key}", hint=known)
        found[key] = read_value(value, hints[key], place=f"{source}: {where}{key}")
    return found


def read_value(value: Any, hint: Any, *, place: str) -> Any:
    """One value as a field of this annotation holds it. Raises ConfigError that begins with `place`."""
    kind, limits = _parts(hint)
    if kinds := _kinds(kind):
        return _checked(_first_that_fits(value, kinds, hint, place), limits, hint, place)
    if get_origin(kind) is tuple:
        if not isinstance(value := _listed(value), list):
            raise ConfigError(f"{place} is {shown(value)}", hint=f"give {accepted(hint)}")
        (item, _) = get_args(kind)
        return tuple(read_value(one, item, place=f"{place}, item {number}") for number, one in enumerate(value, 1))
    found = _converted(value, kind)
    if found is None:
        hidden = any(limit.hidden for limit in limits)
        fault = "is not of that form" if hidden else f"is {shown(value)}"
        raise ConfigError(f"{place} {fault}", hint=f"give {accepted(hint)}")
    return _checked(found, limits, hint, place)


def _checked(found: Any, limits: tuple[Limit, ...], hint: Any, place: str) -> Any:
    for limit in limits:
        if (complaint := limit.complaint(found)) is not None:
            raise ConfigError(f"{place} {complaint}", hint=f"give {accepted(hint)}")
    return found


def _first_that_fits(value: Any, kinds: tuple[Any, ...], hint: Any, place: str) -> Any:
    """The value as one of several kinds. The complaint of one kind alone, where there is but one, is the closer."""
    for kind in kinds:
        try:
            return read_value(value, kind, place=place)
        except ConfigError:
            if len(kinds) == 1:
                raise
    raise ConfigError(f"{place} is {shown(value)}", hint=f"give {accepted(hint)}")


def shown(value: Any) -> str:
    """A value in a message: on one line, and not all of it where it is long."""
    text = repr(value) if not isinstance(value, int) or abs(value) < 10**18 else "too large"  # digits take their time
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"


def _parts(hint: Any) -> tuple[Any, tuple[Limit, ...]]:
    """The bare type of an annotation, and its limits."""
    kind, *limits = get_args(hint) if get_origin(hint) is Annotated else (hint,)
    return kind, tuple(limits)


def _kinds(kind: Any) -> tuple[Any, ...]:
    """The kinds of a union, less None; none for any other type."""
    return tuple(one for one in get_args(kind) if one is not NoneType) if get_origin(kind) in (Union, UnionType) else ()


def _converted(value: Any, kind: Any) -> Any:
    """The value as a bool, int, finite float, str or one of a choice; None where it is none. A bool is no number."""
    if get_origin(kind) is Literal:
        return value if value in get_args(kind) else None
    if isinstance(value, str) and kind is bool:
        return TRUTH.get(value.lower())
    if (isinstance(value, str) and kind in (int, float)) or (kind is float and type(value) is int):
        try:
            value = kind(value)
        except (ValueError, OverflowError):
            return None
    return None if type(value) is not kind or (kind is float and not math.isfinite(value)) else value


def _listed(value: Any) -> Any:
    if isinstance(value, str):
        items = value.splitlines() if "\n" in value else value.split(",")
        return [item.strip() for item in items if item.strip()]
    return list(value) if isinstance(value, list | tuple) else value


def _has_secrets(url: str) -> bool:
    try:
        refuse_secrets(url)
    except UsageError:
        return True
    return False


def _plain(number: float) -> str:
    return f"{number:g}" if number < 10**6 and number != int(number) else f"{int(number):d}"

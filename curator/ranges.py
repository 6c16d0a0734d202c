"""The one reader of tables: what each field of an options class may hold is said beside it, by annotation.

    batch_size: Annotated[int, Range(0, 65_536, "images")] = 0
    engine: Literal["local", "ray"] = "local"
    exclude: tuple[Annotated[str, TEXT], ...] = ()
    offline: Annotated[bool, "never touch the network"] = False

A text among the notes says what the field is for. A field is a bool, an int, a float, a text, a choice (`Literal`), a
list of these (`tuple[X, ...]`), a table of these by name (`Mapping[str, X]`), another options class, a list of such, or
one of several kinds (`X | Y`, the first that fits; None is for what is not given). Numbers are finite always.
`accepted` says in words what the reader takes, `about` also what for.

Text is parsed where another kind is wanted, since an environment holds nothing else: a list is one item a line, or
divided by commas. Not where a place is `strict`: in files that are read alone, a value is of its kind.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from difflib import get_close_matches
from functools import cache
from types import MappingProxyType, NoneType, UnionType
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Literal,
    Protocol,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from curator.errors import ConfigError, UsageError
from curator.urls import refuse_secrets

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Options = TypeVar("Options", bound="DataclassInstance")

LONGEST_SHOWN = 60
TRUTH = {"true": True, "1": True, "false": False, "0": False}
WORDS: Mapping[object, str] = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
NOTHING: Mapping[str, object] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Place:
    """Where values stand: the file (or `environment`, `options`) that messages begin with, and the table in it.

    strict: a value is of its kind; elsewhere text is parsed.
    """

    source: str
    path: str = ""
    strict: bool = False

    def __str__(self) -> str:
        return f"{self.source}: {self.path}"

    def at(self, key: str) -> Place:
        return Place(self.source, f"{self.path}.{key}" if self.path else key, self.strict)

    def item(self, number: int, *, is_table: bool = False) -> Place:
        return Place(self.source, f"{self.path}[{number}]" if is_table else f"{self.path}, item {number}", self.strict)

    def refusal(self, value: object, said: str, complaint: str) -> ConfigError:
        if self.strict:
            return ConfigError(f"{self} must be {said}, not {shown(value)}")
        return ConfigError(f"{self} {complaint}", hint=f"give {said}")

    def unknown(self, key: str, known: Mapping[str, object]) -> ConfigError:
        close, path = get_close_matches(key, known, n=1), self.at(key).path
        among = f"known in [{self.path}]" if self.path else "known"
        hint = f"did you mean {self.at(close[0]).path}?" if close else f"{among}: {', '.join(known)}"
        return ConfigError(f"{self.source}: unknown key {repr(path) if self.strict else path}", hint=hint)


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


@dataclass(frozen=True, slots=True)
class Parsed:
    """A value of any kind as `parse` has it, which raises ValueError where it is none, UsageError that says why.

    A ValueError may say in words what is wanted, where that is less than `accepted`.
    """

    parse: Callable[[Any], object]  # of what tomllib gives
    accepted: str

    def read(self, value: object, place: Place) -> object:
        try:
            return self.parse(value)
        except UsageError as fault:
            raise ConfigError(f"{place}: {fault.message}", hint=fault.hint) from fault
        except ValueError as fault:
            raise place.refusal(value, str(fault) or self.accepted, f"is {shown(value)}") from fault


TEXT = Form(r".*\S.*", "a text")
NAME_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
# Also a folder's name and part of an address `name@digest`, so no slash, no @ and no leading dot.
NAME = Form(NAME_PATTERN, "up to 64 letters, digits, dots, dashes and underscores")
BANK = Form(
    NAME_PATTERN + "(@[0-9A-Za-z]{1,64})?", "the name of a bank such as base, or one version of it as name@digest"
)


def accepted(hint: object) -> str:
    """In words, what a field of this annotation takes."""
    kind, limits = _parts(hint)
    if any(not isinstance(limit, Range) for limit in limits):
        return " and ".join(limit.accepted for limit in limits)
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return " or ".join(accepted(one) for one in inner if one is not NoneType)
    if origin is Literal:
        return f"one of {', '.join(map(str, inner))}" if len(inner) > 1 else f'"{inner[0]}"'
    if origin is tuple:
        if _is_table(inner[0]):
            return "one or more tables, each written as [[…]]"
        return f"a list, each item {accepted(inner[0])}"
    if is_dataclass(kind) and isinstance(kind, type):
        return f"a table of {', '.join(hints_of(kind))}"
    return WORDS.get(kind, "a table") + "".join(limit.accepted for limit in limits)


def about(hint: object) -> str:
    """A field in words: what it takes, and what it is for."""
    said = [note for note in get_args(hint) if isinstance(note, str)] if get_origin(hint) is Annotated else []
    return "; ".join([accepted(hint), *said])


def choices(kind: type[DataclassInstance], name: str) -> tuple[str, ...]:
    """What a field that is a choice may be."""
    return get_args(_parts(hints_of(kind)[name])[0])


def parse_toml(text: str, *, where: str) -> dict[str, Any]:
    """The tables of a TOML file. Raises ConfigError that begins with `where`."""
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as fault:  # a ValueError also for a number of thousands of digits
        raise ConfigError(f"{where} is not valid TOML: {fault}") from fault


def read_table(
    kind: type[Options],
    table: Mapping[str, object],
    place: Place,
    *,
    given: Mapping[str, object] = NOTHING,
    defaults: Mapping[str, object] = NOTHING,
) -> Options:
    """A table as an options class. `given`: fields that are no keys of it; `defaults`: in place of those of the class.

    Raises ConfigError with place, value and what is accepted, also for a key that is unknown or missing.
    """
    values = {**defaults, **read_fields(kind, table, place, but=given), **given}
    for item in fields(kind):
        if item.name not in values and item.default is MISSING and item.default_factory is MISSING:
            said = accepted(hints_of(kind)[item.name])
            raise ConfigError(f"{place.source}: the key {place.at(item.name).path!r} is missing", hint=f"give {said}")
    return kind(**values)


def read_fields(
    kind: type[DataclassInstance], table: Mapping[str, object], place: Place, *, but: Mapping[str, object] = NOTHING
) -> dict[str, object]:
    """The values of a table as the fields of a class hold them, which are its keys, `but` some. Raises ConfigError."""
    hints = {name: hint for name, hint in hints_of(kind).items() if name not in but}
    found = {}
    for key, value in table.items():
        if key not in hints:
            raise place.unknown(key, hints)
        found[key] = read_value(value, hints[key], place.at(key))
    return found


def check_fields(options: DataclassInstance, place: Place) -> None:
    """Raises ConfigError unless the fields of an options class, however it was made, hold what they may."""
    for name, hint in hints_of(type(options)).items():
        value = getattr(options, name)
        if value is not None or NoneType not in get_args(_parts(hint)[0]):
            read_value(value, hint, place.at(name))


def hints_of(kind: type[DataclassInstance]) -> Mapping[str, object]:
    """The annotations of the fields of a class."""
    plain: type = kind  # the class of a protocol's instance counts as not hashable
    hints = _annotations(plain)
    return {item.name: hints[item.name] for item in fields(kind)}


@cache
def _annotations(kind: type) -> Mapping[str, object]:
    return get_type_hints(kind, include_extras=True)


def read_value(value: object, hint: object, place: Place) -> Any:
    """One value as a field of this annotation holds it. Raises ConfigError that begins with `place`."""
    kind, limits = _parts(hint)
    for limit in limits:
        if isinstance(limit, Parsed):
            return limit.read(value, place)
    held = [limit for limit in limits if not isinstance(limit, Parsed)]
    if (found := _read(value, kind, place)) is None:
        complaint = "is not of that form" if any(limit.hidden for limit in held) else f"is {shown(value)}"
        raise place.refusal(value, accepted(hint), complaint)
    for limit in held:
        if (fault := limit.complaint(found)) is not None:
            raise place.refusal(value, accepted(hint), fault)
    return found


def _read(value: object, kind: Any, place: Place) -> object:
    """The value as a type has it; None where it is of another."""
    if kind is Any:
        return value
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return _first_that_fits(value, [one for one in inner if one is not NoneType], place)
    if is_dataclass(kind) and isinstance(kind, type):
        return read_table(kind, value, place) if isinstance(value, Mapping) else None
    if origin is tuple:
        return _items(value, inner[0], place)
    if origin is Mapping:
        return _named(value, inner[1], place)
    return _scalar(value, kind, parse=not place.strict)


def _first_that_fits(value: object, kinds: list[object], place: Place) -> object:
    """The value as one of several kinds. The complaint of one kind alone, where there is but one, is the closer."""
    for kind in kinds:
        try:
            return read_value(value, kind, place)
        except ConfigError:
            if len(kinds) == 1:
                raise
    return None


def _items(value: object, hint: object, place: Place) -> tuple[object, ...] | None:
    """The items of a list. One of tables holds one at least."""
    if isinstance(value, str) and not place.strict:
        parts = value.splitlines() if "\n" in value else value.split(",")
        value = [item.strip() for item in parts if item.strip()]
    tables = _is_table(hint)
    if not isinstance(value, list | tuple) or (tables and not value):
        return None
    return tuple(read_value(one, hint, place.item(number, is_table=tables)) for number, one in enumerate(value, 1))


def _is_table(hint: object) -> bool:
    return is_dataclass(hint) or get_origin(hint) is Mapping


def _named(value: object, hint: object, place: Place) -> dict[str, object] | None:
    if not isinstance(value, Mapping):
        return None
    return {
        name: read_value(one, hint, place.at(name if name.isidentifier() else shown(name)))
        for name, one in value.items()
    }


def _scalar(value: Any, kind: Any, *, parse: bool) -> object:
    """The value as a bool, int, finite float, str or one of a choice; None where it is none. A bool is no number."""
    if get_origin(kind) is Literal:
        return value if value in get_args(kind) else None
    if isinstance(value, str) and kind is bool and parse:
        return TRUTH.get(value.lower())
    if (isinstance(value, str) and kind in (int, float) and parse) or (kind is float and type(value) is int):
        try:
            value = kind(value)
        except (ValueError, OverflowError):
            return None
    return None if type(value) is not kind or (kind is float and not math.isfinite(value)) else value


def shown(value: object) -> str:
    """A value in a message: on one line, and not all of it where it is long."""
    text = repr(value) if not isinstance(value, int) or abs(value) < 10**18 else "too large"  # digits take their time
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"


def _parts(hint: object) -> tuple[Any, tuple[Limit | Parsed, ...]]:
    """The bare type of an annotation, and its limits."""
    kind, *notes = get_args(hint) if get_origin(hint) is Annotated else (hint,)
    return kind, tuple(note for note in notes if not isinstance(note, str))


def _has_secrets(url: str) -> bool:
    try:
        refuse_secrets(url)
    except UsageError:
        return True
    return False


def _plain(number: float) -> str:
    return f"{number:g}" if number < 10**6 and number != int(number) else f"{int(number):d}"

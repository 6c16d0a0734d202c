"""Published protocols: which lists of images, how many, under which encoder, and the figures printed for them.

One TOML file each (`curator/protocols/*.toml`, or a path). Every key is checked. A published figure keeps the positive
class of its FPR95: figures of the two definitions are never put in one column.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal, TypeAlias, TypeVar

from curator.errors import ConfigError, UsageError
from curator.evaluation.figures import AVERAGES, Group
from curator.paths import expanded
from curator.resources import read_folder

PublishedPositive: TypeAlias = Literal["id", "ood", "unstated"]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ImageList:
    """A list of images: its name, which is also its folder in the data folder, and how many images it holds."""

    name: str
    title: str
    images: int
    group: Group | None = None  # of an OOD list


@dataclass(frozen=True, slots=True)
class PublishedFigures:
    """AUROC and FPR95 as printed, in percent; None where the source does not give it."""

    auroc: float | None = None
    fpr95: float | None = None


@dataclass(frozen=True, slots=True)
class PublishedRow:
    """One row of a table: the method's name, where it is printed, the positive class of its FPR95, and its figures by
    the name of an OOD list or `average`, `near`, `far`."""

    method: str
    source: str
    positive: PublishedPositive
    figures: Mapping[str, PublishedFigures]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Protocol:
    """A checked protocol."""

    name: str
    title: str
    encoder: str
    id: ImageList
    ood: tuple[ImageList, ...]
    published: tuple[PublishedRow, ...] = ()

    @property
    def groups(self) -> dict[str, Group]:
        return {item.name: item.group for item in self.ood if item.group is not None}


def load_protocol(address: str) -> Protocol:
    """A shipped protocol by name, or one of your own by the path of its `.toml` file.

    Raises UsageError for an unknown name, ConfigError that names file and key for a bad file.
    """
    shipped = read_folder("curator.protocols", suffix=".toml")
    if address in shipped:
        return parse_protocol(shipped[address], where=f"{address}.toml")
    if not address.endswith(".toml"):
        close = get_close_matches(address, shipped, n=1)
        hint = f"did you mean {close[0]}?" if close else f"known: {', '.join(shipped)}; or the path of a .toml file"
        raise UsageError(f"no protocol is called {address!r}", hint=hint)
    try:
        return parse_protocol(expanded(address).read_text(encoding="utf-8"), where=address)
    except (OSError, UnicodeDecodeError) as fault:
        raise ConfigError(f"{address}: the protocol cannot be read: {fault}") from fault


def parse_protocol(text: str, *, where: str) -> Protocol:
    """From the text of a file; `where` names it in messages. Raises ConfigError."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as fault:
        raise ConfigError(f"{where} is not valid TOML: {fault}") from fault
    table = _Table(document, where)
    protocol = Protocol(
        table.take("name", str),
        table.take("title", str),
        table.take("encoder", str),
        _image_list(_Table(table.take("id", dict), f"{where}: id"), grouped=False),
        tuple(
            _image_list(_Table(item, f"{where}: ood {place}"), grouped=True)
            for place, item in enumerate(table.take("ood", list), 1)
        ),
        tuple(
            _published_row(_Table(item, f"{where}: published {place}"))
            for place, item in enumerate(table.take("published", list, []), 1)
        ),
    )
    table.end()
    _check_names(protocol, where)
    return protocol


def _image_list(table: _Table, *, grouped: bool) -> ImageList:
    name, title, images = table.take("name", str), table.take("title", str), table.take("images", int)
    group: Any = table.one_of("group", ("near", "far")) if grouped else None
    table.end()
    return ImageList(name, title, images, group)


def _published_row(table: _Table) -> PublishedRow:
    row = PublishedRow(
        table.take("method", str),
        table.take("source", str),
        table.one_of("positive", ("id", "ood", "unstated")),  # type: ignore[arg-type]  # one of the three
        {
            name: _figures(_Table(item, f"{table.where}: figures.{name}"))
            for name, item in table.take("figures", dict).items()
        },
        table.take("note", str, ""),
    )
    table.end()
    return row


def _figures(table: _Table) -> PublishedFigures:
    values = {key: table.take(key, float, None) for key in ("auroc", "fpr95")}
    table.end()
    for key, value in values.items():
        if value is not None and not 0 <= value <= 100:
            raise ConfigError(f"{table.where}: {key} is {value}, not a percentage")
    return PublishedFigures(**values)


def _check_names(protocol: Protocol, where: str) -> None:
    names = [item.name for item in protocol.ood]
    if not names or len(set(names)) < len(names) or {protocol.id.name, *AVERAGES} & set(names):
        raise ConfigError(f"{where}: the OOD lists need names of their own, none of {', '.join(AVERAGES)}")
    for row in protocol.published:
        if unknown := row.figures.keys() - {*names, *AVERAGES}:
            raise ConfigError(f"{where}: {row.method} has figures for {', '.join(sorted(unknown))}, which is no list")


class _Table:
    """A table of which every key is taken once; what is left over at the end is an unknown key."""

    def __init__(self, values: Any, where: str) -> None:
        if not isinstance(values, dict):
            raise ConfigError(f"{where} must be a table")
        self.where = where
        self._values = dict(values)

    def take(self, key: str, kind: type[T], *default: Any) -> T:
        """The value of a key; whole numbers pass for percentages. Raises ConfigError when it is missing or another."""
        if key not in self._values:
            if default:
                return default[0]  # type: ignore[no-any-return]  # the caller's own default
            raise ConfigError(f"{self.where}: the key {key!r} is missing")
        value = self._values.pop(key)
        if kind is float and type(value) is int:
            value = float(value)
        if type(value) is not kind or value == "":
            raise ConfigError(f"{self.where}: {key} is {value!r}, expected {kind.__name__}")
        return value

    def one_of(self, key: str, known: tuple[str, ...]) -> str:
        value = self.take(key, str)
        if value not in known:
            raise ConfigError(f"{self.where}: {key} is {value!r}", hint=f"one of: {', '.join(known)}")
        return value

    def end(self) -> None:
        """Raises ConfigError for keys that nobody took."""
        if self._values:
            raise ConfigError(f"{self.where}: unknown key {', '.join(map(repr, self._values))}")

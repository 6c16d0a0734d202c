"""The bank spec: a TOML file in the workspace that says which labels are ID and where negatives come from.

Every key is checked; an unknown one is an error, because a misspelt `fraction` that is ignored gives a wrong bank.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from curator.banks.checks import Labels, Share, TemplateText, Text, Texts
from curator.banks.prompts import TEMPLATES
from curator.banks.published import PUBLISHED, Published
from curator.banks.sources import SOURCES, LabelSource, WordNetSource
from curator.errors import ConfigError
from curator.ranges import BANK, NAME, Place, Range, parse_toml, read_table, read_value

Statistic: TypeAlias = Literal["linear", "order"]
Order: TypeAlias = Literal["nouns_first", "adjectives_first"]
# A bank that does not use them has the digest that it had before they existed.
LATER_RULES = ("exclude_above", "remove_proper_nouns", "remove_subcategories", "remove_labels", "keep_labels", "refine")


@dataclass(frozen=True, slots=True)
class IdSpec:
    """The ID side. `labels`: a file relative to the workspace, or the labels; or else `bank`: those of another bank.

    `synonyms`: other names by label; those of the other bank hold too. `repeats`: a label may stand twice in the file,
    and then counts twice, as in published lists.
    """

    labels: Labels | None = None
    template: TemplateText = TEMPLATES["nice"]
    synonyms: Mapping[str, Texts] = field(default_factory=dict)
    bank: Annotated[str, BANK] | None = None
    repeats: bool = False

    def as_mapping(self) -> Mapping[str, object]:
        """With only that of `labels` and `bank` which was given; and `repeats`, which came later, where it is set."""
        return {key: value for key, value in asdict(self).items() if value is not None and value is not False}


@dataclass(frozen=True, slots=True)
class MiningSpec:
    """How negatives are chosen. `fraction` in (0, 1] of each part of speech, or `limit` in all, shared by size.

    `exclude_above`: no candidate with a higher cosine to any ID label; None for no such rule. `remove_proper_nouns` and
    `remove_subcategories` are about candidates too, and not about what is kept as it is. `remove_labels`: texts that no
    source may contribute; `keep_labels`: texts that no other rule takes out. `refine`: a reasoner is asked which of the
    chosen are proper nouns or kinds of ID labels, and these go; `curator bank build` asks.
    """

    method: Text = "neglabel"
    fraction: Share = 0.15
    limit: Annotated[int, Range(0)] | None = None
    quantile: Share = 0.95
    statistic: Statistic = "linear"
    order: Order = "nouns_first"
    remove_id_names: bool | Literal["exact"] = True
    exclude_above: Share | None = None
    remove_proper_nouns: bool = False
    remove_subcategories: bool = False
    remove_labels: Texts = ()
    keep_labels: Texts = ()
    refine: bool = False

    def as_mapping(self) -> Mapping[str, object]:
        """Without the rules that came later where they are not used, as in banks from before they existed."""
        return {
            key: value
            for key, value in asdict(self).items()
            if key not in LATER_RULES or value not in (None, False, ())
        }


@dataclass(frozen=True, slots=True)
class BankSpec:
    """A checked bank spec with every default filled in. `sources` are in the order of their labels in the bank."""

    name: str
    id: IdSpec
    sources: tuple[LabelSource, ...] = (WordNetSource(),)
    mining: MiningSpec = MiningSpec()

    @property
    def files(self) -> tuple[str, ...]:
        """The files it reads, relative to the workspace, each once."""
        own = (self.id.labels,) if isinstance(self.id.labels, str) else ()
        return tuple(dict.fromkeys((*own, *(file for source in self.sources for file in source.files))))

    @property
    def banks(self) -> tuple[str, ...]:
        """The addresses of the banks it takes labels from, each once."""
        own = () if self.id.bank is None else (self.id.bank,)
        return tuple(dict.fromkeys((*own, *(bank for source in self.sources for bank in source.banks))))

    def as_mapping(self) -> dict[str, object]:
        """Plain JSON values, the same for the same meaning: what a bank keeps of its spec."""
        negatives: dict[str, object] = {}
        for kind, source_type in SOURCES.items():
            options = [source.as_mapping() for source in self.sources if isinstance(source, source_type)]
            if options:
                negatives[kind] = options if source_type.repeats else options[0]
        tables = {"id": self.id.as_mapping(), "negatives": negatives, "mining": self.mining.as_mapping()}
        return {"name": self.name, **{key: _plain(value) for key, value in tables.items()}}


def read_spec(path: Path) -> BankSpec:
    """Reads a spec file. Raises ConfigError that names the file and the key."""
    return parse_spec(read_toml(path), where=str(path))


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a spec file, of whatever kind of bank. Raises ConfigError."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot read the bank spec {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from error
    return parse_toml(text, where=str(path))


@dataclass(frozen=True, slots=True)
class _Tables:
    """What a spec file holds. The other tables have defaults that depend on `mining.method`."""

    name: Annotated[str, NAME]
    id: Mapping[str, Any] = field(default_factory=dict)
    negatives: Mapping[str, Any] = field(default_factory=dict)
    mining: MiningSpec = MiningSpec()


def parse_spec(data: Mapping[str, Any], *, where: str) -> BankSpec:
    """From the tables of a spec; `where` names their file in messages. Raises ConfigError."""
    place = Place(where, strict=True)
    tables = read_table(_Tables, data, place)
    if {"fraction", "limit"} <= data.get("mining", {}).keys():
        raise ConfigError(f"{where}: mining.fraction and mining.limit are alternatives", hint="remove one of them")
    mining = tables.mining
    published = PUBLISHED.get(mining.method, Published())
    spec = BankSpec(
        name=tables.name,
        id=_read_id(tables.id, place.at("id"), published),
        sources=_read_sources(tables.negatives or {"wordnet": {}}, place.at("negatives"), published),
        mining=replace(mining, exclude_above=mining.exclude_above or published.exclude_above),
    )
    if spec.name in spec.banks:
        raise ConfigError(f"{where}: bank {spec.name} takes labels from itself", hint="name a version: name@<digest>")
    return spec


def _read_id(table: Mapping[str, object], place: Place, published: Published) -> IdSpec:
    found = read_table(IdSpec, table, place, defaults={"template": published.template})
    if found.labels is None and found.bank is None:
        raise ConfigError(f"{place.source}: the key 'id.labels' is missing")
    if found.labels is not None and found.bank is not None:
        raise ConfigError(f"{place.source}: id.labels and id.bank are alternatives", hint="remove one of them")
    return found


def _read_sources(negatives: Mapping[str, object], place: Place, published: Published) -> tuple[LabelSource, ...]:
    if unknown := negatives.keys() - SOURCES.keys():
        raise place.unknown(min(unknown), SOURCES)
    found: list[LabelSource] = []
    for kind, source_type in SOURCES.items():
        if kind in negatives and source_type.repeats:
            tables = read_value(negatives[kind], tuple[Mapping[str, Any], ...], place.at(kind))
            places = [place.at(kind).item(number, is_table=True) for number in range(1, len(tables) + 1)]
        elif kind in negatives:
            tables, places = [read_value(negatives[kind], Mapping[str, Any], place.at(kind))], [place.at(kind)]
        else:
            continue
        found += [source_type.parse(table, at, published) for table, at in zip(tables, places, strict=True)]
    return tuple(found)


def _plain(value: object) -> object:
    """Tuples as lists, all the way down."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value

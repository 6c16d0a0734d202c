"""The bank spec: a TOML file in the workspace that says which labels are ID and where negatives come from.

Every key is checked; an unknown one is an error, because a misspelt `fraction` that is ignored gives a wrong bank.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeAlias

from curator.banks import checks
from curator.banks.checks import Check, read_table
from curator.banks.prompts import TEMPLATES, Template
from curator.banks.published import PUBLISHED, Published
from curator.banks.sources import SOURCES, Source, WordNetSource
from curator.errors import ConfigError

Statistic: TypeAlias = Literal["linear", "order"]
Order: TypeAlias = Literal["nouns_first", "adjectives_first"]

DEFAULT_SPEC = """\
# A label bank: what belongs, and which words stand for everything else.
name = "base"

[id]
labels = "labels.txt"      # a file beside curator.toml, one label a line; or a list: ["tram", "sea horse"]
# bank = "other"           # instead of labels: the ID labels of another bank, or of one version: other@<digest>
template = "nice"          # nice: "The nice {}." · photo: "a photo of a {}." · plain: "{}" · or your own with {}
                           # csp: the mean of 8 templates · or your own list of templates
# synonyms = { tram = ["streetcar"] }   # other names of a label, kept out of the negatives

[negatives.wordnet]        # may be left out where there are lists or banks
parts_of_speech = ["noun", "adjective"]      # a word that is both belongs to the part named first
words = "first"                              # first: one word per concept, as published · all: every synonym
exclude = ["noun.animal", "noun.food"]       # lexicographer files left out, as published
# include = ["noun.artifact"]                # only these files
noun_template = "nice"
adjective_template = "adjective"             # "This is a {} photo."
# superclasses = ["scene", "object"]         # one of these behind each adjective, drawn by `seed`, as CSP does
# seed = 0

# [[negatives.lists]]      # words of your own; any number of such tables
# file = "words.txt"       # one word a line; or words = ["graffiti", "screenshot"]
# part_of_speech = "noun"  # or adjective
# template = "nice"
# mine = false             # false: all become negatives · true: candidates of the mining below

# [[negatives.banks]]      # the negatives of another bank, with their prompts; any number of such tables
# bank = "other"           # its newest version, or one version: other@<digest>
# mine = false

[mining]
method = "neglabel"        # or csp. What this file leaves out is then as the method's authors have it
fraction = 0.15            # of each part of speech, those least similar to the ID labels
# limit = 10000            # instead of fraction: so many in all; 0 for none
quantile = 0.95            # similarity to the ID labels is this quantile of the cosines
statistic = "linear"       # linear: interpolated, as published · order: the sorted value at quantile * labels
order = "nouns_first"      # or adjectives_first
remove_id_names = true     # no negative that names an ID label · "exact": only equal texts · false: as published
# exclude_above = 0.95     # nor one with a higher cosine to any ID label, as CSP has it
# remove_labels = ["word"] # nor these, from whatever source: see `curator bank propose`
"""


@dataclass(frozen=True, slots=True)
class IdSpec:
    """The ID side. `labels`: a file relative to the workspace, or the labels; or else `bank`: those of another bank.

    `synonyms`: other names by label; those of the other bank hold too.
    """

    labels: str | tuple[str, ...] | None = None
    template: Template = TEMPLATES["nice"]
    synonyms: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    bank: str | None = None

    def as_mapping(self) -> Mapping[str, Any]:
        """With only that of `labels` and `bank` which was given."""
        return {key: value for key, value in asdict(self).items() if value is not None}


@dataclass(frozen=True, slots=True)
class MiningSpec:
    """How negatives are chosen. `fraction` in (0, 1] of each part of speech, or `limit` in all, shared by size.

    `exclude_above`: no candidate with a higher cosine to any ID label; None for no such rule. `remove_labels`: texts
    that no source may contribute.
    """

    method: str = "neglabel"
    fraction: float = 0.15
    limit: int | None = None
    quantile: float = 0.95
    statistic: Statistic = "linear"
    order: Order = "nouns_first"
    remove_id_names: bool | Literal["exact"] = True
    exclude_above: float | None = None
    remove_labels: tuple[str, ...] = ()

    def as_mapping(self) -> Mapping[str, Any]:
        """Without the rules that came later where they are not used, as in banks from before they existed."""
        return {
            key: value
            for key, value in asdict(self).items()
            if key not in ("exclude_above", "remove_labels") or value not in (None, ())
        }


@dataclass(frozen=True, slots=True)
class BankSpec:
    """A checked bank spec with every default filled in. `sources` are in the order of their labels in the bank."""

    name: str
    id: IdSpec
    sources: tuple[Source, ...] = (WordNetSource(),)
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

    def as_mapping(self) -> dict[str, Any]:
        """Plain JSON values, the same for the same meaning: what a bank keeps of its spec."""
        negatives: dict[str, Any] = {}
        for kind, source_type in SOURCES.items():
            options = [source.as_mapping() for source in self.sources if isinstance(source, source_type)]
            if options:
                negatives[kind] = options if source_type.repeats else options[0]
        tables = {"id": self.id.as_mapping(), "negatives": negatives, "mining": self.mining.as_mapping()}
        return {"name": self.name, **{key: _plain(value) for key, value in tables.items()}}


def read_spec(path: Path) -> BankSpec:
    """Reads a spec file. Raises ConfigError that names the file and the key."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read the bank spec {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from error
    return parse_spec(data, where=str(path))


def parse_spec(data: Mapping[str, Any], *, where: str) -> BankSpec:
    """From the tables of a spec; `where` names their file in messages. Raises ConfigError."""
    top = {"name": checks.name, "id": checks.table, "negatives": checks.table, "mining": checks.table}
    tables = read_table(data, top, where)
    if "name" not in tables:
        raise ConfigError(f"{where}: the key 'name' is missing")
    mining = read_table(tables.get("mining", {}), _MINING_CHECKS, where, "mining.")
    if {"fraction", "limit"} <= mining.keys():
        raise ConfigError(f"{where}: mining.fraction and mining.limit are alternatives", hint="remove one of them")
    published = PUBLISHED.get(mining.get("method", MiningSpec().method), Published())
    spec = BankSpec(
        name=tables["name"],
        id=_read_id(tables.get("id", {}), where, published),
        sources=_read_sources(tables.get("negatives", {}), where, published) or (_published_corpus(where, published),),
        mining=MiningSpec(**{"exclude_above": published.exclude_above} | mining),
    )
    if spec.name in spec.banks:
        raise ConfigError(f"{where}: bank {spec.name} takes labels from itself", hint="name a version: name@<digest>")
    return spec


def _read_id(table: Mapping[str, Any], where: str, published: Published) -> IdSpec:
    values = read_table(table, _ID_CHECKS, where, "id.")
    if "labels" not in values and "bank" not in values:
        raise ConfigError(f"{where}: the key 'id.labels' is missing")
    if {"labels", "bank"} <= values.keys():
        raise ConfigError(f"{where}: id.labels and id.bank are alternatives", hint="remove one of them")
    return IdSpec(**{"template": published.template} | values)


def _read_sources(negatives: Mapping[str, Any], where: str, published: Published) -> tuple[Source, ...]:
    kinds = {kind: checks.tables if source.repeats else checks.table for kind, source in SOURCES.items()}
    given = read_table(negatives, kinds, where, "negatives.")
    placed = [
        (source_type, f"{kind}[{place}]" if source_type.repeats else kind, table)
        for kind, source_type in SOURCES.items()
        if kind in given
        for place, table in enumerate(given[kind] if source_type.repeats else [given[kind]], start=1)
    ]
    return tuple(
        source_type.parse(table, where=where, prefix=f"negatives.{key}.", published=published)
        for source_type, key, table in placed
    )


def _published_corpus(where: str, published: Published) -> Source:
    """What a spec without sources means."""
    return WordNetSource.parse({}, where=where, prefix="negatives.wordnet.", published=published)


def _plain(value: Any) -> Any:
    """Tuples as lists, all the way down."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _which_id_names(value: Any) -> bool | str:
    if isinstance(value, bool):
        return value
    if value != "exact":
        raise ValueError('true or false or "exact"')
    return "exact"


_ID_CHECKS: dict[str, Check] = {
    "labels": checks.labels,
    "template": checks.template,
    "synonyms": checks.synonyms,
    "bank": checks.bank_address,
}
_MINING_CHECKS: dict[str, Check] = {
    "method": checks.text,
    "fraction": checks.share,
    "limit": checks.count,
    "quantile": checks.share,
    "statistic": partial(checks.one_of, known=("linear", "order")),
    "order": partial(checks.one_of, known=("nouns_first", "adjectives_first")),
    "remove_id_names": _which_id_names,
    "exclude_above": checks.share,
    "remove_labels": checks.texts,
}

"""The bank spec: a TOML file in the workspace that says which labels are ID and how negatives are mined.

Every key is checked; an unknown one is an error, because a misspelt `fraction` that is ignored gives a wrong bank.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeAlias

from curator.banks.labels import checked_labels
from curator.banks.prompts import TEMPLATES, resolve_template
from curator.banks.wordnet.lexicon import LEXNAMES_OF, PartOfSpeech
from curator.errors import ConfigError, UsageError

Statistic: TypeAlias = Literal["linear", "order"]
Order: TypeAlias = Literal["nouns_first", "adjectives_first"]
Words: TypeAlias = Literal["first", "all"]
Check: TypeAlias = Callable[[Any], Any]  # the value as the spec holds it; raises ValueError, saying what it must be

ALL_LEXNAMES = (*LEXNAMES_OF["noun"], *LEXNAMES_OF["adjective"])

DEFAULT_SPEC = """\
# A label bank: what belongs, and which words stand for everything else.
name = "base"

[id]
labels = "labels.txt"      # a file beside curator.toml, one label a line; or a list: ["tram", "sea horse"]
template = "nice"          # nice: "The nice {}." · photo: "a photo of a {}." · plain: "{}" · or your own with {}
# synonyms = { tram = ["streetcar"] }   # other names of a label, kept out of the negatives

[negatives.wordnet]
parts_of_speech = ["noun", "adjective"]      # a word that is both belongs to the part named first
words = "first"                              # first: one word per concept, as published · all: every synonym
exclude = ["noun.animal", "noun.food"]       # lexicographer files left out, as published
# include = ["noun.artifact"]                # only these files
noun_template = "nice"
adjective_template = "adjective"             # "This is a {} photo."

[mining]
method = "neglabel"
fraction = 0.15            # of each part of speech, those least similar to the ID labels
# limit = 10000            # instead of fraction: so many in all; 0 for none
quantile = 0.95            # similarity to the ID labels is this quantile of the cosines
statistic = "linear"       # linear: interpolated, as published · order: the sorted value at quantile * labels
order = "nouns_first"      # or adjectives_first
remove_id_names = true     # no negative that names an ID label; the paper keeps them
"""


@dataclass(frozen=True, slots=True)
class IdSpec:
    """The ID side. `labels`: a file relative to the workspace, or the labels; `synonyms`: other names by label."""

    labels: str | tuple[str, ...]
    template: str = TEMPLATES["nice"]
    synonyms: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WordNetSpec:
    """The corpus. `include` empty: all lexicographer files of the parts of speech. Templates hold one `{}`."""

    parts_of_speech: tuple[PartOfSpeech, ...] = ("noun", "adjective")
    words: Words = "first"
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ("noun.animal", "noun.food")
    noun_template: str = TEMPLATES["nice"]
    adjective_template: str = TEMPLATES["adjective"]

    def template(self, part_of_speech: PartOfSpeech) -> str:
        return self.noun_template if part_of_speech == "noun" else self.adjective_template


@dataclass(frozen=True, slots=True)
class MiningSpec:
    """How negatives are chosen. `fraction` in (0, 1] of each part of speech, or `limit` in all, shared by size."""

    method: str = "neglabel"
    fraction: float = 0.15
    limit: int | None = None
    quantile: float = 0.95
    statistic: Statistic = "linear"
    order: Order = "nouns_first"
    remove_id_names: bool = True


@dataclass(frozen=True, slots=True)
class BankSpec:
    """A checked bank spec with every default filled in."""

    name: str
    id: IdSpec
    wordnet: WordNetSpec = WordNetSpec()
    mining: MiningSpec = MiningSpec()

    def as_mapping(self) -> dict[str, Any]:
        """Plain JSON values, the same for the same meaning: what a bank keeps of its spec."""
        tables = asdict(self)
        tables["negatives"] = {"wordnet": tables.pop("wordnet")}
        return {key: _plain(value) for key, value in tables.items()}


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
    tables = _read(data, {"name": _name, "id": _table, "negatives": _table, "mining": _table}, where)
    negatives = _read(tables.get("negatives", {}), {"wordnet": _table}, where, "negatives.")
    id_table = _read(tables.get("id", {}), _ID_CHECKS, where, "id.")
    mining = _read(tables.get("mining", {}), _MINING_CHECKS, where, "mining.")
    for key, given in (("name", tables), ("id.labels", {f"id.{name}": value for name, value in id_table.items()})):
        if key not in given:
            raise ConfigError(f"{where}: the key {key!r} is missing")
    if {"fraction", "limit"} <= mining.keys():
        raise ConfigError(f"{where}: mining.fraction and mining.limit are alternatives", hint="remove one of them")
    wordnet = _read(negatives.get("wordnet", {}), _WORDNET_CHECKS, where, "negatives.wordnet.")
    return BankSpec(tables["name"], IdSpec(**id_table), WordNetSpec(**wordnet), MiningSpec(**mining))


def _read(table: Mapping[str, Any], checks: Mapping[str, Check], where: str, prefix: str = "") -> dict[str, Any]:
    """The table's values, each through the check of its key."""
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


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("a text")
    return value


def _name(value: Any) -> str:
    """Also a folder's name and part of an address `name@digest`, so no slash, no @ and no leading dot."""
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", value):
        raise ValueError("up to 64 letters, digits, dots, dashes and underscores")
    return value


def _table(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError("a table")
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false")
    return value


def _share(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1:
        raise ValueError("a number above 0 and at most 1")
    return float(value)


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError("a whole number, 0 or more")
    return value


def _one_of(value: Any, *, known: tuple[str, ...]) -> str:
    if value not in known:
        raise ValueError(f"one of {', '.join(known)}")
    return str(value)


def _some_of(value: Any, *, known: tuple[str, ...]) -> tuple[str, ...]:
    if not isinstance(value, list) or len(set(map(str, value))) != len(value) or not set(map(str, value)) <= set(known):
        raise ValueError(f"a list of distinct names out of {', '.join(known)}")
    return tuple(value)


def _parts(value: Any) -> tuple[str, ...]:
    parts = _some_of(value, known=("noun", "adjective"))
    if not parts:
        raise ValueError("a list with at least one of noun, adjective")
    return parts


def _template(value: Any) -> str:
    return resolve_template(_text(value))


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError("a list of texts")
    return tuple(checked_labels(((f"item {place}", item.strip()) for place, item in enumerate(value, 1)), "the list"))


def _labels(value: Any) -> str | tuple[str, ...]:
    return _texts(value) if isinstance(value, list) else _text(value)


def _synonyms(value: Any) -> dict[str, tuple[str, ...]]:
    return {label: _texts(names) for label, names in _table(value).items()}


def _plain(value: Any) -> Any:
    """Tuples as lists, all the way down."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


_ID_CHECKS: dict[str, Check] = {"labels": _labels, "template": _template, "synonyms": _synonyms}
_WORDNET_CHECKS: dict[str, Check] = {
    "parts_of_speech": _parts,
    "words": partial(_one_of, known=("first", "all")),
    "include": partial(_some_of, known=ALL_LEXNAMES),
    "exclude": partial(_some_of, known=ALL_LEXNAMES),
    "noun_template": _template,
    "adjective_template": _template,
}
_MINING_CHECKS: dict[str, Check] = {
    "method": _text,
    "fraction": _share,
    "limit": _count,
    "quantile": _share,
    "statistic": partial(_one_of, known=("linear", "order")),
    "order": partial(_one_of, known=("nouns_first", "adjectives_first")),
    "remove_id_names": _flag,
}

"""Index recipes: declarations of how to build and search an index, one TOML file each (`indexes/*.toml`, or a path).

A recipe says what to build with a FAISS factory string, in which `{nlist}` and `{m}` are filled in from the number of
vectors n and the dimension d:

  nlist  the largest power of two within lists_per_root × √n and n / min_per_list
  m      the largest code count that FAISS has on GPU, divides d and leaves dimensions_per_code dimensions to each

Below `min_vectors` the recipe is not worth its cost, and the index is flat. Nothing here imports FAISS.
"""

from __future__ import annotations

import hashlib
import json
import math
import string
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, TypeVar, get_type_hints

from curator.errors import ConfigError, UsageError
from curator.resources import read_folder

FLAT = "Flat"
# GpuIndexIVFPQ implements only these numbers of codes; the CPU index takes any divisor of d.
GPU_CODE_COUNTS = (1, 2, 3, 4, 8, 12, 16, 20, 24, 28, 32, 48, 56, 64, 96)

Section = TypeVar("Section")


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """What shapes the built file. retrain_growth: rebuild once n is this many times the n trained on."""

    lists_per_root: float = 4.0
    sample_per_list: int = 64
    min_per_list: int = 39
    dimensions_per_code: int = 4
    ef_construction: int = 40
    retrain_growth: float = 4.0


@dataclass(frozen=True, slots=True)
class SearchOptions:
    """What a search may spend; changing it rebuilds nothing. probe_fraction in 0–1; k_factor: candidates per result."""

    nprobe: int = 1
    probe_fraction: float = 0.0
    ef_search: int = 64
    k_factor: int = 1


@dataclass(frozen=True, slots=True)
class Contract:
    """Recall against exact search that the recipe promises, 0–1, on a seeded Gaussian mixture.

    `recall_at_10_ood` is for queries from regions that were not there when the index was trained.
    """

    recall_at_10: float = 0.0
    recall_at_10_ood: float = 0.0


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to build and search an index."""

    name: str
    description: str
    factory: str
    metric: Literal["inner_product"] = "inner_product"
    gpu: bool = False
    min_vectors: int = 0
    build: BuildOptions = field(default_factory=BuildOptions)
    search: SearchOptions = field(default_factory=SearchOptions)
    contract: Contract = field(default_factory=Contract)

    @classmethod
    def resolve(cls, table: Mapping[str, Any], *, name: str, where: str) -> Recipe:
        """A recipe from a TOML table. Raises ConfigError naming `where` and the key."""
        sections = {"build": BuildOptions, "search": SearchOptions, "contract": Contract}
        for key in ("description", "factory"):
            if key not in table:
                raise ConfigError(f"{where}: {key!r} is missing")
        plain = {key: value for key, value in table.items() if key not in sections}
        values: dict[str, Any] = {**_checked(cls, plain, where=where), "name": name}
        for key, kind in sections.items():
            values[key] = _section(kind, table.get(key, {}), where=f"{where} [{key}]")
        recipe = cls(**values)
        _check_recipe(recipe, where=where)
        return recipe

    @property
    def digest(self) -> str:
        """Names what is built: equal digests and equal vectors give an equal index file."""
        shaping = [self.factory, self.metric, self.min_vectors, asdict(self.build)]
        return hashlib.sha256(json.dumps(shaping, sort_keys=True).encode()).hexdigest()[:16]

    def is_worth_it(self, count: int) -> bool:
        """Whether `count` vectors are enough for this recipe; else the index is flat."""
        return count >= self.min_vectors

    def is_exact_for(self, count: int) -> bool:
        """Whether so many vectors are compared one by one with each query."""
        return self.factory == FLAT or not self.is_worth_it(count)

    def factory_for(self, count: int, dimension: int) -> str:
        """The FAISS factory string for so many vectors."""
        if self.is_exact_for(count):
            return FLAT
        return self.factory.format(nlist=self._lists(count), m=self._codes(dimension))

    def sample_size(self, count: int) -> int:
        """How many vectors to train on; at least 10,000, which a product quantiser of 256 centroids wants."""
        return min(count, max(10_000, self.build.sample_per_list * self._lists(count)))

    def nprobe_for(self, lists: int) -> int:
        """How many of the lists a search looks into."""
        return min(lists, max(self.search.nprobe, math.ceil(self.search.probe_fraction * lists)))

    def _lists(self, count: int) -> int:
        most = min(self.build.lists_per_root * math.sqrt(count), count / self.build.min_per_list)
        return 1 << max(0, math.floor(math.log2(max(1.0, most))))

    def _codes(self, dimension: int) -> int:
        most = dimension / self.build.dimensions_per_code
        return max((m for m in GPU_CODE_COUNTS if m <= most and dimension % m == 0), default=1)


def list_recipes() -> list[Recipe]:
    """The shipped recipes, by name."""
    return [_parse(text, name=name, where=f"indexes/{name}.toml") for name, text in _shipped().items()]


def load_recipe(name_or_path: str | Path) -> Recipe:
    """A shipped recipe by name, or a user's by the path of its TOML file (which ends in `.toml`).

    Raises UsageError for an unknown name, ConfigError for a bad file.
    """
    text = str(name_or_path)
    if text.endswith(".toml"):
        return _load_file(Path(text))
    shipped = _shipped()
    if text not in shipped:
        raise UsageError(
            f"no index recipe is called {text!r}", hint=f"known: {', '.join(shipped)}, or a path to a .toml"
        )
    return _parse(shipped[text], name=text, where=f"indexes/{text}.toml")


def _shipped() -> dict[str, str]:
    return read_folder("curator.indexes", suffix=".toml")


def _load_file(path: Path) -> Recipe:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"index recipe {path} cannot be read: {error}") from error
    return _parse(text, name=path.stem, where=str(path))


def _parse(text: str, *, name: str, where: str) -> Recipe:
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{where} is not valid TOML: {error}") from error
    return Recipe.resolve(table, name=name, where=where)


def _section(kind: type[Section], table: Any, *, where: str) -> Section:
    if not isinstance(table, Mapping):
        raise ConfigError(f"{where}: must be a table")
    return kind(**_checked(kind, table, where=where))


def _checked(kind: type[Any], table: Mapping[str, Any], *, where: str) -> dict[str, Any]:
    """The values of a table whose keys are plain fields of a dataclass, each of its type and not negative."""
    hints = get_type_hints(kind)
    known = [item.name for item in fields(kind) if item.name not in ("name", "build", "search", "contract")]
    for key, value in table.items():
        if key not in known:
            raise ConfigError(f"{where}: unknown key {key!r}", hint=f"known: {', '.join(known)}")
        if not _fits(value, hints[key]):
            raise ConfigError(f"{where}: {key} = {value!r} is not of the right kind")
        if not isinstance(value, str) and not 0 <= value < math.inf:
            raise ConfigError(f"{where}: {key} = {value!r} must be finite and not negative")
    return dict(table)


def _fits(value: Any, hint: Any) -> bool:
    if hint is bool or isinstance(value, bool):
        return hint is bool and isinstance(value, bool)
    if hint is float:
        return isinstance(value, int | float)
    return isinstance(value, int if hint is int else str)


def _check_recipe(recipe: Recipe, *, where: str) -> None:
    """What the types cannot say: the metric, the placeholders, and numbers that must be at least one."""
    if recipe.metric != "inner_product":
        raise ConfigError(f"{where}: metric = {recipe.metric!r}", hint='vectors are unit norm: use "inner_product"')
    try:
        placeholders = {name for _, name, _, _ in string.Formatter().parse(recipe.factory) if name is not None}
    except ValueError as error:
        raise ConfigError(f"{where}: factory = {recipe.factory!r}: {error}") from error
    if placeholders - {"nlist", "m"}:
        raise ConfigError(
            f"{where}: factory = {recipe.factory!r} has an unknown placeholder", hint="known: {nlist}, {m}"
        )
    at_least_one = {**asdict(recipe.build), **asdict(recipe.search)}
    del at_least_one["probe_fraction"]
    for key, value in at_least_one.items():
        if value < 1:
            raise ConfigError(f"{where}: {key} = {value!r} must be at least 1")
    shares = {"probe_fraction": recipe.search.probe_fraction, **asdict(recipe.contract)}
    for key, value in shares.items():
        if value > 1:
            raise ConfigError(f"{where}: {key} = {value!r} must be at most 1")

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
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from curator.errors import ConfigError, UsageError
from curator.ranges import Place, Range, parse_toml, read_table
from curator.resources import read_folder

FLAT = "Flat"
SHIPPED = "curator.indexes"
# GpuIndexIVFPQ implements only these numbers of codes; the CPU index takes any divisor of d.
GPU_CODE_COUNTS = (1, 2, 3, 4, 8, 12, 16, 20, 24, 28, 32, 48, 56, 64, 96)

Count: TypeAlias = Annotated[int, Range(1)]
AtLeastOne: TypeAlias = Annotated[float, Range(1)]
Share: TypeAlias = Annotated[float, Range(0, 1)]


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """What shapes the built file. retrain_growth: rebuild once n is this many times the n trained on."""

    lists_per_root: AtLeastOne = 4.0
    sample_per_list: Count = 64
    min_per_list: Count = 39
    dimensions_per_code: Count = 4
    ef_construction: Count = 40
    retrain_growth: AtLeastOne = 4.0


@dataclass(frozen=True, slots=True)
class SearchOptions:
    """What a search may spend; changing it rebuilds nothing. probe_fraction in 0–1; k_factor: candidates per result."""

    nprobe: Count = 1
    probe_fraction: Share = 0.0
    ef_search: Count = 64
    k_factor: Count = 1


@dataclass(frozen=True, slots=True)
class Contract:
    """Recall against exact search that the recipe promises, 0–1, on a seeded Gaussian mixture.

    `recall_at_10_ood` is for queries from regions that were not there when the index was trained.
    """

    recall_at_10: Share = 0.0
    recall_at_10_ood: Share = 0.0


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to build and search an index."""

    name: str
    description: str
    factory: str
    metric: Literal["inner_product"] = "inner_product"
    gpu: bool = False
    min_vectors: Annotated[int, Range(0)] = 0
    build: BuildOptions = field(default_factory=BuildOptions)
    search: SearchOptions = field(default_factory=SearchOptions)
    contract: Contract = field(default_factory=Contract)

    @classmethod
    def resolve(cls, table: Mapping[str, Any], *, name: str, where: str) -> Recipe:
        """A recipe from a TOML table. Raises ConfigError naming `where` and the key."""
        recipe = read_table(cls, table, Place(where, strict=True), given={"name": name})
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

    def factory_for(self, count: int, dimension: int) -> str:
        """The FAISS factory string for so many vectors."""
        if not self.is_worth_it(count):
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
    texts = read_folder(SHIPPED, suffix=".toml")
    return [_parse(text, name=name, where=f"indexes/{name}.toml") for name, text in texts.items()]


def load_recipe(name_or_path: str | Path) -> Recipe:
    """A shipped recipe by name, or a user's by the path of its TOML file (which ends in `.toml`).

    Raises UsageError for an unknown name, ConfigError for a bad file.
    """
    text = str(name_or_path)
    if text.endswith(".toml"):
        path = Path(text)
        try:
            toml = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"index recipe {path} cannot be read: {error}") from error
        return _parse(toml, name=path.stem, where=str(path))
    shipped = read_folder(SHIPPED, suffix=".toml")
    if text not in shipped:
        raise UsageError(
            f"no index recipe is called {text!r}", hint=f"known: {', '.join(shipped)}, or a path to a .toml"
        )
    return _parse(shipped[text], name=text, where=f"indexes/{text}.toml")


def _parse(text: str, *, name: str, where: str) -> Recipe:
    return Recipe.resolve(parse_toml(text, where=where), name=name, where=where)


def _check_recipe(recipe: Recipe, *, where: str) -> None:
    """What the types cannot say: the placeholders."""
    try:
        placeholders = {name for _, name, _, _ in string.Formatter().parse(recipe.factory) if name is not None}
    except ValueError as error:
        raise ConfigError(f"{where}: factory = {recipe.factory!r}: {error}") from error
    if placeholders - {"nlist", "m"}:
        raise ConfigError(
            f"{where}: factory = {recipe.factory!r} has an unknown placeholder", hint="known: {nlist}, {m}"
        )

"""An index on disk is a cache: recipe and vectors rebuild it. This module says when it is fresh and makes it so.

A folder holds `index.faiss`, `ids.txt` and, written last, `manifest.json` with what they were built from. Members that
were only appended are added; anything else that changed means building anew; a damaged file does too.
"""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from curator.errors import IndexFault
from curator.vectors.collections import VectorCollection, read_all
from curator.vectors.faiss_index import FaissIndex, version
from curator.vectors.recipes import Recipe, load_recipe
from curator.vectors.shards import write_atomically

log = logging.getLogger("curator")


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an index file was built from."""

    recipe: str  # its name, and whether the exact index took its place
    recipe_digest: str
    members: tuple[str, ...]
    count: int
    trained_on: int  # the count when it was built; it is built anew after growing `retrain_growth` times
    dimension: int
    faiss: str

    @classmethod
    def read(cls, folder: Path) -> Manifest | None:
        try:
            document = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
            return cls(**{**document, "members": tuple(document["members"])})
        except (OSError, ValueError, TypeError, KeyError):
            return None


@dataclass(frozen=True, slots=True)
class IndexStatus:
    """Whether the index of a collection can be used as it is."""

    state: Literal["fresh", "stale", "missing"]
    reason: str
    count: int


@dataclass(frozen=True, slots=True)
class OpenIndex:
    """An index ready to search, and the id of each position."""

    index: FaissIndex
    ids: list[str]


def index_status(collection: VectorCollection, recipe: Recipe, folder: Path) -> IndexStatus:
    """What `open_index` would find, from the manifest alone."""
    manifest = Manifest.read(folder)
    if manifest is None:
        return IndexStatus("missing", "not built yet", 0)
    reason = _stale(manifest, collection, recipe)
    return IndexStatus("stale" if reason else "fresh", reason or "", manifest.count)


def _stale(manifest: Manifest, collection: VectorCollection, recipe: Recipe) -> str | None:
    have, wanted = set(manifest.members), set(collection.members())
    if manifest.recipe_digest != recipe.digest:
        return "the recipe has changed"
    if manifest.dimension != collection.dimension:
        return "the dimension has changed"
    if have == wanted:
        return None
    return f"{len(wanted - have)} new members" if have < wanted else "members have gone"


def open_index(collection: VectorCollection, recipe: Recipe, folder: Path) -> OpenIndex:
    """The index of a collection, loaded, extended or built as needed, and saved when it changed."""
    manifest = Manifest.read(folder)
    if manifest is not None and _extendable(manifest, collection, recipe):
        try:
            return _extend(_load(manifest, recipe, folder), manifest, collection, recipe, folder)
        except IndexFault as fault:
            log.warning("%s; building it anew", fault.message)
    return _build(collection, recipe, folder)


def _extendable(manifest: Manifest, collection: VectorCollection, recipe: Recipe) -> bool:
    """Whether the index is right as far as it goes: nothing that is in it has changed or gone."""
    same = manifest.recipe_digest == recipe.digest and manifest.dimension == collection.dimension
    return same and set(manifest.members) <= set(collection.members())


def _load(manifest: Manifest, recipe: Recipe, folder: Path) -> OpenIndex:
    used = recipe if manifest.recipe == recipe.name else load_recipe("flat")
    index = FaissIndex.load(folder / "index.faiss", used)
    try:
        ids = (folder / "ids.txt").read_text(encoding="utf-8").split("\n")[:-1]
    except OSError as fault:
        raise IndexFault(f"{folder}: the ids of the index cannot be read: {fault.strerror}") from fault
    if not index.count == len(ids) == manifest.count:
        raise IndexFault(f"{folder}: index, ids and manifest do not agree")
    return OpenIndex(index, ids)


def _extend(
    opened: OpenIndex, manifest: Manifest, collection: VectorCollection, recipe: Recipe, folder: Path
) -> OpenIndex:
    have = set(manifest.members)
    added = [member for member in collection.members() if member not in have]
    if not added:
        return opened
    parts = list(read_all(collection, added))
    count = opened.index.count + sum(len(ids) for ids, _ in parts)
    grown = recipe.retrain_growth and count > recipe.retrain_growth * manifest.trained_on
    if grown or (manifest.recipe != recipe.name and count >= recipe.min_vectors):
        return _build(collection, recipe, folder)
    opened.index.add(lambda: iter(parts))
    ids = [*opened.ids, *(name for names, _ in parts for name in names)]
    extended = replace(manifest, members=(*manifest.members, *added), count=count)
    return _save(OpenIndex(opened.index, ids), extended, folder)


def _build(collection: VectorCollection, recipe: Recipe, folder: Path) -> OpenIndex:
    members = collection.members()
    ids = [name for names, _ in read_all(collection, members) for name in names]
    used = recipe if len(ids) >= recipe.min_vectors else load_recipe("flat")
    index = FaissIndex.build(
        lambda: read_all(collection, members), count=len(ids), dimension=collection.dimension, recipe=used
    )
    manifest = Manifest(
        used.name, recipe.digest, tuple(members), len(ids), len(ids), collection.dimension, version()
    )
    return _save(OpenIndex(index, ids), manifest, folder)


def _save(opened: OpenIndex, manifest: Manifest, folder: Path) -> OpenIndex:
    """Write index and ids, then the manifest; without a manifest the folder counts as empty."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "manifest.json").unlink(missing_ok=True)
    opened.index.save(folder / "index.faiss")
    write_atomically(folder / "ids.txt", "".join(f"{name}\n" for name in opened.ids).encode())
    write_atomically(folder / "manifest.json", json.dumps(asdict(manifest), indent=1).encode())
    return opened



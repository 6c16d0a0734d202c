"""An index on disk is a cache: recipe and vectors rebuild it. This module says when it is fresh and makes it so.

A folder holds `index.faiss` and, written last, `manifest.json` with what it was built from; without a manifest the
folder counts as empty. Members that were only added are added to the index. Anything else that changed means building
anew, and so do a damaged file and a collection that has outgrown its training. Search parameters are not part of
what is built: changing them takes effect at once.
"""

from __future__ import annotations

import json
import logging
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

from curator.durable import durable
from curator.errors import IndexFault
from curator.vectors.collections import CollectionPart, VectorCollection
from curator.vectors.recipes import Recipe

if TYPE_CHECKING:
    from curator.vectors.faiss_index import FaissIndex

log = logging.getLogger(__name__)

FORMAT = 1
_CHUNK_BYTES = 1 << 24

AnyCollection = TypeVar("AnyCollection", bound=VectorCollection)


@dataclass(frozen=True, slots=True)
class IndexManifest:
    """What an index file was built from, and how to tell that the file is the one that was written."""

    format: int
    recipe: str
    recipe_digest: str
    factory: str
    members: tuple[CollectionPart, ...]
    count: int
    dimension: int
    trained_on: int
    byte_size: int
    crc32: int
    faiss: str

    @classmethod
    def read(cls, folder: Path) -> IndexManifest | None:
        """The manifest of a folder; None if there is none that can be read."""
        try:
            document = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
            members = tuple(CollectionPart(**member) for member in document["members"])
            manifest = cls(**{**document, "members": members})
        except (OSError, ValueError, TypeError, KeyError):
            return None
        return manifest if manifest.format == FORMAT else None

    def write(self, folder: Path) -> None:
        with durable(folder / "manifest.json") as temporary:
            temporary.write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")


@dataclass(frozen=True, slots=True)
class IndexStatus:
    """Whether an index can be used as it is, why not, and what opening it would do.

    count: vectors in the file. exact_instead: the collection is too small for the recipe, so it is searched exactly.
    """

    state: Literal["fresh", "stale", "missing"]
    action: Literal["load", "extend", "build"]
    reason: str
    count: int = 0
    byte_size: int = 0
    exact_instead: bool = False


def index_status(collection: VectorCollection, recipe: Recipe, folder: Path) -> IndexStatus:
    """What `open_index` would find and do. Reads the manifest and the heads of vector files, not the index."""
    manifest = IndexManifest.read(folder)
    small = not recipe.is_worth_it(len(collection))
    if manifest is None:
        return IndexStatus("missing", "build", "not built yet", exact_instead=small)
    rebuild, added = _reason_to_rebuild(manifest, collection, recipe, folder), len(collection) - manifest.count
    found = {"count": manifest.count, "byte_size": manifest.byte_size}
    if rebuild:
        return IndexStatus("stale", "build", rebuild, exact_instead=small, **found)
    if added:
        return IndexStatus("stale", "extend", f"{added:,} new vectors", exact_instead=small, **found)
    reason = f"searched exactly: fewer than {recipe.min_vectors:,} vectors" if small else ""
    return IndexStatus("fresh", "load", reason, exact_instead=small, **found)


def open_index(collection: AnyCollection, recipe: Recipe, folder: Path) -> tuple[FaissIndex, AnyCollection]:
    """The index of a collection, loaded, extended or built as needed and saved when it changed.

    Also gives the collection in the order of the index, to which its positions refer. A folder that cannot be written
    costs only a warning. Raises IndexFault for an unusable recipe, VectorFault for an unusable vector file.
    """
    status = index_status(collection, recipe, folder)
    manifest = IndexManifest.read(folder)
    index = None
    if manifest is not None and status.action != "build":
        index = _load(manifest, recipe, folder)
    if manifest is None or index is None:
        index, ordered = _build(collection, recipe), collection
    else:
        ordered = collection.in_order([member.name for member in manifest.members])  # type: ignore[assignment]
        index.extend(ordered)
        if status.action == "load":
            index.use_gpu()
            return index, ordered
    _save(index, ordered, recipe, folder)
    index.use_gpu()
    return index, ordered


def damaged_index(folder: Path) -> str:
    """Why the files of an index folder cannot be used, or nothing. Reads all of them."""
    manifest, path = IndexManifest.read(folder), folder / "index.faiss"
    if manifest is None:
        return "it has no manifest that can be read"
    if _size(path) != manifest.byte_size or _checksum(path) != manifest.crc32:
        return "the index file is missing or damaged"
    return ""


def _reason_to_rebuild(manifest: IndexManifest, collection: VectorCollection, recipe: Recipe, folder: Path) -> str:
    """Why the index cannot be kept, or nothing."""
    now, had = {member.name: member for member in collection.members()}, {member.name for member in manifest.members}
    changed = sum(now.get(member.name, member) != member for member in manifest.members)
    outgrown = bool(manifest.trained_on) and len(collection) > recipe.build.retrain_growth * manifest.trained_on
    reasons = {
        "the recipe has changed": manifest.recipe_digest != recipe.digest,
        "the dimension has changed": manifest.dimension != collection.dimension,
        "members have gone": not had <= now.keys(),
        "members have changed": changed > 0,
        f"has outgrown its training on {manifest.trained_on:,} vectors": outgrown,
        f"has now the {recipe.min_vectors:,} vectors that the recipe is for": (
            recipe.is_worth_it(len(collection)) and not recipe.is_worth_it(manifest.count)
        ),
        "the index file is missing or damaged": _size(folder / "index.faiss") != manifest.byte_size,
    }
    return next((reason for reason, holds in reasons.items() if holds), "")


def _load(manifest: IndexManifest, recipe: Recipe, folder: Path) -> FaissIndex | None:
    from curator.vectors.faiss_index import FaissIndex

    path = folder / "index.faiss"
    try:
        if _checksum(path) != manifest.crc32:
            raise IndexFault(f"index file {path} is damaged: its checksum does not match")
        index = FaissIndex.load(path, recipe, trained_on=manifest.trained_on)
        if (index.count, index.dimension) != (manifest.count, manifest.dimension):
            raise IndexFault(f"index file {path} does not hold what its manifest says")
    except (IndexFault, OSError) as fault:
        log.warning("%s; building it anew", fault)
        return None
    return index


def _build(collection: VectorCollection, recipe: Recipe) -> FaissIndex:
    from curator.vectors.faiss_index import FaissIndex

    count = len(collection)
    if not recipe.is_worth_it(count):
        log.info("%s: %s vectors are too few for %s; searched exactly", collection.name, f"{count:,}", recipe.name)
    return FaissIndex.build(collection, recipe)


def _save(index: FaissIndex, collection: VectorCollection, recipe: Recipe, folder: Path) -> None:
    """Write the index, then its manifest. A kill in between leaves an empty cache, not a wrong one."""
    path = folder / "index.faiss"
    try:
        (folder / "manifest.json").unlink(missing_ok=True)
        index.save(path)
        manifest = IndexManifest(
            format=FORMAT,
            recipe=recipe.name,
            recipe_digest=recipe.digest,
            factory=recipe.factory_for(len(collection), collection.dimension),
            members=collection.members(),
            count=index.count,
            dimension=index.dimension,
            trained_on=index.trained_on,
            byte_size=path.stat().st_size,
            crc32=_checksum(path),
            faiss=index.version,
        )
        manifest.write(folder)
    except OSError as fault:
        log.warning("index of %s was not saved and will be built again: %s", collection.name, fault)


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else -1


def _checksum(path: Path) -> int:
    value = 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            value = zlib.crc32(chunk, value)
    return value

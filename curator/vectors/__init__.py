"""Vectors at rest, and the indexes over them. Importing this package does not import FAISS."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from curator.vectors.collections import ImageCollection, LabelCollection, VectorCollection
from curator.vectors.recipes import Recipe, list_recipes, load_recipe
from curator.vectors.shards import VectorShard, at_rest, read_rows, read_shard, write_shard

if TYPE_CHECKING:
    from curator.vectors.index_cache import index_status
    from curator.vectors.neighbours import Neighbour, Neighbours, near_duplicates

__all__ = [
    "ImageCollection",
    "LabelCollection",
    "Neighbour",
    "Neighbours",
    "Recipe",
    "VectorCollection",
    "VectorShard",
    "at_rest",
    "index_status",
    "list_recipes",
    "load_recipe",
    "near_duplicates",
    "read_rows",
    "read_shard",
    "write_shard",
]

_LAZY = {
    "Neighbour": "neighbours",
    "Neighbours": "neighbours",
    "index_status": "index_cache",
    "near_duplicates": "neighbours",
}


def __getattr__(name: str) -> Any:
    """What needs FAISS is imported when it is asked for."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"curator.vectors.{_LAZY[name]}"), name)

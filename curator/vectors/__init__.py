"""Vectors at rest, and the indexes over them. Importing this package does not import FAISS."""

from curator.vectors.admission import Allow
from curator.vectors.collections import CollectionPart, ImageCollection, LabelCollection, VectorCollection
from curator.vectors.index_cache import IndexStatus, damaged_index, index_status
from curator.vectors.neighbours import Neighbour, Neighbours, near_duplicates
from curator.vectors.recipes import Recipe, list_recipes, load_recipe
from curator.vectors.shards import VectorShard, at_rest, read_rows, read_shard, verify_shard, write_shard

__all__ = [
    "Allow",
    "CollectionPart",
    "ImageCollection",
    "IndexStatus",
    "LabelCollection",
    "Neighbour",
    "Neighbours",
    "Recipe",
    "VectorCollection",
    "VectorShard",
    "at_rest",
    "damaged_index",
    "index_status",
    "list_recipes",
    "load_recipe",
    "near_duplicates",
    "read_rows",
    "read_shard",
    "verify_shard",
    "write_shard",
]

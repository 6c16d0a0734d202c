"""Vectors at rest, and the indexes over them. Importing this package does not import FAISS."""

from curator.vectors.collections import ImageCollection, LabelCollection, VectorCollection
from curator.vectors.index_cache import damaged_index, index_status
from curator.vectors.joining import near_duplicates
from curator.vectors.neighbours import Neighbours
from curator.vectors.partition import damaged_partition, near_source
from curator.vectors.recipes import Recipe, list_recipes, load_recipe
from curator.vectors.shards import at_rest, read_rows, read_shard, verify_shard, write_shard

__all__ = [
    "ImageCollection",
    "LabelCollection",
    "Neighbours",
    "Recipe",
    "VectorCollection",
    "at_rest",
    "damaged_index",
    "damaged_partition",
    "index_status",
    "list_recipes",
    "load_recipe",
    "near_duplicates",
    "near_source",
    "read_rows",
    "read_shard",
    "verify_shard",
    "write_shard",
]

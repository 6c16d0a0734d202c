"""The lake: how sources are listed, cut into shards and read. It is never written to.

    open_source ──▶ Source.list ──▶ plan_shards ──▶ read_shard          read_image, read_images: seen before, again

What is listed but cannot be read is a `Reject`; nothing is dropped in silence.
"""

from curator.lake.images import ImagePlace, content_id, path_of, read_image, read_images
from curator.lake.options import ColumnNames, ReadOptions
from curator.lake.passed import PassedOver
from curator.lake.read import read_datum, read_shard
from curator.lake.shards import plan_shards
from curator.lake.sources.gone import GoneSource
from curator.lake.sources.opening import Source, open_source

__all__ = [
    "ColumnNames",
    "GoneSource",
    "ImagePlace",
    "PassedOver",
    "ReadOptions",
    "Source",
    "content_id",
    "open_source",
    "path_of",
    "plan_shards",
    "read_datum",
    "read_image",
    "read_images",
    "read_shard",
]

"""The lake: how sources are listed, cut into shards and read. It is never written to.

    open_source ──▶ Source.list ──▶ plan_shards ──▶ read_shard          read_datum: one image again

What is listed but cannot be read is a `Reject`; nothing is dropped in silence.
"""

from curator.lake.options import ReadOptions
from curator.lake.read import read_datum, read_shard
from curator.lake.shards import plan_shards
from curator.lake.sources import Source, open_source

__all__ = ["ReadOptions", "Source", "open_source", "plan_shards", "read_datum", "read_shard"]

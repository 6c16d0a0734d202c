"""Engines run the stages of a scan, on this machine or a Ray cluster; they yield shard outcomes and write nothing."""

"""How many bytes may come out of a container: a gzip, a tar, a page of Parquet."""

from __future__ import annotations

MAX_EXPANSION = 200  # bytes of content for each stored one; images in gzip have 1 to 50, zeros 1,000
EXPANSION_FREE = 1 << 29  # bytes of content that are never too many


def most_content(stored_bytes: int) -> int:
    """How many bytes may come out of so many stored ones; more is a decompression bomb."""
    return EXPANSION_FREE + MAX_EXPANSION * stored_bytes


class TooMuchContent(Exception):
    """More comes out of a container than its stored bytes can honestly hold."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"it expands to more than {limit} bytes, {MAX_EXPANSION} times what is stored")

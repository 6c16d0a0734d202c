"""Contents that have a vector already, which a scan need not decode again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

IdTable: TypeAlias = NDArray[np.bytes_]  # (n,) S16, sorted


def id_table(image_ids: Iterable[str]) -> IdTable:
    """Image ids (32 hex digits) as a sorted array of 16 bytes each; a Python set would take six times the memory."""
    return np.sort(np.frombuffer(bytes.fromhex("".join(image_ids)), "S16"))


@dataclass(slots=True)
class KnownContents:
    """The contents known before a run, which many may share, and those met since."""

    before: IdTable = field(default_factory=lambda: id_table(()))
    _met: set[bytes] = field(default_factory=set)

    def add(self, image_id: str) -> bool:
        """Note a content. Whether it was new."""
        key = bytes.fromhex(image_id)
        if key in self._met or self._was_before(key):
            return False
        self._met.add(key)
        return True

    def _was_before(self, key: bytes) -> bool:
        wanted = np.frombuffer(key, "S16")
        place = int(np.searchsorted(self.before, wanted)[0])
        # NumPy takes no notice of trailing zeros on either side, so equal here is equal.
        return place < len(self.before) and bool(self.before[place] == wanted[0])

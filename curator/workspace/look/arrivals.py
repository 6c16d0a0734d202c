"""The images that arrived in one night, with what became of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from curator.report.night_data import ArrivedImage
from curator.store import Database
from curator.store.tables import Row


@dataclass(frozen=True, slots=True)
class Arrivals:
    """The scored images that arrived in a night, the least ID first."""

    table: pa.Table
    log_odds: NDArray[np.float64]
    flagged: NDArray[np.bool_]

    @classmethod
    def read(cls, database: Database, run_id: str) -> Arrivals:
        table = database.table("list_arrivals", run_id=run_id)
        return cls(table, table["log_odds"].to_numpy(), np.asarray(table["flagged"].to_pylist(), bool))

    def __len__(self) -> int:
        return len(self.log_odds)

    def column(self, name: str) -> list[Any]:
        values: list[Any] = self.table[name].to_pylist()
        return values

    def item(self, place: int) -> ArrivedImage:
        """One image with all that a gallery tells of it."""
        row: Row = self.table.slice(place, 1).to_pylist()[0]
        margin = None if row["cut"] is None else row["log_odds"] - row["cut"]
        return cast(ArrivedImage, {name: (row | {"margin": margin})[name] for name in ArrivedImage.__annotations__})

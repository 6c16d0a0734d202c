"""Rows about images with a small picture beside each: for notebooks, and on to pandas, Polars and what reads Arrow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from curator.errors import MissingExtra, UsageError
from curator.report.notebook import MOST_ROWS, in_notebook, text_table
from curator.report.pages import Thumbnail
from curator.store import Database
from curator.store.tables import Row
from curator.workspace.context import Context
from curator.workspace.look.pictures import thumbnails
from curator.workspace.published import reading

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

UNREAD = Thumbnail(None)


@dataclass(frozen=True, slots=True, repr=False)
class ImageTable:
    """Rows, each with the picture of its image. table: as Arrow has them. pictures: in the order of the rows.

    pandas, Polars and DuckDB read it as it is (`__arrow_c_stream__`)."""

    table: pa.Table
    pictures: tuple[Thumbnail, ...]

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self.table.to_pylist())

    def __getitem__(self, column: str) -> list[object]:
        """The values of a column."""
        values: list[object] = self.table[column].to_pylist()
        return values

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self.table.__arrow_c_stream__(requested_schema)

    def to_pandas(self) -> pd.DataFrame:
        """Raises MissingExtra where pandas is not installed."""
        try:
            import pandas  # noqa: F401
        except ImportError as fault:
            raise MissingExtra("pandas", needed_for="to_pandas") from fault
        return self.table.to_pandas()

    def to_polars(self) -> pl.DataFrame:
        """Raises MissingExtra where Polars is not installed."""
        try:
            import polars as pl
        except ImportError as fault:
            raise MissingExtra("polars", needed_for="to_polars") from fault
        return pl.DataFrame(self.table)

    def __repr__(self) -> str:
        return "\n".join([f"ImageTable, {len(self)} rows", *text_table(self.table.to_pylist())])

    def _repr_html_(self) -> str:
        rows = self.table.slice(0, MOST_ROWS).to_pylist()
        columns = [name for name in self.table.column_names if name != "image_id"]
        return in_notebook(
            "notebook", "pictures", columns=columns, rows=rows, thumbnails=self.pictures, count=len(self)
        )


def with_pictures(context: Context, table: pa.Table) -> ImageTable:
    """A table with a column `image_id` or `uri`, and the pictures of the rows that a notebook shows. An image that
    cannot be read costs its own picture only. Raises UsageError for a table with neither column."""
    head = table.slice(0, MOST_ROWS)
    with reading(context.layout) as database:
        ids = _image_ids(database, head)
        found = thumbnails(context, database, [image_id for image_id in dict.fromkeys(ids) if image_id])
    return ImageTable(table, tuple(found.get(image_id or "", UNREAD) for image_id in ids))


def _image_ids(database: Database, table: pa.Table) -> Sequence[str | None]:
    """None where nothing of that address is in the lake."""
    if "image_id" in table.column_names:
        ids: list[str | None] = table["image_id"].to_pylist()
        return ids
    if "uri" not in table.column_names:
        known = ", ".join(table.column_names)
        raise UsageError("the rows name no images", hint=f"select image_id or uri as well, beside {known}")
    uris = table["uri"].to_pylist()
    with database.incoming(address=pa.table({"uri": pa.array(uris, pa.string())})):
        by_uri = {row["uri"]: row["image_id"] for row in database.rows("list_images_at")}
    return [by_uri.get(uri) for uri in uris]

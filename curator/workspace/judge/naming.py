"""Names of images: of a shard's new vectors, and of stored vectors that have none yet."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pyarrow as pa

from curator.banks.naming import NameVocabulary, vocabulary_digest
from curator.store import Ledger
from curator.store.tables import Columns
from curator.types import Bank, Vectors
from curator.vectors import read_rows


@dataclass(frozen=True)
class Namer:
    """Calls images by common nouns and the ID labels of a bank.

    make: the vocabulary, made when the first image needs it; None where the encoder of the bank is not at hand.
    """

    bank: Bank
    make: Callable[[Bank], NameVocabulary | None]

    @cached_property
    def digest(self) -> str:
        return vocabulary_digest(self.bank)

    @cached_property
    def vocabulary(self) -> NameVocabulary | None:
        return self.make(self.bank)

    def name_rows(self, ledger: Ledger, image_ids: Sequence[str], vectors: Vectors) -> pa.Table | None:
        """Rows for the ledger; vectors: (n, d), as read back from their file, in the order of image_ids."""
        if self.vocabulary is None:
            return None
        names, margins = self.vocabulary.names(vectors)
        columns: Columns = {
            "image_id": image_ids,
            "encoder_id": [self.bank.encoder_id] * len(names),
            "vocabulary": [self.digest] * len(names),
            "name": names,
            "margin": margins,
        }
        return ledger.columns_table("image_name", columns)


def name_stored(ledger: Ledger, namer: Namer, vector_folder: Path) -> int:
    """Name every stored vector that has no name of the vocabulary. Embeds nothing. Returns how many.

    One transaction a vector file, so a killed run goes on where it stopped.
    """
    database, named = ledger.database, 0
    lacking: dict[str, list[tuple[int, str]]] = defaultdict(list)
    named_by = {"encoder_id": namer.bank.encoder_id, "vocabulary": namer.digest}
    counted = database.row("count_unnamed", **named_by) or {}
    if counted["vectors"] == counted["names"]:
        return 0
    for row in database.rows("list_unnamed", **named_by):
        lacking[row["vector_file"]].append((row["row_index"], row["image_id"]))
    for name, rows in lacking.items():
        vectors = read_rows(vector_folder / f"{name}.safetensors", [row for row, _ in rows], verified=True)
        found = namer.name_rows(ledger, [image_id for _, image_id in rows], vectors)
        if found is None:
            return 0
        with database.transaction(), database.incoming(image_name=found):
            database.run("delete_former_names")
            database.append(image_name=found)
        named += len(rows)
    return named

"""Scores under one bank and method: of a shard's new vectors, and of stored vectors that have none yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from curator.methods import Method, score_vectors
from curator.store import Ledger
from curator.store.ledger import score_table
from curator.types import Bank, Vectors
from curator.vectors import read_rows


@dataclass(frozen=True, slots=True)
class Scorer:
    """A bank and a method, ready to score vectors as they are stored."""

    bank: Bank
    method: Method

    def score_table(self, image_ids: Sequence[str], vectors: Vectors, *, run_id: str) -> pa.Table:
        """Score rows of images; vectors: (n, d), as read back from their file, in the order of image_ids."""
        scores = score_vectors(vectors, self.bank, self.method)
        columns: dict[str, np.ndarray[Any, Any]] = {
            "id_score": scores.id_score,
            "log_odds": scores.log_odds,
            "id_label": scores.id_label,
            "id_cosine": scores.id_cosine,
            "negative_label": scores.negative_label,
            "negative_cosine": scores.negative_cosine,
        }
        return score_table(
            image_ids,
            columns,
            encoder_id=self.bank.encoder_id,
            bank_digest=self.bank.digest,
            method_id=self.method.method_id,
            run_id=run_id,
        )


def score_stored(ledger: Ledger, scorer: Scorer, vector_folder: Path) -> int:
    """Score every stored vector that has no score under the bank and method yet. Embeds nothing. Returns how many.

    One transaction a vector file, so a killed run goes on where it stopped.
    """
    unscored = ledger.database.rows(
        "list_unscored",
        encoder_id=scorer.bank.encoder_id,
        bank_digest=scorer.bank.digest,
        method_id=scorer.method.method_id,
    )
    for name, rows in groupby(unscored, key=lambda row: str(row["vector_file"])):
        wanted = list(rows)
        vectors = read_rows(vector_folder / f"{name}.safetensors", [row["row_index"] for row in wanted])
        ids = [row["image_id"] for row in wanted]
        ledger.record_scores(scorer.score_table(ids, vectors, run_id=ledger.run_id))
    return len(unscored)

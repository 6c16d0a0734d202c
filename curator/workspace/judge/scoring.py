"""Scores under a bank and methods: of a shard's new vectors, and of stored vectors that have none yet."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from curator.methods import BankScorer, Method, ScoreTable
from curator.methods.measures import Measure
from curator.methods.members.fusion import Fusion
from curator.methods.members.knn import KNN
from curator.methods.spec import ReferenceMethod
from curator.progress import step
from curator.store import Ledger
from curator.store.tables import score_table
from curator.types import Bank, Vectors
from curator.vectors import read_rows
from curator.workspace.judge.policies import scored_by
from curator.workspace.judge.reference import ReferenceSet


@dataclass(frozen=True)
class Scorer:
    """A bank and methods, ready to score vectors as they are stored; with the reference images, if one needs them."""

    bank: Bank
    methods: tuple[Method, ...]
    reference: ReferenceSet | None = None
    device: str = "auto"

    @property
    def method(self) -> Method:
        """The first method: the one whose scores the views show."""
        return self.methods[0]

    @cached_property
    def kernel(self) -> BankScorer:
        fits = any(method.needs.measures for method in self.methods)
        by_class = any(method.needs.by_class for method in self.methods)
        known = self.reference.known(self.bank, by_class=by_class) if fits and self.reference is not None else None
        return BankScorer(self.bank, self.methods, device=self.device, reference=known)

    def neighbours(self, image_ids: Sequence[str], vectors: Vectors) -> NDArray[np.float32] | None:
        """Cosines of the nearest reference images, (n, k); None where no method needs them."""
        wanted = max(method.needs.neighbours for method in self.methods)
        if not wanted or self.reference is None:
            return None
        return self.reference.nearest(image_ids, vectors, wanted)[1]

    def score(self, image_ids: Sequence[str], vectors: Vectors) -> list[ScoreTable]:
        """One table a method; vectors: (n, d), as read back from their file, in the order of image_ids."""
        return self.kernel.score(vectors, self.neighbours(image_ids, vectors), self.folds(image_ids))

    def folds(self, image_ids: Sequence[str]) -> NDArray[np.intp] | None:
        """Which fold of the reference each image is in, (n,); None where that does not matter."""
        return None if self.reference is None else self.reference.folds(image_ids)

    def measures(self, image_ids: Sequence[str], vectors: Vectors) -> Mapping[Measure, NDArray[np.float64]]:
        """By measure that a method needs, (n, numbers)."""
        return self.kernel.measuring(vectors, self.folds(image_ids))

    def score_tables(self, image_ids: Sequence[str], vectors: Vectors, *, run_id: str) -> list[pa.Table]:
        """The same as rows for the ledger."""
        tables = self.score(image_ids, vectors)
        return [
            self._rows(method, image_ids, table, run_id) for method, table in zip(self.methods, tables, strict=True)
        ]

    def score_rows(self, image_ids: Sequence[str], vectors: Vectors, *, run_id: str) -> pa.Table:
        """The rows of the first method."""
        return self.score_tables(image_ids, vectors, run_id=run_id)[0]

    def without_caches(self) -> Scorer:
        """The same, but for what was built on demand: it can be sent to another process."""
        return replace(self, reference=self.reference and replace(self.reference))

    def _rows(self, method: Method, image_ids: Sequence[str], table: ScoreTable, run_id: str) -> pa.Table:
        return score_table(
            image_ids,
            {name: getattr(table, name) for name in ScoreTable.__slots__},
            encoder_id=self.bank.encoder_id,
            bank_digest=self.bank.digest,
            method_id=method.method_id,
            run_id=run_id,
        )


def bind_reference(methods: Sequence[Method], reference: ReferenceSet, bank: Bank) -> tuple[Method, ...]:
    """The methods with the reference set named in them, so that another set gives other scores; fusion is fitted."""
    bound: list[Method] = []
    for method in methods:
        if isinstance(method, KNN | Fusion | ReferenceMethod):
            method = replace(method, reference=reference.digest)
        if isinstance(method, ReferenceMethod):
            method = method.fitted(bank, reference.known(bank, by_class=method.needs.by_class))
        if isinstance(method, Fusion):
            method = fitted(method, Scorer(bank, (method.text, method.image), reference))
        bound.append(method)
    return tuple(bound)


def fitted(method: Fusion, sides: Scorer) -> Fusion:
    """Standardised on the reference images, each against the others, scored as they will be."""
    assert sides.reference is not None
    text, image = sides.score(sides.reference.image_ids, sides.reference.vectors)
    return method.fitted(text.log_odds, image.log_odds)


def score_stored(
    ledger: Ledger, scorer: Scorer, vector_folder: Path, *, only: Collection[str] | None = None
) -> Mapping[str, int]:
    """Score every stored vector that lacks a score under the bank and one of the methods. Embeds nothing.

    One transaction a vector file, so a killed run goes on where it stopped. `only`: no other images than these.
    Returns how many were scored, by method id.
    """
    lacking = unscored_rows(ledger, scorer, only)
    counts = {method.method_id: 0 for method in scorer.methods}
    with step("score stored vectors", sum(map(len, lacking.values())), "images") as scoring:
        for name, methods_of in lacking.items():
            rows = sorted(methods_of)
            vectors = read_rows(vector_folder / f"{name}.safetensors", [row for row, _ in rows], verified=True)
            tables = scorer.score_tables([image_id for _, image_id in rows], vectors, run_id=ledger.run_id)
            with ledger.database.transaction():
                for method, table in zip(scorer.methods, tables, strict=True):
                    wanted = np.array([method.method_id in methods_of[row] for row in rows])
                    if wanted.any():
                        ledger.database.append(score=table.filter(pa.array(wanted)))
                    counts[method.method_id] += int(wanted.sum())
            scoring.advance(len(rows))
    return counts


def unscored_rows(
    ledger: Ledger, scorer: Scorer, only: Collection[str] | None
) -> dict[str, dict[tuple[int, str], set[str]]]:
    """By vector file: which rows (index, image id) lack a score under which methods."""
    lacking: dict[str, dict[tuple[int, str], set[str]]] = defaultdict(lambda: defaultdict(set))
    among = None if only is None else frozenset(only)
    for method in scorer.methods:
        scoring = scored_by(scorer.bank, method)
        counted = ledger.database.row("count_unscored", **scoring) or {}
        if counted["vectors"] == counted["scores"]:
            continue
        for row in ledger.database.rows("list_unscored", **scoring):
            if among is None or row["image_id"] in among:
                lacking[row["vector_file"]][row["row_index"], row["image_id"]].add(method.method_id)
    return lacking

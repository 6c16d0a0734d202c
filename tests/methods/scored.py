"""Scores of vectors by one method, for tests."""

from __future__ import annotations

from typing import Any

from curator.methods import BankScorer, Method, ScoreTable
from curator.types import Bank, Vectors


def score_vectors(vectors: Vectors, bank: Bank, method: Method, **options: Any) -> ScoreTable:
    return BankScorer(bank, [method], **options).score(vectors)[0]

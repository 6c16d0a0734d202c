"""Benjamini-Hochberg in the words of the paper: what `discovery_limit` is tested against."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction


def benjamini_hochberg(p_values: Sequence[Fraction], q: float) -> list[bool]:
    """Which hypotheses are rejected at rate q."""
    m, rate = len(p_values), Fraction(repr(float(q)))
    ordered = sorted(p_values)
    passing = [k for k in range(1, m + 1) if ordered[k - 1] <= rate * k / m]
    return [bool(passing) and value <= ordered[passing[-1] - 1] for value in p_values]

"""Cases of a test that are dear and much alike."""

from __future__ import annotations

from collections.abc import Iterable

import pytest


def rest_slow(cases: Iterable[object], *, kept: int = 1) -> list[object]:
    """The cases of a parameter: the default run has the first `kept`, the long tests have all others."""
    listed = list(cases)
    return [*listed[:kept], *(_slow(case) for case in listed[kept:])]


def _slow(case: object) -> object:
    values = case if isinstance(case, tuple) else (case,)
    return pytest.param(*values, marks=pytest.mark.slow)

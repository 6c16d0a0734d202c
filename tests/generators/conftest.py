"""Fixtures of the tests about generators."""

from __future__ import annotations

import gc

import pytest


@pytest.fixture(autouse=True)
def libraries_left_alone() -> None:
    """A model that is let go of has the collector look at what its test made, not at all that libraries have since."""
    gc.freeze()

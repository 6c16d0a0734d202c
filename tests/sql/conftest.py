"""An empty ledger to work on."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from curator.store import Database


@pytest.fixture
def database(tmp_path: Path, empty_ledger: Path) -> Iterator[Database]:
    with Database.open(shutil.copyfile(empty_ledger, tmp_path / "ledger.duckdb")) as database:
        yield database

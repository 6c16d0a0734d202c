"""One laboratory for all tests of a process: its templates and unbroken runs are made once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.laboratory import Laboratory


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laboratory]:
    with Laboratory(tmp_path_factory.mktemp("faults")) as laboratory:
        yield laboratory

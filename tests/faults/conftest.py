"""One laboratory for all tests of a process: its templates and unbroken runs are made once."""

from __future__ import annotations

import pytest

from tests.faults.laboratory import Laboratory


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Laboratory:
    return Laboratory(tmp_path_factory.mktemp("faults"))

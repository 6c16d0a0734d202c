"""A short, repeatable form of `make fuzz`: a hundred inputs for each door, always the same."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings

from tests.fuzz.doors import DOORS, Door
from tests.fuzz.inputs import inputs

EXAMPLES = {"parquet": 50, "reviews": 20, "texts": 15}  # those that write many files


@pytest.mark.parametrize("door", DOORS.values(), ids=DOORS)
def test_a_door_gives_results_or_its_own_errors_and_nothing_else(door: Door):
    @settings(
        max_examples=EXAMPLES.get(door.name, 100),
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(inputs(door))
    def enter(data: bytes) -> None:
        door.enter(data)

    for seed in door.seeds:
        door.enter(seed)
    enter()

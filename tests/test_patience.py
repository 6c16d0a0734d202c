"""No test waits by a number of its own: a busy machine would fail it. `tests/patience.py` has what to wait with."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parent
BY_THE_CLOCK = re.compile(r"\btimeout=\d|assert .*\b(monotonic|perf_counter|time)\(\).*<=? *\d")
ALLOWED = {"test_generator_serving.py"}  # asks again, or ends what does not end by itself: nothing is decided by that


def test_no_test_waits_by_a_number_of_its_own_or_has_to_be_fast():
    offenders = [
        f"{path.name}:{number}: {line.strip()}"
        for path in sorted(TESTS.rglob("test_*.py"))
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if BY_THE_CLOCK.search(line) and path.name not in ALLOWED
    ]
    assert offenders == [], "use BRAKE_SECONDS or wait_for of tests/patience.py"

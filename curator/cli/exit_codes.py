"""The one table of exit codes: what a shell sees of how a command ends."""

from __future__ import annotations

from collections.abc import Mapping

from curator.endings import Ending, ending_of

EXIT_CODES: Mapping[Ending, int] = {
    "done": 0,
    "failed": 1,
    "usage": 2,
    "rejects": 3,
    "condition": 4,
    "refused": 4,
    "locked": 5,
    "interrupted": 130,
}


def exit_code_of(fault: BaseException) -> int:
    """The code that a command ends with which such a fault stops."""
    return EXIT_CODES[ending_of(fault)]

"""How a command ends, and the one table of exit codes.

The command line ends by it; the summary of a scan and the metrics file of a night name the code that a shell would see.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from curator.errors import RunInterrupted, UsageError, WorkspaceLocked

Ending = Literal["done", "failed", "usage", "rejects", "condition", "locked", "interrupted"]
EXIT_CODES: Mapping[Ending, int] = {
    "done": 0,
    "failed": 1,
    "usage": 2,
    "rejects": 3,  # done, with more of them than were allowed
    "condition": 4,  # done, and one that somebody set holds
    "locked": 5,
    "interrupted": 130,
}
_BY_FAULT: tuple[tuple[type[BaseException], Ending], ...] = (
    (UsageError, "usage"),
    (WorkspaceLocked, "locked"),
    (RunInterrupted, "interrupted"),
    (KeyboardInterrupt, "interrupted"),
)


def ending_of(fault: BaseException) -> Ending:
    """How a command ends that such a fault stops."""
    return next((ending for kind, ending in _BY_FAULT if isinstance(fault, kind)), "failed")


def exit_code_of(fault: BaseException) -> int:
    """The code that it ends with."""
    return EXIT_CODES[ending_of(fault)]

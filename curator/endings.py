"""How a run ends, by name. Which code a shell sees for it, the command line knows."""

from __future__ import annotations

from typing import Literal

from curator.errors import BankRefused, NoWorkspace, RunInterrupted, UsageError, WorkspaceLocked

# rejects: done, with more of them than were allowed. condition: done, and one that somebody set holds.
# refused: a bank was not learnt or not kept, and all is as before.
Ending = Literal["done", "failed", "usage", "rejects", "condition", "refused", "locked", "interrupted"]
_BY_FAULT: tuple[tuple[type[BaseException], Ending], ...] = (
    (UsageError, "usage"),
    (NoWorkspace, "usage"),
    (WorkspaceLocked, "locked"),
    (BankRefused, "refused"),
    (RunInterrupted, "interrupted"),
    (KeyboardInterrupt, "interrupted"),
)


def ending_of(fault: BaseException) -> Ending:
    """How a run ends that such a fault stops."""
    return next((ending for kind, ending in _BY_FAULT if isinstance(fault, kind)), "failed")

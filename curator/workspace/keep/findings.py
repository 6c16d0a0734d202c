"""What `curator doctor` finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing examined. `failed` needs a hand, `warning` may, `ok` does not."""

    subject: str
    state: Literal["ok", "warning", "failed"]
    message: str
    hint: str | None = None

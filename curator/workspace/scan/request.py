"""What a scan is asked for, who hears how it goes, and what it says it did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from curator.endings import Ending
from curator.report.notebook import Shown
from curator.store import ListingCounts
from curator.workspace.judge.in_force import InForce


class ScanWatcher(Protocol):
    """Hears how a scan goes on; the CLI shows it as a bar or as heartbeat lines."""

    def begin(self, *, objects: int, byte_size: int) -> None:
        """So much is to be read."""
        return

    def advance(self, *, data: int = 0, objects: int = 0, byte_size: int = 0) -> None:
        """So much more was done."""
        return


class SilentWatcher(ScanWatcher):
    """Shows nothing."""


@dataclass(frozen=True, slots=True)
class ScanRequest:
    """What to scan and how strictly to believe the ledger.

    rehash: read everything again, though size and time are unchanged (known contents are not decoded again).
    retry_rejects: also read objects again that had rejects.
    wait_seconds: how long to wait for another run that holds the workspace.
    exclude, include: patterns of names, besides those of the configuration.
    gone: sources that are there no more: their images leave the lake.
    """

    sources: tuple[str, ...]
    role: str = "lake"
    rehash: bool = False
    retry_rejects: bool = False
    wait_seconds: float = 0.0
    exclude: Sequence[str] = ()
    include: Sequence[str] = ()
    gone: Sequence[str | Path] = ()


@dataclass(frozen=True, slots=True, repr=False)
class ScanSummary(Shown):
    """What a scan did. `data_read` = images + duplicates + rejects.

    passed_over: members of archives that were read, as `ignored` of the listings has files.
    scored, flagged: images of the whole lake; new_scored, new_flagged: those that arrived in this run.
    ruled_by: what judges the lake now; ruled_before: what did before, where that was something else.
    stage_seconds: wall time. ending, broken_limits: what the limits that were set make of the night.
    """

    run_id: str
    listings: tuple[ListingCounts, ...]
    data_read: int
    images: int
    duplicates: int
    rejects: int
    decoded: int
    bytes_read: int
    reject_reasons: Mapping[str, int]
    passed_over: Mapping[str, int] = field(default_factory=dict)
    rescored: int = 0
    near_duplicates: int = 0
    scored: int = 0
    flagged: int = 0
    new_scored: int = 0
    new_flagged: int = 0
    encoder_id: str = ""
    bank: str = ""
    method_id: str = ""
    policy: str = ""
    policy_note: str = ""
    ruled_by: InForce | None = None
    ruled_before: InForce | None = None
    seconds: float = 0.0
    stage_seconds: Mapping[str, float] = field(default_factory=dict)
    ending: Ending = "done"
    broken_limits: tuple[str, ...] = ()

    def objects(self, state: str) -> int:
        """Of all listings: how many were `listed`, and of them `new`, `changed` or `unchanged`, and how many `gone`."""
        return sum(getattr(item, f"objects_{state}") for item in self.listings)

    @property
    def unlisted(self) -> int:
        """Places that could not be listed: what lies there was not looked for."""
        return sum(item.unlisted for item in self.listings)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

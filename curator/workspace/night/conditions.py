"""What a night may be like before someone has to look: conditions on its figures, and how it ends when one holds.

A condition is `NAME OPERATOR NUMBER`, as `flag_rate>0.2`. It says when the night is *not* all right. The results are
kept in any case: a condition decides about the ending alone. A rate of nothing (no image arrived) is no number, and
no condition on it holds.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from curator.endings import Ending
from curator.errors import UsageError
from curator.workspace.scan.request import ScanSummary

FEWEST_DATA = 20  # of fewer, a share says little of what is wrong with a lake

FIGURES = {
    "data": "data read: images + duplicates + rejects",
    "images": "contents that were new",
    "duplicates": "data whose content was known",
    "rejects": "data that could not be processed",
    "reject_rate": "rejects / data",
    "flagged": "images flagged of those that arrived in this run",
    "flag_rate": "the same as a share of them",
    "lake_flagged": "images flagged in the whole lake",
    "lake_flag_rate": "the same as a share of its images",
    "near_duplicates": "pairs found in this run",
    "listed": "objects found in the sources",
    "new": "objects that were not there before",
    "changed": "objects with other content than before",
    "gone": "objects that are no longer there",
    "gone_rate": "gone / (gone + listed)",
    "unlisted": "places that could not be listed, such as folders without permission",
    "bytes": "bytes read",
    "seconds": "how long the run took",
}
OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
_FORM = re.compile(r"\s*([a-z_]+)\s*(>=|<=|>|<)\s*([0-9][0-9_.]*(?:e-?[0-9]+)?)\s*")


def figures_of(summary: ScanSummary) -> dict[str, float]:
    """The figures that conditions speak of."""
    totals = {name: summary.objects(name) for name in ("listed", "new", "changed", "gone")}
    return {
        "data": summary.data_read,
        "images": summary.images,
        "duplicates": summary.duplicates,
        "rejects": summary.rejects,
        "reject_rate": _rate(summary.rejects, summary.data_read),
        "flagged": summary.new_flagged,
        "flag_rate": _rate(summary.new_flagged, summary.new_scored),
        "lake_flagged": summary.flagged,
        "lake_flag_rate": _rate(summary.flagged, summary.scored),
        "near_duplicates": summary.near_duplicates,
        **totals,
        "gone_rate": _rate(totals["gone"], totals["gone"] + totals["listed"]),
        "unlisted": summary.unlisted,
        "bytes": summary.bytes_read,
        "seconds": summary.seconds,
    }


def _rate(part: float, whole: float) -> float:
    return part / whole if whole else math.nan


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition. `text` is as it was written."""

    text: str
    figure: str
    operator: str
    bound: float

    @classmethod
    def parse(cls, text: str, known: Collection[str] = FIGURES.keys()) -> Self:
        """Raises UsageError for anything but `NAME OPERATOR NUMBER` with a name that is known."""
        match = _FORM.fullmatch(text)
        try:
            name, sign, bound = match.groups() if match else ("", "", "")
            if name in known and math.isfinite(float(bound)):
                return cls(text.strip(), name, sign, float(bound))
        except ValueError:
            name = ""
        problem = f"no figure is called {name!r}" if name else "not of the form NAME>NUMBER (or >=, <, <=)"
        raise UsageError(f"`fail_on` {text}: {problem}", hint=f"figures: {', '.join(known)}")

    def holds(self, figures: Mapping[str, float]) -> bool:
        return OPERATORS[self.operator](figures[self.figure], self.bound)


@dataclass(frozen=True, slots=True)
class Limits:
    """What is asked of a night. `max_reject_rate` is an ending of its own, which goes before that of conditions:
    with many rejects the other figures are of what is left.

    Where it is None, `one_reason_rate` holds: the share of the data of a run that may be rejected for one and the same
    reason. That many are more likely a fault of the options, the disk or the sender than of the images. It asks nothing
    of runs of fewer than FEWEST_DATA data.
    """

    max_reject_rate: float | None = None
    one_reason_rate: float = 1.0
    fail_on: tuple[Condition, ...] = ()

    @classmethod
    def resolve(cls, *, max_reject_rate: float | None, fail_on: Sequence[str], one_reason_rate: float = 1.0) -> Self:
        """Raises UsageError for a bad condition or a rate outside [0, 1]."""
        if max_reject_rate is not None and not 0 <= max_reject_rate <= 1:
            raise UsageError(f"max_reject_rate is {max_reject_rate}, expected 0 to 1")
        return cls(max_reject_rate, one_reason_rate, tuple(Condition.parse(text) for text in fail_on))

    def judge(self, summary: ScanSummary) -> tuple[Ending, tuple[str, ...]]:
        """How a night that was done ends, and a line for each limit that it broke."""
        figures = figures_of(summary)
        rejects = self._too_many_rejects(summary, figures["reject_rate"])
        held = [f"{line}; the results are kept" for line in conditions_held(self.fail_on, figures)]
        if rejects is not None:
            return "rejects", (rejects, *held)
        return "condition" if held else "done", tuple(held)

    def _too_many_rejects(self, summary: ScanSummary, reject_rate: float) -> str | None:
        if self.max_reject_rate is not None:
            said = f"{summary.rejects} of {summary.data_read} data are rejects: see curator query rejects"
            return said if reject_rate > self.max_reject_rate else None
        of_data = (
            (reason, count) for reason, count in summary.reject_reasons.items() if not reason.startswith("list/")
        )
        reason, count = max(of_data, key=lambda item: item[1], default=("", 0))
        if summary.data_read < FEWEST_DATA or count <= self.one_reason_rate * summary.data_read:
            return None
        return (
            f"{count} of {summary.data_read} data ({count / summary.data_read:.0%}) are rejected as {reason}: see "
            "curator query rejects; the results are kept, and `max_reject_rate` 1 lets such a night pass"
        )


def conditions_held(conditions: Sequence[Condition], figures: Mapping[str, float]) -> list[str]:
    """A line for each condition that holds."""
    return [
        f"`fail_on` {item.text}: {item.figure} is {figures[item.figure]:.6g}"
        for item in conditions
        if item.holds(figures)
    ]

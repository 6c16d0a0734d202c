"""What a night may be like before someone has to look: conditions on its figures, and the exit code when one holds.

A condition is `NAME OPERATOR NUMBER`, as `flag_rate>0.2`. It says when the night is *not* all right. The results are
kept in any case: a condition decides about the exit code alone. A rate of nothing (no image arrived) is no number, and
no condition on it holds.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from curator.errors import UsageError
from curator.workspace.scan import ScanSummary

EXIT_REJECTS, EXIT_CONDITION = 3, 4

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
    totals = {name: sum(getattr(item, f"objects_{name}") for item in summary.listings) for name in LISTED}
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
        "bytes": summary.bytes_read,
        "seconds": summary.seconds,
    }


LISTED = ("listed", "new", "changed", "gone")


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
            if name in known:
                return cls(text.strip(), name, sign, float(bound))
        except ValueError:
            name = ""
        problem = f"no figure is called {name!r}" if name else "not of the form NAME>NUMBER (or >=, <, <=)"
        raise UsageError(f"--fail-on {text}: {problem}", hint=f"figures: {', '.join(known)}")

    def holds(self, figures: Mapping[str, float]) -> bool:
        return OPERATORS[self.operator](figures[self.figure], self.bound)


@dataclass(frozen=True, slots=True)
class Limits:
    """What is asked of a night. `max_reject_rate` has an exit code of its own, which goes before that of conditions:
    with many rejects the other figures are of what is left."""

    max_reject_rate: float | None = None
    fail_on: tuple[Condition, ...] = ()

    @classmethod
    def resolve(cls, *, max_reject_rate: float | None, fail_on: Sequence[str]) -> Self:
        """Raises UsageError for a bad condition or a rate outside [0, 1]."""
        if max_reject_rate is not None and not 0 <= max_reject_rate <= 1:
            raise UsageError(f"max_reject_rate is {max_reject_rate}, expected 0 to 1")
        return cls(max_reject_rate, tuple(Condition.parse(text) for text in fail_on))

    def judge(self, summary: ScanSummary) -> tuple[int, tuple[str, ...]]:
        """The exit code of a night that was done, and a line for each limit that it broke."""
        figures = figures_of(summary)
        lines: list[str] = []
        code = 0
        if self.max_reject_rate is not None and figures["reject_rate"] > self.max_reject_rate:
            code = EXIT_REJECTS
            lines.append(f"{summary.rejects} of {summary.data_read} data are rejects: see curator query rejects")
        held = conditions_held(self.fail_on, figures)
        code = code or (EXIT_CONDITION if held else 0)
        return code, (*lines, *(f"{line}; the results are kept" for line in held))


def conditions_held(conditions: Sequence[Condition], figures: Mapping[str, float]) -> list[str]:
    """A line for each condition that holds."""
    return [
        f"--fail-on {item.text}: {item.figure} is {figures[item.figure]:.6g}"
        for item in conditions
        if item.holds(figures)
    ]

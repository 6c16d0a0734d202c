"""How far work is that takes long: steps that are under way, for whoever shows them. Nobody has to."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import Context, copy_context
from dataclasses import dataclass, field


@dataclass(eq=False)
class Step:
    """A step that is under way. total: of its `unit`, None where nobody knows. began: by the monotonic clock, seconds.
    fields: for lines that programs read. context: where it was begun, for a thread that speaks of it."""

    name: str
    total: int | None = None
    unit: str = ""
    done: int = 0
    began: float = field(default_factory=time.monotonic)
    fields: Mapping[str, object] = field(default_factory=dict)
    context: Context = field(init=False, repr=False)

    def advance(self, count: int = 1) -> None:
        """So much more was done."""
        self.done += count

    @property
    def seconds(self) -> float:
        """For how long it has been under way."""
        return time.monotonic() - self.began

    @property
    def seconds_left(self) -> float | None:
        """At the rate until now; None where that says nothing: at the beginning, and when all is done but the end."""
        if not self.total or not 0 < self.done < self.total:
            return None
        return self.seconds * (self.total - self.done) / self.done

    def amount(self) -> str:
        """`120 of 480 labels`, never more than all of them."""
        if self.total is None:
            return f"{self.done} {self.unit}".strip() if self.done else ""
        return f"{min(self.done, self.total)} of {self.total} {self.unit}".strip()


class Steps:
    """Those under way, the outermost first. `ended`: called where the last of them ends."""

    def __init__(self) -> None:
        self.under_way: list[Step] = []
        self.ended: Callable[[], None] = lambda: None

    def begin(self, step: Step) -> None:
        step.context = copy_context()
        self.under_way.append(step)

    def end(self, step: Step) -> None:
        if step in self.under_way:
            self.under_way.remove(step)
        if not self.under_way:
            self.ended()


steps = Steps()


@contextmanager
def step(name: str, total: int | None = None, unit: str = "") -> Iterator[Step]:
    """What the block does is under way as long as it lasts; whoever does it advances the step."""
    begun = Step(name, total, unit)
    steps.begin(begun)
    try:
        yield begun
    finally:
        steps.end(begun)

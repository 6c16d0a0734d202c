"""Threads that score blocks side by side, each with PyTorch's operators in one thread.

Scoring is many small operators in turn. Dividing each between threads costs more in waiting than it gains, and makes
results depend on how many threads there are; dividing the blocks does neither.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from threading import Barrier
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")


def side_by_side(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """The results in order of the items. As many at a time as PyTorch had threads at the first call."""
    return executor().map(function, items)


@cache
def executor() -> ThreadPoolExecutor:
    """The threads. PyTorch keeps the number of its own by thread, and what a new thread begins with for all."""
    threads = torch.get_num_threads()
    ready = Barrier(threads)
    pool = ThreadPoolExecutor(threads, "curator-score", initializer=lambda: torch.set_num_threads(1))
    list(pool.map(lambda _: ready.wait(), range(threads)))  # all have begun
    torch.set_num_threads(threads)
    return pool

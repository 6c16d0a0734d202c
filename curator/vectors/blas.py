"""Threads of matrix products: one, where several would only wait for each other.

A product of few columns is done before its threads have met; beside other programs, their waiting takes ten times as
long as the product. One beside an encoder takes the encoder's cores. What has many such products takes several at once.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import cache
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController

Item = TypeVar("Item")
Result = TypeVar("Result")

MOST_THREADS = 8


def one_thread() -> AbstractContextManager[object]:
    """Products of NumPy within this context, whoever asks for them, take one thread each."""
    limit: AbstractContextManager[object] = _libraries().limit(limits=1, user_api="blas")
    return limit


def side_by_side(make: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """What `make` gives of each, in their order, each on a core of its own; few more than there are cores are held."""
    count = min(len(os.sched_getaffinity(0)), MOST_THREADS)
    waiting: deque[Future[Result]] = deque()
    with one_thread(), ThreadPoolExecutor(count, "curator-products") as threads:
        for item in items:
            waiting.append(threads.submit(make, item))
            if len(waiting) > count:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


@cache
def _libraries() -> ThreadpoolController:
    """Looked up once, in all libraries that are loaded."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()

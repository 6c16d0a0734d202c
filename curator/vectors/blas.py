"""Threads of matrix products: one, where several would only wait for each other.

A product of few columns is done before its threads have met, and one beside an encoder takes the encoder's cores.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController


def one_thread() -> AbstractContextManager[object]:
    """Products of NumPy within this context, whoever asks for them, take one thread each."""
    limit: AbstractContextManager[object] = _libraries().limit(limits=1, user_api="blas")
    return limit


@cache
def _libraries() -> ThreadpoolController:
    """Looked up once, in all libraries that are loaded."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()

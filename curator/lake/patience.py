"""The time that a store is waited for: attempts, pauses and time-outs in seconds, in this one place.

Two kinds of fault are tried again. A request that fails (throttling, 5xx, no connection, no answer) is repeated by
botocore for S3; other clients do not do so by themselves, and no client repeats one whose body breaks off half-way:
that is `patiently`. The layers do not multiply: what botocore gave up on is not tried again here.

AWS_MAX_ATTEMPTS and AWS_RETRY_MODE go before the values here, for every store.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

Result = TypeVar("Result")

ATTEMPTS = 8  # with the pauses below, some 35 seconds in the mean
MAX_PAUSE_SECONDS = 20.0
CONNECT_SECONDS = 10.0
SILENCE_SECONDS = 30.0  # without a byte, after which an answer counts as lost
TRANSIENT_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
# By name and module, because the clients are optional packages; what derives from them counts too.
TRANSIENT_TYPES = frozenset({
    "aiohttp.client_exceptions.ClientPayloadError", "aiohttp.client_exceptions.ClientConnectionError",
    "botocore.exceptions.ResponseStreamingError", "botocore.exceptions.IncompleteReadError",
    "botocore.parsers.ResponseParserError",
})  # fmt: skip


class CutShort(OSError):
    """A body ended before its announced end."""


def attempts() -> int:
    """How often a request is made before it counts as failed, the first time included."""
    given = os.environ.get("AWS_MAX_ATTEMPTS", "")
    return int(given) if given.isdecimal() and int(given) > 0 else ATTEMPTS


def client_settings(scheme: str) -> dict[str, Any]:
    """What the file system of a scheme is made with: its client's retries and time-outs."""
    if scheme in ("s3", "s3a"):
        # `standard` has a quota beside the attempts: of a store that is down, a million objects do not wait each.
        retries = {"mode": os.environ.get("AWS_RETRY_MODE", "standard"), "total_max_attempts": attempts()}
        timeouts = {"connect_timeout": CONNECT_SECONDS, "read_timeout": SILENCE_SECONDS}
        return {"config_kwargs": {"retries": retries, **timeouts, "max_pool_connections": 64}}
    if scheme in ("http", "https"):
        from aiohttp import ClientTimeout

        # Without a limit on the whole, which would cut off every object that takes longer than five minutes.
        timeout = ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=SILENCE_SECONDS)
        return {"client_kwargs": {"timeout": timeout}}
    return {}


def patiently(operation: Callable[[], Result]) -> Result:
    """The result of an operation that may be repeated; a transient fault of its transport is met by a pause."""
    for attempt in range(1, attempts()):
        try:
            return operation()
        # Broad on purpose: the clients' errors share no base; all but the transient ones are raised again.
        except Exception as fault:
            if not is_transient(fault):
                raise
        pause(attempt)
    return operation()


def pause(attempt: int) -> None:
    """Wait between two attempts: longer each time, and at random, so that many readers do not come back together."""
    time.sleep(min(MAX_PAUSE_SECONDS, 2.0 ** (attempt - 1)) * random.random())


def is_transient(fault: BaseException) -> bool:
    """Whether the same request may succeed in a moment, and its client has not repeated it already."""
    links = list(chain(fault))
    answer = next((found for link in links if isinstance(found := getattr(link, "response", None), Mapping)), None)
    if answer is not None:  # of S3; botocore notes in it what it tried
        about = answer.get("ResponseMetadata", {})
        has_tried = about.keys() & {"MaxAttemptsReached", "RetryQuotaReached"}
        return about.get("HTTPStatusCode") in TRANSIENT_STATUS and not has_tried
    names = {f"{kind.__module__}.{kind.__qualname__}" for link in links for kind in type(link).__mro__}
    return bool(names & TRANSIENT_TYPES) or any(
        isinstance(link, CutShort | TimeoutError | ConnectionError) or getattr(link, "status", None) in TRANSIENT_STATUS
        for link in links
    )


def chain(fault: BaseException) -> Iterator[BaseException]:
    """A fault and what it says it came from; clients wrap the telling one, as fsspec does with FileNotFoundError."""
    link: BaseException | None = fault
    while link is not None:
        yield link
        link = link.__cause__

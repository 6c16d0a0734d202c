"""Offline means offline: the hub's switch is read once, at import, so it is set here before and after."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

HUB_SWITCHES = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")


@contextmanager
def network(*, offline: bool) -> Iterator[None]:
    """With `offline`, libraries that load weights look at this machine only while the block runs."""
    if not offline:
        yield
        return
    before = {name: os.environ.get(name) for name in HUB_SWITCHES}
    os.environ |= dict.fromkeys(HUB_SWITCHES, "1")
    constants = sys.modules.get("huggingface_hub.constants")
    was = getattr(constants, "HF_HUB_OFFLINE", None)
    if constants is not None:
        constants.HF_HUB_OFFLINE = True  # type: ignore[attr-defined]  # imported already: the variable comes too late
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        constants = sys.modules.get("huggingface_hub.constants")
        if constants is not None:
            constants.HF_HUB_OFFLINE = bool(was)  # type: ignore[attr-defined]


def is_offline() -> bool:
    """Whether the hub's switch is set, by us or by the user."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")

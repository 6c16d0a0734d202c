"""Stand-ins for UMAP, which takes half a minute to start, in the process that computes it."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from curator.workspace.app.projecting import ImageProjection, Stored


def circle(sender: Connection, stored: Stored, image_ids: Sequence[str], path: Path) -> None:
    """All images on a circle."""
    turns = np.linspace(0, 2 * np.pi, len(image_ids), endpoint=False)
    places = np.stack([np.cos(turns), np.sin(turns)], axis=1).astype(np.float32)
    sender.send(("doing", "laying out", 0.5))
    ImageProjection(list(image_ids), places, np.zeros(len(image_ids), bool)).write(path)
    sender.send(("done", "", 1.0))


def stalled(sender: Connection, *_: object) -> None:
    sender.send(("doing", "finding neighbours", 0.25))
    signal.pause()


def failed(sender: Connection, *_: object) -> None:
    sender.send(("failed", "ValueError: too strange", 0.0))


def ended(*_: object) -> None:
    """As the kernel ends a process that takes too much memory."""
    os.kill(os.getpid(), signal.SIGKILL)

"""Single images to look at or to ask about, decoded as a scan does it: in a process of its own, with its limits.

Whatever an image does to such a process costs that image. A process is started when the first image is asked for, one
(or as many as asked for) for each kind of answer, and ends with the `Looker`; starting takes about a third of a second
beside what the command does meanwhile.
"""

from __future__ import annotations

import threading
import weakref

from PIL import Image

from curator.decode import DecodeFailure, DecodeOptions, look, looked_at, prepare
from curator.engines.decode_messages import Prepare
from curator.engines.decode_pool import CPU_SECONDS_PER_IMAGE, Decoded, DecodeFault, DecodePool
from curator.types import Pixels, Preprocess


class Looker:
    """Decodes images one by one; may be used by several threads. Closes itself when it is forgotten."""

    def __init__(
        self,
        options: DecodeOptions,
        *,
        memory_limit_bytes: int,
        processes: int = 1,
        cpu_seconds_per_image: float = CPU_SECONDS_PER_IMAGE,
    ) -> None:
        self._options = options
        self._memory_limit_bytes = memory_limit_bytes
        self._processes = processes
        self._cpu_seconds_per_image = cpu_seconds_per_image
        self._pools: dict[tuple[Prepare, Preprocess], DecodePool] = {}
        self._one = threading.Lock()
        self.close = weakref.finalize(self, _close, self._pools)

    def picture(self, data: bytes, *, side: int) -> Image.Image:
        """The image in mode RGB, upright, its longer side at most `side`. Raises DecodeFailure."""
        found = self._decoded(look, Preprocess(side), data)
        return looked_at(found.pixels, found.facts)

    def square(self, data: bytes, preprocess: Preprocess) -> Pixels:
        """The image as an encoder wants it, (size, size, 3). Raises DecodeFailure."""
        return self._decoded(prepare, preprocess, data).pixels

    def _decoded(self, task: Prepare, preprocess: Preprocess, data: bytes) -> Decoded:
        (found,) = self._pool(task, preprocess).submit([data]).result().items
        if isinstance(found, DecodeFault):
            raise DecodeFailure(found.reason, found.detail)
        return found

    def _pool(self, task: Prepare, preprocess: Preprocess) -> DecodePool:
        with self._one:
            if (task, preprocess) not in self._pools:
                self._pools[task, preprocess] = DecodePool(
                    workers=self._processes,
                    preprocess=preprocess,
                    options=self._options,
                    memory_limit_bytes=self._memory_limit_bytes,
                    cpu_seconds_per_image=self._cpu_seconds_per_image,
                    task=task,
                    yielding=False,
                    slot_images=1,
                )
            return self._pools[task, preprocess]


def _close(pools: dict[tuple[Prepare, Preprocess], DecodePool]) -> None:
    for pool in pools.values():
        pool.close()
    pools.clear()

"""The reading process, as a scan sees it: shards go there, chunks come back in order, their bytes in shared memory.

A process of its own, because reading and hashing cost the scan's process more than all else that it does for an image;
not the decode processes, see `read_worker`. It holds no state: when it dies, a fresh one reads on after the last datum
that came. It is killed rather than asked when the scan ends.
"""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from curator.engines import decode_pool
from curator.engines.chunks import ReadChunk
from curator.engines.messages import BadReply, receive_with, send
from curator.engines.read_messages import chunk_of, fault_of, options_content, shard_content
from curator.errors import CuratorError
from curator.lake import ReadOptions
from curator.types import Shard

DEATHS = 3  # at the same place of a shard; then it is likely what stands there that kills it


class ReadProcess:
    """Reads shards one after the other, for use in a `with`. For one thread; any may kill it."""

    def __init__(self, options: ReadOptions) -> None:
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket
        self._closed = False
        self._start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, _: TracebackType | None) -> None:
        self.kill()
        self._stop()

    def kill(self) -> None:
        """End the process now; whoever waits for a chunk of it gets an error."""
        self._closed = True
        if (process := self._process) is not None:
            process.kill()

    @property
    def process_id(self) -> int:
        """That of the process that is at work now."""
        assert self._process is not None
        return self._process.pid

    def chunks(self, shard: Shard) -> Iterator[ReadChunk]:
        """The chunks of a shard, in order. Raises what reading it raises, and CuratorError where it kills the process
        again and again."""
        after, deaths, last = 0, 0, False
        while not last:
            try:
                for chunk in self._read(shard, after):
                    after, deaths, last = after + len(chunk), 0, chunk.last
                    yield chunk
            except (EOFError, ConnectionError, BadReply) as fault:
                deaths += 1
                status = self._stop()
                why = f"it sent {fault}" if isinstance(fault, BadReply) else f"status {status}"
                if deaths == DEATHS or self._closed:
                    raise CuratorError(
                        f"{shard.objects[0].uri}: the process that reads it ended {deaths} times, the last time: {why}",
                        hint="look at the memory of this machine, and at this object; all before it is kept",
                    ) from None
                self._start()

    def _read(self, shard: Shard, after: int) -> Iterator[ReadChunk]:
        send(self._channel, shard_content(shard, after=after))
        last = False
        while not last:
            content, descriptors = receive_with(self._channel)
            if not descriptors:
                raise _carried(content)
            try:
                chunk = chunk_of(content, descriptors[0])
            except (ValueError, TypeError, LookupError, AttributeError) as fault:
                raise BadReply("a chunk that is none") from fault
            if chunk.begin != after:
                raise BadReply("a chunk of another place")
            after, last = after + len(chunk), chunk.last
            yield chunk
            send(self._channel, None)

    def _start(self) -> None:
        self._channel, theirs = socket.socketpair()
        with theirs:
            self._process = decode_pool.start_process(theirs, "read_worker")
        with suppress(ConnectionError):  # it has ended already: the first chunk that does not come says so
            send(self._channel, options_content(self._options))

    def _stop(self) -> int:
        """End the process; its exit status, negative for a signal."""
        process, self._process = self._process, None
        if process is None:
            return 0
        self._channel.close()
        try:
            return process.wait(timeout=1.0)  # it has ended, or is about to
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()


def _carried(content: Any) -> Exception:
    """What reading has raised."""
    if "fault" in content:
        return fault_of(content)
    return RuntimeError(f"reading failed: {content['trace']}")

"""Messages between a scan and its processes, over Unix sockets: JSON, with its length before it.

Nothing is pickled. A descriptor may travel beside a message; whoever reads from somebody it does not trust drops it.
"""

from __future__ import annotations

import json
import select
import socket
import struct
from typing import Any

from curator.engines.decode_patience import Patience

LENGTH = struct.Struct("<Q")
TRACE_CHARACTERS = 8_000


class BadReply(Exception):
    """A process sent something that is no reply to what it was asked."""


def send(
    channel: socket.socket, content: object, descriptor: int | None = None, *, waiting: Patience | None = None
) -> None:
    """Write one message, and hand over a descriptor beside it: its length in bytes, then JSON."""
    text = json.dumps(content).encode()
    length = LENGTH.pack(len(text))
    if waiting is not None:
        waiting.until(channel, select.POLLOUT)
    if descriptor is None:
        channel.sendall(length)  # a few bytes into an empty buffer
    else:
        socket.send_fds(channel, [length], [descriptor])
    rest = memoryview(text)
    while rest:
        if waiting is not None:
            waiting.until(channel, select.POLLOUT)
        rest = rest[channel.send(rest) :]


def receive(channel: socket.socket, *, most: int | None = None, waiting: Patience | None = None) -> Any:
    """Read one message. Raises EOFError or ConnectionError when the other side is gone.

    most: how many bytes it may have; BadReply, with nothing read of it, for more, and for what is not JSON. Descriptors
    that come with it are dropped.
    """
    return _content(channel, _read(channel, LENGTH.size, waiting), most, waiting)


def receive_with(channel: socket.socket) -> tuple[Any, list[int]]:
    """Read one message of somebody who is trusted, and the descriptor beside it, if there is one."""
    length, descriptors, _, _ = socket.recv_fds(channel, LENGTH.size, 1)
    if not length:
        raise EOFError
    length += _read(channel, LENGTH.size - len(length), None)
    return _content(channel, length, None, None), descriptors


def _content(channel: socket.socket, length: bytes | bytearray, most: int | None, waiting: Patience | None) -> Any:
    (size,) = LENGTH.unpack(length)
    if most is not None and size > most:
        raise BadReply(f"a message of {size} bytes")
    try:
        return json.loads(_read(channel, size, waiting))
    except (ValueError, RecursionError) as fault:
        raise BadReply("not JSON") from fault


def _read(channel: socket.socket, size: int, waiting: Patience | None) -> bytearray:
    data = bytearray(size)
    rest = memoryview(data)
    while rest:
        if waiting is not None:
            waiting.until(channel, select.POLLIN)
        count = channel.recv_into(rest)
        if not count:
            raise EOFError
        rest = rest[count:]
    return data

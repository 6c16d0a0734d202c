"""A reading process: it reads shards and hashes their contents, so that the process of the scan need not.

It runs the same code as a scan that reads for itself, and is no less trusted: it has what opens a store, and it names
contents. A decode process must do neither. One that a hostile image has taken over could give its own content the name
of another one, which would then be taken for known and never be looked at.
"""

from __future__ import annotations

import signal
import socket
import traceback
from collections.abc import Mapping
from typing import Any

from curator.engines.chunks import read_chunks
from curator.engines.messages import TRACE_CHARACTERS, receive, send
from curator.engines.read_messages import chunk_content, fault_content, options_of, shard_of
from curator.errors import CuratorError
from curator.lake import ReadOptions

CHUNKS_AHEAD = 4  # that nobody has taken yet; the parent says when it has


def serve(descriptor: int) -> None:
    """Read the shards that are asked for over the socket until it closes, which it does when the parent ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    channel = socket.socket(fileno=descriptor)
    try:
        options, ahead = options_of(receive(channel)), 0
        while True:
            said = receive(channel)
            if said is None:
                ahead -= 1
            else:
                ahead = _answer(channel, said, options, ahead)
    except (EOFError, ConnectionError):
        return


def _answer(channel: socket.socket, order: Mapping[str, Any], options: ReadOptions, ahead: int) -> int:
    """Read a shard. ahead: how many chunks nobody has taken yet, before and, as it returns, after."""
    try:
        shard, after = shard_of(order)
        for chunk in read_chunks(shard, options, after=after):
            while ahead >= CHUNKS_AHEAD:
                receive(channel)  # the word that one was taken: there is no other before the shard has ended
                ahead -= 1
            send(channel, chunk_content(chunk), chunk.parcel.descriptor)
            chunk.parcel.close()
            ahead += 1
    except CuratorError as fault:
        send(channel, fault_content(fault))
    except (EOFError, ConnectionError):
        raise
    except Exception:  # a bug; carried to the parent
        send(channel, {"trace": traceback.format_exc()[-TRACE_CHARACTERS:]})
    return ahead

"""A process that stands for one which `server` forks: hands over its words and surroundings, and ends as that does.

Run by its path, with the standard library only, so that it begins at once.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys

PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # a client that is killed has its process killed
STREAMS = (0, 1, 2)
ORDER_BYTES = 200_000


def is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def main(address: str, *words: str) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, PASSED_ON)
    streams = [number for number in STREAMS if is_open(number)]
    for _ in range(len(STREAMS) - len(streams)):
        os.open(os.devnull, os.O_RDWR)  # takes the number of a closed one
    channel = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    channel.connect(address)
    order = {
        "words": words,
        "streams": streams,
        "folder": os.getcwd(),  # noqa: PTH109
        "environment": dict(os.environ),
        "umask": os.umask(0),
        "group": os.getpgrp(),
    }
    socket.send_fds(channel, [json.dumps(order).encode()], streams)
    process = int(channel.recv(ORDER_BYTES))
    os.closerange(0, len(STREAMS))  # who reads them waits for that process alone
    arrived, arrivals = socket.socketpair()  # a signal between two lines would wait for the end of what is received
    arrivals.setblocking(False)
    signal.set_wakeup_fd(arrivals.fileno())
    for number in PASSED_ON:
        signal.signal(number, lambda number, _: os.kill(process, number))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, PASSED_ON)
    while channel not in select.select([channel, arrived], [], [])[0]:
        arrived.recv(1)
    status = int(channel.recv(ORDER_BYTES))
    if status < 0:
        if -status != signal.SIGKILL:
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    os._exit(status)


if __name__ == "__main__":
    main(*sys.argv[1:])

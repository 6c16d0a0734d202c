"""The `curator` command."""

from __future__ import annotations

import os
import signal

from curator.cli import cli
from curator.cli.streams import End, guard_streams


def main() -> None:
    """Run the command line; errors become one line and the exit codes of `curator --help`. The process ends with it."""
    yield_idle_cores()
    guard_streams()
    end = End()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # who stops a service means what Ctrl-C means
    try:
        cli(prog_name="curator")
    except SystemExit as left:
        end.code = left.code if isinstance(left.code, int) else int(left.code is not None)
        raise


def yield_idle_cores() -> None:
    """Let threads of a matrix product that have nothing to do sleep instead of spin: decoding wants their cores.

    Read once, by OpenMP and by NumPy's OpenBLAS, so it is set before they are imported; what the user has set stays.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")  # in powers of two of cycles; else it spins for 20 ms


if __name__ == "__main__":
    main()

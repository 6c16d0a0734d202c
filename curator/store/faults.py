"""What an error of DuckDB means, told by its class.

Its text quotes the statement, and a statement is the user's own: a column called `checksum` is no damage. So words are
looked for only in errors whose text DuckDB makes by itself, and there only outside of what it quotes, such as a path.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Mapping

import duckdb

from curator.errors import StoreError, StoreFault

FULL = re.compile(r"No space left on device|Disk quota exceeded|File too large|failed to offload")
REFUSED = re.compile(r"Read-only file system|Input/output error|Permission denied|Operation not permitted")
DAMAGED = re.compile(r"Corrupt database file|Could not read|not a valid DuckDB|replaying WAL|checksum", re.IGNORECASE)
MEMORY = re.compile(r"Cannot allocate memory|bad_alloc|can't start new thread|Resource temporarily unavailable")
WORDS: tuple[tuple[re.Pattern[str], StoreFault], ...] = (
    (FULL, "full"),
    (REFUSED, "refused"),
    (MEMORY, "memory"),
    (DAMAGED, "damaged"),
)
NUMBERS: Mapping[int, StoreFault] = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), "full"),
    **dict.fromkeys((errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO), "refused"),
    errno.ENOMEM: "memory",
}
FREE_SPACE = "free some space (cache/ may be removed: it is made again)"
CHECK_DISK = "check the disk and its permissions"
COMMIT = "TransactionContext Error: Failed to commit: "  # what follows is the error that it failed for
# DuckDB gives up on a database after these. Damage is the usual reason; a statement that nobody has tried may be one.
BROKEN = (duckdb.InternalException, duckdb.FatalException, duckdb.SerializationException)


def remedy_of(fault: OSError) -> str:
    """What to do about a disk that refuses."""
    return FREE_SPACE if fault.errno is not None and NUMBERS.get(fault.errno) == "full" else CHECK_DISK


def store_error(fault: duckdb.Error, *, where: str = "", hint: str | None = None) -> StoreError:
    """The error for those above, with the first line of DuckDB's message, and the others beside it. where: a path may
    stand there, which DuckDB need not repeat."""
    first, *others = str(fault).strip().splitlines() or [type(fault).__name__]
    if path := where.partition(": ")[0]:
        first = first.replace(f' "{path}"', "")
    return StoreError(f"{where}{first}", hint=hint, kind=kind_of(fault), detail="\n".join(others).strip("\n") or None)


def kind_of(fault: duckdb.Error) -> StoreFault:
    """Whose fault an error is: that of the statement, unless its class says otherwise."""
    text = str(fault)
    # Errors of checksums have no class of their own.
    if type(fault) is duckdb.Error or isinstance(fault, duckdb.IOException) or _is_of_commit(fault):
        return _by_words(_unquoted(text)) or "statement"
    if isinstance(fault, BROKEN):  # of a fatal one the reason stands in quotes
        return _by_words(text) or "broken"
    if isinstance(fault, duckdb.OutOfMemoryException):
        return "full" if FULL.search(text) else "memory"
    return "statement"


def _is_of_commit(fault: duckdb.Error) -> bool:
    return isinstance(fault, duckdb.TransactionException) and str(fault).startswith(COMMIT)


def _by_words(text: str) -> StoreFault | None:
    return next((kind for words, kind in WORDS if words.search(text)), None)


def _unquoted(text: str) -> str:
    """Without what stands in quotes, and without the statement that may follow."""
    return re.sub(r'"[^"]*"', '""', text.partition("\nLINE ")[0])

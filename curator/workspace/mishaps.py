"""What befalls a run from outside: a full or read-only disk, no memory, a damaged database. One line, and what to do.

Such faults come from wherever a run happens to be (a vector file, the text cache, DuckDB, torch), each in its own
family. They are told from bugs here, once, at the border of a run.
"""

from __future__ import annotations

import errno
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from curator.errors import CuratorError, StoreError, WorkspaceError

RESUME = "then run the same command again: it resumes, nothing is lost"
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
REFUSED = frozenset({errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO})
# As DuckDB, FAISS and torch word them; they carry no number.
FULL_WORDS = re.compile("No space left on device|Disk quota exceeded|File too large|failed to offload", re.IGNORECASE)
REFUSED_WORDS = re.compile("Read-only file system|Input/output error|Permission denied", re.IGNORECASE)
MEMORY_WORDS = re.compile("can't allocate memory|Out of Memory|bad_alloc|Cannot allocate memory|can't start new thread")
DAMAGE_WORDS = re.compile(
    "corrupt|checksum|could not read|not a valid DuckDB|replaying WAL|serializ|INTERNAL|FATAL|attempted",
    re.IGNORECASE,
)


@contextmanager
def exhaustion(root: Path) -> Iterator[None]:
    """Turns what a run raises when disk or memory give out into a WorkspaceError that names the workspace `root`."""
    try:
        yield
    except (OSError, MemoryError, RuntimeError, StoreError) as fault:
        told = _told(fault, root)
        if told is None:
            raise
        raise told from fault


@contextmanager
def damage(path: Path, *, remedy: str) -> Iterator[None]:
    """Turns what DuckDB says of a damaged file into a WorkspaceError with what to do; other faults pass."""
    try:
        yield
    except StoreError as fault:
        words = fault.message
        if not DAMAGE_WORDS.search(words) or FULL_WORDS.search(words) or REFUSED_WORDS.search(words):
            raise
        raise WorkspaceError(f"{path} is damaged: {words}", hint=remedy) from fault


def _told(fault: BaseException, root: Path) -> CuratorError | None:
    number, words = getattr(fault, "errno", None), str(fault)
    if number in FULL or FULL_WORDS.search(words):
        free = shutil.disk_usage(root).free / 1e9
        return WorkspaceError(
            f"{root}: the disk is full, or a limit on it is reached ({free:.2f} GB free)",
            hint=f"free some space, {RESUME}",
        )
    if number in REFUSED or REFUSED_WORDS.search(words):
        where = getattr(fault, "filename", None) or root
        reason = getattr(fault, "strerror", None) or words.splitlines()[0]
        return WorkspaceError(
            f"{where}: cannot be written: {reason}", hint=f"check the disk and its permissions, {RESUME}"
        )
    if isinstance(fault, StoreError) and MEMORY_WORDS.search(words):
        return WorkspaceError(
            f"the database has used up its memory: {words}", hint=f"raise ledger.memory_limit in curator.toml, {RESUME}"
        )
    if isinstance(fault, MemoryError) or MEMORY_WORDS.search(words):
        return WorkspaceError(
            "the memory of this process is used up",
            hint=f"take fewer decode processes (scan.decode_workers) or smaller batches (encoder.batch_size), {RESUME}",
        )
    return None

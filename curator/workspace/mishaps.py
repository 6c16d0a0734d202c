"""What befalls a run from outside: a full or read-only disk, no memory, a damaged database. One line, and what to do.

Such faults come from wherever a run happens to be (a vector file, the text cache, DuckDB, torch), each in its own
family. They are told from bugs here, once, at the border of a run: by the number of an OSError and the kind of a
StoreError. FAISS and torch have neither: there the words are looked at.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from curator.errors import CuratorError, StoreError, StoreFault, WorkspaceError
from curator.printable import said_by
from curator.store.faults import CHECK_DISK, FREE_SPACE, NUMBERS

RESUME = "then run the same command again: it resumes, nothing is lost"
WORDS: Mapping[str, StoreFault] = {
    "No space left on device|Disk quota exceeded|File too large": "full",
    "Read-only file system|Input/output error|Permission denied": "refused",
    "can't allocate memory|Out of Memory|bad_alloc|Cannot allocate memory|can't start new thread": "memory",
}


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
def damage(path: Path, *, remedy: str, ours: bool = True) -> Iterator[None]:
    """Turns what DuckDB says of a damaged file into a WorkspaceError with what to do; other faults pass.

    ours: the statements inside are known to work, so DuckDB gives up on them for damage only.
    """
    try:
        yield
    except StoreError as fault:
        if fault.kind == "damaged" or (ours and fault.kind == "broken"):
            raise WorkspaceError(f"{path} is damaged: {fault.message}", hint=remedy) from fault
        raise


def free_text(place: Path) -> str:
    """What is free on the disk of a folder: `12.3 GB free`, below one GB `340 MB free`."""
    free = shutil.disk_usage(place).free
    return f"{free / 1e9:.1f} GB free" if free >= 1e9 else f"{free / 1e6:.0f} MB free"


def _told(fault: BaseException, root: Path) -> CuratorError | None:
    kind = _kind_of(fault)
    if kind == "full":
        return WorkspaceError(
            f"{root}: the disk is full, or a limit on it is reached ({free_text(root)})",
            hint=f"{FREE_SPACE}, {RESUME}",
        )
    if kind == "refused":
        where, said = getattr(fault, "filename", None) or root, said_by(fault)
        is_named = isinstance(fault, StoreError) and str(root) in said
        message = said if is_named else f"{where}: cannot be written: {said}"
        return WorkspaceError(message, hint=f"{CHECK_DISK}, {RESUME}")
    if kind == "memory" and isinstance(fault, StoreError):
        return WorkspaceError(
            f"the database has used up its memory: {fault.message}",
            hint=f"raise ledger.memory_limit in curator.toml, {RESUME}",
        )
    if kind == "memory":
        return WorkspaceError(
            "the memory of this process is used up",
            hint=f"take fewer decode processes (scan.decode_workers) or smaller batches (encoder.batch_size), {RESUME}",
        )
    return None


def _kind_of(fault: BaseException) -> StoreFault | None:
    if isinstance(fault, StoreError):
        return fault.kind
    if isinstance(fault, MemoryError):
        return "memory"
    if isinstance(fault, OSError) and fault.errno is not None:
        return NUMBERS.get(fault.errno)
    return next((kind for words, kind in WORDS.items() if re.search(words, str(fault), re.IGNORECASE)), None)

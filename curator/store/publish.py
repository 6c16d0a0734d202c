"""Snapshots: a read-only copy of the ledger that analysts may hold open while the next scan writes.

A snapshot is a whole file put in place by rename. Whoever has the older one open keeps it: the name moves on, the
file stays until the last reader closes it.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from curator.durable import copy_file, durable, remove_leftovers
from curator.errors import WorkspaceError
from curator.store.checks import read_everything
from curator.store.database import Database
from curator.store.faults import CHECK_DISK, FREE_SPACE, remedy_of

PAGE = MAIN_HEADER = 4096  # bytes
HEADERS = 3 * MAIN_HEADER  # of a DuckDB file; each checkpoint is counted there
BLOCK = 1 << 18  # bytes of a block, which begins with its checksum
START, FACTOR = np.uint64(5381), np.uint64(0xBF58476D1CE4E5B9)  # of that checksum


def publish_snapshot(ledger: Path, snapshot: Path, *, anew: bool = False) -> None:
    """Publish a closed ledger file as `snapshot`, atomically: what a run changed, once it was verified, upon the
    snapshot there is; or all of it, read back. anew: all of it in any case, as where the snapshot may be damaged.

    Raises WorkspaceError when the disk refuses, StoreError for a damaged ledger.
    """
    if ledger.with_name(f"{ledger.name}.wal").exists():  # closing it could not write all that was committed into it
        raise WorkspaceError(
            f"{ledger}: its last changes are still in its log, and cannot be published",
            hint=later(f"{FREE_SPACE}, or {CHECK_DISK}"),
        )
    try:
        remove_leftovers(snapshot)
        with durable(snapshot) as temporary:
            if anew or not _renew(ledger, snapshot, temporary):
                copy_file(ledger, temporary)
                read_back(temporary)
    except OSError as fault:
        raise WorkspaceError(
            f"{snapshot}: cannot publish the snapshot: {fault.strerror}",
            hint=later(remedy_of(fault)),
        ) from fault


def later(remedy: str) -> str:
    """What to do where the snapshot, or what is made of it, could not be written."""
    return f"the ledger itself is safe: {remedy}, then run `curator publish`"


def _renew(ledger: Path, snapshot: Path, copy: Path) -> bool:
    """Make `copy` of a snapshot and the blocks of the ledger that differ from it, whose checksums are compared.

    A block begins with the checksum of the rest, which says what is in it and not in which order; its first and its
    last page say that too, so these three tell which blocks differ. Those that do not stay as they were verified once,
    even where the ledger has lost them since. False where that cannot be done: without a snapshot, for one of another
    form, and for a block that does not fit its checksum, which may be one that is free.
    """
    if not snapshot.is_file() or (ledger.stat().st_size - HEADERS) % BLOCK:
        return False
    with ledger.open("rb", buffering=0) as new, snapshot.open("rb", buffering=0) as old:
        headers = os.pread(new.fileno(), HEADERS, 0)
        if headers[:MAIN_HEADER] != os.pread(old.fileno(), MAIN_HEADER, 0):
            return False
        copy_file(snapshot, copy)
        with copy.open("r+b", buffering=0) as written:
            written.truncate(ledger.stat().st_size)
            for start in range(HEADERS, ledger.stat().st_size, BLOCK):
                if _ends(new.fileno(), start) == _ends(old.fileno(), start):
                    continue
                block = os.pread(new.fileno(), BLOCK, start)
                if not _is_sound(block):
                    return False
                os.pwrite(written.fileno(), block, start)
            os.pwrite(written.fileno(), headers, 0)
    Database.require_whole(copy)
    return True


def _ends(descriptor: int, start: int) -> tuple[bytes, bytes]:
    """The first page of a block, with its checksum, and the last."""
    return os.pread(descriptor, PAGE, start), os.pread(descriptor, PAGE, start + BLOCK - PAGE)


def _is_sound(block: bytes) -> bool:
    """Whether a block of a DuckDB file is what was written: its first word is the checksum of all others."""
    words = np.frombuffer(block, "<u8")
    return bool(words[0] == np.bitwise_xor.reduce(words[1:] * FACTOR) ^ START)


def is_unchanged(ledger: Path, snapshot: Path) -> bool:
    """Whether a ledger is as it was when the snapshot was copied, as far as its headers and its size say."""
    try:
        if ledger.stat().st_size != snapshot.stat().st_size:
            return False
        with ledger.open("rb") as one, snapshot.open("rb") as other:
            return one.read(HEADERS) == other.read(HEADERS)
    except OSError:
        return False


def read_back(copy: Path) -> None:
    """Raises StoreError for a copy of a damaged ledger, which must not take the place of the one that is published."""
    with Database.open_reader(copy) as database:
        read_everything(database)

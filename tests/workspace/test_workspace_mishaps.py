"""Damage, full disks and lack of memory are told by the class of an error, never by words that the user wrote."""

from __future__ import annotations

import errno
import os
import re
import shutil
from pathlib import Path

import duckdb
import numpy as np
import pytest

from curator.durable import copy_file
from curator.errors import StoreError, WorkspaceError
from curator.store import Database, publish, publish_snapshot
from curator.store.checks import read_everything
from curator.store.faults import kind_of
from curator.store.parquet_copy import copy_report
from curator.store.publish import BLOCK, HEADERS
from curator.workspace.mishaps import damage, exhaustion

WORDS = [
    "checksum", "corrupt", "could not read", "is not a valid DuckDB database", "replaying WAL", "serialize", "INTERNAL",
    "FATAL", "attempted", "No space left on device", "File too large", "failed to offload", "Permission denied",
    "Read-only file system", "Out of Memory", "bad_alloc", "can't start new thread", "Corrupt database file",
]  # fmt: skip
MISTAKES = [
    'select "{}" from run', 'select * from "{}"', "select '{}'::int", "select '{}'::date", "select error('{}')",
    "selec '{}'", 'select "{}"(1)', "select json('{{{}')", "select strptime('{}', '%Y')", "select $x || '{}'",
    'select 1 as "{}" from range(1) having nothing', "select 200::tinyint as a, '{}' as b", "set \"{}\" = 1",
]  # fmt: skip


@pytest.mark.parametrize(
    ("mistake", "words"),
    [
        *((mistake, WORDS[number % 3 :: 3]) for number, mistake in enumerate(MISTAKES)),
        *(pytest.param(mistake, WORDS, marks=pytest.mark.slow) for mistake in MISTAKES),
    ],
)
def test_mistake_in_a_statement_is_told_as_that_whatever_it_quotes(mistake, words, first_night):
    for word in words:
        with pytest.raises(StoreError) as caught:
            first_night[0].sql(mistake.format(word.replace("'", "''")))
        assert caught.value.kind == "statement" and "damaged" not in str(caught.value)


@pytest.mark.parametrize("word", ["checksum", "No space left on device", "bad_alloc"])
def test_mistake_in_a_condition_is_told_as_that_too(word, first_night):
    with pytest.raises(StoreError, match="`where`") as caught:
        first_night[0].score(where=f'"{word}" > 0')
    assert caught.value.kind == "statement"


def test_mistake_within_a_run_is_neither_a_full_disk_nor_damage(tmp_path):
    text = 'select "No space left on device, FATAL: Corrupt database file, bad_alloc" from range(1)'
    with (
        Database.open(tmp_path / "ledger.duckdb") as database,
        pytest.raises(StoreError) as caught,
        exhaustion(tmp_path),
        damage(tmp_path, remedy="none"),
    ):
        database.execute(text)
    assert caught.value.kind == "statement"


@pytest.mark.parametrize("harm", ["flipped", "cut", "no database"])
def test_damage_of_a_file_is_told_as_that(harm, first_night):
    layout = first_night[0].layout
    path = shutil.copy(layout.ledger, layout.root / "checksum of nothing.duckdb")
    data = bytearray(path.read_bytes())
    if harm == "flipped":
        data[len(data) // 2] ^= 255
    elif harm == "cut":
        del data[len(data) // 2 :]
    elif harm == "no database":
        data = bytearray(b"not a database at all " * 1000)
    path.write_bytes(data)
    with (
        pytest.raises(WorkspaceError, match="is damaged") as caught,
        damage(path, remedy="mend it"),
        Database.open(path) as database,
    ):
        read_everything(database)
    assert caught.value.hint == "mend it"


def flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 255
    path.write_bytes(data)


@pytest.mark.usefixtures("real_publishing")
def test_a_damaged_ledger_does_not_take_the_place_of_its_snapshot(first_night):
    """Published are blocks that changed, and all of them on demand; neither is done with what is damaged."""
    workspace, lake = first_night
    layout = workspace.layout
    before = layout.snapshot.read_bytes()
    workspace.scan(lake)  # finds nothing new, and says so
    after = layout.snapshot.read_bytes()
    assert after == layout.ledger.read_bytes() != before
    starts = range(HEADERS, len(before), BLOCK)
    changed = next(start for start in starts if before[start:][:BLOCK] != after[start:][:BLOCK]) + BLOCK // 2
    layout.snapshot.write_bytes(before)
    flip(layout.ledger, changed)
    for anew in (False, True):
        with pytest.raises(StoreError):
            publish_snapshot(layout.ledger, layout.snapshot, anew=anew)
        assert layout.snapshot.read_bytes() == before
    layout.snapshot.write_bytes(after)
    publish_snapshot(layout.ledger, layout.snapshot)
    assert layout.snapshot.read_bytes() == after, "a block that was verified once outlives that of the ledger"
    flip(layout.ledger, changed)
    flip(layout.snapshot, changed)
    publish_snapshot(layout.ledger, layout.snapshot, anew=True)
    assert layout.snapshot.read_bytes() == after
    assert not list(layout.snapshot.parent.glob(".curator*"))


def test_a_block_of_the_ledger_begins_with_the_checksum_that_is_computed_here(first_night):
    data = first_night[0].layout.ledger.read_bytes()
    blocks = [data[start : start + BLOCK] for start in range(HEADERS, len(data), BLOCK)]
    assert len(blocks) > 3 and all(map(publish._is_sound, blocks))
    assert not publish._is_sound(blocks[0][:-1] + bytes([blocks[0][-1] ^ 1]))


def test_a_block_of_the_same_words_in_another_order_is_published(first_night):
    """DuckDB's checksum is of the words of a block, whatever their order."""
    layout = first_night[0].layout
    data = bytearray(layout.snapshot.read_bytes())
    words = np.frombuffer(bytes(data[HEADERS : HEADERS + BLOCK]), "<u8")
    permuted = np.concatenate([words[:1], words[1:][::-1]]).tobytes()
    assert publish._is_sound(permuted) and permuted != words.tobytes()
    data[HEADERS : HEADERS + BLOCK] = permuted
    layout.snapshot.write_bytes(data)
    publish_snapshot(layout.ledger, layout.snapshot)
    assert layout.snapshot.read_bytes() == layout.ledger.read_bytes()


def test_a_file_is_copied_where_the_kernel_cannot(tmp_path, monkeypatch):
    def refusing(*_):
        raise OSError(errno.EXDEV, "over file systems")

    (tmp_path / "one").write_bytes(b"content")
    for name in ("by the kernel", "by Python"):
        copy_file(tmp_path / "one", tmp_path / name)
        assert (tmp_path / name).read_bytes() == b"content"
        monkeypatch.setattr("os.copy_file_range", refusing)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (duckdb.IOException('IO Error: Could not write file "/w/a.duckdb": No space left on device'), "full"),
        (duckdb.IOException('IO Error: Cannot open file "/w/No space left on device/a": Permission denied'), "refused"),
        (duckdb.IOException('IO Error: Cannot open file "/w/corrupt/a": No such file or directory'), "statement"),
        (duckdb.IOException('IO Error: Could not set lock on file "/checksum"'), "statement"),
        (duckdb.TransactionException("TransactionContext Error: Failed to commit: Disk quota exceeded"), "full"),
        (duckdb.OutOfMemoryException("Out of Memory Error: failed to offload data block"), "full"),
        (duckdb.OutOfMemoryException("Out of Memory Error: could not allocate block"), "memory"),
        (duckdb.FatalException('FATAL Error: …\nOriginal error: "No space left on device"'), "full"),
        (duckdb.InternalException("INTERNAL Error: Attempted to access index 1"), "broken"),
        (duckdb.SerializationException("Serialization Error: Failed to deserialize"), "broken"),
        (duckdb.Error("Corrupt database file: computed checksum 1 does not match"), "damaged"),
        (duckdb.ConversionException("Conversion Error: Corrupt database file"), "statement"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_kind_of_an_error(fault, kind):
    assert kind_of(fault) == kind


def test_statement_of_others_that_duckdb_gives_up_on_is_no_damage(tmp_path):
    broken = StoreError("INTERNAL Error: a bug of DuckDB", kind="broken")
    with pytest.raises(StoreError, match="a bug of DuckDB"), damage(tmp_path, remedy="none", ours=False):
        raise broken
    with pytest.raises(WorkspaceError, match="is damaged"), damage(tmp_path, remedy="none"):
        raise broken


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (OSError(errno.ENOSPC, "text of any kind"), "the disk is full"),
        (OSError(errno.EROFS, "text of any kind", "/w/bad_alloc"), "/w/bad_alloc: cannot be written"),
        (StoreError("IO Error: Read-only file system", kind="refused"), "{root}: cannot be written: IO Error"),
        (OSError(errno.ENOENT, "No space left on device"), None),
        (OSError("index: No space left on device"), "the disk is full"),
        (RuntimeError("Error in FAISS: No space left on device"), "the disk is full"),
        (MemoryError(), "the memory of this process"),
        (OSError(errno.ENOMEM, "text of any kind"), "the memory of this process"),
        (StoreError("…", kind="memory"), "the database has used up its memory"),
        (StoreError("bad_alloc, No space left on device"), None),
    ],
    ids=str,
)
def test_what_befalls_a_run_is_told_by_number_and_class(fault, told, tmp_path):
    told = told and re.escape(told.format(root=tmp_path))
    with pytest.raises(type(fault) if told is None else WorkspaceError, match=told) as caught, exhaustion(tmp_path):
        raise fault
    assert told is not None or caught.value is fault


@pytest.mark.parametrize("word", ["ledger", "snapshot"])
def test_a_database_that_may_not_be_opened_is_named_once(word, first_night, monkeypatch):
    workspace, lake = first_night
    path = getattr(workspace.layout, word)
    text = f'IO Error: Cannot open file "{path}": Permission denied'

    def refusing(*_, **__):
        raise duckdb.IOException(text)

    monkeypatch.setattr("duckdb.connect", refusing)
    with pytest.raises(WorkspaceError, match="Cannot open file: Permission denied") as caught:
        workspace.scan(lake) if word == "ledger" else workspace.sql("select 1")
    assert str(caught.value).count(str(workspace.layout.root)) == 1 and caught.value.message.startswith(f"{path}: ")


@pytest.mark.parametrize(
    ("number", "told"),
    [(errno.ENOSPC, "free some space"), (errno.EDQUOT, "free some space"), (errno.EACCES, "its permissions"),
     (errno.EROFS, "its permissions"), (errno.EIO, "check the disk")],
    ids=errno.errorcode.get,
)  # fmt: skip
def test_what_to_do_about_a_snapshot_that_cannot_be_written_goes_by_the_number(number, told, first_night, monkeypatch):
    layout = first_night[0].layout

    def refusing(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(publish, "copy_file", refusing)
    monkeypatch.setattr("curator.store.parquet_copy._generation", refusing)
    for write in (
        lambda: publish_snapshot(layout.ledger, layout.snapshot, anew=True),
        lambda: copy_report(layout.snapshot, layout.report, extent="most"),
    ):
        with pytest.raises(WorkspaceError, match="cannot") as caught:
            write()
        hint = str(caught.value.hint)
        assert told in hint and ("space" in hint) == (number in (errno.ENOSPC, errno.EDQUOT))


def test_a_full_disk_says_what_is_free_and_what_may_go(first_night, tmp_path, monkeypatch):
    workspace, lake = first_night
    for free, told in ((0, "0 MB free"), (437_200_000, "437 MB free"), (21_040_000_000, "21.0 GB free")):
        monkeypatch.setattr("shutil.disk_usage", lambda _, free=free: shutil._ntuple_diskusage(free, 0, free))
        with pytest.raises(WorkspaceError, match=rf"\({told}\)") as caught, exhaustion(tmp_path):
            raise OSError(errno.ENOSPC, "full")
        assert "cache/ may be removed" in str(caught.value.hint)
    shutil.rmtree(workspace.layout.root / "cache")
    workspace.scan(lake, rehash=True)
    assert workspace.search(text="red", k=1).num_rows == 1 and all(result.healthy for result in workspace.check())


def test_a_mistake_in_sql_says_from_python_what_duckdb_says(first_night):
    with pytest.raises(StoreError) as caught:
        first_night[0].sql("select imag_id from report.scores")
    lines = str(caught.value).splitlines()
    assert lines[0] == caught.value.message and "image_id" in str(caught.value) and lines[-1].strip() == "^^^^^^^"
    assert str(caught.value).count("imag_id from") == 1

"""Outputs: files that a workspace made, put where others read them: a folder, or any URL that fsspec can write to.

Each file is there whole or not at all, and an older one stays until then. An object store shows an object only once
all of it has arrived, so there it is written under its own name; S3 has no rename, and a copy from a temporary key
would cost another pass and promise no more. Everywhere else it is written under a temporary name and renamed.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from curator.config import Config
from curator.durable import copy_file, durable
from curator.errors import OutputError, UsageError
from curator.lake.files import connect, foreign_faults
from curator.lake.patience import CutShort, patiently
from curator.paths import expanded
from curator.printable import said_by
from curator.urls import is_http, refuse_secrets, scheme_of
from curator.workspace.layout import Layout
from curator.workspace.logs import log

OBJECT_STORES = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az"})


def put_output(path: Path, address: str) -> str:
    """Put a file, or each file of a folder under its relative path; returns the address of what is there now.

    An address that ends with a slash, or a folder that exists, holds the file under its own name. A folder is put file
    by file, in the order of their names. Raises UsageError for an address that nobody writes to, OutputError where it
    cannot be written.
    """
    check_destination(address)
    target = _target(path, address)
    if path.is_file():
        _put_file(path, target)
    else:
        for file in sorted(item for item in path.rglob("*") if item.is_file()):
            _put_file(file, f"{target.rstrip('/')}/{file.relative_to(path).as_posix()}")
    return target


def check_destination(address: str) -> None:
    """What can be known of an address before anything is written: makes no request.

    Raises UsageError for one that cannot be written to, MissingExtra or SourceError where nothing serves its scheme.
    """
    refuse_secrets(address)
    if is_http(address):
        raise UsageError(f"{address}: nothing is written to web servers", hint="name a folder or an object store")
    if scheme_of(address) is not None:
        connect(address)


def put_snapshot(layout: Layout, config: Config, to: str | None) -> None:
    """Copy the published snapshot `to` an address, or else to `publish.to` of the configuration, if it has one.

    Only what was asked for in this very call may fail: what a night found is safe in the workspace, and the next run
    puts it there again.
    """
    if to is not None:
        log.info("the snapshot is at %s", put_output(layout.snapshot, to))
        return
    configured = configured_destination(layout, config)
    try:
        if configured:
            log.info("the snapshot is at %s", put_output(layout.snapshot, configured))
    except OutputError as fault:
        log.warning("%s; run `curator publish --to %s` to try again", fault.message, configured)


def configured_destination(layout: Layout, config: Config) -> str:
    """The address in `publish.to`, empty where there is none; a relative path starts from the workspace folder."""
    to = config.publish.to
    is_path = to and scheme_of(to) is None
    return f"{layout.root / expanded(to)}{'/' * to.endswith('/')}" if is_path else to


def _target(path: Path, address: str) -> str:
    is_folder = scheme_of(address) is None and expanded(address).is_dir()
    return f"{address.rstrip('/')}/{path.name}" if path.is_file() and (address.endswith("/") or is_folder) else address


def _put_file(file: Path, address: str) -> None:
    with _faults(address):
        if scheme_of(address) is None:
            with durable(expanded(address)) as temporary:
                copy_file(file, temporary)
            return
        with foreign_faults():
            filesystem, inner = connect(address)
            if scheme_of(address) in OBJECT_STORES:
                patiently(lambda: _send(filesystem, file, inner))
            else:
                _send_aside(filesystem, file, inner)


def _send(filesystem: Any, file: Path, inner: str) -> None:
    filesystem.put_file(str(file), inner)
    filesystem.invalidate_cache()
    size, found = file.stat().st_size, int(filesystem.info(inner)["size"])
    if found != size:
        raise CutShort(f"{found} bytes arrived of {size}")


def _send_aside(filesystem: Any, file: Path, inner: str) -> None:
    temporary = f"{inner}.{secrets.token_hex(8)}.tmp"
    filesystem.makedirs(filesystem._parent(inner), exist_ok=True)
    try:
        patiently(lambda: _send(filesystem, file, temporary))
        filesystem.mv(temporary, inner)
    except BaseException:
        with suppress(Exception):  # what could not be written may not be there to be removed
            filesystem.rm_file(temporary)
        raise


@contextmanager
def _faults(address: str) -> Iterator[None]:
    try:
        yield
    except PermissionError as fault:
        hint = "check the credentials of this store, and that they may write there"
        raise OutputError(f"{address}: access denied: {said_by(fault)}", hint=hint) from fault
    except FileNotFoundError as fault:
        hint = "check the name of the bucket or folder"
        raise OutputError(f"{address}: no such bucket or folder: {said_by(fault)}", hint=hint) from fault
    except OSError as fault:
        hint = "check the network, the free space and the credentials"
        raise OutputError(f"{address}: cannot be written: {said_by(fault)}", hint=hint) from fault


def metrics_path(layout: Layout, given: str) -> Path | None:
    """Where the file goes: as given, from the workspace. Raises UsageError before any work when there is no folder."""
    if not given:
        return None
    path = layout.root / expanded(given)
    if not path.parent.is_dir() or path.is_dir():
        raise UsageError(f"{path}: metrics cannot be written there", hint="name a file in a folder that is there")
    return path

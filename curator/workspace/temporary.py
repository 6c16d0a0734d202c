"""Temporary files of a run lie in the workspace: on its disk, under its permissions, and gone with it.

Ours have no name at all (`tempfile.TemporaryFile`), so even a killed run leaves none; packages may make others.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def temporary_files(folder: Path) -> Iterator[None]:
    """Within it, Python's temporary files are made in `folder`, which is there only for that time."""
    before = tempfile.tempdir
    folder.mkdir(exist_ok=True)
    tempfile.tempdir = str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = before
        with contextlib.suppress(OSError):  # what another run in this process, or a package, has left in it stays
            folder.rmdir()

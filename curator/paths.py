"""Local paths as they are given: a `~` or `~name` in front stands for a home folder."""

from __future__ import annotations

from pathlib import Path

from curator.errors import UsageError


def expanded(path: Path | str) -> Path:
    """The path with the home folder in it. Raises UsageError where there is no such user, or no home."""
    try:
        return Path(path).expanduser()
    except RuntimeError as fault:
        raise UsageError(
            f"{path}: its home folder is not known", hint="no such user, or no home: write the path in full"
        ) from fault

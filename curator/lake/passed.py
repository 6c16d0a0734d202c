"""Files that a listing, or the reading of a tar, passes over: counted by a heading that says why, and never silent.

A heading is the suffix of a file that is no image, or a remark in brackets. A folder of this machine that is passed
over as a whole is counted once and never entered; object stores and tars have no folders, so there each object or
member in it counts.
"""

from __future__ import annotations

from collections import Counter

from curator.lake.kinds import suffix_of

FOLDER_LINK = "(folder link)"
HIDDEN = "(hidden)"
SYSTEM = "(system folder)"
EXCLUDED = "(excluded)"
NO_SUFFIX = "(no suffix)"
OTHER = "(other suffixes)"
EMPTY_TAR = "(empty tar)"
TAR_INSIDE = "(tar inside a tar)"
PARQUET_INSIDE = "(Parquet inside a tar)"
TABLE = "(Parquet without images)"
MAX_HEADINGS = 100  # of one count: names are free, and so are suffixes
MAX_SUFFIX = 16  # characters; longer ones are parts of names

SYSTEM_FILES = frozenset({"thumbs.db", "ehthumbs.db", "desktop.ini"})  # left behind by file managers
SYSTEM_FOLDERS = frozenset(
    {
        "@eadir", "#recycle", "#snapshot",  # Synology: thumbnails, deleted files, copies
        "@recycle", "@recently-snapshot",  # QNAP
        "~snapshot",  # NetApp
        "$recycle.bin", "system volume information",  # Windows
        "__macosx", "network trash folder",  # macOS
        "lost+found",  # file systems of Linux
    }
)  # fmt: skip


class PassedOver(Counter[str]):
    """Heading to number of files, with a bound on the headings."""

    def note(self, heading: str) -> None:
        self[heading if heading in self or len(self) < MAX_HEADINGS else OTHER] += 1


def passed_as(name: str) -> str | None:
    """The heading under which a part of a path is passed over for its name alone; None where it is not."""
    if (name.startswith(".") and name.strip(".") != "") or name.lower() in SYSTEM_FILES:
        return HIDDEN
    return SYSTEM if name.lower() in SYSTEM_FOLDERS else None


def suffix_heading(name: str) -> str:
    """The heading of a file that is no image."""
    suffix = suffix_of(name)
    return (suffix or NO_SUFFIX) if len(suffix) <= MAX_SUFFIX else OTHER

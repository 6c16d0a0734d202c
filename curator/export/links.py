"""Trees of links to the images where they lie, by label or flat, under names that a person knows them by.

A link is made for an image that is a file on this machine; what lies in a tar, a Parquet file or an object store is
written as a file. Names that would meet, also where case or composition of letters is all that differs, get the image's
id in front of their suffix.
"""

from __future__ import annotations

import secrets
import unicodedata
from collections import Counter
from pathlib import Path, PurePosixPath

import pyarrow as pa

from curator.durable import sync
from curator.export.parts import Options, Part, Written, in_slices, put
from curator.export.pictures import local_file, read_pictures
from curator.export.rows import Row, file_name, label_of, rows_of

PART_ROWS = 1000
MOST_BYTES = 180  # of a name before an id is put into it: file systems take 255
PLACE = "place"  # the column with the path of each row's link


def cut_links(rows: pa.Table, options: Options) -> list[Part]:
    """Rows with the path of their link, which depends on all of them."""
    places = link_places(list(rows_of(rows)), by_label=options.by_label)
    return in_slices(rows.append_column(PLACE, pa.array(places, pa.string())), PART_ROWS, "links")


def link_places(rows: list[Row], *, by_label: bool) -> list[str]:
    """A path for each row, none twice."""
    natural = [(f"{clean(label_of(row))}/" if by_label else "") + clean(_known_by(row)) for row in rows]
    counted = Counter(map(_key, natural))
    taken = {key for key, count in counted.items() if count == 1}
    places = []
    for row, place in zip(rows, natural, strict=True):
        if counted[_key(place)] > 1:
            path = PurePosixPath(place)
            place = str(path.with_name(f"{path.stem}-{row['image_id']}{path.suffix}"))
            while _key(place) in taken:
                place = str(PurePosixPath(place).with_name(f"{row['image_id']}-{PurePosixPath(place).name}"))
            taken.add(_key(place))
        places.append(place)
    return places


def _key(place: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", place).casefold())


def _known_by(row: Row) -> str:
    """The last part of the address, with the suffix of the format where it has none."""
    address = str(row["uri"] if row["kind"] != "tar" else row["member"])
    name = address.rstrip("/").rpartition("/")[2]
    if row["kind"] == "parquet":
        name = name.replace("#", "-")
    return (
        name if PurePosixPath(name).suffix and row["kind"] != "parquet" else name + PurePosixPath(file_name(row)).suffix
    )


def clean(name: str) -> str:
    """One component of a path: never hidden, never another folder, not too long; otherwise as it is."""
    name = name.replace("/", "_").replace("\0", "_")
    name = f"_{name.lstrip('.')}" if name.startswith(".") or not name else name
    suffix = PurePosixPath(name).suffix if len(PurePosixPath(name).suffix) < 10 else ""
    room = MOST_BYTES - len(suffix.encode())
    stem = name[: len(name) - len(suffix)] if suffix else name
    return stem.encode()[:room].decode(errors="ignore") + suffix


def write_links(part: Part, folder: Path, options: Options) -> Written:
    written = Written()
    for row, data in read_pictures(part.rows, options.read, scratch=folder):
        if not isinstance(data, bytes):
            written.lacks(row, data)
        elif (target := local_file(row)) is not None:
            written.files.append(_link(folder, row[PLACE], target))
        else:
            written.files.append(put(folder, row[PLACE], data))
    return written


def _link(folder: Path, name: str, target: Path) -> str:
    """A link in place of whatever is there, or nothing."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".{secrets.token_hex(8)}.tmp"
    temporary.symlink_to(target)
    temporary.replace(path)
    sync(path.parent)
    return name

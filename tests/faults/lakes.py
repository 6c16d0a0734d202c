"""The data of the suite: a lake of every kind of object with good and bad data, known ID images, and an OOD set."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

COLOURS = ("red", "green", "blue", "yellow", "black")


def picture(colour: str, number: int) -> bytes:
    """One colour with a pattern of its own, so that no two nearly coincide."""
    image = Image.new("RGB", (32, 32), colour)
    for bit in range(10):
        if number >> bit & 1:
            left, top = bit % 5 * 6, bit // 5 * 16
            image.paste((number * 37 % 256, bit * 25, 128), (left, top, left + 5, top + 14))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def make_lake(folder: Path) -> Path:
    """Twelve files (a duplicate, a truncated and an empty one among them), a tar of five, a Parquet file of eight."""
    folder.mkdir(parents=True)
    for number in range(9):
        (folder / f"{COLOURS[number % 5]}-{number:02d}.png").write_bytes(picture(COLOURS[number % 5], number))
    first = picture(COLOURS[0], 0)
    (folder / "x-duplicate.png").write_bytes(first)
    (folder / "x-truncated.png").write_bytes(first[: len(first) // 2])
    (folder / "x-empty.jpg").write_bytes(b"")
    write_tar(folder / "y-shard.tar", [picture(COLOURS[number % 5], number) for number in range(20, 24)] + [first])
    write_parquet(
        folder / "z-rows.parquet", [picture(COLOURS[number % 5], number) for number in range(30, 37)] + [b"bad"]
    )
    return folder


def make_known(folder: Path) -> Path:
    """Twenty-four images of ID classes, in folders of their class."""
    for number in range(100, 124):
        path = folder / COLOURS[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture(COLOURS[number % 2], number))
    return folder


def make_other(folder: Path) -> Path:
    """Six images of no ID class."""
    folder.mkdir(parents=True)
    for number in range(200, 206):
        (folder / f"{number}.png").write_bytes(picture(COLOURS[2 + number % 3], number))
    return folder


def write_tar(path: Path, images: list[bytes]) -> None:
    with tarfile.open(path, "w") as archive:
        for number, data in enumerate(images):
            info = tarfile.TarInfo(f"{number:04d}.png")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))


def write_parquet(path: Path, images: list[bytes]) -> None:
    rows = [{"bytes": data, "path": f"{number}.png"} for number, data in enumerate(images)]
    pq.write_table(pa.table({"image": rows}), path, row_group_size=3)

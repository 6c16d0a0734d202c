"""The sample lake: real photographs, laid out the way lakes are, with the faults that lakes have.

The photographs come with scikit-image (extra `demo`), so nothing is downloaded. The lake has a folder, a tar, an exact
duplicate, a resized near-duplicate, a truncated file, an animated GIF and a text file with the name of a JPEG.
"""

from __future__ import annotations

import io
import tarfile
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageOps

from curator.errors import MissingExtra, UsageError

# What the team of the sample lake knows and wants more of.
ID_LABELS = ("cat", "dog", "horse", "cup of coffee")

IN_FOLDER = (
    "chelsea.png", "coffee.png", "horse.png", "motorcycle_left.png", "camera.png", "astronaut.png", "rocket.jpg",
    "retina.jpg", "cell.png", "brick.png",
)  # fmt: skip
IN_TAR = (
    "ihc.png", "hubble_deep_field.jpg", "moon.png", "coins.png", "page.png", "text.png", "gravel.png", "grass.png",
    "clock_motion.png", "motorcycle_right.png", "logo.png", "color.png",
)  # fmt: skip
OF_ID_SUBJECTS = ("chelsea.png", "coffee.png", "horse.png")


@dataclass(frozen=True, slots=True)
class SampleLake:
    """Where the sample lies: the folder to scan, the file of ID labels, and a folder of images known to be ID."""

    lake: Path
    labels: Path
    reference: Path


def photographs_folder() -> Path:
    """The folder of scikit-image's photographs. Raises MissingExtra when it is not installed."""
    from importlib.util import find_spec

    found = find_spec("skimage")
    if found is None or found.origin is None:
        raise MissingExtra("scikit-image", extra="demo", needed_for="the sample lake")
    return Path(found.origin).parent / "data"


def make_sample_lake(folder: Path) -> SampleLake:
    """Lay out the sample lake under `folder`. Raises UsageError when it holds something already."""
    source = photographs_folder()
    lake = folder / "lake"
    if lake.exists():
        raise UsageError(f"{lake}: is there already", hint="give another `folder` or delete it")
    camera = lake / "camera-1" / "2026-01-31"
    camera.mkdir(parents=True)
    for name in IN_FOLDER:
        (camera / name).write_bytes((source / name).read_bytes())
    _write_tar(lake / "upload-0001.tar", {name: (source / name).read_bytes() for name in IN_TAR})
    _add_faults(source, lake)
    labels = folder / "labels.txt"
    labels.write_text("".join(f"{label}\n" for label in ID_LABELS), encoding="utf-8")
    return SampleLake(lake, labels, _make_reference(source, folder / "reference"))


def _make_reference(source: Path, folder: Path) -> Path:
    """Images known to be ID: the photographs of ID subjects again, mirrored and cropped eight ways each."""
    folder.mkdir()
    for name in OF_ID_SUBJECTS:
        with Image.open(source / name) as image:
            picture = image.convert("RGB")
        for number in range(8):
            left, top = (number & 1) * picture.width // 10, (number >> 1 & 1) * picture.height // 10
            part = picture.crop((left, top, left + picture.width * 9 // 10, top + picture.height * 9 // 10))
            shown = ImageOps.mirror(part) if number & 4 else part
            shown.save(folder / f"{Path(name).stem}-{number}.jpg", quality=92)
    return folder


def _add_faults(source: Path, lake: Path) -> None:
    odds = lake / "odds-and-ends"
    odds.mkdir()
    coffee = (source / "coffee.png").read_bytes()
    (odds / "copy-of-coffee.png").write_bytes(coffee)
    with Image.open(io.BytesIO(coffee)) as image:
        image.resize((480, 320)).save(odds / "smaller-coffee.jpg", quality=90)
    rocket = (source / "rocket.jpg").read_bytes()
    (odds / "truncated-rocket.jpg").write_bytes(rocket[: len(rocket) // 3])
    (odds / "animated.gif").write_bytes((source / "no_time_for_that_tiny.gif").read_bytes())
    (odds / "notes.jpg").write_text("This is no picture.\n", encoding="utf-8")


def _write_tar(path: Path, members: dict[str, bytes]) -> None:
    with tarfile.open(path, "w") as archive:
        for number, (name, data) in enumerate(members.items()):
            info = tarfile.TarInfo(f"{number:06d}-{Path(name).stem}{Path(name).suffix}")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))

"""Banks that learn from a lake, on nights of known content: `python -m tests.bench.nights DATA`.

A workspace of some ID classes scans one night in which 0, 2, 10 or 50 % of the images are OOD, every system that learns
from a lake makes a bank of it, and what the bank became is measured on other images: the ID images and OOD images of
the same sets that no night had. Beside it stands the parent bank under the configured method. A bank that is refused
stands with why, and with what it would have been, which `force` shows. Images come as they are, or all saved alike
(see `SAVED`), so that no figure rests on one side's archive.
"""

from __future__ import annotations

import hashlib
import io
import shutil
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pyarrow.parquet as pq
from PIL import Image

from curator.errors import BankError
from curator.workspace import Workspace

Item = TypeVar("Item")
SYSTEMS = ("tanl", "ants", "adaneg", "oodd")
SHARES = (0.0, 0.02, 0.1, 0.5)
TASKS = ("objects", "imagenette", "thumbnails")
SAVED = (64, 70)  # shortest side in pixels and JPEG quality that images are brought to for the second table
MOST = 120  # images of each OOD set and half
PARQUET = ("scenes", "clothing", "flowers")


@dataclass(frozen=True, slots=True)
class Learnt:
    """One bank from one night. AUROC: 0-1, on the images that no night had. refused: why it is, empty if it is not."""

    task: str
    saved_alike: bool
    ood_share: float
    images: int
    system: str
    parent_auroc: float
    auroc: float
    refused: str

    @property
    def holds(self) -> bool:
        """Not worse than its parent by more than a point of AUROC, or refused."""
        return bool(self.refused) or self.auroc >= self.parent_auroc - 0.01


def learnt_nights(
    data: Path,
    folder: Path,
    *,
    tasks: Sequence[str] = TASKS,
    shares: Sequence[float] = SHARES,
    systems: Sequence[str] = SYSTEMS,
    saved_alike: bool = False,
) -> Iterator[Learnt]:
    """Every system on every night of every task. data: the development data; folder: empty, to work in."""
    for task in tasks:
        root = folder / f"{task}-{saved_alike}"
        labels = write_task(data, task, root, saved_alike=saved_alike)
        workspace = Workspace.create(root / "workspace", labels=labels)
        workspace.calibrate(root / "known")
        workspace.evaluate(  # embeds every image once: nights find their vectors there
            positive="id",
            id_sources=[root / "night" / "id", root / "score" / "id"],
            ood_sources={"ood": [root / "night" / "ood", root / "score" / "ood"]},
            replicates=0,
        )
        for share in shares:
            night = Workspace.open(shutil.copytree(workspace.layout.root, root / f"night-{share:g}"))
            images = scan_night(night, root, share)
            parent = measured(night, root, "base")
            for system in systems:
                refused = learn(night, system)
                found = measured(night, root, system, system)
                yield Learnt(task, saved_alike, share, images, system, parent, found, refused)


def learn(night: Workspace, system: str) -> str:
    """Make the bank; one that is refused is forced. Returns why it was refused."""
    try:
        night.learn_bank(system, system)
    except BankError as fault:
        night.learn_bank(system, system, force=True)
        return fault.message
    return ""


def scan_night(night: Workspace, root: Path, share: float) -> int:
    """Scan the ID images of the night and so many OOD ones that they are `share` of all, as many of each set."""
    ids = sorted((root / "night" / "id").iterdir())
    sets = [sorted(path.iterdir()) for path in sorted((root / "night" / "ood").iterdir())]
    wanted = min(round(share / (1 - share) * len(ids)), sum(map(len, sets)))
    ordered = [images[place] for place in range(max(map(len, sets))) for images in sets if place < len(images)]
    lake = root / f"lake-{share:g}"
    lake.mkdir()
    for path in [*ids, *ordered[:wanted]]:
        (lake / path.name).hardlink_to(path)
    night.scan(lake)
    return len(ids) + wanted


def measured(night: Workspace, root: Path, bank: str, method: str | None = None) -> float:
    """AUROC on the images that no night had."""
    summary = night.evaluate(
        positive="id",
        id_sources=[root / "score" / "id"],
        ood_sources={"ood": [root / "score" / "ood"]},
        banks=[bank],
        methods=[method] if method else [],
        replicates=0,
    )
    return float(next(row["auroc"] for row in summary.rows() if row["ood"] == "ood"))


# The images


def write_task(data: Path, task: str, root: Path, *, saved_alike: bool) -> list[str]:
    """Write `known`, `night/id`, `score/id`, `night/ood/SET` and `score/ood/SET`; returns the ID labels.

    The hash of an image decides where it goes. ID are every second kind of the objects or of the thumbnails, or all of
    Imagenette; the other of them, the other objects, scenes, garments, flowers and cartoons are OOD. The encoder was
    trained to name the objects and Imagenette; of the thumbnails it has seen none.
    """
    objects, photographs = dict(folders(data / "objects-folder")), archives(data, "imagenette-wds-*.tar")
    ids = dict(list(objects.items())[::2]) if task == "objects" else photographs
    others = photographs if task == "objects" else dict(list(objects.items())[::2])
    if task == "thumbnails":
        thumbnails = list(archives(data, "tiny64-wds-*.tar").items())
        ids, others = dict(thumbnails[::2]), dict(thumbnails[1::2])
    rest = {f"other-{name}": images for name, images in objects.items() if name not in ids and name not in others}
    ood: dict[str, list[bytes]] = {
        "others": [image for images in others.values() for image in images],
        "other-objects": [image for images in rest.values() for image in images],
        **{name: list(rows(data / f"{name}.parquet")) for name in PARQUET},
        "cartoons": [path.read_bytes() for path in sorted((data / "cartoons").iterdir())],
    }
    for images in ids.values():
        place_images(images, [root / "known", root / "night" / "id", root / "score" / "id"], saved_alike)
    for name, images in ood.items():
        place_images(images, [root / half / "ood" / name for half in ("night", "score")], saved_alike, MOST)
    return sorted(ids)


def place_images(images: Sequence[bytes], targets: Sequence[Path], saved_alike: bool, most: int = 1_000_000) -> None:
    """Each image to the folder that its hash names, at most so many to each."""
    counts = dict.fromkeys(targets, 0)
    for content in sorted(images, key=lambda data: hashlib.sha256(data).digest()):
        digest = hashlib.sha256(content).hexdigest()
        target = targets[int(digest[:8], 16) % len(targets)]
        if counts[target] < most:
            counts[target] += 1
            target.mkdir(parents=True, exist_ok=True)
            (target / f"{digest[:16]}.jpg").write_bytes(saved(content) if saved_alike else content)


def saved(content: bytes) -> bytes:
    """The image at `SAVED`."""
    side, quality = SAVED
    image = Image.open(io.BytesIO(content)).convert("RGB")
    scale = side / min(image.size)
    image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def folders(root: Path) -> Iterator[tuple[str, list[bytes]]]:
    for folder in sorted(root.iterdir()):
        yield folder.name.replace("_", " "), [path.read_bytes() for path in sorted(folder.iterdir())]


def archives(data: Path, pattern: str) -> dict[str, list[bytes]]:
    """Images of tars by their labels."""
    found: dict[str, list[bytes]] = {}
    for path in sorted(data.glob(pattern)):
        with tarfile.open(path) as archive:
            members = {item.name: file.read() for item in archive if (file := archive.extractfile(item)) is not None}
        for name, content in members.items():
            if name.endswith(".jpg"):
                found.setdefault(members[name.removesuffix(".jpg") + ".cls.txt"].decode().strip(), []).append(content)
    return dict(sorted(found.items()))


def rows(path: Path) -> Iterator[bytes]:
    for row in pq.read_table(path, columns=["image"])["image"].to_pylist():
        yield row["bytes"]


# The table


def night_table(found: Sequence[Learnt]) -> str:
    """AUROC in percent of every bank by the OOD share of its night, as Markdown; what was refused is in brackets."""
    shares = sorted({item.ood_share for item in found})
    heads = [f"{share:.0%} OOD" for share in shares]
    lines = [f"| ID, images | bank | {' | '.join(heads)} |", f"|---|---|{'---|' * len(heads)}"]
    for task, alike in dict.fromkeys((item.task, item.saved_alike) for item in found):
        own = [item for item in found if (item.task, item.saved_alike) == (task, alike)]
        name = f"{task}, {'saved alike' if alike else 'as they are'}"
        lines.append(
            f"| {name} | parent | {' | '.join(f'{100 * cell_of(own, share).parent_auroc:.1f}' for share in shares)} |"
        )
        for system in dict.fromkeys(item.system for item in own):
            cells = [cell_of([item for item in own if item.system == system], share) for share in shares]
            texts = [f"({100 * item.auroc:.1f})" if item.refused else f"{100 * item.auroc:.1f}" for item in cells]
            lines.append(f"| {name} | `{system}` | {' | '.join(texts)} |")
    return "\n".join(lines)


def cell_of(found: Sequence[Learnt], share: float) -> Learnt:
    return next(item for item in found if item.ood_share == share)


def in_both_forms(measured: Callable[..., Iterator[Item]], tasks: Sequence[str]) -> list[Item]:
    """What is measured of images as they are and saved alike, said as it comes. tasks: where the command names none."""
    data = Path(sys.argv[1]).resolve()
    if not (data / "objects-folder").is_dir():
        sys.exit(f"{data}: the development data are not there; name their folder")
    found: list[Item] = []
    with tempfile.TemporaryDirectory(prefix="curator-nights-") as folder:
        for alike in (False, True):
            for item in measured(data, Path(folder), tasks=sys.argv[2:] or tasks, saved_alike=alike):
                found.append(item)
                print(item, file=sys.stderr, flush=True)
    return found


def main() -> None:
    found = in_both_forms(learnt_nights, TASKS)
    print(night_table(found))
    worse = [item for item in found if not item.holds]
    print(f"\n{len(worse)} of {len(found)} banks are kept and worse than their parent by more than a point")


if __name__ == "__main__":
    main()

"""The images of `make evaluation`, by name and by side, and their vectors as they are and saved alike.

From the development data come folders of loose images, `<part>/<set>/<label>/<digest>.jpg`, since an archive cannot be
read by halves. Digests choose the part: `known` (ID images, for calibration and kNN), `lake` (what arrived in a night:
banks learn from it) and `measured`.
"""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from curator.banks.wordnet.lexicon import word_key
from curator.decode import SavedFormat
from curator.evaluation.formats import fixed_format
from curator.vectors import read_rows
from curator.workspace import Workspace
from curator.workspace.context import Context
from curator.workspace.evaluate.resaving import resaved_vectors
from curator.workspace.published import reading
from curator.workspace.scan.request import SilentWatcher
from tests.bench.label_counts import ID_SET, NAMES, WHOLE, Images

Labelled = tuple[bytes, str]  # an image's bytes and what it shows

OOD_SETS = ("objects", "imagenette", "scenes", "clothing", "flowers", "cartoons", "terminal", "brain-mri")
MOST = 300  # images of an OOD set


def unpack(data: Path, folder: Path) -> list[str]:
    """Write the images of all sets. The ID labels: every second kind of thumbnails."""
    thumbnails = list(archives(data, "tiny64-wds-*.tar"))
    kinds = sorted({word_key(shown) for _, shown in thumbnails})[::2]
    for content, shown in thumbnails:
        digest = hashlib.sha256(content).hexdigest()
        parts = ("known", "lake", "measured") if word_key(shown) in kinds else ("lake", "measured")
        _write(folder, ID_SET, _part(digest, parts), digest, (content, shown))
    found = {
        "objects": folders(data / "objects-folder"),
        "imagenette": archives(data, "imagenette-wds-*.tar"),
        **{name: rows(data / f"{name}.parquet") for name in ("scenes", "clothing", "flowers")},
        "cartoons": loose(data / "cartoons"),
        "brain-mri": loose(data / "brain-mri"),
        "terminal": loose(data / "terminal-near-duplicates"),
    }
    for name, images in found.items():
        every = {hashlib.sha256(image[0]).hexdigest(): image for image in images}
        for digest in sorted(every)[:MOST]:
            _write(folder, name, _part(digest[8:], ("lake", "measured")), digest, every[digest])
    return kinds


def _part(digest: str, parts: tuple[str, ...]) -> str:
    return parts[int(digest[:8], 16) % len(parts)]


def _write(folder: Path, name: str, part: str, digest: str, image: Labelled) -> None:
    content, shown = image
    label = word_key(WHOLE.get(name, shown))
    target = folder / part / name / NAMES.get(label, label)
    target.mkdir(parents=True, exist_ok=True)
    path = target / f"{digest[:16]}.jpg"
    if not path.exists():
        path.write_bytes(content)


def folders(root: Path) -> Iterator[Labelled]:
    for path in sorted(root.glob("*/*")):
        yield path.read_bytes(), path.parent.name


def loose(root: Path) -> Iterator[Labelled]:
    for path in sorted(root.iterdir()):
        yield path.read_bytes(), path.stem.rpartition("-")[0]


def rows(path: Path) -> Iterator[Labelled]:
    for row in pq.read_table(path).to_pylist():
        yield row["image"]["bytes"], str(row["label"])


def archives(data: Path, pattern: str) -> Iterator[Labelled]:
    for path in sorted(data.glob(pattern)):
        with tarfile.open(path) as archive:
            members = {item.name: archive.extractfile(item) for item in archive if item.isfile()}
            for name, member in members.items():
                label = members.get(name.removesuffix(".jpg") + ".cls.txt")
                if name.endswith(".jpg") and member is not None and label is not None:
                    yield member.read(), label.read().decode()


def images_of(workspace: Workspace, *, same_format: str | None = None) -> dict[str, Images]:
    """All images that the workspace has taken in, by set; saved alike first, if a format is given."""
    table = workspace.sql(
        "select distinct on (image_id) uri, image_id, vector_file, row_index, encoder_id from location "
        "join vector using (image_id) order by image_id, uri"
    ).to_pylist()
    encoder_id = table[0]["encoder_id"]
    if same_format is None:
        vectors = _stored(workspace, table, encoder_id)
    else:
        wanted = fixed_format(same_format)
        assert isinstance(wanted, SavedFormat)
        vectors = _saved_alike(workspace, [row["image_id"] for row in table], wanted, encoder_id)
    places = {row["image_id"]: Path(row["uri"]).parts[-3:] for row in table if row["image_id"] in vectors}
    found = {}
    for name in sorted({part[0] for part in places.values()}):
        ids = [image_id for image_id, part in places.items() if part[0] == name]
        labels = np.array([places[image_id][1] for image_id in ids])
        found[name] = Images(np.stack([vectors[image_id] for image_id in ids]), labels, np.array(ids))
    return found


def _stored(workspace: Workspace, table: list[dict[str, str]], encoder_id: str) -> dict[str, np.ndarray]:
    by_file: dict[str, list[dict[str, str]]] = {}
    for row in table:
        by_file.setdefault(row["vector_file"], []).append(row)
    folder = workspace.layout.vectors(encoder_id)
    found = {}
    for name, part in by_file.items():
        vectors = read_rows(folder / f"{name}.safetensors", [row["row_index"] for row in part])
        found |= {row["image_id"]: vector for row, vector in zip(part, vectors, strict=True)}
    return found


def _saved_alike(
    workspace: Workspace, image_ids: list[str], wanted: SavedFormat, encoder_id: str
) -> dict[str, np.ndarray]:
    context = Context(workspace.layout, workspace.config)
    with reading(workspace.layout) as database:
        return resaved_vectors(
            context,
            database,
            dict.fromkeys(image_ids, wanted),
            encoder_id=encoder_id,
            watcher=SilentWatcher(),
            unsaved=[],
        )

"""A lake that lives: every night brings new images, copies, corrupt files and rubbish, changes some and loses some."""

from __future__ import annotations

import io
import tarfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

SIDE = 24
CELLS = 6
TAR_IMAGES = 1000
PARQUET_IMAGES = 500


@dataclass(slots=True)
class Tally:
    """What a night put into the lake."""

    new: int = 0
    copies: int = 0
    corrupt: int = 0
    changed: int = 0
    deleted: int = 0


@dataclass(slots=True)
class LivingLake:
    """The folder, and what lies in it. Everything comes from the seed."""

    folder: Path
    seed: int = 0
    files: list[Path] = field(default_factory=list)
    made: int = 0

    def night(self, number: int, images: int) -> Tally:
        """One night: about `images` new contents, as loose files, tars and a Parquet file."""
        generator = np.random.default_rng((self.seed, number))
        tally = Tally()
        self._delete(generator, tally)
        self._change(generator, tally)  # of those that are left
        folder = self.folder / f"night-{number:03d}"
        folder.mkdir(parents=True)
        packed = min(images // 2, 2 * TAR_IMAGES + PARQUET_IMAGES)
        loose = images - packed
        for place in range(loose):
            path = folder / f"{place:06d}.png"
            corrupt = tally.corrupt
            path.write_bytes(self._content(generator, tally))
            if tally.corrupt == corrupt:  # a copy of a corrupt file would be one more reject
                self.files.append(path)
        tars = packed - packed % TAR_IMAGES if packed >= TAR_IMAGES else 0
        for place in range(0, tars, TAR_IMAGES):
            self._tar(folder / f"shard-{place:06d}.tar", generator, tally, TAR_IMAGES)
        if rest := packed - tars:
            self._parquet(folder / "rows.parquet", generator, tally, rest)
        (folder / "notes.txt").write_text("no image")
        return tally

    def _content(self, generator: np.random.Generator, tally: Tally) -> bytes:
        """A new image; now and then a copy of one that is there, or one that is cut off."""
        kind = generator.random()
        if kind < 0.02 and self.files:
            tally.copies += 1
            return self.files[int(generator.integers(len(self.files)))].read_bytes()
        data = self._image(generator)
        if kind > 0.995:
            tally.corrupt += 1
            return data[: len(data) // 2]
        tally.new += 1
        return data

    def _image(self, generator: np.random.Generator) -> bytes:
        """Coloured cells, and a mark that makes each its own content."""
        cells = generator.integers(0, 256, (CELLS, CELLS, 3), dtype=np.uint8)
        pixels = np.repeat(np.repeat(cells, SIDE // CELLS, axis=0), SIDE // CELLS, axis=1)
        pixels[0, 0] = self.made & 255, self.made >> 8 & 255, self.made >> 16 & 255
        self.made += 1
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "PNG", compress_level=1)
        return buffer.getvalue()

    def _tar(self, path: Path, generator: np.random.Generator, tally: Tally, count: int) -> None:
        with tarfile.open(path, "w") as archive:
            for number in range(count):
                data = self._content(generator, tally)
                info = tarfile.TarInfo(f"{number:06d}.png")
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))

    def _parquet(self, path: Path, generator: np.random.Generator, tally: Tally, count: int) -> None:
        rows = [{"bytes": self._content(generator, tally), "path": str(number)} for number in range(count)]
        pq.write_table(pa.table({"image": rows}), path, row_group_size=PARQUET_IMAGES)

    def _change(self, generator: np.random.Generator, tally: Tally) -> None:
        """One loose file in two hundred gets other bytes."""
        for place in generator.permutation(len(self.files))[: len(self.files) // 200]:
            self.files[place].write_bytes(self._image(generator))
            tally.changed += 1

    def _delete(self, generator: np.random.Generator, tally: Tally) -> None:
        gone = set(generator.permutation(len(self.files))[: len(self.files) // 200].tolist())
        for place in gone:
            self.files[place].unlink()
        tally.deleted = len(gone)
        self.files = [path for place, path in enumerate(self.files) if place not in gone]

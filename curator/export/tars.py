"""WebDataset: tars of bounded size; of each image its bytes and a `.json` with its facts, under one key, its id."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa

from curator.durable import durable
from curator.export.parts import Format, Options, Part, Written
from curator.export.pictures import read_pictures
from curator.export.rows import facts_of, file_name, json_line


def _by_size(rows: pa.Table, options: Options) -> list[Part]:
    """Cut before the image with which a tar would hold more than it may; one image is never cut."""
    starts, held = [0], 0
    for place, size in enumerate(rows["byte_size"].to_pylist()):
        if held and held + size > options.tar_bytes:
            starts.append(place)
            held = 0
        held += size
    lengths = np.diff([*starts, rows.num_rows])
    return [
        Part(f"{options.name}-{number:06d}", rows.slice(start, int(length)))
        for number, (start, length) in enumerate(zip(starts, lengths, strict=True))
    ]


def _write_tar(part: Part, folder: Path, options: Options) -> Written:
    written = Written([f"{part.place}.tar"])
    with (
        durable(folder / written.files[0]) as temporary,
        tarfile.open(temporary, "w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for row, data in read_pictures(part.rows, options.read, scratch=folder):
            if isinstance(data, bytes):
                _add(tar, file_name(row), data)
                _add(tar, f"{row['image_id']}.json", json_line(facts_of(row)))
            else:
                written.lacks(row, data)
    return written


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)  # of nobody, of no time: the same rows make the same bytes
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))


WEBDATASET = Format(_by_size, _write_tar)

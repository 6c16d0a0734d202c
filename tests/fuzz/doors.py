"""The doors through which data from outside come in, for fuzzing: real seeds, and what is allowed behind each.

A door takes bytes. It returns where they give a result or one of the errors that its module documents, and raises for
anything else. Whether it hangs or grows is for the runner to see (`__main__.py`).
"""

from __future__ import annotations

import base64
import gzip
import io
import json
import struct
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tifffile
from PIL import Image

from curator.banks import DEFAULT_SPEC
from curator.banks.spec import read_spec
from curator.config import Config
from curator.decode import FORMATS, REASONS, DecodeFailure, DecodeOptions, prepare
from curator.errors import ConfigError, CuratorError, SourceError
from curator.generators.answers import Answer, AnswerFault, read_answer
from curator.generators.prompts import AnswerKind, Prompt
from curator.lake import ColumnNames, ReadOptions, plan_shards, read_datum, read_shard
from curator.lake.sources.filters import PathFilter
from curator.lake.sources.globs import Glob
from curator.systems.registry import SYSTEMS
from curator.systems.spec import read_system_spec, spec_text
from curator.types import Datum, ObjectKind, Preprocess, Reject, SourceObject
from tests.fuzz.texts import TEXT_SEEDS, enter_reviews, enter_texts, review_seeds

MAX_OBJECT_BYTES = 1 << 20
PICTURE = b"GIF89a" + b"a" * 40
MAX_PIXELS = 1_000_000
MAX_DATA = 250_000  # from a file of a few kilobytes


@dataclass(frozen=True, slots=True)
class Door:
    """One way in. `repair` puts right the checksums that would stop most damage before it gets anywhere."""

    name: str
    seeds: tuple[bytes, ...]
    enter: Callable[[bytes], None]
    repair: Callable[[bytes], bytes] = bytes


def enter_decoder(data: bytes) -> None:
    try:
        pixels, facts = prepare(data, Preprocess(32), DecodeOptions(max_pixels=MAX_PIXELS))
    except DecodeFailure as failure:
        assert failure.reason in REASONS
        assert len(failure.detail) <= 200 and failure.detail.isprintable()
    else:
        assert (pixels.shape, pixels.dtype) == ((32, 32, 3), np.uint8)
        assert 0 < facts.width * facts.height <= MAX_PIXELS
        assert facts.format.isprintable() and facts.mode.isprintable() and facts.remark.isprintable()
        assert len(facts.mode) <= 40 and len(facts.remark) <= 200  # as decode processes may answer


def image_seeds() -> tuple[bytes, ...]:
    image = Image.fromarray(np.random.default_rng(3).integers(0, 256, (12, 16, 3), dtype=np.uint8))
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "described"
    kinds: list[tuple[str, dict[str, object]]] = [(name, {}) for name in sorted(set(FORMATS) & set(Image.SAVE))]
    moving: dict[str, object] = {"save_all": True, "append_images": [image.rotate(90).resize(image.size)]}
    kinds += [("JPEG", {"exif": exif, "progressive": True}), ("PNG", moving | {"exif": exif}), ("GIF", moving),
              ("WEBP", moving), ("TIFF", {"compression": "tiff_lzw"}), ("TIFF", {"compression": "jpeg"})]  # fmt: skip
    saved = [_saved(image, format_, parameters) for format_, parameters in kinds]
    endless = [_saved(image, "JPEG", {"progressive": progressive})[:-2] for progressive in (False, True)]
    text = b"iTXt" + b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(bytes(3_000))
    png = _saved(image.convert("P"), "PNG", {})
    texted = png[:33] + struct.pack(">I", len(text) - 4) + text + struct.pack(">I", zlib.crc32(text)) + png[33:]
    return (*saved, *endless, texted, *_banded_tiffs())


def _banded_tiffs() -> tuple[bytes, ...]:
    values = np.random.default_rng(4).integers(0, 4000, (16, 16, 5))
    layouts: list[tuple[str, dict[str, object]]] = [
        ("uint16", {}),
        ("float32", {"tile": (16, 16)}),
        ("float64", {"compression": "zlib"}),
        ("int16", {"bigtiff": True}),
        ("uint8", {"byteorder": ">"}),
    ]
    seeds = []
    for kind, layout in layouts:
        buffer = io.BytesIO()
        contig = {"photometric": "minisblack", "planarconfig": "contig", "metadata": None}
        tifffile.imwrite(buffer, values.astype(kind), **contig | layout)
        seeds.append(buffer.getvalue())
    return tuple(seeds)


def _saved(image: Image.Image, format_: str, parameters: dict[str, object]) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format_, **parameters)  # type: ignore[arg-type]
    return buffer.getvalue()


def repaired_image(data: bytes) -> bytes:
    """With the checksums of the chunks of a PNG."""
    if not data.startswith(b"\x89PNG\r\n\x1a\n"):
        return data
    content, position = bytearray(data), 8
    while position + 12 <= len(content):
        (size,) = struct.unpack_from(">I", content, position)
        end = position + 8 + size
        if end + 4 > len(content):
            break
        struct.pack_into(">I", content, end, zlib.crc32(content[position + 4 : end]))
        position = end + 4
    return bytes(content)


def enter_tar(data: bytes) -> None:
    _enter_container(data, "tar")


def tar_seeds() -> tuple[bytes, ...]:
    long = "é/" * 40 + "a.jpg"
    members = [(long, b"1" * 600), ("b.cls", b"cat"), ("b.jpg", b"2" * 30), ("d/c.png", b""), ("b.jpg", b"3")]
    seeds = []
    for format_ in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=format_, pax_headers={"comment": "c"}) as archive:
            for name, data in members:
                info = tarfile.TarInfo(name)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
            link = tarfile.TarInfo("l.jpg")
            link.type, link.linkname = tarfile.SYMTYPE, "../" * 20 + "etc/passwd"
            archive.addfile(link)
        seeds.append(buffer.getvalue())
    sparse = tarfile.TarInfo("s.jpg")
    sparse.type = tarfile.GNUTYPE_SPARSE
    block = bytearray(sparse.tobuf(tarfile.GNU_FORMAT))
    block[482] = 1
    seeds.append(repaired_tar(bytes(block)) + b"\0" * 504 + b"\1" + bytes(7) + bytes(2048))
    claim = tarfile.TarInfo("e.jpg")
    claim.size = 1 << 80  # more than the ledger's integers hold
    seeds += [claim.tobuf(tarfile.GNU_FORMAT) + bytes(1024), *odd_tars(seeds[1], seeds[2])]
    return (*seeds, gzip.compress(seeds[0], mtime=0))


def odd_tars(one: bytes, other: bytes) -> list[bytes]:
    """Joined tars, tars in a tar, and members whose names do not say what they are."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        jpeg, packed = b"\xff\xd8\xff\xe0" + bytes(40), gzip.compress(one[:1536], mtime=0)
        members = [("n1.tar", one), ("image", jpeg), ("n2.tar", other[:2048]), ("x.json", b"{}"), ("n3.tgz", packed)]
        for name, data in [*members, ("empty.tar", bytes(1024)), ("@eaDir/t.jpg", jpeg), ("b.jpg.bin", jpeg)]:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    joined = one + bytes(512) + other
    gzips = gzip.compress(one, mtime=0) + gzip.compress(other, mtime=0)
    return [joined, bytes(10240) + joined + b"junk" * 200, buffer.getvalue(), gzips]


def repaired_tar(data: bytes) -> bytes:
    """With the checksums of the headers of a tar."""
    content = bytearray(data)
    for start in range(0, len(content) - 511, 512):
        block = content[start : start + 512]
        if block[257:262] == b"ustar":
            content[start + 148 : start + 156] = b"%06o\0 " % (256 + sum(block[:148]) + sum(block[156:]))
    return bytes(content)


def enter_parquet(data: bytes) -> None:
    _enter_container(data, "parquet")


def parquet_seeds() -> tuple[bytes, ...]:
    rows = [PICTURE, None, b"b" * 50, PICTURE, b"c"]
    plain: dict[str, object] = {"compression": "none", "use_dictionary": False}
    coded = pa.array(["a"] * 5).dictionary_encode()
    image = _structs(rows)
    tables: list[tuple[dict[str, object], dict[str, object]]] = [
        ({"image": image, "label": [0, 1, None, 1, 0]}, {"row_group_size": 2}),
        ({"image": image, "label": ["x"] * 5}, {"compression": "zstd", "data_page_version": "2.0"}),
        ({"jpg": pa.array(rows, pa.large_binary()), "cls": coded}, {"compression": "gzip"}),
        ({"data": rows, "label": [[1], [], None, [2, 3], [4]]}, plain),
        ({"data": rows}, plain | {"column_encoding": {"data": "DELTA_BYTE_ARRAY"}}),
        ({"data": pa.array([PICTURE] * 5, pa.binary(len(PICTURE))).cast(pa.binary_view())}, {"compression": "lz4"}),
        *(({"odd": column, "label": [-1.0, 0.0, None, 1.0, 2.0]}, plain) for column in _odd_columns(rows)),
        *(({"odd": column}, {"compression": "zstd", "row_group_size": 3}) for column in _odd_columns(rows)),
        ({"a": image, "b": image}, plain),
        ({"sum": [b"12345678"] * 5, "url": ["https://a/b"] * 5}, plain),
    ]
    return tuple(map(_parquet, *zip(*tables, strict=True)))


def _structs(rows: Sequence[bytes | None]) -> pa.Array:
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    return pa.array([None if row is None else {"bytes": row, "path": "p"} for row in rows], kind)


def _odd_columns(rows: Sequence[bytes | None]) -> tuple[pa.Array, ...]:
    """Every other way in which pictures lie in a column."""
    texts = [None if row is None else base64.b64encode(row).decode() for row in rows]
    numbers = {"height": 2, "width": 3, "nChannels": 3, "mode": 16}
    pixels = [
        {"origin": "o", **numbers, "data": bytes(18)},
        None,
        {"origin": "o", **numbers, "height": 9, "data": b"1"},
    ]
    return (
        pa.array(rows).dictionary_encode(),
        pa.array([PICTURE, None, *[PICTURE] * 3], pa.binary(len(PICTURE))),
        pa.array(texts),
        pa.array([None if text is None else f"data:image/gif;base64,{text}" for text in texts]).dictionary_encode(),
        pa.array(pixels + pixels[:2]),
        pa.ListArray.from_arrays([0, 2, 2, 3, 4, 5], _structs(rows)),
        pa.array([[PICTURE, None], [], None, [PICTURE], [b"c"]], pa.large_list(pa.large_binary())),
        pa.StructArray.from_arrays([_structs(rows), pa.array([1] * 5)], ["image", "id"]),
        pa.array([list(PICTURE)] * 5, pa.list_(pa.uint8())),
    )


def _parquet(columns: dict[str, object], options: dict[str, object]) -> bytes:
    features = {"label": {"names": ["a", "b"], "_type": "ClassLabel"}, "declared": {"_type": "Image"}}
    table = pa.table(columns).replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, **options)
    found: bytes = sink.getvalue().to_pybytes()
    return found


def _enter_container(data: bytes, kind: ObjectKind) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a"
        path.write_bytes(data)
        item = SourceObject(str(path), str(path), kind, len(data), "")
        named = ColumnNames("*" if len(data) % 2 else "", "odd", "label")
        options = ReadOptions(max_object_bytes=MAX_OBJECT_BYTES, columns=(named,))
        shards = list(plan_shards([item]))
        assert shards[-1].completes == (item,)
        uris: set[str] = set()
        for shard in shards:
            for found in read_shard(shard, options=options):
                _check_found(found, item)
                assert found.uri not in uris
                uris.add(found.uri)
                assert len(uris) <= MAX_DATA
        for member in (None, "0", "1.0", "odd/0", "b.jpg", "not there"):
            try:
                read_datum(str(path), kind, member=member, options=options)
            except SourceError:
                continue


def _check_found(found: Datum | Reject, item: SourceObject) -> None:
    """What the ledger will be given must fit into it."""
    found.uri.encode()
    assert found.uri.startswith(item.uri) and found.object_uri == item.uri
    assert found.byte_offset is None or 0 <= found.byte_offset < 2**63
    if isinstance(found, Datum):
        assert len(found.data) <= MAX_OBJECT_BYTES
        (found.source_label or "").encode()
    else:
        found.detail.encode()
        assert "\n" not in found.detail and len(found.detail) <= 1000
        assert found.byte_size is None or 0 <= found.byte_size < 2**63


def enter_specs(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "spec.toml"
        path.write_bytes(data)
        for read in (read_system_spec, read_spec):
            try:
                read(path)
            except ConfigError as fault:
                _check_error(fault)


def spec_seeds() -> tuple[bytes, ...]:
    own = [spec_text("n", system, "base").replace("# ", "") for system in SYSTEMS.names()]
    lists = '[[negatives.lists]]\nwords = ["a", "b"]\n[[negatives.banks]]\nbank = "other@1a"\nmine = true\n'
    return tuple(text.encode() for text in (DEFAULT_SPEC, DEFAULT_SPEC.replace("# ", ""), DEFAULT_SPEC + lists, *own))


def enter_config(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    environment = dict.fromkeys(("CURATOR_SCAN_READ_THREADS", "CURATOR_DECODE_SCALED", "CURATOR_SCAN_BANK"), text[:50])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "curator.toml"
        path.write_bytes(data)
        for found in ({}, environment):
            try:
                Config.resolve(path, environment=found)
            except ConfigError as fault:
                _check_error(fault)


CONFIG_SEEDS = (
    b'[encoder]\naddress = "mini"\nbatch_size = 8\noffline = true\n[scan]\nread_threads = 2\n',
    b'[near_duplicates]\nmin_cosine = 0.5\nenabled = false\n[generators]\ntimeout_seconds = 1e3\nbase_url = "http://x"\n',
    b"[decode]\nmax_pixels = 1000\nmemory_limit_bytes = 4_294_967_296\n[index]\nimages = 'flat'\n",
)


def enter_filter(data: bytes) -> None:
    """A pattern to exclude, one to include and a path below the source, on a line each."""
    exclude, include, path, *_ = [*data[:300].decode("utf-8", "replace").split("\n"), "", ""]
    try:
        found = PathFilter.parse([exclude], [include] if include else [], prefix="/lake/")
    except CuratorError as fault:
        _check_error(fault)
        return
    heading = found.heading_of_file(path)
    parts = path.split("/")
    if heading is None:  # then a walk gets there
        for depth in range(1, len(parts)):
            folder = "/".join(parts[:depth])
            assert found.heading_of_file(folder) is None or found.may_include_below(folder), folder


FILTER_SEEDS = (
    b"cache\n@eaDir\nx/@eaDir/a.jpg",
    b"*.tif\n**/@eaDir/*_XL.jpg\nb/@eaDir/c_XL.jpg",
    b"2025/**\n/2025/keep\n2025/keep/a.jpg",
    b"b\nb/[c-d]/*.jpg\nb/c/a.jpg",
)


def enter_glob(data: bytes) -> None:
    """A pattern, and on the next line an address that it may match."""
    pattern, _, address = data[:300].decode("utf-8", "replace").partition("\n")
    try:
        glob = Glob.parse(f"/{pattern}")
    except CuratorError as fault:
        _check_error(fault)
        return
    glob.matches(f"/{address}")
    glob.may_contain(f"/{address}")


GLOB_SEEDS = (
    b"a/*.jpg\na/b.jpg",
    b"**/x[a-c]?.png\nq/r/xb1.png",
    b"2026-*/**/[!.]*\n2026-01/a/b",
    b"[]-a]*[[:alpha:]]\n]b",
)


def enter_answers(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    kinds: tuple[AnswerKind, ...] = ("labels", "description", "groups")
    for answer in kinds:
        for max_words in (0, 3):
            prompt = Prompt("fuzz", 1, answer, "?", {}, max_words)
            try:
                found = read_answer(prompt, text)
            except AnswerFault as fault:
                assert len(str(fault)) < 500
            else:
                assert Answer.from_json(found.as_json()) == found
                assert all(label and "\n" not in label and len(label) <= 200 for label in found.labels)


ANSWER_SEEDS = (
    b'{"labels": ["tram", "sea horse", 3, ""]}',
    b'Here:\n```json\n["a", "b"]\n```',
    b"<think>hm</think>\n1. cat 2. dog\n- fox\n* owl",
    b'{"description": "a red tram"}',
    b'{"groups": [{"name": "vehicles", "members": ["tram", "bus"]}]}',
    b"I think: cats, dogs, and foxes",
)


def _check_error(fault: CuratorError) -> None:
    """An error that a user meets is text on one line."""
    str(fault).encode()
    assert "\n" not in fault.message, fault.message


DOORS = {
    door.name: door
    for door in (
        Door("decoder", image_seeds(), enter_decoder, repaired_image),
        Door("tar", tar_seeds(), enter_tar, repaired_tar),
        Door("parquet", parquet_seeds(), enter_parquet),
        Door("specs", spec_seeds(), enter_specs),
        Door("config", CONFIG_SEEDS, enter_config),
        Door("globs", GLOB_SEEDS, enter_glob),
        Door("filters", FILTER_SEEDS, enter_filter),
        Door("answers", ANSWER_SEEDS, enter_answers),
        Door("reviews", review_seeds(), enter_reviews),
        Door("texts", TEXT_SEEDS, enter_texts),
    )
}

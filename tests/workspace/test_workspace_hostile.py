"""A lake made to do harm, scanned for real: each attack costs one reject, or is a plain image, and the night ends."""

from __future__ import annotations

import gzip
import io
import json
import os
import resource
import socket
import struct
import sys
import tarfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from PIL import Image

from curator.cli import cli
from curator.engines.decode_pool import DecodePool
from curator.lake import ReadOptions, encodings, read_shard
from curator.lake.parquet import pages as parquet_pages
from curator.types import Reject, Shard, SourceObject
from curator.workspace import Workspace
from tests.conftest import SMALL_BANK

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="builds what only Linux has")

NAMES = [
    "a\nb.jpg",
    "tab\there.jpg",
    "\x1b[2J\x1b]0;title\x07red.jpg",
    "'; drop table location; --.jpg",
    "$(touch evil).jpg",
    "<script>alert(1)<\u2044script>.jpg",
    "\u202egpj.exe.jpg",
    "%s%n{}.jpg",
    "-rf.jpg",
    "caf\udce9.jpg",
    "A.jpg",
    "a.JPG",
    "x" * 251 + ".jpg",
    "\\N.jpg",
    '"quoted",comma.jpg',
    "\x01.jpg",
    "[red]bold.jpg",
]


def picture(shade: int, format_: str = "PNG", **parameters) -> bytes:
    image = Image.new("RGB", (24, 20), (shade % 256, shade // 256, 9))
    buffer = io.BytesIO()
    image.save(buffer, format_, **parameters)
    return buffer.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(*chunks: bytes, width: int = 16, height: int = 16, pixels: bytes | None = None) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    data = zlib.compress(bytes(height * (3 * width + 1)) if pixels is None else pixels, 9)
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def scans_without_end(count: int) -> bytes:
    """A progressive JPEG whose last scan comes again and again."""
    data = picture(3, "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * count + b"\xff\xd9"


def animation(frames: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("P", (16, 16)).save(
        buffer, "GIF", save_all=True, duration=10, append_images=[Image.new("P", (16, 16), n) for n in (1, 2)]
    )
    data = buffer.getvalue()
    frame = data.rindex(b"!\xf9")
    return data[:frame] + data[frame:-1] * frames + b";"


def tiff(tags: list[tuple[int, int, int, int]]) -> bytes:
    return (
        struct.pack("<2sHIH", b"II", 42, 8, len(tags))
        + b"".join(struct.pack("<HHII", *tag) for tag in tags)
        + bytes(64)
    )


EXIF = Image.Exif()
EXIF[0x0112] = 6


def images() -> dict[str, tuple[bytes, str | None]]:
    """Name to (bytes, what becomes of it)."""
    bomb = zlib.compress(bytes(64 << 20), 9)
    return {
        "wide.png": (png(width=60_000, height=60_000, pixels=b""), "too_many_pixels"),
        "endless-pixels.png": (png(pixels=bytes(64 << 20)), "image"),
        "text-bomb.png": (png(chunk(b"zTXt", b"k\0\0" + bomb)), "image"),
        "many-texts.png": (png(*[chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(1_000_000)))] * 80), "image"),
        "profile-bomb.png": (png(chunk(b"iCCP", b"p\0\0" + bomb)), "image"),
        "exif-broken.jpg": (picture(5, "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff"), "image"),
        "exif-loop.jpg": (
            picture(6, "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\1\0\x69\x87\4\0\1\0\0\0\x08\0\0\0\x08\0\0\0"),
            "image",
        ),
        "scans.jpg": (scans_without_end(3000), "image"),
        "frames.gif": (animation(50_000), "image"),
        "huge.gif": (b"GIF89a\xff\xff\xff\xff\0\0\0,\0\0\0\0\xff\xff\xff\xff\0\x08\1\0;", "too_many_pixels"),
        "strips.tif": (tiff([(256, 4, 1, 1 << 30), (257, 4, 1, 1 << 30), (258, 3, 1, 8), (273, 4, 1 << 30, 8)]), None),
        "next-is-itself.tif": (struct.pack("<2sHIHI", b"II", 42, 8, 0, 8), None),
        "huge.webp": (b"RIFF\x1e\0\0\0WEBPVP8X\x0a\0\0\0\2\0\0\0\xff\xff\xff\xff\xff\xff" + bytes(8), None),
        "polyglot.jpg": (picture(7, "JPEG") + b"<script>alert(1)</script>PK\5\6" + bytes(18), "image"),
        "page.jpg": (b"GIF89a/*<svg onload=alert(1)>*/=1;", None),
        "script.svg.png": (b"<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>", "unsupported_format"),
        "entities.png": (
            b'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "&b;&b;">]><svg>&a;</svg>',
            "unsupported_format",
        ),
        "archive.jpg": (b"PK\3\4" + bytes(100), "not_an_image"),
        "program.jpg": (b"\x7fELF" + bytes(200), "not_an_image"),
        "script.eps.jpg": (b"%!PS-Adobe-3.0 EPSF-3.0\n(%pipe%id) (r) file", "unsupported_format"),
    }


def header(name: str, size: int, kind: bytes = tarfile.REGTYPE, link: str = "") -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname = size, kind, link
    return info.tobuf(tarfile.GNU_FORMAT)


def member(name: str, data: bytes, kind: bytes = tarfile.REGTYPE) -> bytes:
    return header(name, len(data), kind) + data + bytes(-len(data) % 512)


END = bytes(1024)
GOOD = member("good.png", picture(300))
PAX_BOMB = b"2 " * (400 << 10) + b"=\n"  # the standard reader of some releases takes hours and all memory for it


def tars() -> dict[str, tuple[bytes, dict[str, str] | None]]:
    """Name to (bytes, what becomes of its images, in order of their names)."""
    return {
        "exabytes.tar": (header("a.jpg", 1 << 62) + bytes(5000), {"a.jpg": "too_large", "": "truncated_archive"}),
        "beyond-64-bits.tar": (header("a.jpg", 1 << 80) + bytes(512), {"a.jpg": "too_large", "": "truncated_archive"}),
        "zeros.tar.gz": (
            gzip.compress(header("a.bin", 1 << 40)) + gzip.compress(bytes(1 << 26), 9),
            {"": "expands_too_far"},
        ),
        "pax.tar": (member("p", PAX_BOMB, tarfile.XHDTYPE) + GOOD + END, {"": "unreadable_archive"}),
        "globals.tar": (
            member("g", b"20 comment=aaaaaaaa\n", tarfile.XGLTYPE) * 10 + GOOD + END,
            {"good.png": "image"},
        ),
        "many-globals.tar": (
            member("g", b"20 comment=aaaaaaaa\n", tarfile.XGLTYPE) * 5000 + END,
            {"": "unreadable_archive"},
        ),
        "sparse.tar": (
            header("s.jpg", 0, tarfile.GNUTYPE_SPARSE) + GOOD + END,
            {"s.jpg": "not_a_regular_member", "good.png": "image"},
        ),
        "sparse-map.tar": (
            member("p", b"22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n", tarfile.XHDTYPE)
            + member("s.jpg", b"999999999999\n1\n1\n")
            + GOOD
            + END,
            {"s.jpg": "not_a_regular_member", "good.png": "image"},
        ),
        "paths.tar": (
            member("../../evil.png", picture(301))
            + member("/evil.png", picture(302))
            + member("a/../b.png", b"")
            + header("l.jpg", 0, tarfile.SYMTYPE, "/etc/passwd")
            + member("l.jpg/evil.png", picture(303))
            + header("h.jpg", 0, tarfile.LNKTYPE, "../../evil.png")
            + header("d.jpg", 0, tarfile.CHRTYPE)
            + header("f.jpg", 0, tarfile.FIFOTYPE)
            + END,
            {
                "../../evil.png": "image",
                "/evil.png": "image",
                "a/../b.png": "empty",
                "l.jpg": "not_a_regular_member",
                "l.jpg/evil.png": "image",
                "h.jpg": "not_a_regular_member",
                "d.jpg": "not_a_regular_member",
                "f.jpg": "not_a_regular_member",
            },
        ),
        "names.tar": (
            b"".join(
                member(name.replace("x" * 251, "x" * 90), picture(400 + number))
                for number, name in enumerate(NAMES)
                if "\udce9" not in name
            )
            + END,
            None,
        ),
        "long-name.tar": (
            member("L", b"x" * 9000 + b".jpg\0", tarfile.GNUTYPE_LONGNAME) + GOOD + END,
            {"": "unreadable_archive"},
        ),
        "nested.tar": (member("inner.tar", GOOD + END) + GOOD + END, {"good.png": "image"}),
    }


def table(columns, **options) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), sink, compression="zstd", **options)
    return sink.getvalue().to_pybytes()


def lying_footer() -> bytes:
    """Its footer has the size of another, larger one."""
    data = bytearray(table({"image": [picture(1)]}))
    data[-8:-4] = struct.pack("<I", 1 << 31)
    return bytes(data)


def parquets() -> dict[str, tuple[bytes, dict[str, str]]]:
    large = bytes(40 << 20)
    return {
        "page.parquet": (table({"image": [large]}, use_dictionary=False), {"": "implausible"}),
        "dictionary.parquet": (
            table({"image": [picture(1).ljust(10 << 20, b"\0")] * 5}, dictionary_pagesize_limit=1 << 30),
            {"0": None, "": "expands_too_far"},
        ),
        "nulls.parquet": (table({"image": pa.nulls(3_000_000, pa.binary())}), {"": "implausible"}),
        "footer.parquet": (lying_footer(), {"": "unreadable_parquet"}),
        "empty.parquet": (b"PAR1PAR1", {"": "unreadable_parquet"}),
        "lists.parquet": (table({"image": [[[picture(1)]]]}), {"": "no_image_column"}),
    }


def special_files(folder: Path) -> dict[str, str]:
    os.mkfifo(folder / "pipe.jpg")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(folder / "socket.jpg"))
    (folder / "zero.jpg").symlink_to("/dev/zero")
    (folder / "loop.jpg").symlink_to(folder / "loop.jpg")
    (folder / "gone.jpg").symlink_to(folder / "\x1b[31mnowhere\n")
    (folder / "maps.jpg").symlink_to("/proc/self/maps")
    (folder / "up").symlink_to(folder.parent, target_is_directory=True)
    (folder / "paths.tar#good.png").write_bytes(picture(1))
    (folder / "caf\\xe9.jpg").write_bytes(picture(2))
    (folder / "huge.jpg").touch()
    os.truncate(folder / "huge.jpg", 1 << 40)
    return {
        "pipe.jpg": "not_a_regular_file",
        "socket.jpg": "not_a_regular_file",
        "zero.jpg": "not_a_regular_file",
        "loop.jpg": "dangling_link",
        "gone.jpg": "dangling_link",
        "paths.tar#good.png@ambiguous": "ambiguous_name",
        "caf\\xe9.jpg@ambiguous": "ambiguous_name",
        "huge.jpg": "too_large",
    }


def deep_folder(folder: Path) -> None:
    """Deeper than a path may be long, so that it can only be built step by step."""
    start = os.open(folder, os.O_RDONLY)
    name = "d" * 200
    for _ in range(25):
        os.mkdir(name, dir_fd=start)
        further = os.open(name, os.O_RDONLY, dir_fd=start)
        os.close(start)
        start = further
    os.close(start)


def hostile_lake(folder: Path) -> dict[str, str | None]:
    """Build the lake; what becomes of each of its data by address: a reason, `image`, or None for any outcome."""
    folder.mkdir()
    expected: dict[str, str | None] = {}
    for number, name in enumerate(NAMES):
        (folder / name).write_bytes(picture(1000 + number))
        expected[os.fsencode(name).decode("utf-8", "backslashreplace")] = "image"
    for name, (data, outcome) in images().items():
        (folder / name).write_bytes(data)
        expected[name] = outcome
    for name, (data, outcomes) in {**tars(), **parquets()}.items():
        (folder / name).write_bytes(data)
        for within, outcome in (outcomes or {}).items():
            expected[f"{name}#{within}" if within else name] = outcome
    expected |= special_files(folder)
    deep_folder(folder)
    return expected


@dataclass
class Night:
    workspace: Workspace
    folder: Path
    expected: dict[str, str | None]
    output: str
    grown_kb: int  # of the peak of the scanning process


@pytest.fixture(scope="module")
def night(tmp_path_factory) -> Night:
    """One scan by the command line for all tests."""
    folder = tmp_path_factory.mktemp("hostile") / "lake"
    expected = hostile_lake(folder)
    workspace = Workspace.create(folder.parent / "workspace", labels=["red", "green"], encoder="fake")
    workspace.layout.bank_spec("base").write_text(SMALL_BANK, encoding="utf-8")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encodings, "EXPANSION_FREE", 32 << 20)  # the real ones are for real images
        patch.setattr(parquet_pages, "MAX_PAGE_BYTES", 32 << 20)
        patch.setattr(DecodePool, "is_apart", False)  # read in this process, whose limits and memory these are
        result = CliRunner().invoke(cli, ["-w", str(folder.parent / "workspace"), "scan", str(folder)])
    assert result.exit_code == 0, result.output
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return Night(workspace, folder, expected, result.output, grown)


def outcomes(workspace, folder) -> dict[str, str]:
    rows = workspace.sql(
        "select uri, coalesce(rejects.reason, 'image') as reason from report.locations as locations "
        "full join report.rejects as rejects using (uri)"
    )
    return {
        row["uri"].removeprefix(f"{folder}/").replace("#row-group-0", ""): row["reason"] for row in rows.to_pylist()
    }


def test_every_attack_costs_one_reject_or_is_a_plain_image(night):
    found = outcomes(night.workspace, night.folder)
    wrong = {
        name: (reason, found.get(name))
        for name, reason in night.expected.items()
        if found.get(name) != reason and (reason or name not in found)
    }
    assert wrong == {}
    assert night.grown_kb < 1 << 20
    assert all(result.healthy for result in night.workspace.check())


def test_hostile_names_are_held_literally(night):
    for name in NAMES:
        uri = os.fsencode(night.folder / name).decode("utf-8", "backslashreplace")
        (row,) = night.workspace.sql(f"select uri from report.locations where uri = {literal(uri)}").to_pylist()
        assert row["uri"] == uri


def test_hostile_names_are_shown_harmlessly_and_are_valid_json(night, run_cli):
    where = {"folder": night.workspace.layout.root}
    locations = "select uri, member from report.locations"
    tables = [run_cli(*command, **where).output for command in (["query", "rejects"], ["sql", locations])]
    for shown in (night.output, *tables):
        assert all(sign.isprintable() or sign == "\n" for sign in shown)
    rows = json.loads(run_cli("sql", locations, "--format", "json", **where).stdout)
    assert {row["uri"] for row in rows} >= {f"{night.folder}/{name}" for name in NAMES if "\udce9" not in name}


def test_nothing_is_taken_out_of_a_tar_or_run(night):
    around = [night.folder, night.folder.parent, night.folder.parent.parent, Path.cwd(), Path("/"), Path("/etc")]
    assert [path.name for folder in around for path in folder.glob("*evil*")] == ["$(touch evil).jpg"]


def literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def test_what_took_the_place_of_a_listed_file_is_not_waited_for(tmp_path):
    """A pipe blocks whoever opens it, a device has no end."""
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "zero.jpg").symlink_to("/dev/zero")
    for kind in ("file", "tar", "parquet"):
        for name in ("pipe.jpg", "zero.jpg"):
            item = SourceObject(str(tmp_path / name), str(tmp_path / name), kind, 10, "v")
            (found,) = read_shard(Shard("s", kind, (item,), None, (item,)), options=ReadOptions())
            assert isinstance(found, Reject) and found.reason == "read_failed", kind

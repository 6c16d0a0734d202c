"""Tars that are joined, lie in tars, or hold members whose names do not say what they are."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from curator.decode import FORMATS
from curator.lake import PassedOver, ReadOptions, encodings, read_datum
from curator.lake.signatures import HEAD, looks_like_image
from curator.lake.tar import members as tar_members
from curator.lake.tar import reading as tar_module
from curator.types import Datum, Reject, SourceObject

PICTURE = b"\xff\xd8\xff\xe0 a picture"
ZEROS = bytes(10_240)


def tar(*members):
    """The bytes of a tar of (name, data), padded to a record as tar does."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def unended(*members):
    """The same without its end mark."""
    whole = tar(*members)
    return whole[: len(whole.rstrip(b"\0")) // 512 * 512 + 512]


@pytest.fixture
def read(tmp_path):
    """Read these bytes as a tar: what is found, and what is passed over."""

    def found(content, **options):
        path = tmp_path / "set.tar"
        path.write_bytes(content)
        passed = PassedOver()
        item = SourceObject(str(path), str(path), "tar", len(content), "")
        data = list(tar_module.read_tar(item, ReadOptions(**options), passed))
        for datum in data:
            if isinstance(datum, Datum):
                place = {"member": datum.member, "byte_offset": datum.byte_offset, "byte_size": len(datum.data)}
                assert read_datum(str(path), "tar", **place) == datum.data
                assert read_datum(str(path), "tar", member=datum.member) == datum.data
        return data, dict(passed)

    return found


def images(data):
    return [(item.member, item.data) for item in data if isinstance(item, Datum)]


def rejects(data):
    return [(item.member, item.reason) for item in data if isinstance(item, Reject)]


JOINED = {
    "two": tar(("a.jpg", b"1")) + tar(("b.jpg", b"2")),
    "an empty one in front": ZEROS + tar(("a.jpg", b"1"), ("b.jpg", b"2")),
    "a lone zero block": unended(("a.jpg", b"1")) + bytes(512) + tar(("b.jpg", b"2")),
    "an empty one between": tar(("a.jpg", b"1")) + ZEROS + tar(("b.jpg", b"2")),
    "zeros behind": tar(("a.jpg", b"1"), ("b.jpg", b"2")) + bytes(3_000_001),
    "one zero block at the end": unended(("a.jpg", b"1"), ("b.jpg", b"2")) + bytes(512),
}


@pytest.mark.parametrize("name", JOINED)
def test_joined_archives_are_read_to_the_last_one(read, name):
    for content in (JOINED[name], gzip.compress(JOINED[name])):
        data, passed = read(content)
        assert images(data) == [("a.jpg", b"1"), ("b.jpg", b"2")] and rejects(data) == []
        assert passed == {}


def test_joined_compressed_archives_are_read_to_the_last_one(read):
    parts = [tar(("a.jpg", b"1")), ZEROS, tar(("b.jpg", b"2"))]
    data, _ = read(b"".join(map(gzip.compress, parts)))
    assert images(data) == [("a.jpg", b"1"), ("b.jpg", b"2")] and rejects(data) == []


def test_names_that_joined_archives_share_stay_apart_and_so_do_their_labels(read):
    data, _ = read(tar(("1.jpg", b"a")) + tar(("1.jpg", b"b"), ("1.cls", b"cat")))
    assert [(item.member, item.data, item.source_label) for item in data] == [
        ("1.jpg", b"a", None),
        ("1.jpg@2", b"b", "cat"),
    ]


@pytest.mark.parametrize("junk", [b"not zero, not tar" * 400, b"x", b"\0" * 511 + b"x", b"PK\x03\x04" + bytes(5000)])
def test_bytes_behind_the_end_are_one_reject_that_says_where_and_how_many(read, junk):
    whole = tar(("a.jpg", b"1"))
    for content in (whole + junk, gzip.compress(whole + junk)):
        data, _ = read(content)
        assert images(data) == [("a.jpg", b"1")]
        (reject,) = [item for item in data if isinstance(item, Reject)]
        assert (reject.reason, reject.member) == ("bytes_after_end", None)
        assert f"stopped at byte {len(whole)}" in reject.detail and f"{len(junk)} bytes follow" in reject.detail


def test_bytes_behind_a_gzip_stream_are_one_reject(read):
    whole = tar(("a.jpg", b"1"))
    data, _ = read(gzip.compress(whole) + b"no gzip")
    assert images(data) == [("a.jpg", b"1")] and rejects(data) == [(None, "bytes_after_end")]
    assert f"stopped at byte {len(whole)}" in data[-1].detail
    data, _ = read(gzip.compress(whole) + bytes(700))  # which gzip itself passes over
    assert images(data) == [("a.jpg", b"1")] and rejects(data) == []


def test_an_archive_that_only_lacks_its_end_mark_is_truncated_and_keeps_its_images(read):
    data, _ = read(unended(("a.jpg", b"1"), ("b.jpg", b"2")))
    assert images(data) == [("a.jpg", b"1"), ("b.jpg", b"2")] and rejects(data) == [(None, "truncated_archive")]


def test_zeros_are_looked_through_up_to_a_bound(read, monkeypatch):
    monkeypatch.setattr(tar_members, "MAX_ZEROS", 1 << 16)
    near, far = bytes(1 << 15), bytes(1 << 17)
    data, _ = read(tar(("a.jpg", b"1")) + near + tar(("b.jpg", b"2")))
    assert len(images(data)) == 2 and rejects(data) == []
    data, _ = read(tar(("a.jpg", b"1")) + far + tar(("b.jpg", b"2")))
    assert images(data) == [("a.jpg", b"1")] and rejects(data) == [(None, "bytes_after_end")]
    monkeypatch.setattr(tar_members, "MAX_COUNTED", 1 << 15)
    data, _ = read(tar(("a.jpg", b"1")) + far)
    assert "more than 32768 bytes follow" in data[-1].detail


def test_zeros_that_a_compressed_archive_ends_with_are_a_bomb_beyond_the_bound_of_all_content(read, monkeypatch):
    monkeypatch.setattr(encodings, "EXPANSION_FREE", 100_000)
    data, _ = read(gzip.compress(tar(("a.jpg", b"1")) + bytes(1 << 24)))
    assert images(data) == [("a.jpg", b"1")] and rejects(data) == [(None, "expands_too_far")]


def classes(count=3):
    return [(f"n{c}.tar", tar(*((f"n{c}_{k}.JPEG", bytes([c, k])) for k in range(2)))) for c in range(count)]


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_a_tar_of_one_tar_a_class_is_read(read, pack):
    data, passed = read(pack(tar(*classes())))
    assert images(data) == [(f"n{c}.tar#n{c}_{k}.JPEG", bytes([c, k])) for c in range(3) for k in range(2)]
    assert rejects(data) == [] and passed == {}
    assert all((item.byte_offset is None) == (pack is gzip.compress) for item in data)


def test_samples_of_a_tar_in_a_tar_have_their_own_labels(read):
    inner = tar(("1.jpg", b"a"), ("1.cls", b"cat"), ("2.jpg", b"b"))
    data, _ = read(tar(("x.tar", inner), ("2.cls", b"dog"), ("x.jpg", b"c")))
    assert [(item.member, item.source_label) for item in data] == [
        ("x.tar#1.jpg", "cat"),
        ("x.tar#2.jpg", None),
        ("x.jpg", None),
    ]


def test_a_broken_tar_in_a_tar_costs_itself_alone(read):
    (_, first), (_, second), (_, third) = classes()
    data, _ = read(
        tar(("cut.tar", first[:1024]), ("junk.tar", b"?" * 2000), ("member.tar", second[:1025] + b"1" * 20),
            ("good.tar", third), ("a.jpg", b"1"))
    )  # fmt: skip
    assert rejects(data) == [
        ("cut.tar", "truncated_archive"),
        ("junk.tar", "unreadable_archive"),
        ("member.tar", "truncated_archive"),
    ]
    assert [name for name, _ in images(data)] == [
        "cut.tar#n0_0.JPEG", "member.tar#n1_0.JPEG", "good.tar#n2_0.JPEG", "good.tar#n2_1.JPEG", "a.jpg",
    ]  # fmt: skip


def test_a_member_of_a_tar_in_a_tar_that_claims_more_than_that_holds_is_the_fault_of_the_inner_one(read):
    claim = tarfile.TarInfo("c.jpg")
    claim.size = 5000
    data, _ = read(tar(("in.tar", claim.tobuf() + b"abc"), ("a.jpg", b"1")))
    assert images(data) == [("a.jpg", b"1")] and rejects(data) == [("in.tar", "truncated_archive")]


def test_an_outer_tar_that_is_cut_in_an_inner_one_is_truncated(read):
    whole = tar(*classes())
    for content in (whole[:12_000], gzip.compress(whole[:12_000])):
        data, _ = read(content)
        assert len(images(data)) == 3 and data[-1].reason == "truncated_archive" and data[-1].member is None


def test_more_images_than_a_shard_can_hold_end_the_outer_tar_too(read, monkeypatch):
    monkeypatch.setattr(tar_module, "MAX_IMAGES", 3)
    data, _ = read(tar(*classes(5)))
    assert len(data) == 4 and data[-1].reason == "unreadable_archive" and data[-1].member is None


def test_tars_further_down_compressed_ones_and_parquet_are_counted(read):
    deep = tar(("inner.tar", tar(("deepest.tar", tar(("a.jpg", b"1"))))), ("b.tar.gz", b"x"), ("c.tgz", b"x"),
               ("d.parquet", b"x"))  # fmt: skip
    assert read(deep) == ([], {"(tar inside a tar)": 3, "(Parquet inside a tar)": 1})


def test_members_that_are_no_images_are_counted_by_their_suffix(read):
    data, passed = read(
        tar(*((f"s{k}.json", b"{}") for k in range(3)), ("README", b"text"), ("a.jpg", b"1"), ("a.cls", b"cat"),
            ("b.cls", b"x" * 5000), (".h.jpg", b"x"), ("__MACOSX/._a.jpg", b"x"), ("@eaDir/b.jpg", b"x"),
            ("v.mp4", b"\0\0\0\x18ftypisom" + bytes(20)))
    )  # fmt: skip
    assert images(data) == [("a.jpg", b"1")]
    assert passed == {".json": 3, "(no suffix)": 1, ".cls": 1, "(hidden)": 1, "(system folder)": 2, ".mp4": 1}


def test_links_without_an_image_suffix_are_counted_and_folders_are_not(make_tar, read):
    link, folder = tarfile.TarInfo("s.txt"), tarfile.TarInfo("d.x")
    link.type, folder.type = tarfile.SYMTYPE, tarfile.DIRTYPE
    assert read(make_tar(link, folder).read_bytes()) == ([], {".txt": 1})


@pytest.mark.parametrize("content", [ZEROS, tar(), gzip.compress(ZEROS)], ids=["zeros", "tar", "gzip"])
def test_an_empty_archive_is_counted(read, content):
    assert read(content) == ([], {"(empty tar)": 1})


def test_an_empty_tar_in_a_tar_is_counted(read):
    assert read(tar(("in.tar", ZEROS))) == ([], {"(empty tar)": 1})


def test_members_without_a_telling_suffix_are_known_by_their_first_bytes(read):
    data, passed = read(
        tar(("img_1", PICTURE), ("s.image", PICTURE), ("s.jpg.bin", PICTURE), ("n.npy", b"\x93NUMPY"), ("e", b""))
    )
    assert images(data) == [("img_1", PICTURE), ("s.image", PICTURE), ("s.jpg.bin", PICTURE)]
    assert passed == {".npy": 1, "(no suffix)": 1}


def test_a_member_known_by_its_first_bytes_has_the_limit_of_all_images(read):
    data, _ = read(tar(("a", PICTURE + bytes(100)), ("b", PICTURE)), max_object_bytes=50)
    assert rejects(data) == [("a", "too_large")] and images(data) == [("b", PICTURE)]


WEAK = {"PCX", "SGI", "ICO", "TGA", "DIB", "QOI"}  # no signature that nothing else has; Pillow does not write QOI


def test_formats_that_are_decoded_are_known_by_their_first_bytes():
    picture = Image.fromarray(np.random.default_rng(3).integers(0, 256, (24, 24, 3), dtype=np.uint8))
    Image.init()
    written = sorted((set(FORMATS) & set(Image.SAVE)) - WEAK)
    assert {"JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "JPEG2000", "PPM"} <= set(written)
    for format_ in written:
        buffer = io.BytesIO()
        picture.save(buffer, format_)
        assert looks_like_image(buffer.getvalue()[:HEAD]), format_


@pytest.mark.parametrize(
    "text",
    [b"", b"BM is a company", b"P5 is a paper size", b"GIF", b"\xff\xd8", b"RIFF\0\0\0\0WAVEfmt ", b"II", b"{}",
     b"\0" * 32, b"%PDF-1.7", b"\0\0\0\x18ftypmp42"],
)  # fmt: skip
def test_what_is_no_image_is_not_taken_for_one(text):
    assert not looks_like_image(text)


def test_each_reject_and_image_of_odd_tars_has_an_address_of_its_own(read):
    inner = tar(("a.jpg", b"1"), ("a.jpg", b"2"))
    data, _ = read(tar(("x.tar", inner), ("x.tar", inner), ("x.tar#a.jpg", b"3"), ("y.tar", b"?" * 600)) * 2)
    assert max(Counter(item.uri for item in data).values()) == 1 and len(data) == 12

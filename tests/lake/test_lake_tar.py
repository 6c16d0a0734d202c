from __future__ import annotations

import gzip
import io
import tarfile
from collections import Counter

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from curator.lake import ReadOptions, encodings, plan_shards, read_datum, read_shard
from curator.lake.tar import reading as tar_module
from curator.types import Datum, Reject, SourceObject


def link(name, kind=tarfile.SYMTYPE, target="a.jpg"):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def test_images_come_in_the_order_of_the_archive_with_key_and_offset(make_tar, read_all):
    path = make_tar(("b.jpg", b"bbb"), ("notes.txt", b"no"), ("d/a.PNG", b"aaaa"))
    data = read_all(path)
    assert [(item.uri, item.object_uri, item.member, item.data) for item in data] == [
        (f"{path}#b.jpg", str(path), "b.jpg", b"bbb"),
        (f"{path}#d/a.PNG", str(path), "d/a.PNG", b"aaaa"),
    ]
    content = path.read_bytes()
    assert all(content[item.byte_offset :].startswith(item.data) for item in data)


def test_a_compressed_tar_is_known_by_its_content_and_has_no_offsets(make_tar, read_all, tmp_path):
    path = make_tar(("a.jpg", b"1"), ("b.jpg", b"22"), mode="w:gz", name="set.tar.gz")
    misnamed = tmp_path / "misnamed.tar"
    misnamed.write_bytes(path.read_bytes())
    for source in (path, misnamed):
        assert [(item.data, item.byte_offset) for item in read_all(source)] == [(b"1", None), (b"22", None)]


@pytest.mark.parametrize("suffix", ["cls", "cls.txt", "label", "label.txt", "CLS"])
def test_the_label_of_a_sample_may_come_before_or_after_its_image(make_tar, read_all, suffix):
    path = make_tar(
        ("d/1.jpg", b"1"), (f"d/1.{suffix}", b" cat\n"),
        (f"d/2.{suffix}", b"dog"), ("d/2.jpg", b"2"), ("d/2.seg.png", b"2s"),
        ("e/2.jpg", b"other folder, other sample"), ("3.jpg", b"3"),
    )  # fmt: skip
    assert [item.source_label for item in read_all(path)] == ["cat", "dog", "dog", None, None]


def test_labels_that_are_empty_too_long_or_not_utf8_do_no_harm(make_tar, read_all):
    path = make_tar(
        ("1.cls", b"  "),
        ("1.jpg", b"1"),
        ("2.cls", b"x" * 5000),
        ("2.jpg", b"2"),
        ("3.cls", b"caf\xe9"),
        ("3.jpg", b"3"),
    )
    assert [item.source_label for item in read_all(path)] == [None, None, "caf\\xe9"]


def test_hidden_members_folders_and_other_files_are_passed_over(make_tar, read_all):
    folder = tarfile.TarInfo("folder.jpg")
    folder.type = tarfile.DIRTYPE
    path = make_tar(folder, ("./a.jpg", b"a"), ("__MACOSX/._a.jpg", b"m"), (".b.jpg", b"b"), ("c.json", b"{}"))
    assert [(item.member, item.data) for item in read_all(path)] == [("./a.jpg", b"a")]


def test_links_and_devices_with_an_image_suffix_are_rejects(make_tar, read_all, rejects_of):
    path = make_tar(
        ("a.jpg", b"a"), link("s.jpg"), link("h.jpg", tarfile.LNKTYPE), link("n.jpg", tarfile.CHRTYPE),
        link("p.jpg", tarfile.FIFOTYPE), link("out.jpg", target="../../etc/passwd"), link("s.txt"), ("z.jpg", b"z"),
    )  # fmt: skip
    data = read_all(path)
    assert rejects_of(data) == [
        ("not_a_regular_member", name) for name in ("s.jpg", "h.jpg", "n.jpg", "p.jpg", "out.jpg")
    ]
    assert [item.data for item in data if isinstance(item, Datum)] == [b"a", b"z"]


def test_members_of_the_same_name_have_different_uris_and_can_each_be_read_again(make_tar, read_all):
    path = make_tar(("a.jpg", b"1"), ("b.jpg", b"2"), ("a.jpg", b"3"), ("a.jpg", b"4"))
    data = read_all(path)
    assert [item.member for item in data] == ["a.jpg", "b.jpg", "a.jpg@2", "a.jpg@3"]
    assert [read_datum(str(path), "tar", member=item.member) for item in data] == [b"1", b"2", b"3", b"4"]


def test_member_names_that_are_not_utf8_become_escapes(make_tar, read_all):
    path = make_tar(("caf\udce9.jpg", b"coffee"), format=tarfile.GNU_FORMAT)
    (datum,) = read_all(path)
    assert datum.member == "caf\\xe9.jpg"
    datum.uri.encode()
    assert read_datum(str(path), "tar", member=datum.member) == b"coffee"


@pytest.mark.parametrize("format", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_long_names_are_read_in_both_formats(make_tar, read_all, format):
    name = "d/" * 150 + "ä.jpg"
    (datum,) = read_all(make_tar((name, b"deep"), format=format))
    assert (datum.member, datum.data) == (name, b"deep")


def test_members_over_the_limit_are_rejects_and_the_rest_goes_on(make_tar, read_all, rejects_of):
    path = make_tar(("a.jpg", b"x" * 101), ("b.jpg", b"x" * 100))
    data = read_all(path, max_object_bytes=100)
    assert rejects_of(data) == [("too_large", "a.jpg")] and data[0].byte_size == 101
    assert isinstance(data[1], Datum)


def test_a_tar_whose_members_all_share_a_key_is_read_with_bounded_memory(make_tar):
    path = make_tar(("img.cls", b"cat"), *((f"img.{number:04}.jpg", b"x") for number in range(500)))
    item = SourceObject(str(path), str(path), "tar", 1, "")
    sizes = []

    class Watched(tar_module._Sample):
        def add(self, item):
            super().add(item)
            sizes.append(len(self.items))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tar_module, "_Sample", Watched)
        data = list(tar_module.read_tar(item, ReadOptions()))
    assert Counter(datum.source_label for datum in data) == {"cat": 500}
    assert max(sizes) == tar_module.MAX_SAMPLE_ITEMS


def test_a_tar_of_no_members_gives_nothing(make_tar, read_all):
    assert read_all(make_tar()) == []


def members(count=5, size=700):
    return [(f"{number}.jpg", bytes([number]) * size) for number in range(count)]


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_a_truncated_tar_gives_what_came_before_and_one_reject(make_tar, read_all, mode):
    path = make_tar(*members(), mode=mode)
    whole = path.read_bytes()
    content = gzip.decompress(whole) if mode == "w:gz" else whole
    assert content.count(b"ustar") == 5
    for kept in (3 * 1536 + 600, 3 * 1536 + 100, 3 * 1536):  # in a member's data, in its header, right before it
        path.write_bytes(gzip.compress(content[:kept]) if mode == "w:gz" else content[:kept])
        *data, reject = read_all(path)
        assert [item.data for item in data] == [data for _, data in members(3)]
        assert (reject.uri, reject.stage, reject.reason) == (str(path), "read", "truncated_archive")


def test_a_compressed_tar_cut_in_its_compressed_bytes_is_truncated(make_tar, read_all, rejects_of):
    path = make_tar(*((f"{n}.jpg", bytes((n * k) % 251 for k in range(4000))) for n in range(1, 40)), mode="w:gz")
    path.write_bytes(path.read_bytes()[:-2000])
    assert rejects_of(read_all(path)) == [("truncated_archive", None)]


def test_a_damaged_header_in_the_middle_is_a_reject_and_no_silent_end(make_tar, read_all):
    path = make_tar(*members())
    content = bytearray(path.read_bytes())
    content[2 * 1536 : 2 * 1536 + 50] = b"?" * 50
    path.write_bytes(content)
    *data, reject = read_all(path)
    assert len(data) == 2
    assert reject.reason == "unreadable_archive" and "byte 3072" in reject.detail


@pytest.mark.parametrize(
    "content", [b"no tar at all" * 100, b"\x1f\x8bno gzip either", b"x", b"PK\x03\x04" + b"\0" * 2000], ids=repr
)
def test_what_is_no_tar_is_one_reject(tmp_path, read_all, rejects_of, content):
    (tmp_path / "a.tar").write_bytes(content)
    ((reason, member),) = rejects_of(read_all(tmp_path / "a.tar"))
    assert reason in ("unreadable_archive", "truncated_archive") and member is None


def test_an_empty_file_is_no_tar(tmp_path, read_all, rejects_of):
    (tmp_path / "a.tar").write_bytes(b"")
    assert rejects_of(read_all(tmp_path / "a.tar")) == [("truncated_archive", None)]


def test_a_tar_that_vanished_is_not_found(tmp_path, rejects_of):
    item = SourceObject(str(tmp_path / "gone.tar"), str(tmp_path / "gone.tar"), "tar", 1, "v")
    (shard,) = plan_shards([item])
    assert rejects_of(read_shard(shard, options=ReadOptions())) == [("not_found", None)]


def test_an_extension_header_that_claims_gigabytes_is_never_read(tmp_path, read_all, rejects_of):
    header = tarfile.TarInfo("././@PaxHeader")
    header.type, header.size = tarfile.XHDTYPE, 1 << 33
    (tmp_path / "a.tar").write_bytes(header.tobuf(tarfile.GNU_FORMAT) + b"\0" * 10_240)
    (reject,) = read_all(tmp_path / "a.tar")
    assert (reject.reason, reject.detail) == ("unreadable_archive", "a header claims 8589934592 bytes")


def test_a_chain_of_extension_headers_cannot_exhaust_the_stack(tmp_path, read_all, rejects_of):
    header = tarfile.TarInfo("././@LongLink")
    header.type, header.size = tarfile.GNUTYPE_LONGNAME, 2
    (tmp_path / "a.tar").write_bytes((header.tobuf(tarfile.GNU_FORMAT) + b"a\0".ljust(512, b"\0")) * 3000)
    assert rejects_of(read_all(tmp_path / "a.tar")) == [("unreadable_archive", None)]


def sample_archive():
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, data in [("é" * 80 + ".jpg", b"1" * 600), ("b.cls", b"cat"), ("b.jpg", b"2" * 30)]:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


ARCHIVE = sample_archive()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.lists(st.tuples(st.integers(0, len(ARCHIVE) - 1), st.binary(min_size=1, max_size=12)), max_size=4))
@example([(124, b"\xff" * 12)])  # a negative size in base 256
@example([(124, b"77777777777\0")])
def test_no_damage_to_a_tar_ever_raises(tmp_path, damage):
    content = bytearray(ARCHIVE)
    for offset, data in damage:
        content[offset : offset + len(data)] = data
        header = offset // 512 * 512
        block = bytes(content[header : header + 512])
        if block[257:262] == b"ustar":  # a checksum that fits lets the damage through to the parser
            total = 256 + sum(block[:148]) + sum(block[156:])
            content[header + 148 : header + 156] = b"%06o\0 " % total
    path = tmp_path / "damaged.tar"
    path.write_bytes(content)
    item = SourceObject(str(path), str(path), "tar", len(content), "")
    data = list(tar_module.read_tar(item, ReadOptions()))
    assert sum(isinstance(found, Reject) and found.member is None for found in data) <= 1
    assert len({found.uri for found in data}) == len(data)
    for found in data:
        found.uri.encode()
        if isinstance(found, Reject):
            found.detail.encode()


def test_development_tars_are_whole_and_labelled(shared_data, read_all):
    natural = read_all(shared_data / "imagenette-wds-*.tar")
    tiny = read_all(shared_data / "tiny64-wds-*.tar")
    assert (len(natural), len(tiny)) == (1000, 3000)
    assert all(isinstance(item, Datum) and item.source_label and item.byte_offset for item in natural + tiny)
    assert {"gas pump", "chain saw"} <= {item.source_label for item in natural}


def test_more_images_or_longer_names_than_a_shard_can_hold_end_the_tar(make_tar, read_all, rejects_of, monkeypatch):
    path = make_tar(*members())
    monkeypatch.setattr(tar_module, "MAX_IMAGES", 3)
    assert [getattr(item, "reason", None) for item in read_all(path)] == [None] * 3 + ["unreadable_archive"]
    monkeypatch.setattr(tar_module, "MAX_IMAGES", 5)
    assert rejects_of(read_all(path)) == []
    monkeypatch.setattr(tar_module, "MAX_NOTED", 3 * len("0.jpg"))
    assert len(read_all(path)) == 4


def test_one_name_again_and_again_is_counted_as_images_too(make_tar, read_all, monkeypatch):
    monkeypatch.setattr(tar_module, "MAX_IMAGES", 3)
    assert len(read_all(make_tar(*[("a.jpg", b"x")] * 9))) == 4


def test_what_expands_beyond_what_is_stored_is_a_bomb_and_honest_compression_is_none(make_tar, read_all, monkeypatch):
    monkeypatch.setattr(encodings, "EXPANSION_FREE", 100_000)
    noise = bytes(n * n % 251 for n in range(200_000))
    honest = make_tar(("a.jpg", noise), ("b.jpg", noise[::-1]), mode="w:gz")
    assert len([item for item in read_all(honest) if isinstance(item, Datum)]) == 2
    bomb = make_tar(("a.jpg", b"a"), ("b.jpg", bytes(1 << 24)), mode="w:gz", name="bomb.tar.gz")
    *data, reject = read_all(bomb)
    assert [item.data for item in data] == [b"a"] and reject.reason == "expands_too_far"


def test_a_claim_of_exabytes_ends_at_the_end_of_the_file(tmp_path, read_all, rejects_of):
    """The standard library counts up to such a size in steps of 10 kB, for ever."""
    for name in ("a.jpg", "notes.txt"):
        header = tarfile.TarInfo(name)
        header.size = 1 << 62
        (tmp_path / "a.tar").write_bytes(header.tobuf(tarfile.GNU_FORMAT) + bytes(4096))
        assert rejects_of(read_all(tmp_path / "a.tar"))[-1] == ("truncated_archive", None)


def test_a_size_beyond_the_ledgers_integers_is_clamped(tmp_path, read_all):
    header = tarfile.TarInfo("a.jpg")
    header.size = 1 << 80
    (tmp_path / "a.tar").write_bytes(header.tobuf(tarfile.GNU_FORMAT))
    assert read_all(tmp_path / "a.tar")[0].byte_size == 2**63 - 1


@pytest.mark.parametrize(
    "record",
    [b"2 " * 100_000 + b"=\n", b"9" * 30 + b" path=a\n", b"5 a=b", b"12 size=-512\n", b"11 path=a\n" + b"0 =\n"],
)
def test_pax_headers_that_are_not_well_formed_are_refused_at_once(tmp_path, read_all, rejects_of, record):
    """The first takes the standard library of Python 3.11.7 hours and more memory than there is."""
    header = tarfile.TarInfo("p")
    header.type, header.size = tarfile.XHDTYPE, len(record)
    block = header.tobuf(tarfile.GNU_FORMAT) + record + bytes(-len(record) % 512)
    (tmp_path / "a.tar").write_bytes(block + tarfile.TarInfo("a.jpg").tobuf() + bytes(1024))
    assert rejects_of(read_all(tmp_path / "a.tar")) == [("unreadable_archive", None)]


def test_sparse_members_are_rejects_and_what_follows_is_read(tmp_path, read_all, rejects_of):
    sparse = tarfile.TarInfo("s.jpg")
    sparse.type = tarfile.GNUTYPE_SPARSE
    block = bytearray(sparse.tobuf(tarfile.GNU_FORMAT))
    block[482] = 1  # the map goes on
    block[148:156] = b"%06o\0 " % (256 + sum(block[:148]) + sum(block[156:]))
    further = bytes(504) + b"\1" + bytes(7)
    last = tarfile.TarInfo("a.jpg")
    (tmp_path / "a.tar").write_bytes(bytes(block) + further * 50 + bytes(512) + last.tobuf() + bytes(1024))
    data = read_all(tmp_path / "a.tar")
    assert rejects_of(data) == [("not_a_regular_member", "s.jpg")]
    assert data[1].member == "a.jpg"

from __future__ import annotations

import inspect
import os
import socket
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curator.errors import SourceError
from curator.lake import open_source
from curator.lake.files import confirm_unchanged
from curator.lake.versions import ChangedWhileRead
from curator.types import Reject


def uris(source, root):
    return [os.path.relpath(item.uri, root) for item in source.list()]


def test_a_folder_is_listed_recursively_in_the_order_of_addresses(make_tree):
    root = make_tree("b/x.jpg", "a.jpg", "b.jpg", "b-1/y.PNG", "b/z/deep.webp", "s.tar", "t.parquet")
    source = open_source(str(root))
    found = list(source.list())
    assert [item.uri for item in found] == sorted(item.uri for item in found)
    assert uris(source, root) == ["a.jpg", "b-1/y.PNG", "b.jpg", "b/x.jpg", "b/z/deep.webp", "s.tar", "t.parquet"]
    assert [item.kind for item in found] == ["file"] * 5 + ["tar", "parquet"]
    assert source.name == str(root) and source.prefix == f"{root}/"


def test_size_and_version_come_from_the_file(make_tree):
    root = make_tree(**{"a.jpg": b"12345"})
    os.utime(root / "a.jpg", ns=(7, 1_000_000_007))
    (item,) = open_source(str(root)).list()
    changed = (root / "a.jpg").stat().st_ctime_ns
    assert (item.byte_size, item.version) == (5, f"5-1000000007-{changed}")
    os.utime(root / "a.jpg", ns=(7, 1_000_000_008))
    (touched,) = open_source(str(root)).list()
    assert touched.version != item.version


def test_what_is_passed_over_is_counted_by_suffix(make_tree):
    root = make_tree("a.jpg", "n1.txt", "n2.TXT", "README", ".DS_Store", ".git/x.jpg", "__MACOSX/y.jpg", "Thumbs.db")
    (root / "elsewhere").symlink_to(root, target_is_directory=True)
    source = open_source(str(root))
    for _ in range(2):  # a second listing counts anew
        assert uris(source, root) == ["a.jpg"]
        assert dict(source.ignored) == {
            ".txt": 2,
            "(no suffix)": 1,
            "(hidden)": 3,
            "(system folder)": 1,
            "(folder link)": 1,
        }


def test_links_to_files_are_followed_and_links_to_folders_are_not(make_tree, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    (other / "real.jpg").write_bytes(b"real")
    root = make_tree("a.jpg")
    (root / "link.jpg").symlink_to(other / "real.jpg")
    (root / "loop").symlink_to(root, target_is_directory=True)
    (root / "looks-like.jpg").symlink_to(other, target_is_directory=True)
    found = list(open_source(str(root)).list())
    assert [(Path(item.uri).name, item.byte_size) for item in found] == [("a.jpg", 5), ("link.jpg", 4)]


def test_a_link_to_a_folder_can_itself_be_the_source_and_keeps_its_name(make_tree, tmp_path):
    root = make_tree("a.jpg", root=tmp_path / "real")
    (tmp_path / "current").symlink_to(root, target_is_directory=True)
    source = open_source(str(tmp_path / "current"))
    assert [item.uri for item in source.list()] == [str(tmp_path / "current" / "a.jpg")]


def test_dangling_links_with_an_image_suffix_are_rejects_in_their_place(make_tree):
    root = make_tree("a.jpg", "z.jpg")
    (root / "m.jpg").symlink_to(root / "missing.jpg")
    (root / "n.jpg").symlink_to(root / "n.jpg")  # points to itself
    (root / "m.txt").symlink_to(root / "missing.txt")
    found = list(open_source(str(root)).list())
    assert [Path(item.uri).name for item in found] == ["a.jpg", "m.jpg", "n.jpg", "z.jpg"]
    assert [(item.stage, item.reason) for item in found[1:3]] == [("list", "dangling_link")] * 2
    assert "missing.jpg" in found[1].detail


def test_pipes_and_sockets_are_rejects_and_never_opened(make_tree):
    root = make_tree("a.jpg")
    os.mkfifo(root / "pipe.jpg")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(root / "s.jpg"))
        found = list(open_source(str(root)).list())
    assert [item.reason for item in found if isinstance(item, Reject)] == ["not_a_regular_file"] * 2


def test_an_unreadable_folder_is_one_reject_and_the_rest_goes_on(make_tree, monkeypatch):
    root = make_tree("a/x.jpg", "b/y.jpg", "c/z.jpg")
    real = os.scandir

    def scandir(path):
        if str(path) == str(root / "b"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    found = list(open_source(str(root)).list())
    assert [os.path.relpath(item.uri, root) for item in found] == ["a/x.jpg", "b", "c/z.jpg"]
    assert (found[1].stage, found[1].reason, found[1].detail) == ("list", "unreadable_folder", "Permission denied")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every folder")
def test_a_folder_without_permission_is_a_reject_on_a_real_disk(make_tree):
    root = make_tree("a.jpg", "locked/x.jpg")
    (root / "locked").chmod(0)
    try:
        found = list(open_source(str(root)).list())
    finally:
        (root / "locked").chmod(0o700)
    assert [getattr(item, "reason", None) for item in found] == [None, "unreadable_folder"]


def test_what_vanishes_during_a_listing_is_not_listed(make_tree):
    root = make_tree("a.jpg", "b.jpg", "c/d.jpg", "e.jpg")
    listing = open_source(str(root)).list()
    assert next(listing).uri.endswith("a.jpg")
    (root / "b.jpg").unlink()
    (root / "c/d.jpg").unlink()
    (root / "c").rmdir()
    assert [Path(item.uri).name for item in listing] == ["e.jpg"]


def test_a_root_that_vanishes_is_an_error_and_not_an_empty_listing(make_tree, tmp_path):
    source = open_source(str(make_tree("a.jpg", root=tmp_path / "lake")))
    (tmp_path / "lake/a.jpg").unlink()
    (tmp_path / "lake").rmdir()
    with pytest.raises(SourceError, match="No such file"):
        list(source.list())


def test_folders_deeper_than_the_call_stack_are_listed(tmp_path):
    deep = tmp_path / "/".join("d" * 300)
    deep.mkdir(parents=True)
    (deep / "a.jpg").touch()
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack(0)) + 150)
    try:
        (item,) = open_source(str(tmp_path)).list()
    finally:
        sys.setrecursionlimit(limit)
    assert item.uri == str(deep / "a.jpg")


def test_names_that_are_not_utf8_open_by_path_and_are_readable_by_uri(tmp_path, read_all):
    (tmp_path / "caf\udce9.jpg").write_bytes(b"coffee")
    assert os.fsencode(tmp_path / "caf\udce9.jpg").endswith(b"/caf\xe9.jpg")
    (item,) = open_source(str(tmp_path)).list()
    assert item.uri == f"{tmp_path}/caf\\xe9.jpg"
    assert item.path == f"{tmp_path}/caf\udce9.jpg"
    assert open_source(str(tmp_path)).covers(item.uri)
    (datum,) = read_all(tmp_path)
    assert (datum.uri, datum.data) == (item.uri, b"coffee")


def test_a_named_file_is_read_whatever_it_is_called(make_tree):
    root = make_tree("README", ".hidden.jpg", "set.tar")
    for name, kind in [("README", "file"), (".hidden.jpg", "file"), ("set.tar", "tar")]:
        source = open_source(str(root / name))
        (item,) = source.list()
        assert (item.uri, item.kind) == (str(root / name), kind)
        assert source.covers(item.uri) and source.prefix == item.uri
        assert not source.covers(item.uri + "x")


def test_a_glob_lists_what_it_matches_and_walks_nothing_else(make_tree, monkeypatch):
    root = make_tree("2025-12/a.jpg", "2026-01/b.jpg", "2026-02/deep/c.jpg", "2026-02/n.txt", "2026-02/d.png", "x.jpg")
    walked = []
    real = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: walked.append(str(path)) or real(path))
    source = open_source(f"{root}/2026-*/**/*.jpg")
    assert uris(source, root) == ["2026-01/b.jpg", "2026-02/deep/c.jpg"]
    assert str(root / "2025-12") not in walked
    assert source.prefix == f"{root}/2026-"
    assert not source.covers(f"{root}/2025-12/a.jpg") and source.covers(f"{root}/2026-09/new.jpg")


def test_a_glob_that_matches_nothing_yet_is_an_empty_listing(make_tree):
    assert list(open_source(f"{make_tree('a.jpg')}/2027-*/*.jpg").list()) == []


def test_a_name_with_brackets_that_exists_is_no_glob(make_tree):
    root = make_tree("photos [2026]/a.jpg", "photos 2/b.jpg")
    assert uris(open_source(f"{root}/photos [2026]"), root) == ["photos [2026]/a.jpg"]


def test_relative_paths_and_file_urls_name_the_same_source(make_tree, monkeypatch):
    root = make_tree("lake/a.jpg")
    monkeypatch.chdir(root)
    names = {open_source(address).name for address in ("lake", "./lake/", "lake/../lake", f"file://{root}/lake")}
    assert names == {f"{root}/lake"}


@pytest.mark.parametrize("address", ["missing", "missing/*.jpg", "a.jpg/b.jpg", "pipe", ""])
def test_what_is_no_source_is_one_clear_error(make_tree, monkeypatch, address):
    root = make_tree("a.jpg")
    os.mkfifo(root / "pipe")
    monkeypatch.chdir(root)
    with pytest.raises(SourceError) as caught:
        open_source(address)
    assert caught.value.message.startswith(address) and "\n" not in caught.value.message
    assert caught.value.hint


NAMES = st.sampled_from(["a", "b", ".h", "__MACOSX", "a.b", "a-", "é"])
LEAVES = st.sampled_from(["a.jpg", "b.PNG", "c", "d.txt", ".e.jpg", "f.tar", "g.pq", "a", "[x].jpg"])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(paths=st.sets(st.tuples(st.lists(NAMES, max_size=3), LEAVES).map(lambda p: "/".join([*p[0], p[1]])), max_size=8),
       pattern=st.sampled_from(["", "/*", "/**", "/a/**/*.jpg", "/*/*", "/?/*.jpg", "/[ab]*/**"]))  # fmt: skip
def test_a_source_covers_exactly_what_it_lists(tmp_path_factory, paths, pattern):
    root = tmp_path_factory.mktemp("tree")
    (root / "a").mkdir()
    files = []
    for path in sorted(paths):
        try:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(b"x")
            files.append(str(root / path))
        except (FileExistsError, NotADirectoryError, IsADirectoryError):
            continue  # one name cannot be both file and folder
    source = open_source(f"{root}{pattern}")
    listed = [item.uri for item in source.list()]
    assert listed == sorted(listed)
    assert set(listed) == {path for path in files if source.covers(path)}
    assert all(path.startswith(source.prefix) for path in listed)


def test_two_names_that_become_one_address_are_one_object_and_one_reject(tmp_path):
    for name in ("caf\udce9.jpg", "caf\\xe9.jpg"):
        (tmp_path / name).write_bytes(b"x")
    for name in ("d\udce9", "d\\xe9"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.jpg").write_bytes(b"x")
    found = list(open_source(str(tmp_path)).list())
    assert len({item.uri for item in found}) == len(found) == 4
    rejects = [(Path(item.uri).name, item.reason) for item in found if isinstance(item, Reject)]
    assert rejects == [("caf\\xe9.jpg@ambiguous", "ambiguous_name"), ("d\\xe9@ambiguous", "ambiguous_name")]


def test_a_file_that_bears_the_address_of_a_tars_member_is_a_reject(make_tree):
    root = make_tree("a.tar", "a.tar#b.jpg", "a.tar#c/d.jpg", "e#f.jpg", "g.pq#0.png", "h.tar#note.txt")
    source = open_source(str(root))
    found = list(source.list())
    assert [os.path.relpath(item.uri, root) for item in found if not isinstance(item, Reject)] == ["a.tar", "e#f.jpg"]
    assert [item.reason for item in found if isinstance(item, Reject)] == ["ambiguous_name"] * 3
    assert source.ignored == {".txt": 1}


def test_a_file_that_is_linked_or_gets_other_rights_while_it_is_read_has_not_changed(make_tree):
    root = make_tree(**{"a.jpg": b"12345"})
    (item,) = open_source(str(root)).list()
    (root / "a.jpg").chmod(0o600)
    (root / "b.txt").hardlink_to(root / "a.jpg")
    confirm_unchanged(item.path, version=item.version)
    for version in (item.version.replace("5-", "4-", 1), f"{item.version}0".replace("5-", "5-1", 1)):
        with pytest.raises(ChangedWhileRead):
            confirm_unchanged(item.path, version=version)

"""Which names below a source are read: system folders, hidden names, and the patterns of a user."""

from __future__ import annotations

import os

import fsspec
import pytest

from curator.errors import CuratorError
from curator.lake import open_source
from curator.lake.passed import MAX_HEADINGS, OTHER, PassedOver, passed_as, suffix_heading
from curator.lake.sources.filters import PathFilter

SYSTEM = ["@eaDir", "#recycle", "$RECYCLE.BIN", "@Recycle", "System Volume Information", "lost+found", "__MACOSX",
          "#snapshot", "@Recently-Snapshot", "~snapshot", "Network Trash Folder"]  # fmt: skip


def relative(source, root):
    return [os.path.relpath(item.uri, root) for item in source.list()]


def heading(path, *, exclude=(), include=()):
    return PathFilter.parse(exclude, include, prefix="/lake/").heading_of_file(path)


@pytest.mark.parametrize("name", [*SYSTEM, "LOST+FOUND", "system volume information"])
def test_folders_of_systems_are_known_by_their_names_in_any_case(name):
    assert passed_as(name) == heading(f"a/{name}/b/c.jpg") == "(system folder)"


@pytest.mark.parametrize("name", [".git", "._a.jpg", ".Trash-1000", ".thumbnails", ".nfs0001.jpg", "Thumbs.db"])
def test_hidden_names_and_files_of_file_managers_are_passed_over(name):
    assert passed_as(name) == "(hidden)"


@pytest.mark.parametrize("name", ["a", ".", "..", "recycled", "eaDir", "snapshot", "@", "#1", "lost"])
def test_other_names_are_no_system_folders(name):
    assert passed_as(name) is None


def test_folders_of_a_nas_and_of_desktops_are_passed_over_and_counted_once_each(make_tree):
    root = make_tree(
        "2026/a.jpg", "2026/@eaDir/a.jpg/SYNOPHOTO_THUMB_XL.jpg", "2026/@eaDir/b.jpg/SYNOPHOTO_THUMB_XL.jpg",
        "#recycle/d.jpg", "$RECYCLE.BIN/S-1/r.jpg", "@Recycle/q.jpg", "System Volume Information/i.jpg",
        "lost+found/l.jpg", ".Trash-1000/files/x.jpg", ".thumbnails/t.jpg", "__MACOSX/._a.jpg",
    )  # fmt: skip
    source = open_source(str(root))
    assert relative(source, root) == ["2026/a.jpg"]
    assert dict(source.ignored) == {"(system folder)": 7, "(hidden)": 2}
    assert not source.covers(f"{root}/2026/@eaDir/a.jpg/SYNOPHOTO_THUMB_XL.jpg")


def test_in_a_store_each_object_in_a_system_folder_counts():
    memory = fsspec.filesystem("memory")
    memory.pipe({f"/filters/{name}": b"x" for name in ("a.jpg", "@eaDir/b.jpg", "@eaDir/c.jpg", "cache/d.jpg", ".e")})
    try:
        source = open_source("memory://filters", exclude=["cache"])
        assert [item.uri for item in source.list()] == ["memory:///filters/a.jpg"]
        assert dict(source.ignored) == {"(system folder)": 2, "(excluded)": 1, "(hidden)": 1}
        brought = open_source("memory://filters", exclude=["cache"], include=["@eaDir"])
        names = [item.uri for item in brought.list()]
        assert names == [f"memory:///filters/{name}" for name in ("@eaDir/b.jpg", "@eaDir/c.jpg", "a.jpg")]
        assert all(map(brought.covers, names)) and not brought.covers("memory:///filters/cache/d.jpg")
    finally:
        memory.rm("/filters", recursive=True)


@pytest.mark.parametrize(
    ("pattern", "excluded", "read"),
    [
        ("cache", ["cache/a.jpg", "x/cache/y/a.jpg", "x/cache"], ["cache.jpg", "caches/a.jpg"]),
        ("cache/", ["cache/a.jpg", "x/cache/a.jpg"], ["cache.jpg"]),
        ("*.tif", ["a.tif", "x/y/a.tif"], ["a.TIF", "a.tif.jpg"]),
        ("2025/**", ["2025/a.jpg", "2025/01/a.jpg"], ["x/2025/a.jpg", "2025.jpg"]),
        ("/2025", ["2025/a.jpg"], ["x/2025/a.jpg"]),
        ("2025/*.png", ["2025/a.png"], ["2025/01/a.png", "2025/a.jpg"]),
        ("**/raw/*.png", ["raw/a.png", "x/y/raw/a.png"], ["raw/x/a.png", "raw/a.jpg"]),
        ("/lake/2025", ["2025/a.jpg"], ["x/2025/a.jpg", "a.jpg"]),
        ("/other/2025", [], ["2025/a.jpg"]),
    ],
)
def test_a_pattern_is_a_name_at_any_depth_or_a_path_from_the_source_on(pattern, excluded, read):
    assert [heading(path, exclude=[pattern]) for path in excluded] == ["(excluded)"] * len(excluded)
    assert [heading(path, exclude=[pattern]) for path in read] == [None] * len(read)


@pytest.mark.parametrize(
    ("exclude", "include", "path", "expected"),
    [
        ([], ["@eaDir"], "x/@eaDir/a.jpg", None),
        ([], [".thumbnails"], ".thumbnails/a.jpg", None),
        ([], ["@eaDir"], "#recycle/@eaDir/a.jpg", "(system folder)"),  # a name alone reaches into no other folder
        ([], ["**/@eaDir/*.jpg"], "x/@eaDir/a.jpg", None),
        ([], ["**/@eaDir/*_XL.jpg"], "x/@eaDir/a_M.jpg", "(system folder)"),
        (["*.tif"], ["@eaDir"], "@eaDir/a.tif", "(excluded)"),  # deeper than what is included
        (["2025"], ["2025/keep"], "2025/keep/a.jpg", None),
        (["2025"], ["2025/keep"], "2025/lose/a.jpg", "(excluded)"),
        (["a.jpg"], ["a.jpg"], "a.jpg", None),
    ],
)
def test_the_deepest_word_decides_and_an_include_goes_before_an_exclude(exclude, include, path, expected):
    assert heading(path, exclude=exclude, include=include) == expected


@pytest.mark.parametrize("include", [[], ["@eaDir"], ["**/@eaDir/*.png"], ["/b/@eaDir"], ["b/**"], [".h/x/a.jpg"]])
@pytest.mark.parametrize("exclude", [[], ["b"], ["*.png"], ["**/x"], ["/b/@eaDir/a.png"]])
def test_a_walk_lists_what_the_filter_says_of_each_path_and_covers_just_that(make_tree, include, exclude):
    paths = [f"{folder}{name}" for folder in ("", "b/", "@eaDir/", "b/@eaDir/", ".h/x/", "b/x/@eaDir/")
             for name in ("a.jpg", "a.png")]  # fmt: skip
    root = make_tree(*paths)
    source = open_source(str(root), exclude=exclude, include=include)
    wanted = [path for path in paths if source.filter.heading_of_file(path) is None]
    assert relative(source, root) == sorted(wanted)
    assert [path for path in paths if source.covers(f"{root}/{path}")] == wanted


def test_patterns_hold_below_a_glob_too_and_never_for_a_file_that_is_named(make_tree):
    root = make_tree("a/x.jpg", "a/cache/y.jpg", "b/x.jpg")
    assert relative(open_source(f"{root}/*/**/*.jpg", exclude=["cache", "b/**"]), root) == ["a/x.jpg"]
    (item,) = open_source(f"{root}/a/cache/y.jpg", exclude=["*"]).list()
    assert item.uri == f"{root}/a/cache/y.jpg"


@pytest.mark.parametrize("pattern", ["", "/", "//", "a**b", "/lake/"])
def test_what_is_no_pattern_is_refused_in_one_line(pattern):
    with pytest.raises(CuratorError) as caught:
        PathFilter.parse([pattern], [], prefix="/lake/")
    assert "\n" not in str(caught.value)


def test_the_headings_of_a_count_are_bounded():
    counts = PassedOver()
    for number in range(10 * MAX_HEADINGS):
        counts.note(suffix_heading(f"a.{number}"))
    assert len(counts) == MAX_HEADINGS + 1 and counts.total() == 10 * MAX_HEADINGS
    assert counts[OTHER] == 9 * MAX_HEADINGS
    assert suffix_heading("a." + "x" * 40) == OTHER

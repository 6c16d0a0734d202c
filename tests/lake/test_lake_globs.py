from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curator.errors import SourceError
from curator.lake.sources.globs import Glob, has_magic

PARTS = st.sampled_from(["a", "b", "ab", "a1", "2026-01"])
PATTERN_PARTS = st.sampled_from(["a", "*", "a*", "?", "[ab]", "**", "2026-*"])


def test_a_star_stays_in_its_folder_and_two_stars_do_not():
    assert Glob.parse("/d/*.jpg").matches("/d/a.jpg")
    assert not Glob.parse("/d/*.jpg").matches("/d/x/a.jpg")
    assert Glob.parse("/d/**/*.jpg").matches("/d/a.jpg")
    assert Glob.parse("/d/**/*.jpg").matches("/d/x/y/a.jpg")
    assert Glob.parse("/d/2026-*/**/*.jpg").matches("/d/2026-01/a.jpg")
    assert not Glob.parse("/d/2026-*/**/*.jpg").matches("/d/2025-01/a.jpg")


def test_root_and_prefix_end_before_the_first_wildcard():
    glob = Glob.parse("/data/2026-*/x/*.jpg")
    assert (glob.root, glob.prefix) == ("/data", "/data/2026-")
    assert Glob.parse("/*.jpg").root == "/"
    assert Glob.parse("s3://lake/x?.jpg").root == "s3://lake"


def test_folders_that_cannot_hold_a_match_are_told():
    glob = Glob.parse("/d/2026-*/x/*.jpg")
    assert glob.may_contain("/d/2026-01") and glob.may_contain("/d/2026-01/x")
    assert not glob.may_contain("/d/2025-01")
    assert not glob.may_contain("/d/2026-01/y")
    assert not glob.may_contain("/d/2026-01/x/deeper")
    assert Glob.parse("/*/a.jpg").may_contain("/d") and not Glob.parse("/*/a.jpg").may_contain("/d/e")


@given(st.lists(PATTERN_PARTS, max_size=4), st.lists(PARTS, max_size=5))
def test_no_folder_above_a_match_is_ever_pruned(pattern, folders):
    glob = Glob.parse("/".join(["/root", *pattern, "*.jpg"]))
    path = "/".join(["/root", *folders, "a.jpg"])
    if glob.matches(path):
        assert path.startswith(glob.prefix)
        below = folders[len(glob.root.removeprefix("/root").strip("/").split("/")) if glob.root != "/root" else 0 :]
        for depth in range(1, len(below) + 1):
            assert glob.may_contain("/".join([glob.root, *below[:depth]]))


def test_two_stars_beside_other_signs_are_one_clear_error():
    with pytest.raises(SourceError, match=r"/d/a\*\*: \*\* must stand alone"):
        Glob.parse("/d/a**")


def test_a_question_mark_in_a_web_url_is_no_wildcard():
    assert has_magic("/d/a?.jpg")
    assert not has_magic("http://h/a.jpg?v=1", question_mark=False)

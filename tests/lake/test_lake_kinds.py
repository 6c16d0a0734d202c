from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curator.lake.kinds import kind_of, suffix_of
from curator.printable import readable


@pytest.mark.parametrize("name", ["a.jpg", "A.JPEG", "x/y.z.PnG", "a.avif", "a.tiff", "a.heic", "a.jp2", "a b.WebP"])
def test_images_are_known_by_their_suffix_in_any_case(name):
    assert kind_of(name) == "file"


@pytest.mark.parametrize(
    ("name", "kind"),
    [("s.tar", "tar"), ("s.TAR.GZ", "tar"), ("s.tgz", "tar"), ("s.parquet", "parquet"), ("s.pq", "parquet")],
)
def test_containers_are_known_by_their_suffix(name, kind):
    assert kind_of(name) == kind


@pytest.mark.parametrize("name", ["jpg", ".jpg", "a", "a.txt", "a.gz", "a.jpg.txt", "a.jpg/b", "a.", ".tar", "d/.pq"])
def test_everything_else_is_nothing_we_read(name):
    assert kind_of(name) is None


def test_suffix_is_of_the_last_part_only():
    assert [suffix_of(name) for name in ("a.b/c", "a.b/c.D", ".hidden", "x.tar.gz")] == ["", ".d", "", ".gz"]


def test_bytes_that_are_not_utf8_become_escapes():
    assert readable("caf\udce9.jpg") == "caf\\xe9.jpg"
    assert readable("café.jpg") == "café.jpg"
    assert readable("lone \ud800") == "lone \\ud800"


@given(st.text(st.characters()))
def test_a_readable_name_can_always_be_encoded_and_stays_as_it_is(name):
    once = readable(name)
    once.encode()
    assert readable(once) == once

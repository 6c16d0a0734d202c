"""Ranges: what an annotation beside a field lets through, and how it says so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import pytest

from curator.errors import ConfigError
from curator.ranges import TEXT, Form, Place, Range, about, accepted, choices, read_fields


@dataclass(frozen=True)
class Options:
    count: Annotated[int, Range(1, 8, "cores")] = 1
    share: Annotated[float, Range(0, 1)] = 0.5
    seconds: Annotated[float, Range(0, above=True)] = 1.0
    plain: float = 0.0
    on: Annotated[bool, "for machines that are on"] = False
    style: Literal["a", "b"] = "a"
    globs: tuple[Annotated[str, TEXT], ...] = ()
    sizes: tuple[Annotated[int, Range(1)], ...] = ()
    key: Annotated[str, Form("[A-Z]+", "capitals", fault="is no key")] = "A"
    weight: Literal["all"] | Annotated[float, Range(0, 1)] = "all"
    wording: str | tuple[str, ...] | None = None
    total: Annotated[int, Range(1)] | None = None


def read(**values):
    return read_fields(Options, values, Place("file", "part"))


def test_values_and_their_text_are_read_alike():
    wanted = {"count": 8, "share": 1.0, "on": True, "style": "b", "sizes": (1, 2)}
    assert read(count=8, share=1, on=True, style="b", sizes=[1, 2]) == wanted
    assert read(count="8", share="1", on="true", style="b", sizes="1,2") == wanted


def test_of_several_kinds_the_first_that_fits_is_read():
    assert read(weight="all", wording="a, b", total=7) == {"weight": "all", "wording": "a, b", "total": 7}
    assert read(weight="0.5", wording=["a", "b"]) == {"weight": 0.5, "wording": ("a", "b")}


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("*.tmp", ("*.tmp",)),
        ("*.tmp, a b", ("*.tmp", "a b")),
        ("{a,b}/*\n*.tmp\n", ("{a,b}/*", "*.tmp")),
        ("{a,b}/*\n", ("{a,b}/*",)),
        ("", ()),
        (["{a,b}", "c"], ("{a,b}", "c")),
        (("c",), ("c",)),
    ],
)
def test_a_list_is_one_item_a_line_or_divided_by_commas(given, found):
    assert read(globs=given) == {"globs": found}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"count": 0}, r"file: part.count is 0 \(give a whole number from 1 to 8 \(cores\)\)"),
        ({"count": 1.5}, "part.count is 1.5"),
        ({"count": True}, "part.count is True"),
        ({"count": 10**5000}, "part.count is too large"),
        ({"share": 10**400}, "part.share is too large"),
        ({"share": float("nan")}, "part.share is nan .give a number from 0 to 1"),
        ({"seconds": 0}, "part.seconds is 0.0 .give a number above 0.$"),
        ({"seconds": "inf"}, "part.seconds is .inf."),
        ({"plain": "nan"}, "part.plain is .nan."),
        ({"on": "yes"}, "part.on is 'yes' .give true or false"),
        ({"style": "c"}, "part.style is 'c' .give one of a, b"),
        ({"style": ["a"]}, "part.style is .'a'. .give one of a, b"),
        ({"globs": 3}, "part.globs is 3 .give a list, each item a text"),
        ({"globs": ["a", " "]}, "part.globs, item 2 is ' ' .give a text"),
        ({"globs": ["a\x1b"]}, "part.globs, item 1 is"),
        ({"sizes": [1, 0]}, "part.sizes, item 2 is 0 .give a whole number from 1 up"),
        ({"gobs": 1}, "unknown key part.gobs .did you mean part.globs"),
        ({"nothing": 1}, r"unknown key part.nothing .known in \[part\]: count, share"),
        ({"weight": 2}, 'part.weight is 2 .give "all" or a number from 0 to 1'),
        ({"wording": 3}, "part.wording is 3 .give a text or a list, each item a text"),
        ({"total": 0}, "part.total is 0 .give a whole number from 1 up"),
        ({"total": None}, "part.total is None"),
    ],
)
def test_what_does_not_fit_is_one_line_with_place_value_and_what_is_accepted(values, message):
    with pytest.raises(ConfigError, match=message) as caught:
        read(**values)
    assert len(str(caught.value)) < 200
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("value", ["sk-secret", 5, ["sk-secret"]])
def test_text_that_may_be_a_secret_is_never_repeated(value):
    with pytest.raises(ConfigError) as caught:
        read(key=value)
    assert "sk-secret" not in str(caught.value)


def test_a_range_says_what_it_takes():
    assert accepted(Annotated[float, Range(0, 5, "seconds", above=True)]) == "a number above 0 up to 5 (seconds)"
    assert accepted(Annotated[float, Range(0.5)]) == "a number from 0.5 up"


def test_what_a_field_is_for_follows_what_it_takes():
    assert about(Annotated[int, Range(1, 8, "cores"), "of one encoder"]) == (
        "a whole number from 1 to 8 (cores); of one encoder"
    )
    assert choices(Options, "style") == ("a", "b")

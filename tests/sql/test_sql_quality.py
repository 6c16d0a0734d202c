"""What is said of images as pictures: flags at their thresholds, and that what is not known is not said to be good."""

from __future__ import annotations

import math

import pytest

GOOD = {"width": 64, "height": 48, "brightness_5": 0.1, "brightness_99": 0.9, "entropy": 7.0, "edge_deviation": 80.0,
        "level_deviation": 15.0}  # fmt: skip
FLAGS = ("dark", "bright", "blurry", "low_information", "odd_aspect")
LOW = 3 - math.log2(3)  # bits


def assessed(database, **measures):
    row = ", ".join(f"{'null' if value is None else value} as {name}" for name, value in (GOOD | measures).items())
    database.execute(f"create or replace temporary view pictures as select {row}")
    (found,) = database.arrow("select * from main.assessed('pictures')").to_pylist()
    return found


@pytest.mark.parametrize(
    ("measures", "flags"),
    [
        ({}, set()),
        ({"brightness_99": 0.319}, {"dark"}),
        ({"brightness_99": 0.32}, set()),
        ({"brightness_5": 0.951}, {"bright"}),
        ({"brightness_5": 0.949}, set()),
        ({"edge_deviation": 34.0}, {"blurry"}),
        ({"edge_deviation": 34.5}, set()),
        ({"edge_deviation": 34.0, "level_deviation": 20.0}, set()),  # few levels rule: a drawing, or the night
        ({"edge_deviation": 7.0, "level_deviation": 20.0}, {"blurry"}),
        ({"entropy": LOW - 0.01}, {"low_information"}),
        ({"entropy": LOW + 0.01}, set()),
        ({"width": 100, "height": 34}, {"odd_aspect"}),
        ({"width": 35, "height": 100}, set()),
    ],
)
def test_a_picture_is_flagged_below_its_thresholds(database, measures, flags):
    found = assessed(database, **measures)
    assert {name for name in FLAGS if found[name]} == flags
    assert all(0 <= value <= 1 for name, value in found.items() if name.endswith("_score"))


def test_a_picture_that_was_not_measured_is_neither_good_nor_bad(database):
    found = assessed(database, **dict.fromkeys(list(GOOD)[2:]))
    assert [found[name] for name in FLAGS] == [None, None, None, None, False]
    assert [value for name, value in found.items() if name.endswith("_score")] == [None, None, None, None, 0.75]


def lake_of(database, sizes):
    database.execute("insert into encoder values ('e', 'e', 2, 1, '{}', 'r')")
    database.execute("insert into source_object values ('/x', 'lake', 'file', 9, 'v', 'e', 1, 'r', null)")
    database.execute("insert into selection values (1, 'e', 'b', 'm', null, 'r')")
    for number, (width, height) in enumerate(sizes):
        database.execute(
            "insert into image (image_id, byte_size, width, height, format, mode, animated, run_id) "
            f"values ('{number}', 9, {width}, {height}, 'PNG', 'RGB', false, 'r')"
        )
        place = f"'/x', 'v', null, null, 9, null, '{number}'"
        database.execute(f"insert into location values ('/x{number}', 'lake', {place}, 's', 'r')")
        database.execute(f"insert into vector values ('{number}', 'e', 'f{number % 2}', {number}, 'r')")


def test_an_odd_size_is_far_from_those_of_the_lake(database):
    lake_of(database, [(90, 90), (100, 100), (110, 110), (120, 120), (100, 100), (900, 900), (2, 2)])
    rows = database.arrow("select width, odd_size, size_score from report.quality order by width").to_pylist()
    assert [row["width"] for row in rows if row["odd_size"]] == [2, 900]
    assert all((row["size_score"] < 0.5) == row["odd_size"] for row in rows)


def test_an_image_has_near_duplicates_has_none_or_was_not_compared(database):
    lake_of(database, [(9, 9)] * 5)
    database.execute("insert into compared_file values ('f0', 'e', 'r')")
    database.execute("insert into near_duplicate values ('2', '0', 'e', 0.97, 'r'), ('2', '1', 'e', 0.99, 'r')")
    rows = database.arrow("select * from report.quality order by image_id").to_pylist()
    assert [row["near_duplicate"] for row in rows] == [True, True, True, None, False]
    assert [row["near_duplicate_cosine"] for row in rows] == pytest.approx([0.97, 0.99, 0.99, None, None])
    assert not any(row["measured"] for row in rows)

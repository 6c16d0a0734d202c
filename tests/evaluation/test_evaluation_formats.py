"""In which format images are compared: as asked, or drawn from what the ID images have."""

from __future__ import annotations

import hashlib
from collections import Counter

import pytest

from curator.decode import SavedFormat
from curator.errors import UsageError
from curator.evaluation.formats import Formats, fixed_format, spread

ID = {"a" * 32: SavedFormat(100, 75), "b" * 32: SavedFormat(200, 75), "c" * 32: SavedFormat(300, 90)}
IDS = [hashlib.sha256(f"{number}".encode()).hexdigest()[:32] for number in range(3000)]


def test_a_format_is_asked_for_by_size_and_quality():
    assert fixed_format("128,75") == SavedFormat(128, 75)
    assert fixed_format("drawn") is None


@pytest.mark.parametrize("asked", ["", "128", "128,0", "128,101", "15,75", "5000,75", "128x75", "128,75,1", "-1,75"])
def test_other_formats_are_refused(asked):
    with pytest.raises(UsageError, match="shortest side of 16 to 4096 pixels and JPEG quality of 1 to 100"):
        fixed_format(asked)


def test_one_format_is_for_all():
    formats = Formats.fixed(SavedFormat(64, 50))
    assert {formats.of(image_id) for image_id in (*ID, *IDS)} == {SavedFormat(64, 50)}


def test_id_images_keep_theirs_and_others_have_those_of_the_id_images_as_often():
    formats = Formats.drawn(ID, [[SavedFormat(500, 100)] * 20])
    assert {image_id: formats.of(image_id) for image_id in ID} == ID
    counts = Counter(formats.of(image_id) for image_id in IDS)
    assert counts.keys() == set(ID.values())
    assert all(abs(count - 1000) < 100 for count in counts.values())


def test_what_is_drawn_depends_on_the_content_alone():
    again = Formats.drawn(dict(reversed(ID.items())), [[SavedFormat(500, 100)]])
    formats = Formats.drawn(ID, [[SavedFormat(500, 100)]])
    assert [formats.of(image_id) for image_id in IDS] == [again.of(image_id) for image_id in IDS]


def test_nothing_is_better_than_the_images_of_any_ood_set():
    small = [SavedFormat(150, 80)] * 95 + [SavedFormat(10, 5)] * 5  # a twentieth may be smaller
    formats = Formats.drawn(ID, [small, [SavedFormat(400, 70)] * 10])
    assert [formats.of(image_id) for image_id in ID] == [
        SavedFormat(100, 70),
        SavedFormat(150, 70),
        SavedFormat(150, 70),
    ]
    assert {formats.of(image_id) for image_id in IDS} == {SavedFormat(100, 70), SavedFormat(150, 70)}


def test_one_image_of_a_few_spoils_no_format():
    formats = Formats.drawn(ID, [[SavedFormat(1, 1), SavedFormat(150, 80), SavedFormat(160, 90)]])
    assert formats.pool == (SavedFormat(100, 75), SavedFormat(150, 75), SavedFormat(150, 80))


def test_the_ends_of_the_digits_are_in_the_pool():
    formats = Formats.drawn(ID, [])
    assert (formats.of("0" * 32), formats.of("f" * 32)) == (SavedFormat(100, 75), SavedFormat(300, 90))


def test_a_spread_is_the_least_the_middle_and_the_largest():
    assert spread([5, 1, 9, 3]) == (1, 3, 9)

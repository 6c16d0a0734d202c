"""Protocol files: those that ship are sound and hold what was published; a bad one is refused with its place."""

from __future__ import annotations

import pytest

from curator.encoders import check_address
from curator.errors import ConfigError, UsageError
from curator.evaluation.figures import AVERAGES
from curator.evaluation.protocol import load_protocol, parse_protocol
from curator.resources import read_folder

SHIPPED = list(read_folder("curator.protocols", suffix=".toml"))

GOOD = """\
name = "small"
title = "A small one"
encoder = "fake"
[id]
name = "known"
title = "Known images"
images = 3
[[ood]]
name = "other"
title = "Other images"
images = 2
group = "far"
[[published]]
method = "MCM"
source = "a table"
positive = "id"
[published.figures]
other = { auroc = 90.5, fpr95 = 40 }
"""


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_protocol_is_sound(name):
    protocol = load_protocol(name)
    assert protocol.name == name
    check_address(protocol.encoder)
    assert all(row.figures for row in protocol.published)


def test_shipped_protocols_hold_the_published_lists_and_figures():
    four = load_protocol("imagenet1k-four-ood")
    assert {item.name: item.images for item in (four.id, *four.ood)} == {
        "imagenet-val": 50000, "inaturalist": 10000, "sun": 10000, "places": 10000, "textures": 5640,
    }  # fmt: skip
    neglabel = next(row for row in four.published if row.method == "NegLabel")
    assert (neglabel.figures["average"].auroc, neglabel.figures["average"].fpr95) == (94.21, 25.40)
    openood = load_protocol("openood-v1.5-imagenet1k")
    assert openood.groups["ninco"] == openood.groups["ssb-hard"] == "near"
    assert sum(item.images for item in openood.ood) == 49000 + 5879 + 10000 + 5160 + 15869


def test_printed_means_are_those_of_the_printed_sets():
    """A slip of the pen in transcribing a row would show; sources round, and print some means a little off."""
    checked = 0
    for protocol in map(load_protocol, SHIPPED):
        members = {"average": [item.name for item in protocol.ood]} | {
            group: [item.name for item in protocol.ood if item.group == group] for group in ("near", "far")
        }
        for row, mean in ((row, mean) for row in protocol.published for mean in AVERAGES if mean in row.figures):
            sets = [row.figures[name] for name in members[mean] if name in row.figures]
            if sets and len(sets) == len(members[mean]):
                for key in ("auroc", "fpr95"):
                    values = [getattr(item, key) for item in sets]
                    if None not in values:
                        assert getattr(row.figures[mean], key) == pytest.approx(sum(values) / len(values), abs=0.025)
                        checked += 1
    assert checked >= 36


def test_the_lists_of_eoe_and_mmood_are_near_and_far():
    ten, food = load_protocol("imagenet10"), load_protocol("food101")
    assert {item.name: (item.images, item.group) for item in ten.ood} == {
        "imagenet20": (1000, "near"), "inaturalist": (10000, "far"), "sun": (10000, "far"),
        "places": (10000, "far"), "textures": (5640, "far"),
    }  # fmt: skip
    assert {row.method: row.figures["near"].fpr95 for row in ten.published} == {
        "MM-OOD": 3.84, "EOE": 7.01, "Energy": 13.81,
    }  # fmt: skip
    assert {row.method: row.figures["average"].fpr95 for row in food.published} == {"MM-OOD": 1.12, "EOE": 2.22}
    split = load_protocol("food50")
    assert split.id.images + sum(item.images for item in split.ood) == food.id.images == 25250


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('title = "A small one"', "titel = 1", "unknown key 'titel'"),
        ("images = 3", "images = 3\nimges = 4", "unknown key 'id.imges'"),
        ("images = 2", 'images = "2"', r"ood\[1\].images must be a whole number, not '2'"),
        ('group = "far"', 'group = "middle"', r"ood\[1\].group must be one of near, far, not 'middle'"),
        ("other = {", "others = {", "others, which is no list"),
        ("auroc = 90.5", "auroc = 905", r"figures.other.auroc must be a number from 0 to 100 \(percent\), not 905"),
        ('positive = "id"', "", r"'published\[1\].positive' is missing"),
        ('name = "other"', 'name = "average"', "names of their own"),
        ("[id]", "[id", "not valid TOML"),
    ],
)
def test_bad_protocol_is_refused_with_its_place(old, new, message):
    parse_protocol(GOOD, where="small.toml")
    with pytest.raises(ConfigError, match=message) as fault:
        parse_protocol(GOOD.replace(old, new, 1), where="small.toml")
    assert "small.toml" in str(fault.value)


def test_unknown_protocol_is_refused_with_the_nearest_name(tmp_path):
    with pytest.raises(UsageError, match="did you mean imagenet1k-four-ood"):
        load_protocol("imagenet1k-four")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_protocol(str(tmp_path / "none.toml"))

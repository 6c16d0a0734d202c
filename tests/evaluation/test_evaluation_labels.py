"""Source labels: where they come from, what they are called, which of them a bank knows."""

from __future__ import annotations

import pytest

from curator.errors import ConfigError
from curator.evaluation.labels import LabelMap, id_label_accuracy, label_of, match_labels, read_label_map


def test_label_of_a_loose_file_is_its_folder():
    assert label_of("/data/sea_horse/1.jpg", None, "file") == "sea_horse"
    assert label_of("s3://bucket/cat/1.jpg", None, "file") == "cat"
    assert label_of("/data/shard.tar#1.jpg", None, "tar") is None
    assert label_of("/data/shard.tar#1.jpg", "tench", "tar") == "tench"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("map.csv", 'key,label\nN01440764,tench\n0,"goldfish, Carassius"\n'),
        ("map.tsv", "n01440764\ttench\n\n0\tgoldfish, Carassius\n"),
    ],
)
def test_labels_map_is_read_by_its_suffix(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    names = read_label_map(tmp_path / name)
    assert names.name_of("n01440764") == "tench"
    assert names.name_of("0") == "goldfish, Carassius"
    assert names.name_of("unknown") == "unknown"


@pytest.mark.parametrize(
    "text", ["n1,tench\nn1,goldfish\n", "n1\n", "n1,tench,fish\n", "n1,\n", "n1,a\0b", "n1,\x1b[2J"]
)
def test_bad_labels_map_is_refused_with_its_line(tmp_path, text):
    (tmp_path / "map.csv").write_text(text)
    with pytest.raises(ConfigError, match=r"map\.csv: line \d"):
        read_label_map(tmp_path / "map.csv")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("map.csv", '1,"red\n2,green"\n3,blue\n'),
        ("map.csv", '1,"red\n2,green\n'),
        ("map.csv", '"1\n2",green\n'),
        ("map.csv", '1,"Big" dog\n'),
        ("map.tsv", '1\t"Big" dog\n'),
    ],
)
def test_a_quote_that_would_join_labels_or_be_lost_is_refused(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError, match=name):
        read_label_map(tmp_path / name)


def test_a_label_that_came_with_its_accents_apart_is_the_same_label():
    assert match_labels(["cafe\u0301"], ["tram", "caf\u00e9"], LabelMap()) == {"cafe\u0301": 1}


def test_missing_labels_map_is_refused(tmp_path):
    (tmp_path / "map.csv").write_text("n1," + "x" * 200_000)
    with pytest.raises(ConfigError, match="cannot be read: field larger than"):
        read_label_map(tmp_path / "map.csv")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_label_map(tmp_path / "none.csv")


def test_accuracy_counts_only_images_whose_label_the_bank_has():
    labels = ["sea horse", "missile", "Missile"]  # two names of one class, as on ImageNet-1k
    assert id_label_accuracy([0, 1, 2, 0, 1], ["Sea_Horse", "missile", "MISSILE", "missile", "tram"], labels) == (3, 4)
    assert id_label_accuracy([0], [None], labels) == (0, 0)


def test_labels_are_matched_by_map_by_name_and_by_the_nouns_of_a_wordnet_id():
    id_labels = ("tench", "sea horse", "machine crane", "snow bird")
    names = LabelMap({"n03126707": "machine crane", "class 4": "snow_bird"})
    came = ["n01440764", "Sea_Horse", "n03126707", "class 4", "n02099601", "cat", "n99999999"]
    assert match_labels(came, id_labels, names) == {
        "n01440764": 0, "Sea_Horse": 1, "n03126707": 2, "class 4": 3,
    }  # fmt: skip


def test_names_that_stand_for_two_wordnet_ids_are_told_apart_by_a_map_alone():
    bird, machine = "n02012849", "n03126707"
    assert match_labels([bird], ["crane"], LabelMap()) == {bird: 0}
    with pytest.raises(ConfigError, match=f"{bird} and {machine} are both 'crane' in WordNet") as caught:
        match_labels([machine, bird], ["crane"], LabelMap())
    assert "n02012849,crane" in caught.value.hint
    with pytest.raises(ConfigError, match="n04008634 is 'projectile' and 'missile'"):
        match_labels(["n04008634"], ["missile", "projectile"], LabelMap())
    apart = LabelMap({bird: "crane", machine: "derrick"})
    assert match_labels([bird, machine], ["crane", "derrick"], apart) == {bird: 0, machine: 1}

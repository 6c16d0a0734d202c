"""Source labels: where they come from, what they are called, which of them a bank knows."""

from __future__ import annotations

import pytest

from curator.errors import ConfigError
from curator.evaluation.labels import id_label_accuracy, label_of, read_label_map


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

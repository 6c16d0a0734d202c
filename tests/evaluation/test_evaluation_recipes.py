"""Recipes of published rows: the corpora and counts of the papers, the classes of ImageNet-1k, and what is refused."""

from __future__ import annotations

import pytest

from curator.banks.corpus import Corpus
from curator.banks.mining import part_counts
from curator.banks.sources import Inputs
from curator.banks.spec import parse_spec
from curator.banks.wordnet import load_wordnet
from curator.banks.wordnet.lexicon import word_key
from curator.errors import ConfigError, UsageError
from curator.evaluation.classes import Classes, class_list
from curator.evaluation.protocol import ImageList, load_protocol
from curator.evaluation.recipes import RowRecipe, check_recipe, recipe_banks
from curator.ranges import parse_toml
from curator.resources import read_folder
from tests.evaluation.derive_imagenet import text

SHIPPED = list(read_folder("curator.protocols", suffix=".toml"))


@pytest.fixture(scope="module")
def imagenet() -> Classes:
    return class_list("imagenet1k", where="test")


def test_imagenet1k_is_a_thousand_ids_of_nouns_in_the_order_of_class_numbers(imagenet):
    assert len(imagenet.keys) == len(set(imagenet.keys)) == 1000
    assert list(imagenet.keys) == sorted(imagenet.keys)
    assert (imagenet.keys[0], imagenet.names[0], imagenet.names[999]) == ("n01440764", "tench", "toilet paper")
    wordnet, as_lemma = load_wordnet(), 0
    for key, name in zip(imagenet.keys, imagenet.names, strict=True):
        synset = wordnet.synset(f"{key[1:]}-n")
        as_lemma += word_key(name) in map(word_key, synset.lemmas)
    assert as_lemma == 816


def test_names_are_those_of_clip_two_of_them_twice(imagenet):
    assert read_folder("curator.protocols", suffix=".tsv")["imagenet1k"] == text()
    twice = sorted({name for name in imagenet.names if imagenet.names.count(name) > 1})
    assert (twice, len(set(imagenet.names))) == (["missile", "sunglasses"], 998)


def test_labels_of_images_are_ids_or_names(imagenet):
    names = imagenet.label_map
    assert (names.name_of("n03773504"), names.name_of("N04008634"), names.name_of("tench")) == (
        "missile", "missile", "tench",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("bank", "nouns", "adjectives", "chosen"),
    [  # the published lists: 8,536 and 1,963; 58,101 and 11,453 candidates, 8,354 and 1,646; 46,560 and 10,060
        ("neglabel", 56_788, 14_006, {"noun": 8518, "adjective": 2100}),
        ("neglabel-openood", 58_056, 12_279, {"noun": 8255, "adjective": 1745}),
        ("csp", 46_444, 11_047, {"noun": 6966, "adjective": 1657}),
    ],
)
def test_corpora_of_recipes_differ_from_the_published_ones_as_their_heads_say(
    bank, nouns, adjectives, chosen, imagenet, tmp_path
):
    """WordNet's first lemmas are a few adjectives more than the published lists: see tests/banks."""
    text = recipe_banks()[bank]
    spec = parse_spec(parse_toml(text, where=bank), where=bank)
    parts = [label.part_of_speech for label in Corpus.of(spec, list(imagenet.names), {}, Inputs(tmp_path)).mined]
    found = {part: parts.count(part) for part in ("noun", "adjective")}
    assert found == {"noun": nouns, "adjective": adjectives}
    assert part_counts(found, spec.mining) == chosen
    assert f"{chosen['noun']:,} nouns and {chosen['adjective']:,} adjectives" in text.replace("\n# ", " ")


@pytest.mark.parametrize("name", SHIPPED)
def test_every_row_of_a_shipped_table_has_a_recipe_or_says_why_not(name):
    protocol = load_protocol(name)
    for row in protocol.published:
        assert (row.recipe is None) == bool(row.not_run), (name, row.method)


@pytest.mark.parametrize("name", sorted(recipe_banks()))
def test_banks_of_recipes_are_called_by_their_files_and_take_the_classes(name):
    spec = parse_spec(parse_toml(recipe_banks()[name], where=name), where=name)
    assert (spec.name, spec.id.labels, spec.id.repeats) == (name, "classes.txt", True)


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        (RowRecipe("nonesuch", method="mcm"), "no recipe has a bank 'nonesuch'"),
        (RowRecipe("mcm"), "a method or a stream"),
        (RowRecipe("mcm", method="mcm", stream="tanl"), "a method or a stream"),
        (RowRecipe("mcm", method="mcm:scael=1"), "no parameter 'scael'"),
    ],
)
def test_a_recipe_that_cannot_be_is_refused(recipe, message):
    with pytest.raises(UsageError, match=message):
        check_recipe(recipe, "table.toml: MCM")


def test_files_of_a_list_are_known_by_their_names():
    images = ImageList(name="val", title="Val", images=3, files="val_{:03}.jpg")
    assert images.unlike(["val_001.jpg", "val_002.jpg", "val_003.jpg"]) == ""
    assert images.unlike(["val_001.jpg", "val_004.jpg", "val_003.jpg"]) == (
        "val: of the 3 files of the list 1 are missing, first val_002.jpg and 1 are not of it, first val_004.jpg"
    )


def test_files_of_a_list_may_be_known_by_category():
    textures = load_protocol("imagenet1k-four-ood").ood[3]
    names = [f"{name}_{number:04}.jpg" for name in textures.categories for number in range(120)]
    assert len(names) == textures.images == 5640
    assert textures.unlike(names) == ""
    assert textures.unlike([*names[1:], "dog_0001.jpg"]) == (
        "textures: of the 5640 files by category of the list 1 are missing, first banded and 1 are not of it, first dog"
    )


def test_unknown_lists_of_classes_and_repeated_keys_are_refused():
    with pytest.raises(ConfigError, match="is called 'imagenet'"):
        class_list("imagenet", where="t.toml")
    with pytest.raises(ConfigError, match="each key once"):
        class_list(("red", "Red"), where="t.toml")

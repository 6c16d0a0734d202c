"""Recipes: what is declared is checked, and the numbers follow the documented rules."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curator.errors import ConfigError, UsageError
from curator.vectors import list_recipes, load_recipe
from curator.vectors.recipes import GPU_CODE_COUNTS, Recipe

PLAIN = 'description = "mine"\nfactory = "IVF{nlist},Flat"\n'


@pytest.fixture
def recipe_file(tmp_path):
    def write(text):
        path = tmp_path / "mine.toml"
        path.write_text(text)
        return path

    return write


def test_the_four_kinds_are_shipped():
    assert [recipe.name for recipe in list_recipes()] == ["flat", "hnsw", "ivf_flat", "ivf_pq"]


def test_a_user_recipe_is_a_path(recipe_file):
    recipe = load_recipe(recipe_file(PLAIN + "min_vectors = 7\n[search]\nnprobe = 3\n"))
    assert (recipe.name, recipe.min_vectors, recipe.search.nprobe) == ("mine", 7, 3)
    assert not recipe.is_worth_it(6)
    assert recipe.factory_for(6, 8) == "Flat"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('description = "x"\n', "'factory' is missing"),
        (PLAIN + "colour = 1\n", "unknown key 'colour'"),
        (PLAIN + "name = 'other'\n", "unknown key 'name'"),
        (PLAIN + "[build]\nlists = 3\n", "unknown key 'build.lists'"),
        (PLAIN + "gpu = 1\n", "gpu must be true or false, not 1"),
        (PLAIN + "min_vectors = true\n", "min_vectors must be a whole number from 0 up, not True"),
        (PLAIN + "min_vectors = 1.5\n", "min_vectors must be a whole number from 0 up, not 1.5"),
        (PLAIN + "min_vectors = -1\n", "min_vectors must be a whole number from 0 up, not -1"),
        (PLAIN + "search = 3\n", "search must be a table"),
        (PLAIN + "[search]\nnprobe = 0\n", "search.nprobe must be a whole number from 1 up, not 0"),
        (PLAIN + "[search]\nprobe_fraction = 1.5\n", "search.probe_fraction must be a number from 0 to 1, not 1.5"),
        (PLAIN + "[build]\nlists_per_root = inf\n", "build.lists_per_root must be a number from 1 up, not inf"),
        (PLAIN + "[contract]\nrecall_at_10 = 95\n", "contract.recall_at_10 must be a number from 0 to 1, not 95"),
        (PLAIN + 'metric = "l2"\n', "metric must be .inner_product., not 'l2'"),
        ('description = "x"\nfactory = "IVF{lists},Flat"\n', "unknown placeholder"),
        ('description = "x"\nfactory = "IVF{nlist,Flat"\n', "factory = "),
        ('description = "x"\nfactory = \n', "not valid TOML"),
    ],
)
def test_a_bad_recipe_is_refused_naming_file_and_key(recipe_file, text, message):
    with pytest.raises(ConfigError, match=message) as caught:
        load_recipe(recipe_file(text))
    assert "mine.toml" in caught.value.message


def test_unknown_names_and_missing_files_are_told_apart(tmp_path):
    with pytest.raises(UsageError, match="no index recipe is called 'hsnw'") as caught:
        load_recipe("hsnw")
    assert "hnsw" in str(caught.value.hint)
    with pytest.raises(ConfigError, match="cannot be read"):
        load_recipe(tmp_path / "none.toml")


def test_the_digest_covers_what_is_built_and_not_how_it_is_searched(recipe_file):
    base = load_recipe(recipe_file(PLAIN)).digest
    assert load_recipe(recipe_file(PLAIN + "[search]\nnprobe = 9\n")).digest == base
    assert load_recipe(recipe_file(PLAIN + "[contract]\nrecall_at_10 = 0.5\n")).digest == base
    assert load_recipe(recipe_file(PLAIN + "[build]\nlists_per_root = 2.0\n")).digest != base
    assert load_recipe(recipe_file(PLAIN + "min_vectors = 5\n")).digest != base


@given(st.integers(1, 10**8), st.integers(1, 2048))
def test_lists_and_codes_follow_the_documented_rules(count, dimension):
    recipe = Recipe.resolve(
        {"description": "", "factory": "{nlist} {m}", "build": {"lists_per_root": 4.0}}, name="r", where="r"
    )
    lists, codes = map(int, recipe.factory_for(count, dimension).split())
    assert math.log2(lists).is_integer()
    assert lists == 1 or (lists <= 4 * math.sqrt(count) and lists * recipe.build.min_per_list <= count)
    assert lists * 2 > min(4 * math.sqrt(count), count / recipe.build.min_per_list)
    assert dimension % codes == 0
    assert codes in GPU_CODE_COUNTS
    assert recipe.sample_size(count) <= count


@pytest.mark.parametrize(("dimension", "codes"), [(64, 16), (256, 64), (384, 96), (512, 64), (768, 96), (7, 1)])
def test_code_counts_of_common_dimensions(dimension, codes):
    assert load_recipe("ivf_pq").factory_for(10**6, dimension) == f"IVF2048,PQ{codes}"


@given(st.integers(1, 10**6))
def test_probes_stay_within_the_lists(lists):
    assert 1 <= load_recipe("ivf_flat").nprobe_for(lists) <= lists

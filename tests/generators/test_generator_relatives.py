from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from curator.banks.wordnet import load_wordnet
from curator.generators.embedded.centring import unit_rows
from curator.generators.embedded.nouns import senses_of
from curator.generators.embedded.relatives import Groups, Senses, branch_of, shared_kinds, words_of

ID = ("golden retriever", "tabby cat", "garbage truck", "French horn", "golf ball", "strawberry", "church", "zebra")


def vector_of(text):
    """Directions of their own, but animals lean to one side and things to another."""
    draws = np.random.default_rng([ord(letter) for letter in text])
    side = {"rodent": 0, "gnawer": 0, "placental": 0, "bird": 0, "wading bird": 0, "fur": 1, "pelt": 1, "hat": 1}
    row = draws.normal(0, 0.05, 32)
    row[side.get(text, 2)] += 1
    return row


def encode(texts):
    return unit_rows(np.stack([vector_of(text) for text in texts])).astype(np.float32)


@given(count=st.integers(1, 10), order=st.permutations(ID))
@settings(max_examples=15, deadline=None)
def test_groups_hold_every_class_once_whatever_their_order(count, order):
    groups = Groups(lambda texts: np.stack([encode([text])[0] for text in texts]), order).cut(count)
    members = [text for _, group in groups for text in group]
    assert sorted(members) == sorted(ID) and len(groups) == min(count, len(ID))
    assert len({name for name, _ in groups}) == len(groups)
    same = Groups(lambda texts: np.stack([encode([text])[0] for text in texts]), ID).cut(count)
    assert {frozenset(group) for _, group in groups} == {frozenset(group) for _, group in same}


def test_branches_divide_artefacts_and_leave_the_rest_whole():
    wordnet = load_wordnet()
    [dog, zebra, truck, church] = (senses_of(text)[0] for text in ("dog", "zebra", "garbage truck", "chapel"))
    assert branch_of(dog) == branch_of(zebra) == "noun.animal"
    assert wordnet.synset(branch_of(truck)).lemmas[0] == "conveyance"
    assert wordnet.synset(branch_of(church)).lemmas[0] == "structure"
    assert shared_kinds(("beagle", "zebra"))[0].lemmas[0] == "placental"
    assert shared_kinds(("blorf gizmo",)) == []


def test_the_words_of_a_sense_are_those_of_its_kin_and_not_its_own():
    [fur] = [sense for sense in senses_of("beaver") if "beaver fur" in sense.lemmas]
    [animal] = [sense for sense in senses_of("beaver") if "rodent" in words_of(sense, "beaver")]
    assert "fur" in words_of(fur, "beaver") and "beaver" not in words_of(animal, "Beaver")


def test_the_sense_meant_is_that_whose_words_lie_nearest():
    towards = {"animal": encode(["rodent"])[0], "fur": encode(["pelt"])[0]}
    chosen = {name: Senses(encode, image_of=lambda text, row=row: row).of("beaver") for name, row in towards.items()}
    assert "rodent" in words_of(chosen["animal"][0], "beaver")
    assert "fur" in words_of(chosen["fur"][0], "beaver")


def test_a_plant_gives_way_to_the_food_of_its_name():
    trees, fruits = encode(["citrus"])[0], encode(["citrus fruit"])[0]
    for image in (trees, fruits):
        assert Senses(encode, image_of=lambda text, image=image: image).of("lemon")[0].lexname == "noun.food"


def test_one_sense_is_taken_as_it_is_and_nothing_is_encoded_for_it():
    def never(texts):
        raise AssertionError(texts)

    senses = Senses(never)
    assert senses.of("golden retriever") == senses_of("golden retriever")[:1]
    assert senses.of("blorf gizmo") == [] and senses.branches(["blorf gizmo"]) == set()


@given(order=st.permutations(ID))
@settings(max_examples=10, deadline=None)
def test_the_sense_of_a_class_does_not_depend_on_what_was_asked_before(order):
    senses = Senses(encode)
    assert {text: senses.of(text) for text in order} == {text: Senses(encode).of(text) for text in ID}

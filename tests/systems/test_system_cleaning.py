"""Cleaning of generated labels: every rule by hand, their order, and what holds for any list."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curator.banks.wordnet import load_wordnet
from curator.errors import ConfigError
from curator.generators.answers import list_items
from curator.systems.cleaning import Cleaner, CleaningRules, emptied, lowered, one_answer, thinned, what_is_left
from curator.systems.mmood.settings import MmoodSettings
from curator.systems.proposals import Proposal


def photos(*texts):
    return [Proposal(text, f"a photo of a {text}.", "eoe:far", call_id=text) for text in texts]


def texts_of(cleaned):
    return [proposal.text for proposal in cleaned.kept]


def dropped_of(cleaned):
    return {reason: texts for reason, texts in cleaned.dropped.items() if texts}


def flat(*degrees):
    """Unit vectors in the plane."""
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def test_two_turns_read_each_by_itself_give_four_labels_of_which_three_are_distinct(make_cleaner, encode):
    said = [label for turn in ("- A\n- Foo", "- Bar\n- a") for label in list_items(turn)]
    assert said == ["A", "Foo", "Bar", "a"]
    cleaned = make_cleaner("tram", "cup", max_cosine=1.0).clean(photos(*said), encode)
    assert texts_of(cleaned) == ["a", "foo", "bar"]
    assert cleaned.counts["raw"] == 4 and cleaned.counts["distinct"] == 3


def test_of_equal_texts_the_first_stays_whatever_the_case_of_either(make_cleaner, encode):
    cleaned = make_cleaner("tram", lower_case=False, max_cosine=1.0).clean(
        photos("Gate", "gate", "GATE", "ferry"), encode
    )
    assert texts_of(cleaned) == ["Gate", "ferry"]
    assert dropped_of(cleaned) == {"repeated": ["gate", "GATE"]}


def test_names_synonyms_and_kinds_of_an_id_label_are_dropped_with_their_reasons(make_cleaner, encode):
    cleaner = make_cleaner("dog", "tram", synonyms={"tram": ["light rail"]}, max_cosine=1.0)
    said = photos("Dogs", "light-rail", "streetcar", "Yorkshire terrier", "wolf", "animal", "harbour")
    cleaned = cleaner.clean(said, encode)
    assert dropped_of(cleaned) == {
        "id_name": ["dogs"],
        "given_synonym": ["light-rail"],
        "wordnet_synonym": ["streetcar"],
        "kind": ["yorkshire terrier"],  # four steps below
    }
    assert texts_of(cleaned) == ["wolf", "animal", "harbour"]


def test_kinds_may_stay(make_cleaner, encode):
    cleaner = make_cleaner("dog", drop_kinds=False, max_cosine=1.0)
    assert texts_of(cleaner.clean(photos("poodle"), encode)) == ["poodle"]


def test_a_shared_word_is_found_whatever_the_case_of_the_id_label(make_cleaner, encode):
    cleaner = make_cleaner("Siamese cat", "container ship", word_overlap=True, max_cosine=1.0)
    cleaned = cleaner.clean(photos("siamese fish", "Ship in a bottle", "shipyard"), encode)
    assert texts_of(cleaned) == ["shipyard"]
    assert dropped_of(cleaned) == {"word_overlap": ["siamese fish", "ship in a bottle"]}


def test_counts_stand_in_the_order_of_the_steps(make_cleaner, encode):
    cleaner = make_cleaner("dog", "container ship", word_overlap=True, max_cosine=1.0)
    cleaned = cleaner.clean(photos("a1", "A1", "dog", "hound", "poodle", "ship bell", "kite"), encode)
    assert list(cleaned.counts.items()) == [
        ("raw", 7),
        ("distinct", 6),
        ("minus_id_names", 5),
        ("minus_synonyms", 4),  # WordNet: dog, hound, heel: a scoundrel
        ("minus_kinds", 3),
        ("minus_word_overlap", 2),
        ("minus_too_near", 2),
    ]
    assert cleaned.account()["dropped"] == {
        "repeated": 1,
        "id_name": 1,
        "wordnet_synonym": 1,
        "kind": 1,
        "word_overlap": 1,
    }


def test_a_given_cosine_is_exceeded_by_what_is_dropped_and_one_of_1_compares_nothing():
    cleaner = Cleaner(("q1", "q2"), flat(0, 90), {}, load_wordnet(), CleaningRules(max_cosine=float(flat(30)[0, 0])))
    cleaned = cleaner.clean(photos("x1", "x2", "x3"), lambda prompts: flat(29, 30, 45))
    assert dropped_of(cleaned) == {"too_near": ["x1"]}
    np.testing.assert_array_equal(cleaned.vectors, flat(30, 45))
    off = Cleaner(("q1", "q2"), flat(0, 90), {}, load_wordnet(), CleaningRules(max_cosine=1.0))
    assert texts_of(off.clean(photos("x1"), lambda prompts: flat(0))) == ["x1"]


def test_without_a_cosine_the_id_labels_neighbours_set_it_as_in_an_audit():
    cleaner = Cleaner(tuple(f"q{n}" for n in range(10)), flat(*range(0, 100, 10)), {}, load_wordnet())
    assert cleaner.max_cosine == pytest.approx(np.cos(np.radians(10)))
    cleaned = cleaner.clean(photos("x1", "x2"), lambda prompts: flat(99, 101))
    assert dropped_of(cleaned) == {"too_near": ["x1"]}


def test_for_look_alikes_of_classes_that_lie_far_apart_the_limit_is_how_near_words_lie_to_each_other():
    """Ten classes at right angles have a fence of 0, which no look-alike is below."""
    ids = np.eye(12, dtype=np.float32)[:10]
    turns = np.linspace(0.2, 0.8, 300)  # the cosines of 300 pairs of words, which have none but each other
    words = np.zeros((600, 600), dtype=np.float32)
    for place, cosine in enumerate(turns):
        words[2 * place, 2 * place] = 1.0
        words[2 * place + 1, [2 * place, 2 * place + 1]] = cosine, np.sqrt(1 - cosine**2)
    made = [
        Cleaner(tuple(f"q{n}" for n in range(10)), ids, {}, load_wordnet(), CleaningRules(look_alikes=on), words=of)
        for on, of in ((True, words), (False, words), (True, None), (True, words[:150]))
    ]
    assert [cleaner.max_cosine for cleaner in made] == pytest.approx([np.quantile(turns, 0.02), 0, 0, 0], abs=1e-3)


def test_few_id_labels_say_nothing_of_what_is_near():
    assert Cleaner(("q1", "q2", "q3"), flat(0, 40, 80), {}, load_wordnet()).max_cosine == 0.95


def test_only_prompts_that_are_left_are_encoded_and_none_when_none_is(make_cleaner):
    def never(prompts):
        raise AssertionError(prompts)

    cleaned = make_cleaner("dog").clean(photos("dog", "poodle"), never)
    assert cleaned.kept == () and cleaned.vectors.shape == (0, 64)


@pytest.mark.parametrize(
    ("proposal", "prompt"),
    [
        (Proposal("A", "A photo of A", "s"), "A photo of a"),
        (Proposal("Sea_Horse", "The nice Sea Horse.", "s"), "The nice sea horse."),
        (Proposal("Cup", "A Cup.\nThe nice Cup.", "s"), "A cup.\nThe nice cup."),
        (Proposal("cup", "The cup.", "s"), "The cup."),
    ],
)
def test_lowering_keeps_the_capitals_of_the_template(proposal, prompt):
    assert lowered(proposal).prompt == prompt
    assert lowered(proposal).text == proposal.text.lower()


@settings(deadline=None)
@given(st.lists(st.sampled_from(["Dog", "dogs", "poodle", "Kite", "kite", "harbour", "Ship bell", "hound", "x y"])))
def test_every_label_is_kept_or_dropped_once_and_a_second_cleaning_changes_nothing(said):
    rules = CleaningRules(word_overlap=True, max_cosine=1.0)
    cleaner = Cleaner(("dog", "container ship"), flat(0, 90), {}, load_wordnet(), rules)
    cleaned = cleaner.clean(photos(*said), lambda prompts: flat(*range(len(prompts))))
    everything = texts_of(cleaned) + [text for texts in cleaned.dropped.values() for text in texts]
    assert sorted(everything) == sorted(text.lower() for text in said)
    assert list(cleaned.counts.values()) == sorted(cleaned.counts.values(), reverse=True)
    assert cleaned.counts["minus_too_near"] == len(cleaned.kept) == len(cleaned.vectors)
    again = cleaner.clean(cleaned.kept, lambda prompts: flat(*range(len(prompts))))
    assert again.kept == cleaned.kept and dropped_of(again) == {}


@pytest.mark.parametrize(("table", "named"), [({"max_cosin": 0.8}, "max_cosin"), ({"max_cosine": 2}, "max_cosine")])
def test_rules_from_a_table_name_what_is_wrong(table, named):
    with pytest.raises(ConfigError, match=named):
        MmoodSettings.resolve(table)


def test_rules_from_a_table():
    given = MmoodSettings.resolve({"max_cosine": 1, "word_overlap": True})
    assert given.rules == CleaningRules(True, True, 1.0, True)


def kept_of(cleaner, *degrees):
    return cleaner.clean(photos(*(f"x{n}" for n in range(len(degrees)))), lambda prompts: flat(*degrees))


def test_a_list_that_the_limit_emptied_says_so_and_what_keeps_more():
    cleaner = Cleaner(("q1", "q2"), flat(0, 90), {}, load_wordnet(), CleaningRules(max_cosine=0.8))
    emptied_one = kept_of(cleaner, 45, *[10] * 12)
    assert emptied([emptied_one], 2) and not emptied([emptied_one], 1)
    assert thinned([emptied_one]) == (
        "only 1 of 13 labels was kept: of 13 labels 12 lie too near to one (max_cosine 0.80); "
        "`-s max_cosine=0.99` keeps 13"
    )
    some = kept_of(cleaner, 45, 46, *[10, 20] * 9)
    assert not emptied([some], 3) and "only 2 of 20 labels were kept" in thinned([some])
    half = kept_of(cleaner, 45, 46, *[10, 20] * 4)
    assert thinned([half]) == "" and not emptied([half], 9)
    assert not emptied([], 9) and not emptied([emptied_one, half], 4), "of both lists together"


def test_what_was_said_over_and_over_counts_as_said_and_one_answer_to_everything_is_none():
    cleaner = Cleaner(("q1", "q2"), flat(0, 90), {}, load_wordnet(), CleaningRules(max_cosine=0.8))
    refusal = photos(*["I am sorry."] * 40)
    alone = cleaner.clean(refusal, lambda prompts: flat(45))
    assert len(alone.kept) == 1 and emptied([alone], 2) and not emptied([alone], 1)
    assert what_is_left([alone], [refusal], 2) == ("40 of 40 answers are the same, 'i am sorry.'", True)
    varied = photos(*["I am sorry."] * 9, *(f"x{n}" for n in range(9)))
    assert one_answer([varied]) == "" and one_answer([photos(*["x"] * 9)]) == "", "not most, and few at all"
    assert one_answer([varied, photos(*["x"] * 9, "y")]) == "9 of 10 answers are the same, 'x'", "list by list"
    some = cleaner.clean(photos(*["x"] * 20, *["y"] * 20), lambda prompts: flat(45, 46))
    assert what_is_left([some], [], 3) == ("only 2 were kept: of 40 labels 38 were said before", True)
    assert what_is_left([kept_of(cleaner, 45, 46)], [], 3, besides=30)[1], "of all that was said"

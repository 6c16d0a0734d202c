"""EOE: what is asked in which turn, how a list that cleaning made short is topped up, and what a dead model leaves."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curator.errors import BankError, BudgetSpent, ConfigError
from curator.systems.eoe.learn import Thread, learn_eoe, within_goals
from curator.systems.eoe.settings import EoeSettings
from curator.systems.proposals import Proposal

IDS = ("brambling", "zebra", "moped")


def obliging(role, request):
    """Gives exactly what it is asked for, in every turn other labels."""
    opening = request.history[0].request if request.history else request
    about = opening.slots.get("label", "all")
    return [f"{about}{len(request.history)}x{place}" for place in range(request.slots["count"])]


def texts_of(learned):
    return [proposal.text for proposal in learned.negatives]


@pytest.mark.parametrize(
    ("task", "prompt"),
    [("near", "near-outliers"), ("irrelevant", "near-irrelevant"), ("dissimilar", "near-dissimilar")],
)
def test_near_and_its_ablations_ask_about_each_class_in_a_conversation_of_its_own(scripted, world_of, task, prompt):
    asking = scripted(obliging)
    learned = learn_eoe(world_of(*IDS), asking, EoeSettings(task=task))
    assert asking.stages == [(prompt, 3)]
    assert [dict(request.slots) for request in asking.requests] == [{"label": text, "count": 3} for text in IDS]
    assert all(request.history == () for request in asking.requests)
    assert [proposal.concerns for proposal in learned.negatives] == [text for text in IDS for _ in range(3)]
    assert {proposal.source for proposal in learned.negatives} == {f"eoe:{task}"}
    assert learned.negatives[0].prompt == "a photo of a brambling0x0."
    assert learned.account["labels_nominal"] == learned.account["labels_effective"] == 9


@pytest.mark.parametrize("task", ["far", "general"])
def test_far_goes_on_in_one_conversation_until_there_are_enough(scripted, world_of, task):
    asking = scripted(obliging)
    learned = learn_eoe(world_of(*IDS), asking, EoeSettings(task=task, total=120))
    assert asking.stages == [("far-outliers", 1), ("far-outliers-more", 1), ("far-outliers-more", 1)]
    assert asking.requests[0].slots == {"classes": IDS, "count": 50}
    assert [request.slots["count"] for request in asking.requests] == [50, 50, 20]
    assert [len(request.history) for request in asking.requests] == [0, 1, 2]
    assert asking.requests[2].history[1].reply.startswith('{"labels": ["all1x0"')
    assert len(learned.negatives) == 120 and learned.negatives[0].concerns is None
    assert learned.account["top_up_rounds"] == 0


def test_more_classes_than_a_prompt_holds_are_shown_a_part_a_conversation(scripted, world_of):
    """Each of three lists gets its turns, and no request outgrows the model."""
    many = tuple(f"class {number:03d}" for number in range(200))
    asking = scripted(lambda role, request: [f"{request.digest[:8]} {place}" for place in range(50)], tokens=1000)
    learned = learn_eoe(world_of(*many), asking, EoeSettings(task="far", total=300, top_up=0))
    openings = [request.slots["classes"] for request in asking.requests if not request.history]
    assert [len(classes) for classes in openings] == [67, 67, 66]
    assert {text for classes in openings for text in classes} == set(many)
    assert max(request.tokens for request in asking.requests) <= 1000
    assert len(learned.negatives) == 300 and learned.account["conversations"] == 3


def test_a_part_of_the_classes_that_brings_nothing_leaves_the_others_their_turn(scripted, world_of):
    many = tuple(f"class {number:03d}" for number in range(200))
    asking = scripted(lambda role, request: "failed" if "class 000" in request.text else ["kite"], tokens=1000)
    learned = learn_eoe(world_of(*many), asking, EoeSettings(task="far", total=300, top_up=0))
    assert texts_of(learned) == ["kite"] and learned.account["conversations"] == 3


def test_another_template_than_the_id_labels_have_is_refused(scripted, world_of):
    with pytest.raises(ConfigError, match=r"eoe\.template is 'nice'"):
        learn_eoe(world_of(*IDS), scripted(obliging), EoeSettings(template="nice"))


def test_fine_grained_names_the_kind_in_every_turn(scripted, world_of):
    asking = scripted(obliging)
    settings = EoeSettings.resolve({"task": "fine-grained", "kind": "bird", "total": 60})
    learn_eoe(world_of(*IDS), asking, settings)
    assert asking.stages == [("fine-outliers", 1), ("fine-outliers-more", 1)]
    assert [request.slots["kind"] for request in asking.requests] == ["bird", "bird"]


def test_only_the_classes_that_cleaning_left_short_are_asked_again(scripted, world_of):
    answers = {
        "brambling": [["finch song", "Zebra", "kite"], ["lantern", "gable"]],
        "zebra": [["barcode", "piano", "crosswalk"]],
        "moped": [["piano", "barcode", "kite"], ["sledge", "kite", "barrow"], ["anvil"]],
    }

    def script(role, request):
        about = request.slots.get("label") or request.history[0].request.slots["label"]
        return answers[about][len(request.history)]

    asking = scripted(script)
    learned = learn_eoe(world_of(*IDS), asking, EoeSettings(top_up=3))
    assert asking.stages == [("near-outliers", 3), ("far-outliers-more", 2), ("far-outliers-more", 1)]
    assert [request.slots["count"] for request in asking.requests[3:]] == [1, 3, 1]
    kept = {text: [item.text for item in learned.negatives if item.concerns == text] for text in IDS}
    assert kept == {
        "brambling": ["finch song", "kite", "lantern"],
        "zebra": ["barcode", "piano", "crosswalk"],
        "moped": ["sledge", "barrow", "anvil"],
    }
    assert learned.account["labels_effective"] == 9
    assert learned.account["top_up_rounds"] == 2 and learned.account["beyond_nominal"] == 1
    assert learned.account["cleaning"]["raw"] == 14


def test_without_top_up_both_numbers_are_in_the_account(scripted, world_of):
    asking = scripted(lambda role, request: ["kite", "zebra", "moped"])
    learned = learn_eoe(world_of(*IDS), asking, EoeSettings(top_up=0))
    assert texts_of(learned) == ["kite"] and len(asking.batches) == 1
    assert learned.account["labels_nominal"] == 9 and learned.account["labels_effective"] == 1
    assert learned.account["cleaning"]["dropped"] == {"repeated": 6, "id_name": 2}


def test_a_conversation_that_repeats_itself_is_not_asked_for_ever(scripted, world_of):
    asking = scripted(lambda role, request: ["Kite", "anvil"])
    learned = learn_eoe(world_of(*IDS), asking, EoeSettings(task="far", top_up=50))
    assert texts_of(learned) == ["kite", "anvil"]
    assert len(asking.batches) == 2


def test_a_turn_that_fails_ends_its_conversation_which_keeps_what_it_has(scripted, world_of):
    def script(role, request):
        return "rejected" if request.history else obliging(role, request)

    learned = learn_eoe(world_of(*IDS), scripted(script), EoeSettings(task="far"))
    assert len(learned.negatives) == 50
    assert learned.account["calls"] == {"asked": 2, "answered": 1, "rejected": 1, "failed": 0}


def test_a_model_that_gives_too_much_is_cut_to_what_was_asked(scripted, world_of):
    asking = scripted(lambda role, request: [f"{request.slots['label']}{place}" for place in range(9)])
    learned = learn_eoe(world_of(*IDS), asking, EoeSettings())
    assert len(learned.negatives) == 9 and learned.account["beyond_nominal"] == 18


@pytest.mark.parametrize("status", ["failed", "rejected"])
def test_a_dead_model_is_an_error_that_counts_its_calls(scripted, world_of, status):
    with pytest.raises(BankError, match="of 3 calls 0 were answered"):
        learn_eoe(world_of(*IDS), scripted(lambda role, request: status), EoeSettings())


def test_a_spent_budget_is_not_swallowed(world_of):
    class Spent:
        def room(self, role):
            return None

        def ask(self, role, requests):
            raise BudgetSpent("no more")

    with pytest.raises(BudgetSpent):
        learn_eoe(world_of(*IDS), Spent(), EoeSettings())


def test_shared_words_count_for_near_only():
    assert EoeSettings(task="near").rules.word_overlap
    assert not EoeSettings(task="far").rules.word_overlap
    assert EoeSettings(max_cosine=0.85).rules.max_cosine == 0.85


@pytest.mark.parametrize(
    ("table", "named"),
    [
        ({"totl": 3}, "did you mean eoe.total"),
        ({"task": "nearby"}, "eoe.task is 'nearby' .give one of near, far"),
        ({"per_class": 0}, "eoe.per_class is 0 .give a whole number from 1 up"),
        ({"top_up": -1}, "top_up"),
        ({"template": "a photo"}, "template"),
        ({"task": "fine-grained"}, "kind"),
        ({"kind": "bird"}, "kind"),
    ],
)
def test_settings_name_what_is_wrong(table, named):
    with pytest.raises(ConfigError, match=named):
        EoeSettings.resolve(table)


@settings(deadline=None)
@given(st.lists(st.sampled_from("abc")), st.integers(1, 4))
def test_no_thread_gets_more_than_its_goal_and_the_first_ones_stay(concerned, goal):
    threads = [Thread(None, name, goal) for name in "abc"]
    proposals = [Proposal(str(place), "", "", None, name) for place, name in enumerate(concerned)]
    chosen = within_goals(threads, proposals)
    for name in "abc":
        own = [item for item in proposals if item.concerns == name]
        assert [item for item in chosen if item.concerns == name] == list(itertools.islice(own, goal))
    assert chosen == [item for item in proposals if item in chosen]


def test_where_nothing_is_left_it_says_what_was_dropped_by_which_rule_and_what_keeps_some(scripted, world_of):
    asking = scripted(lambda role, request: ["Zebra", "kite", "anvil", "moped rider", "barrow"])
    world = world_of(*IDS, max_cosine=-1.0)
    with pytest.raises(BankError) as fault:
        learn_eoe(world, asking, EoeSettings(top_up=0))
    vectors = world.encode([f"a photo of a {text}." for text in ("kite", "anvil", "moped rider", "barrow")])
    near = np.sort((vectors @ world.guard.id_vectors.T).max(axis=1))
    limit = math.ceil(50 * (near[1] + near[2])) / 100
    assert fault.value.args[0] == (
        "eoe: nothing is left: of 3 calls 3 were answered; of 15 labels 10 were said before, 1 name an ID label, "
        "4 lie too near to one (max_cosine -1.00)"
    )
    assert (
        fault.value.hint
        == f"`-s max_cosine={limit:.2f}` keeps {(near <= limit).sum()} of them; see `curator query calls`"
    )
    wider = world_of(*IDS, max_cosine=limit)
    assert len(learn_eoe(wider, asking, EoeSettings(top_up=0)).negatives) == (near <= limit).sum()


def test_where_nothing_was_answered_no_limit_is_blamed(scripted, world_of):
    with pytest.raises(BankError) as fault:
        learn_eoe(world_of(*IDS), scripted(lambda role, request: "failed"), EoeSettings())
    assert fault.value.args[0] == "eoe: nothing is left: of 3 calls 0 were answered"
    assert fault.value.hint == "see `curator query calls`"

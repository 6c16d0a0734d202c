"""Refusals and markup within the form of an answer are no labels; names of things and good descriptions are."""

from __future__ import annotations

import json

import pytest

from curator.banks.nouns import common_nouns
from curator.banks.wordnet import load_wordnet
from curator.evaluation.classes import class_list
from curator.generators.answers import AnswerFault, clean_label, read_answer
from curator.generators.prompts import Prompt
from curator.generators.refusals import MARKUP, REFUSAL

LABELS = Prompt("labels", 1, "labels", "Name some", {}, max_words=4)
DESCRIPTION = Prompt("description", 1, "description", "What is it?", {}, max_words=7)
GROUPS = Prompt("groups", 1, "groups", "Group them", {})
REFUSALS = [
    "I'm sorry, I can't help with that.",
    "I’m sorry, but I can’t assist with that request",
    "I am unable to view images",
    "I cannot see the image",
    "I don't see any image",
    "Sorry, no description is possible",
    "Sorry",
    "Unfortunately, this is not possible",
    "Unable to process the photograph",
    "As an AI, I have no eyes",
    "As an AI language model I cannot see",
    "The image cannot be described due to policy.",
    "This picture can't be shown",
    "A photograph that I am not able to describe",
    "Not available: it violates our content policy",
]
PAGE = "<html><head><title>502</title></head><body><h1>Bad gateway, nginx, sorry</h1></body></html>"
GOOD = [
    "a penguin, a bird unable to fly",
    "a sign against immigration policy",
    "a man who cannot swim, in a boat",
    "a robot dressed as an AI",
    "an image of a cat in a frame",
    "a sorry-looking dog in the rain",
    "the picture of a cat",
    "an I-beam on a building site",
    "i-beam and rivets",
    "a heart <3 drawn on sand",
    "fewer than 3 < 5 apples",
    "a policy paper on a desk",
    "as a child in a swing",
]


@pytest.mark.parametrize("said", REFUSALS)
def test_a_refusal_is_no_description_and_no_label_in_json_or_prose(said):
    for text in (json.dumps({"description": said}), said):
        with pytest.raises(AnswerFault, match="an excuse"):
            read_answer(DESCRIPTION, text)
    free = Prompt("free", 1, "labels", "Name", {})
    answer = read_answer(free, json.dumps({"labels": ["tram", said, "bus"]}))
    assert answer.labels == ("tram", "bus") and answer.dropped == {"refusals": 1}
    with pytest.raises(AnswerFault, match=r"no usable label \(1 refusals\)"):
        read_answer(free, json.dumps({"labels": [said]}))
    with pytest.raises(AnswerFault, match="the name of a group is an excuse"):
        read_answer(GROUPS, json.dumps({"groups": [{"name": said, "members": ["tram"]}]}))


@pytest.mark.parametrize("prompt", [LABELS, DESCRIPTION, GROUPS])
@pytest.mark.parametrize("said", [PAGE, f"```html\n{PAGE}\n```", "<!DOCTYPE html>\n- a\n- b", '<?xml version="1.0"?>'])
def test_a_page_is_no_answer(prompt, said):
    with pytest.raises(AnswerFault, match="it is a page"):
        read_answer(prompt, said)


@pytest.mark.parametrize("said", ["<b>lamp</b>", "lamp | looks similar", "| lamp |", "a <br/> lamp", "lamp</s>"])
def test_tags_and_bars_of_tables_are_in_no_label_and_no_description(said):
    answer = read_answer(LABELS, json.dumps({"labels": [said, "tram"]}))
    assert answer.labels == ("tram",) and answer.dropped == {"markup": 1}
    with pytest.raises(AnswerFault, match="tags or bars"):
        read_answer(DESCRIPTION, json.dumps({"description": said}))
    with pytest.raises(AnswerFault, match="tags or bars"):
        read_answer(GROUPS, json.dumps({"groups": [{"name": said, "members": []}]}))


@pytest.mark.parametrize("said", GOOD)
def test_a_good_description_is_one(said):
    free = Prompt("free", 1, "description", "What is it?", {})
    assert read_answer(free, json.dumps({"description": said})).labels == (clean_label(said),)
    assert read_answer(Prompt("free", 1, "labels", "Name", {}), json.dumps([said])).labels == (clean_label(said),)


@pytest.mark.slow
def test_no_name_of_a_thing_is_taken_for_a_refusal_or_for_markup():
    lexicon = load_wordnet()
    names = {item.text for part in ("noun", "adjective") for item in lexicon.lemmas(part)}
    names |= {*common_nouns(), *class_list("imagenet1k", where="here").names}
    assert len(names) > 100_000
    for form in ("{}", "the {} in the image"):
        taken = [text for name in names if REFUSAL.search(text := form.format(name)) or MARKUP.search(text)]
        assert set(taken) <= {"sorry"}, "an adjective, and alone an excuse"

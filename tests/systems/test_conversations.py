"""Conversations within what a model holds: what is forgotten, what stays, and what a text is taken to be long."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curator.generators.answers import Answer
from curator.generators.asking import Call
from curator.generators.requests import PICTURE_TOKENS
from curator.systems.conversations import Conversation, portions

SLOTS = {"label": "kite", "classes": ("zebra", "moped"), "count": 3}


def answered(request, *, reply="- a", **facts):
    answer = Answer((reply.removeprefix("- "),), {}, {})
    return Call("1", "viewer", "m", "1", request, "answered", output=reply, answer=answer, facts=facts)


def test_the_oldest_turns_go_but_not_the_opening_with_its_picture(picture):
    talk = Conversation(0, "elaborate", room=2 * PICTURE_TOKENS)
    talk.hear(answered(talk.request("sketch", {**SLOTS, "group": "toys"}), reply="- " + "x" * 600))
    talk.hear(answered(talk.request("elaborate", SLOTS, [picture("p")])))
    for number in range(8):
        request = talk.request("elaborate-more", SLOTS)
        assert request.tokens <= 2 * PICTURE_TOKENS
        talk.hear(answered(request, reply=f"- {number}" + "y" * 900))
    names = [turn.request.prompt.name for turn in talk.history]
    assert names[0] == "elaborate" and "sketch" not in names and talk.forgotten == 10 - len(names)
    assert talk.history[-1].reply.startswith("- 7")


@pytest.mark.parametrize(("counted", "forgotten"), [(1.0, 0), (2.0, 1)])
def test_what_the_model_counted_corrects_what_is_estimated(counted, forgotten):
    talk = Conversation(0, "far-outliers", room=500)
    first = talk.request("far-outliers", SLOTS)
    talk.hear(answered(first, prompt_tokens=int(counted * first.tokens)))
    talk.hear(answered(talk.request("far-outliers-more", SLOTS), reply="- b"))
    assert len(talk.request("far-outliers-more", SLOTS).history) == 2 - forgotten
    assert talk.forgotten == forgotten


def test_a_picture_that_takes_less_makes_no_text_shorter(picture):
    """After a picture of a third of what is estimated, 700 tokens of text still count in full."""
    talk = Conversation(0, "elaborate", room=1400)
    first = talk.request("elaborate", SLOTS, [picture("p")])
    talk.hear(answered(first, prompt_tokens=first.tokens - 1000))
    talk.hear(answered(talk.request("elaborate-more", SLOTS), reply="- " + "x" * 2100))
    assert len(talk.request("elaborate-more", SLOTS).history) == 1 and talk.forgotten == 1


@given(st.lists(st.text("abc ", min_size=1, max_size=9), min_size=1, unique=True), st.integers(1, 400))
def test_portions_hold_every_text_once(texts, room):
    found = portions(texts, room)
    assert sorted(text for part in found for text in part) == sorted(texts)
    assert max(map(len, found)) - min(map(len, found)) <= 1
    assert portions(texts, None) == [tuple(texts)]

"""Prompts: every shipped one renders, slots are typed, and what fills them adds no line of its own."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curator.errors import ConfigError, UsageError
from curator.generators.prompts import Prompt, Slot, load_prompt, parse_prompt
from curator.printable import one_line

NAMES = sorted(
    Path(str(file)).stem for file in files("curator.generators.prompts").iterdir() if file.name.endswith(".toml")
)
GOOD = 'version = 1\nanswer = "labels"\ntext = "Name {count} of {label}"\n[slots]\ncount = "count"\nlabel = "text"\n'


def filled(prompt: Prompt, text: str = "cat") -> dict[str, Slot]:
    values: dict[str, Slot] = {"text": text, "count": 7, "texts": (text, "dog")}
    return {name: values[kind] for name, kind in prompt.slots.items()}


@pytest.mark.parametrize("name", NAMES)
def test_every_shipped_prompt_renders(name):
    prompt = load_prompt(name)
    text = prompt.render(filled(prompt))
    assert text == text.strip() != ""
    assert "{" not in text
    for kind, value in (("text", "cat"), ("count", "7"), ("texts", "cat; dog")):
        assert kind not in prompt.slots.values() or value in text
    assert prompt.version >= 1
    assert len(prompt.digest) == 12


def test_no_two_prompts_say_the_same():
    assert len({load_prompt(name).digest for name in NAMES}) == len(NAMES) > 10


@pytest.mark.parametrize("name", NAMES)
@given(text=st.text())
def test_what_fills_a_slot_adds_no_line_and_nothing_unprintable(name, text):
    prompt = load_prompt(name)
    usual, odd = prompt.render(filled(prompt)), prompt.render(filled(prompt, text))
    assert odd.count("\n") == usual.count("\n")
    assert all(character.isprintable() for character in odd.replace("\n", ""))


@pytest.mark.parametrize("text", ["a\nb", "a\r\nb", "a\u2028b", "a\x0bb", "a\x85b", "a\x00b", "a\u202eb", " a \t b "])
def test_controls_and_line_ends_of_every_kind_become_spaces(text):
    assert one_line(text) == "a b"


def test_braces_in_a_value_are_text_and_no_place():
    prompt = parse_prompt("p", GOOD)
    assert prompt.render({"count": 2, "label": "{count} {label}"}) == "Name 2 of {count} {label}"


@pytest.mark.parametrize(
    "slots",
    [
        {},
        {"count": 1},
        {"count": 1, "label": "a", "more": "b"},
        {"count": "1", "label": "a"},
        {"count": True, "label": "a"},
        {"count": 1.0, "label": "a"},
        {"count": 1, "label": 2},
        {"count": 1, "label": ("a",)},
        {"count": 1, "label": None},
    ],
)
def test_slots_that_do_not_fit_are_refused(slots):
    with pytest.raises(UsageError, match="prompt p"):
        parse_prompt("p", GOOD).render(slots)


def test_a_list_that_is_empty_says_so():
    prompt = Prompt("p", 1, "labels", "Not {known}", {"known": "texts"})
    assert prompt.render({"known": ()}) == "Not none"
    with pytest.raises(UsageError, match="known is a texts"):
        prompt.render({"known": "a string"})


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("{label}", "nothing", "has the places"),
        ('label = "text"', "", "has the places"),
        ('"labels"', '"essay"', "answer must be one of labels"),
        ('label = "text"', 'label = "picture"', "slots.label must be one of text"),
        ("version = 1", "", "version"),
        ("version = 1", "version = 1\nmood = 2", "mood"),
        ("version = 1", "version =", "prompt p"),
    ],
)
def test_a_file_that_does_not_agree_with_itself_is_refused(old, new, words):
    with pytest.raises(ConfigError, match=words):
        parse_prompt("p", GOOD.replace(old, new))


def test_the_digest_covers_text_slots_and_form_but_not_the_name():
    digest = parse_prompt("p", GOOD).digest
    assert parse_prompt("q", GOOD).digest == digest
    changed = [GOOD.replace("Name", "Give"), GOOD.replace('"labels"', '"groups"'), f"max_words = 3\n{GOOD}"]
    assert digest not in {parse_prompt("p", text).digest for text in changed}


def test_an_unknown_prompt_is_refused_with_the_known_ones():
    with pytest.raises(UsageError, match="look-alikes"):
        load_prompt("no-such-prompt")

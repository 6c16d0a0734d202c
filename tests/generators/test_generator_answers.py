"""Reading answers: JSON by the schema, lists in prose, and everything else that models send."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curator.generators.answers import (
    LONGEST,
    LONGEST_DESCRIPTION,
    LONGEST_REPLY,
    MOST_LABELS,
    Answer,
    AnswerFault,
    clean_label,
    messages_with_form,
    read_answer,
    schema_of,
    thought_length,
)
from curator.generators.prompts import Prompt
from curator.generators.requests import Request, Turn

LABELS = Prompt("labels", 1, "labels", "Name some", {}, max_words=4)
DESCRIPTION = Prompt("description", 1, "description", "What is it?", {}, max_words=7)
GROUPS = Prompt("groups", 1, "groups", "Group them", {})
VERDICT = Prompt("verdict", 1, "verdict", "Is it?", {})
PROMPTS = {"verdict": VERDICT, "labels": LABELS, "description": DESCRIPTION, "groups": GROUPS}


def labels(text: str) -> list[str]:
    return list(read_answer(LABELS, text).labels)


# --- lists in prose ---------------------------------------------------------------------------------------------------


def test_turns_are_read_separately_so_that_no_items_fuse():
    turns = ["- A\n- Foo", "- Bar\n- a"]
    together = [label for turn in turns for label in labels(turn)]
    assert together == ["A", "Foo", "Bar", "a"]
    assert {label.casefold() for label in together} == {"a", "foo", "bar"}


@pytest.mark.parametrize(
    "text",
    [
        "- red fox\n- Wolf\n- coyote",
        "* red fox\n* Wolf\n* coyote",
        "• red fox\n•Wolf\n• coyote",
        "-red fox\n-Wolf\n-coyote",
        "1. red fox\n2. Wolf\n3. coyote",
        "1) red fox\n2) Wolf\n3) coyote",
        "(1) red fox\n(2) Wolf\n(3) coyote",
        "1.red fox\n2.Wolf\n3.coyote",
        "1. red fox 2. Wolf 3. coyote",
        "Sure! Here they are:\n\n1. **red fox**\n2. **Wolf**\n3. _coyote_\n\nI hope that helps, really.",
        'Here they are:\n - red fox \r\n - Wolf. \r\n - "coyote",',
        "red fox, Wolf, coyote",
        "red fox, Wolf, and coyote.",
        "Categories: red fox, Wolf, coyote",
        "“red fox”, “Wolf”, “coyote”",
    ],
)
def test_lists_in_prose_are_read(text):
    assert labels(text) == ["red fox", "Wolf", "coyote"]


def test_a_bullet_within_an_item_is_left_alone():
    assert labels("- Foo- Bar") == ["Foo- Bar"]
    assert labels("```\n- cat [big\n- dog\n```") == ["cat [big", "dog"], "nor is a bracket the begin of JSON"
    assert labels("3. lens 2. hand") == ["lens 2. hand"], "only what goes on counting is taken apart"


@pytest.mark.parametrize(
    "text",
    [
        "I am sorry, I cannot see it.",
        "There is no such thing.",
        "cat",
        "red fox\nwolf",
        "No, no",
        "---",
        "1. \n2. ",
    ],
)
def test_what_is_no_list_is_refused_and_not_guessed_at(text):
    with pytest.raises(AnswerFault):
        labels(text)


# --- JSON -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        '{"labels": ["cat", "dog"]}',
        '["cat", "dog"]',
        '```json\n{"labels": ["cat", "dog"]}\n```',
        '```\n["cat", "dog"]\n```',
        'Sure!\n```JSON\n{"labels": ["cat", "dog"]}\n```\nAnything else?',
        'Here is the answer: {"labels": ["cat", "dog"]} as you wished',
        'As in [1] and [some] places: {"labels": ["cat", "dog"]}',
        'The labels are ["cat", "dog"].',
        '```json\n{"labels": ["cat", "dog"]}',
        "```\n- cat\n- dog\n```",
        '{"labels": ["- cat", "2. dog"]}',
        '{"labels": ["cat", "dog"], "note": "more than was asked"}',
        '{"labels": ["cat", null, 3, ["x"], {"y": 1}, "", "…", "dog"]}',
    ],
)
def test_json_is_read_bare_fenced_and_between_words(text):
    assert labels(text) == ["cat", "dog"]


@pytest.mark.parametrize(
    "text",
    [
        '{"categories": ["cat"]}',
        '{"labels": "cat"}',
        '{"labels": []}',
        "{}",
        "[]",
        '{"labels": [1, 2]}',
        "[" * 100_000,
        '{"labels": ' * 50_000,
        '{"labels": [' + "9" * 5_000 + "]}",
    ],
    ids=lambda text: text[:24],
)
def test_json_that_is_broken_or_of_another_form_is_refused(text):
    with pytest.raises(AnswerFault):
        labels(text)


@pytest.mark.parametrize(
    "text",
    [
        '<think>First - maybe\n- a trap</think>{"labels": ["cat"]}',
        'the template opened it, - a trap\n- another</think>\n\n{"labels": ["cat"]}',
        "<thinking>\n- a trap\n</thinking>- cat",
        '<think></think><think>- a trap</think>["cat"]',
        '{"labels": ["cat"]}<think>- a trap',
        '[THINK]- a trap[/THINK]["cat"]',
        '◁think▷- a trap◁/think▷{"labels": ["cat"]}',
    ],
)
def test_thoughts_are_left_out(text):
    assert labels(text) == ["cat"]


def test_thoughts_are_counted_in_characters():
    assert thought_length("<think>ab</think>cat") == len("<think>ab</think>")
    assert thought_length('{"labels": ["cat"]}') == 0
    assert thought_length("cat<think>a") == len("<think>a")


@pytest.mark.parametrize("text", ["", "  \n", "<think>never done, - a trap\n- another", "<think>nothing</think>"])
def test_an_answer_of_thoughts_only_is_empty(text):
    with pytest.raises(AnswerFault, match="empty"):
        labels(text)


# --- labels -----------------------------------------------------------------------------------------------------------


def test_what_is_left_out_is_counted_by_reason():
    items: list[Any] = ["cat", "Cat", "CAT", "x" * 61, "one two three four five", "?!", 7, "Straße", "strasse"]
    answer = read_answer(LABELS, json.dumps({"labels": items}))
    assert answer.labels == ("cat", "Straße")
    assert answer.dropped == {"not_text": 2, "too_long": 1, "too_many_words": 1, "repeated": 3}


def test_no_more_labels_are_kept_than_anyone_asks_for():
    answer = read_answer(LABELS, json.dumps([f"label {number}" for number in range(MOST_LABELS + 3)]))
    assert len(answer.labels) == MOST_LABELS
    assert answer.dropped == {"too_many": 3}


def test_the_first_so_many_labels_are_taken_of_what_can_be_used():
    answer = read_answer(LABELS, json.dumps(["", "cat", "Cat", "dog", "fox", "Fox", "cow"]), most=2)
    assert answer.labels == ("cat", "dog") and answer.dropped == {"not_text": 1, "repeated": 1, "too_many": 3}


def test_an_answer_without_a_usable_label_says_why():
    with pytest.raises(AnswerFault, match=r"no usable label \(1 not_text, 1 too_long\)"):
        labels(json.dumps(["-", "x" * 61]))


@pytest.mark.parametrize(
    ("text", "label"),
    [
        (' "Red Fox". ', "Red Fox"),
        ("**bold**", "bold"),
        ("two\nlines", "two lines"),
        ("cafe\u0301", "café"),
        ("left\u202eright", "left right"),
        ("lone \ud800 surrogate", "lone surrogate"),
        ("O'Neill's", "O'Neill's"),
    ],
)
def test_a_label_is_one_clean_line_and_keeps_its_case(text, label):
    assert clean_label(text) == label


def test_words_are_not_counted_where_the_prompt_has_no_limit():
    free = Prompt("free", 1, "labels", "Name", {})
    assert read_answer(free, '["a b c d e f g"]').labels == ("a b c d e f g",)


# --- descriptions and groups ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ['{"description": "a red fox."}', "a red fox", '"a red fox."', "A thought</think>a red\nfox"]
)
def test_a_description_is_read(text):
    assert read_answer(DESCRIPTION, text).labels == ("a red fox",)


@pytest.mark.parametrize(
    "text",
    [
        "x" * 201,
        "x" * 201 + " cat",
        "The image shows the of with a in an at",
        '{"labels": ["a"]}',
        '{"description": 3}',
        "...",
        "[]",
    ],
)
def test_a_description_that_is_none_is_refused(text):
    with pytest.raises(AnswerFault):
        read_answer(DESCRIPTION, text)


@pytest.mark.parametrize(
    ("text", "phrase", "words_cut"),
    [
        ("one two three four five six seven eight", "one two three four five six seven", 1),
        ("The image shows a brown dog that lies in the grass, happily.", "a brown dog that lies", 7),
        ("This photograph depicts a wide street with shops and cars on it", "a wide street with shops and cars", 5),
        ('{"description": "a wide street with shops and many people, and so o', "a wide street with shops and many", 4),
        ('{"description": "a wide street wi', "a wide street", 1),
        ("the picture of a cat", "the picture of a cat", 0),
    ],
)
def test_a_long_description_is_cut_and_not_refused(text, phrase, words_cut):
    answer = read_answer(DESCRIPTION, text)
    assert answer.labels == (phrase,)
    assert answer.dropped.get("words_cut", 0) == words_cut


def test_groups_are_read_with_their_members_once_each():
    groups = [
        {"name": " Animals ", "members": ["cat", "Cat", 3, "dog\n"]},
        {"name": "animals", "members": ["fox", "cat"]},
    ]
    answer = read_answer(GROUPS, json.dumps({"groups": [*groups, {"name": "Plants", "members": []}]}))
    assert answer.groups == {"Animals": ("cat", "dog", "fox"), "Plants": ()}
    assert answer.labels == ("Animals", "Plants")


@pytest.mark.parametrize(
    "value",
    [
        [], {"groups": []}, {"groups": {}}, {"labels": ["a"]}, ["a"], [{"name": "a"}], [{"members": ["a"]}],
        [{"name": "**", "members": ["a"]}], [{"name": 1, "members": []}], [{"name": "x" * 61, "members": []}],
    ],
)  # fmt: skip
def test_groups_of_another_form_are_refused(value):
    with pytest.raises(AnswerFault):
        read_answer(GROUPS, json.dumps(value))


# --- properties -------------------------------------------------------------------------------------------------------

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=5) | st.dictionaries(st.sampled_from(["labels", "groups", "name", "members"]), inner)
    ),
    max_leaves=12,
)
PIECES = st.lists(
    st.sampled_from(["- ", "1. ", "2) ", "\n", ", ", "cat", "Dog", "{", "}", "[", "]", '"labels": ', '"', "```",
                     "```json\n", "<think>", "</think>", ":", "x" * 61, "\u2028", "\u200b", "ß", "İ", " "])
    | st.text(max_size=6)
).map("".join)  # fmt: skip
GROUPED = st.lists(st.fixed_dictionaries({"name": st.text(), "members": st.lists(st.text())})).map(
    lambda groups: json.dumps({"groups": groups})
)
REPLIES = st.text() | PIECES | ANY_JSON.map(json.dumps) | GROUPED


@pytest.mark.parametrize("kind", PROMPTS)
@settings(deadline=None)
@given(text=REPLIES)
def test_whatever_a_model_sends_is_an_answer_of_clean_labels_or_a_fault(kind, text):
    try:
        answer = read_answer(PROMPTS[kind], text)
    except AnswerFault as fault:
        assert str(fault)
        return
    longest = LONGEST_DESCRIPTION if kind == "description" else LONGEST
    assert answer.labels
    assert len({label.casefold() for label in answer.labels}) == len(answer.labels) <= MOST_LABELS
    for label in answer.labels:
        assert label.isprintable()
        assert label == label.strip()
        assert 0 < len(label) <= longest
    assert kind != "groups" or tuple(answer.groups) == answer.labels
    for members in answer.groups.values():
        assert all(member.isprintable() and member for member in members)
    assert Answer.from_json(json.loads(json.dumps(answer.as_json()))) == answer


@settings(deadline=None)
@given(st.lists(st.text(alphabet="abcdefgh", min_size=1, max_size=8), min_size=1, unique=True))
def test_every_form_of_a_list_gives_the_same_labels(items):
    forms = [
        json.dumps({"labels": items}),
        json.dumps(items),
        "\n".join(f"- {item}" for item in items),
        "\n".join(f"{number}. {item}" for number, item in enumerate(items, 1)),
    ]
    assert [labels(form) for form in forms] == [items] * 4


# --- what a model is told ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", PROMPTS)
def test_the_form_stands_in_the_last_message_only_and_fits_the_schema(kind):
    before = Turn(Request(PROMPTS[kind], {}), "reply")
    messages = messages_with_form(Request(PROMPTS[kind], {}, history=(before,)))
    assert [message.text.count("Answer only with JSON") for message in messages] == [0, 0, 1]
    form = json.loads(messages[-1].text.partition("of this form: ")[2])
    assert list(form) == schema_of(PROMPTS[kind])["required"]
    with pytest.raises(AnswerFault):
        read_answer(PROMPTS[kind], json.dumps(form))


@pytest.mark.parametrize("kind", PROMPTS)
def test_schemas_allow_nothing_beside_what_is_asked(kind):
    schema = schema_of(PROMPTS[kind])
    assert schema["additionalProperties"] is False
    assert schema["required"] == list(schema["properties"])


@pytest.mark.parametrize("kind", PROMPTS)
def test_a_reply_without_end_is_refused_unread(kind):
    """A list that counts on within one line takes quadratic time."""
    text = "1. a" + "".join(f" {number}. a" for number in range(2, LONGEST_REPLY))
    with pytest.raises(AnswerFault, match="characters, at most"):
        read_answer(PROMPTS[kind], text)


# --- what was cut -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        '{"labels": ["cat", "dog", "ele',
        '{"labels": ["cat", "dog", "',
        '{"labels": ["cat", "dog",',
        '{"labels": ["cat", "dog"',
        '["cat", "dog", "ele\\"ph',
        'Sure! Here are some:\n```json\n{\n  "labels": [\n    "cat",\n    "dog",\n    "ele',
        '<think>a cat, maybe</think>{"labels": ["cat", "dog", "elephant \\',
    ],
)
def test_the_complete_items_of_json_that_was_cut_are_kept(text):
    answer = read_answer(LABELS, text)
    assert answer.labels == ("cat", "dog")
    assert answer.dropped == {"cut": 1}


@pytest.mark.parametrize("text", ["- cat\n- dog\n- ele", "1. cat\n2. dog\n3. ele", "cat, dog, cow, ele"])
def test_the_last_item_of_a_list_that_was_cut_is_left_out(text):
    answer = read_answer(LABELS, text, cut=True)
    assert answer.labels == tuple(labels(text)[:-1])
    assert answer.dropped == {"cut": 1}
    assert read_answer(LABELS, "- cat\n- dog\n", cut=True).labels == ("cat", "dog"), "its last line is complete"


@pytest.mark.parametrize(
    "text", ['{"labels": ["ca', '{"labels": [', '{"labels": ["cat" "dog"', '{"labels": ["cat"}, "d']
)
def test_json_that_was_cut_before_its_first_item_or_is_broken_is_refused(text):
    with pytest.raises(AnswerFault):
        labels(text)


def test_the_complete_groups_and_members_of_a_cut_reply_are_kept():
    text = '{"groups": [{"name": "Animals", "members": ["cat", "dog"]}, {"name": "Plants", "members": ["fern", "mo'
    assert read_answer(GROUPS, text).groups == {"Animals": ("cat", "dog"), "Plants": ("fern",)}
    named = read_answer(GROUPS, '{"groups": [{"name": "Animals", "members": ["cat"]}, {"name": "Pla')
    assert named.groups == {"Animals": ("cat",)}
    assert named.dropped == {"cut": 1}


@settings(deadline=None)
@given(st.lists(st.text(alphabet='ab "\\[]{},', min_size=1, max_size=8), min_size=2, unique=True), st.data())
def test_wherever_json_is_cut_no_item_is_made_up(items, data):
    whole = json.dumps({"labels": items})
    text = whole[: data.draw(st.integers(0, len(whole) - 1))]
    try:
        answer = read_answer(Prompt("free", 1, "labels", "Name", {}), text)
    except AnswerFault:
        return
    assert set(answer.labels) <= {clean_label(item) for item in items}


@pytest.mark.parametrize(
    ("said", "verdict"),
    [
        ('{"verdict": "yes"}', "yes"),
        ('{"verdict": "No."}', "no"),
        ("**Yes**, Lisbon is a city.", "yes"),
        ("no", "no"),
        ("<think>yes, or no?</think>\nNo", "no"),
    ],
)
def test_a_verdict_is_what_a_reply_begins_with(said, verdict):
    assert read_answer(VERDICT, said).labels == (verdict,)


@pytest.mark.parametrize("said", ["It depends: yes and no.", '{"verdict": true}', '{"answer": "yes"}', "nowhere"])
def test_what_says_neither_yes_nor_no_is_a_fault(said):
    with pytest.raises(AnswerFault, match="neither yes nor no"):
        read_answer(VERDICT, said)

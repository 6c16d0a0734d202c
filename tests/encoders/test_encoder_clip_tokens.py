"""CLIP's tokens in the quick way are those of open_clip."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from open_clip.tokenizer import HFTokenizer, SimpleTokenizer

from curator.banks.wordnet.lexicon import load_wordnet
from curator.encoders.clip_tokens import ClipTokenizer, tokenize_with

ODD = [
    "",
    " ",
    "a",
    "A Photo of a DOG.",
    "don't they'll I'd we've",
    "route 66, 3.5 km",
    "a&amp;b",
    "&lt;tag&gt;",
    "&amp;amp;amp;",
    "<start_of_text> and <end_of_text>",
    "<END_OF_TEXT>",
    "naïve café",
    "schoﬁeld",
    "Ǆ ſ's ﬀ",
    "日本語 テキスト",
    "mojibake: sch√∂n Ã©t√©",
    "tab\there",
    "line\nbreak",
    "nul\0",
    "\x1b[31mred\x1b[0m",
    "no\u00a0break\u2003space\u3000wide",
    "\u200bzero\u200d",
    "🐈‍⬛ cat",
    "word " * 100,
    "x" * 500,
    "!!!???...",
    "“curly” ‘quotes’",
    "-_-",
    "a\x85b",
    "a\x1cb",
]


@pytest.fixture(scope="module")
def original() -> SimpleTokenizer:
    return SimpleTokenizer()


@pytest.fixture(scope="module")
def quick(original) -> ClipTokenizer:
    found = tokenize_with(original)
    assert isinstance(found, ClipTokenizer)
    return found


def lemmas() -> list[str]:
    wordnet = load_wordnet()
    return sorted({word.text for part in ("noun", "adjective") for word in wordnet.lemmas(part)})


def same(quick: ClipTokenizer, original: SimpleTokenizer, texts: list[str]) -> bool:
    return torch.equal(quick(texts), original(texts))


def test_odd_texts_have_the_same_tokens(quick, original):
    for text in ODD:
        assert same(quick, original, [text]), text


@given(st.lists(st.text(max_size=30), max_size=5))
def test_any_text_has_the_same_tokens(quick, original, texts):
    assert same(quick, original, texts)


@given(st.text("aAzZ019 '.,&;#<>_-st\"", max_size=40))
def test_any_plain_text_has_the_same_tokens(quick, original, text):
    assert same(quick, original, [text])


def test_lemmas_have_the_same_tokens(quick, original):
    words = lemmas()[::97]
    assert len(words) > 1000
    assert same(quick, original, [f"a photo of a {word}." for word in words])


@pytest.mark.slow
def test_all_lemmas_of_wordnet_have_the_same_tokens(quick, original):
    words = lemmas()
    assert len(words) > 130_000
    for form in ("{}", "a photo of a {}."):
        assert same(quick, original, [form.format(word) for word in words])


def test_a_shorter_context_cuts_at_the_same_place():
    short = SimpleTokenizer(context_length=8)
    assert same(tokenize_with(short), short, [*ODD, "one two three four five six", "one two three four five six seven"])


@pytest.mark.parametrize(
    "other",
    [SimpleTokenizer(clean="canonicalize"), SimpleTokenizer(reduction_mask="simple"), HFTokenizer.__new__(HFTokenizer)],
)
def test_other_tokenisers_are_left_alone(other):
    assert tokenize_with(other) is other

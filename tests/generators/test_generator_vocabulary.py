from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from curator.banks.text_cache import TextCache
from curator.decode import fit
from curator.encoders import EncoderOptions, load_encoder
from curator.errors import UsageError
from curator.generators import GeneratorOptions, make_generator
from curator.generators.answers import read_answer
from curator.generators.embedded.describer import ADJECTIVES, VocabularyDescriber, composed
from curator.generators.embedded.nouns import PLACES, Vocabulary, common_nouns, holds_name, keys_of
from curator.generators.prompts import load_prompt
from curator.generators.requests import Picture, Request
from curator.generators.surroundings import Surroundings

WORDS = {
    *("apple", "banana", "bench", "boat", "bridge", "car", "cat", "church", "city", "cup", "dog"),
    *("forest", "garden", "guitar", "horse", "kitchen", "lake", "mountain", "ocean", "pizza", "rose", "sea"),
    *("sheep", "sky", "snow", "street", "table", "terrier", "train", "tree", "tulip", "truck", "zebra"),
}


@pytest.fixture(scope="module")
def encoder():
    return load_encoder(EncoderOptions("mini", dtype="float32", device="cpu", offline=True))


@pytest.fixture(scope="module")
def around(encoder, tmp_path_factory):
    texts = ("dog", "truck")
    id_vectors = encoder.encode_texts([f"The nice {text}." for text in texts])
    return Surroundings(
        lambda: encoder, encoder.encoder_id, TextCache(tmp_path_factory.mktemp("texts")), texts, id_vectors
    )


@pytest.fixture(scope="module")
def describer(around):
    return VocabularyDescriber(around, small(around))


def small(around):
    """A vocabulary of a few words, so that nothing takes time."""
    return Vocabulary(around, tuple(word for word in common_nouns() if word.text in WORDS))


def request(encoder, shown, prompt="describe-image-freely", **slots):
    """One whose picture is where the text `shown` is."""
    [vector] = encoder.encode_texts([shown])
    return Request(load_prompt(prompt), slots, (Picture(shown.ljust(32)[:32], lambda: b"", vector),))


def ask(describer, *requests):
    replies = list(describer.replies(requests, allow=lambda: True))
    return [read_answer(requests[reply.position].prompt, reply.text).labels for reply in replies]


def test_phrases_say_no_word_twice_and_have_fewer_than_eight():
    phrases = composed(["dog", "red fox"], ["street", "office"], ["red"])
    assert phrases[0] == "red dog" and "dog in a street" in phrases and "dog in an office" in phrases
    assert "red red fox" not in phrases
    assert all(len(phrase.split()) <= 7 for phrase in phrases)


def test_an_image_is_called_what_it_is_near_to(describer, encoder):
    [[plain], [coloured], [place]] = ask(
        describer,
        request(encoder, "The nice pizza."),
        request(encoder, "The nice red rose."),
        request(encoder, "The nice boat in a lake."),
    )
    assert plain == "pizza" and coloured == "red rose" and place == "boat in a lake"


@pytest.mark.parametrize("label", ["pizza", "Pizza", "pizzas", "pizza pie"])
def test_the_predicted_class_and_its_synonyms_are_not_said(describer, encoder, label):
    [[said]] = ask(describer, request(encoder, "The nice pizza.", "describe-image", label=label))
    assert "pizza" not in said


def test_no_id_label_is_said_where_the_class_is_excluded(describer, encoder):
    shown = [
        request(encoder, f"The nice {word}.", "describe-image", label="sky") for word in ("dog", "truck", "terrier")
    ]
    said = ask(describer, *shown)
    assert not any(holds_name(phrase, keys_of(("dog", "truck"))) for [phrase] in said)
    assert ask(describer, request(encoder, "The nice dog.")) == [("dog",)]  # freely: nothing is excluded


def test_elements_are_places_and_things_but_not_the_main_subject(describer, encoder):
    [said] = ask(describer, request(encoder, "The nice dog in a garden.", "list-elements", label="dog", count=4))
    assert len(said) == 4 and "garden" in said
    assert {"dog", "terrier"}.isdisjoint(said)  # a terrier is a kind of dog
    assert set(said) & set(PLACES) and set(said) - set(PLACES)


@pytest.fixture(scope="module")
def several(describer, encoder):
    texts = ("dog in a street", "sheep", "red car", "snow")
    requests = [request(encoder, f"The nice {text}.", "describe-image", label="tree") for text in texts]
    return requests, ask(describer, *requests)


@given(order=st.permutations(range(4)), count=st.integers(1, 4))
@settings(max_examples=5, deadline=None)
def test_replies_depend_on_neither_order_nor_company(describer, several, order, count):
    requests, expected = several
    chosen = order[:count]
    assert ask(describer, *(requests[place] for place in chosen)) == [expected[place] for place in chosen]


def test_requests_are_counted_and_asked_for_one_by_one(describer, several):
    allowed = iter([True, True, False, True])
    replies = list(describer.replies(several[0], allow=lambda: next(allowed)))
    assert [reply.position for reply in replies] == [0, 1]


def test_what_it_cannot_describe_is_a_final_fault(describer, encoder):
    blind = Request(load_prompt("describe-image-freely"), {}, (Picture("0" * 32, lambda: b""),))
    empty = Request(load_prompt("describe-image-freely"), {})
    other = request(encoder, "a dog", "look-alikes", label="dog", count=3)
    good = request(encoder, "a dog")
    replies = list(describer.replies([blind, empty, other, good], allow=lambda: True))
    assert [(reply.position, reply.final) for reply in replies] == [(0, True), (1, True), (2, True), (3, False)]


def test_the_revision_follows_encoder_labels_template_and_images(around, describer):
    images = np.eye(256, dtype=np.float32)
    others = [
        replace(around, encoder_id="mini@other"),
        replace(around, id_texts=("dog", "car")),
        replace(around, template="a photo of a {}."),
        replace(around, image_vectors=lambda: images),
    ]
    revisions = {VocabularyDescriber(each).revision for each in (around, *others)}
    assert len(revisions) == 5 and describer.revision not in revisions
    assert VocabularyDescriber(around, small(around)).revision == describer.revision


def test_it_is_a_describer_only(around):
    with pytest.raises(UsageError, match="no reasoner is called 'vocabulary'"):
        make_generator("reasoner", "vocabulary", GeneratorOptions(), around)


def test_adjectives_are_each_once():
    assert len(set(ADJECTIVES)) == len(ADJECTIVES)


@pytest.mark.slow
def test_real_flowers_are_called_flowers(shared_data, around, encoder):
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = parquet.read_table(shared_data / "flowers.parquet").slice(0, 40).to_pylist()
    images = [Image.open(io.BytesIO(row["image"]["bytes"])).convert("RGB") for row in rows]
    vectors = encoder.encode_images(np.stack([fit(image, encoder.preprocess) for image in images]))
    prompt = load_prompt("describe-image-freely")
    requests = [Request(prompt, {}, (Picture(f"{n:032x}", lambda: b"", row),)) for n, row in enumerate(vectors)]
    said = [phrase for [phrase] in ask(VocabularyDescriber(around, small(around)), *requests)]
    assert sum("rose" in phrase or "tulip" in phrase for phrase in said) >= 20

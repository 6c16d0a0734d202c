from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curator.banks.text_cache import TextCache
from curator.banks.wordnet import load_wordnet
from curator.encoders import EncoderOptions, load_encoder
from curator.errors import UsageError
from curator.generators import GeneratorOptions, make_generator
from curator.generators.answers import read_answer
from curator.generators.asking import Asker
from curator.generators.embedded.answering import ANY_MORE, OPENINGS, Question, Refused
from curator.generators.embedded.nouns import ALIKE, Vocabulary, common_nouns, holds_name, keys_of, kinds_of, senses_of
from curator.generators.embedded.reasoner import WordNetReasoner
from curator.generators.embedded.relatives import Words
from curator.generators.prompts import load_prompt
from curator.generators.requests import Picture, Request, Turn
from curator.generators.surroundings import Surroundings
from curator.systems.cleaning import Cleaner, CleaningRules
from curator.systems.eoe.learn import learn_eoe
from curator.systems.eoe.settings import EoeSettings
from curator.types import Bank, Label
from tests.generators.scripted import MemoryCalls

ID = ("golden retriever", "tabby cat", "garbage truck", "French horn", "golf ball", "strawberry", "church", "zebra")
OF_ONE_CLASS = ("look-alikes", "near-outliers", "near-irrelevant", "near-dissimilar")


@pytest.fixture(scope="module")
def around(tmp_path_factory):
    encoder = load_encoder(EncoderOptions("mini", dtype="float32", device="cpu", offline=True))
    id_vectors = encoder.encode_texts([f"The nice {text}." for text in ID])
    return Surroundings(
        lambda: encoder, encoder.encoder_id, TextCache(tmp_path_factory.mktemp("texts")), ID, id_vectors
    )


@pytest.fixture(scope="module")
def vocabulary(around):
    """Every fourth common noun and some that the tests name: encoded in a moment."""
    named = {"pickup", "tow truck", "wild horse", "pony", "raspberry", "trumpet", "tennis ball", "mosque", "temple"}
    words = [word for place, word in enumerate(common_nouns()) if place % 4 == 0 or word.text in named]
    return Vocabulary(around, tuple(words))


@pytest.fixture(scope="module")
def reasoner(around, vocabulary):
    return WordNetReasoner(around, vocabulary)


def ask(reasoner, *requests):
    """The answers, read as those of any model."""
    replies = list(reasoner.replies(requests, allow=lambda: True))
    assert [reply.position for reply in replies] == list(range(len(requests)))
    assert not [reply.fault for reply in replies if reply.fault]
    return [read_answer(request.prompt, reply.text) for request, reply in zip(requests, replies, strict=True)]


def labels(reasoner, name, *, history=(), pictures=(), **slots):
    request = Request(load_prompt(name), slots, pictures=tuple(pictures), history=tuple(history))
    return ask(reasoner, request)[0].labels


def turn(reasoner, name, *, history=(), pictures=(), **slots):
    request = Request(load_prompt(name), slots, pictures=tuple(pictures), history=tuple(history))
    [reply] = reasoner.replies([request], allow=lambda: True)
    return Turn(request, reply.text)


def picture(around, shown):
    [vector] = around.encoder().encode_texts([shown])
    return Picture(shown.ljust(32)[:32], lambda: b"", vector)


def requests_of_every_kind(around, count=4):
    shown = picture(around, "The nice ice cream.")
    far = Turn(Request(load_prompt("far-outliers"), {"classes": ID, "count": 2}), '{"labels": ["bark", "piano"]}')
    fine = Turn(
        Request(load_prompt("fine-outliers"), {"kind": "dog", "classes": ("beagle",), "count": 2}),
        '{"labels": ["mastiff", "pug"]}',
    )
    elaborate = Request(load_prompt("elaborate"), {"label": "ice cream", "classes": ID, "count": count}, (shown,))
    return [
        *(Request(load_prompt(name), {"label": label, "count": count}) for name in OF_ONE_CLASS for label in ID[:3]),
        Request(load_prompt("near-outliers-image"), {"label": "zebra", "count": count}, (picture(around, "a zebra"),)),
        Request(load_prompt("far-outliers"), {"classes": ID, "count": count}),
        Request(load_prompt("far-outliers-more"), {"count": count}, history=(far,)),
        Request(load_prompt("fine-outliers"), {"kind": "dog", "classes": ("beagle", "pug"), "count": count}),
        Request(load_prompt("fine-outliers-more"), {"kind": "dog", "count": count}, history=(fine,)),
        Request(load_prompt("sketch"), {"group": "animals", "classes": ID[:2], "count": count}),
        elaborate,
        replace(elaborate, prompt=load_prompt("elaborate-lake")),
        replace(elaborate, prompt=load_prompt("elaborate-words"), pictures=()),
        Request(load_prompt("elaborate-more"), {"count": count}, history=(Turn(elaborate, '{"labels": ["dessert"]}'),)),
    ]


@pytest.fixture(scope="module")
def every_kind(around, reasoner):
    requests = requests_of_every_kind(around)
    return requests, ask(reasoner, *requests)


def test_every_question_is_answered_with_as_many_labels_as_asked_for(every_kind):
    for request, answer in zip(*every_kind, strict=True):
        assert len(answer.labels) == 4 and not answer.dropped, request.prompt.name


def test_no_answer_names_an_id_label_a_kind_of_one_or_a_broader_one(every_kind):
    names, ids = keys_of(ID), {sense.synset_id for text in ID for sense in senses_of(text)}
    above = frozenset().union(*map(kinds_of, ids))
    for _, answer in zip(*every_kind, strict=True):
        for label in answer.labels:
            senses = {sense.synset_id for sense in senses_of(label)}
            assert not holds_name(label, names)
            assert not senses & above
            assert not any(kinds_of(sense) & ids for sense in senses)


@given(order=st.permutations(range(20)), count=st.integers(1, 6))
@settings(max_examples=5, deadline=None)
def test_answers_depend_on_neither_order_nor_company(around, vocabulary, every_kind, order, count):
    requests, expected = every_kind
    chosen = [place for place in order if place < len(requests)][:count]
    fresh = WordNetReasoner(around, vocabulary)
    assert ask(fresh, *(requests[place] for place in chosen)) == [expected[place] for place in chosen]


@given(label=st.sampled_from([*ID, "crane", "blorf gizmo", "x", "sea"]), name=st.sampled_from(OF_ONE_CLASS))
@settings(max_examples=20, deadline=None)
def test_fewer_answers_are_the_first_of_more(reasoner, label, name):
    if name != "near-irrelevant":  # which spreads over as many as are asked for
        few, many = (labels(reasoner, name, label=label, count=count) for count in (2, 7))
        assert len(few) == 2 and len(many) == 7 and len(set(many)) == 7 and not holds_name(few[0], keys_of([label]))


def test_look_alikes_are_relatives(reasoner):
    trucks = labels(reasoner, "look-alikes", label="garbage truck", count=2)
    assert {"pickup", "tow truck"} & set(trucks)
    horses = labels(reasoner, "look-alikes", label="zebra", count=3)
    assert {"wild horse", "pony"} & set(horses)


def test_a_class_that_wordnet_does_not_know_has_look_alikes_by_its_text(reasoner):
    said = labels(reasoner, "look-alikes", label="blorf truck of the army", count=3)
    assert len(said) == 3


def test_look_alikes_are_of_the_sense_that_the_images_show(around, vocabulary):
    """WordNet's first visible `crane` lifts loads; with images of birds it is the bird."""
    shown = around.encoder().encode_texts([f"The nice {text}." for text in ("heron", "stork", "wading bird")])
    birds = replace(
        around,
        id_texts=(*ID[:-1], "crane"),
        id_image_vectors=lambda: shown,
        id_image_labels=lambda: np.full(3, len(ID) - 1),
    )
    words = Words(birds, vocabulary)
    assert words.class_senses.of("crane")[0].lexname == "noun.animal"
    assert words.class_senses.branches(["crane"]) > {"noun.animal"}  # the machine's branch is left out as well
    assert "noun.animal" not in {vocabulary.words[row].lexname for row in np.flatnonzero(~words.in_branches(["crane"]))}


def test_near_outliers_come_from_other_branches(reasoner):
    said = labels(reasoner, "near-outliers", label="zebra", count=5)
    lexnames = {sense.lexname for label in said for sense in senses_of(label)[:1]}
    assert "noun.animal" not in lexnames


def test_a_picture_moves_the_near_outliers(around, reasoner):
    plain = labels(reasoner, "near-outliers", label="zebra", count=6)
    shown = labels(
        reasoner, "near-outliers-image", label="zebra", count=6, pictures=[picture(around, "The nice piano.")]
    )
    assert plain != shown


def test_what_is_dissimilar_is_farther_than_what_is_alike(around, reasoner):
    [zebra] = around.encoder().encode_texts(["The nice zebra."])
    alike, unlike, irrelevant = (
        around.encoder().encode_texts([f"The nice {text}." for text in labels(reasoner, name, label="zebra", count=5)])
        for name in ("look-alikes", "near-dissimilar", "near-irrelevant")
    )
    assert (alike @ zebra).mean() > (irrelevant @ zebra).mean() + 0.2
    assert (irrelevant @ zebra).mean() > (unlike @ zebra).mean()


def test_a_conversation_never_repeats_itself(around, reasoner):
    first = turn(reasoner, "far-outliers", classes=ID, count=10)
    second = turn(reasoner, "far-outliers-more", history=[first], count=10)
    third = labels(reasoner, "far-outliers-more", history=[first, second], count=10)
    said = [
        *read_answer(first.request.prompt, first.reply).labels,
        *read_answer(second.request.prompt, second.reply).labels,
    ]
    assert len({*said, *third}) == 30
    begun = turn(reasoner, "elaborate", label="cake", classes=ID, count=8, pictures=[picture(around, "The nice cake.")])
    more = labels(reasoner, "elaborate-more", history=[begun], count=8)
    assert set(more).isdisjoint(read_answer(begun.request.prompt, begun.reply).labels)


@pytest.fixture(scope="module")
def openings(around):
    """A request for each prompt that a follow-up may go on from."""
    found = {request.prompt.name: request for request in requests_of_every_kind(around) if not request.history}
    assert found.keys() == OPENINGS
    slots = {"kind": "animal", "classes": ("beagle", "pug"), "count": 4}  # of dogs the words here are too few
    return found | {"fine-outliers": replace(found["fine-outliers"], slots=slots)}


@pytest.mark.parametrize("name", sorted(OPENINGS - {"elaborate-lake"}))  # answered as elaborate is
def test_more_of_the_same_kind_is_what_a_longer_opening_would_have_said(reasoner, openings, name):
    opening = openings[name]
    first = Turn(opening, next(iter(reasoner.replies([opening], allow=lambda: True))).text)
    second = turn(reasoner, ANY_MORE, history=[first], count=3)
    third = turn(reasoner, ANY_MORE, history=[first, second], count=3)
    said = [label for each in (first, second, third) for label in read_answer(each.request.prompt, each.reply).labels]
    assert len({label.casefold() for label in said}) == 10
    [longer] = ask(reasoner, replace(opening, slots={**opening.slots, "count": 24}))
    # What is alike another answer comes last there; here the other was said a turn before.
    alike = [label for label in said[:7] if label not in longer.labels]
    if alike:
        rows, others = (
            reasoner._words.encoded(texts) for texts in (alike, [text for text in said if text not in alike])
        )
        assert ((rows @ others.T).max(axis=1) >= ALIKE - 1e-6).all()


@pytest.mark.parametrize("name", ["elaborate", "far-outliers", "fine-outliers"])
def test_a_follow_up_of_its_own_goes_on_from_its_opening_past_other_turns(reasoner, openings, name):
    first = Turn(openings[name], next(iter(reasoner.replies([openings[name]], allow=lambda: True))).text)
    draft = turn(reasoner, "sketch", group="animals", classes=ID[:2], count=5)
    slots = {"kind": "animal"} if name == "fine-outliers" else {}
    alone, after = (
        labels(reasoner, f"{name}-more", history=history, count=4, **slots) for history in ([first], [draft, first])
    )
    assert set(alone).isdisjoint(read_answer(first.request.prompt, first.reply).labels)
    assert set(after).isdisjoint(read_answer(draft.request.prompt, draft.reply).labels)
    assert set(alone) & set(after) or set(alone) <= set(read_answer(draft.request.prompt, draft.reply).labels)


@pytest.mark.parametrize("task", ["near", "irrelevant", "dissimilar", "far", "fine-grained"])
def test_eoe_tops_up_what_cleaning_took(around, reasoner, task):
    asker = Asker(lambda role: reasoner, MemoryCalls())
    cleaner = Cleaner(ID, around.id_vectors, {}, load_wordnet(), CleaningRules(word_overlap=True, max_cosine=1.0))
    dropped = []

    def clean(proposals, vectors_of):
        """Takes the first two labels of every answer as well."""
        texts = {call_id: [item.text for item in proposals if item.call_id == call_id] for call_id in calls(proposals)}
        dropped[:] = [text for group in texts.values() for text in group[:2]]
        left = [item for item in proposals if item.text not in dropped]
        return cleaner.clean(left, vectors_of)

    def calls(proposals):
        return dict.fromkeys(item.call_id for item in proposals)

    given_settings = EoeSettings(task=task, per_class=4, total=12, kind="animal" if task == "fine-grained" else "")
    parent = Bank("base", "0" * 32, "e", 1.0, tuple(Label(text, "id", "") for text in ID), around.id_vectors, {})
    world = SimpleNamespace(
        parent=parent,
        cleaner=lambda rules: SimpleNamespace(clean=clean),
        encode=lambda prompts: np.ones((len(prompts), 1), np.float32),
    )
    learned = learn_eoe(world, asker, given_settings)
    counts = learned.account["calls"]
    assert learned.account["top_up_rounds"] >= 1
    assert counts["answered"] == counts["asked"] > learned.account["conversations"]
    texts = [proposal.text for proposal in learned.negatives]
    assert len(texts) == len(set(texts)) and set(texts).isdisjoint(dropped)


def test_elaboration_is_of_the_picture_and_not_of_the_class(around, reasoner):
    shown = picture(around, "The nice snow.")
    said = labels(reasoner, "elaborate", label="cake", classes=ID, count=12, pictures=[shown])
    texts = around.encoder().encode_texts([f"The nice {text}." for text in said])
    assert (texts @ shown.vector).mean() > 0.4
    for name in ("elaborate", "elaborate-lake"):
        begun = turn(reasoner, name, label="cake", classes=ID, count=4, pictures=[shown])
        more = labels(reasoner, "elaborate-more", history=[begun], count=4)
        assert set(more).isdisjoint(read_answer(begun.request.prompt, begun.reply).labels)
    blind = Picture("0" * 32, lambda: b"")
    assert labels(reasoner, "elaborate", label="snow", classes=ID, count=12, pictures=[blind]) != ()


def test_fine_outliers_are_other_kinds_of_the_kind(reasoner):
    classes = ("beagle", "pug", "collie")
    dog = {sense.synset_id for sense in senses_of("dog")}
    said = labels(reasoner, "fine-outliers", kind="dog", classes=classes, count=5)
    assert all(any(kinds_of(sense.synset_id) & dog for sense in senses_of(label)) for label in said)
    shared = labels(reasoner, "fine-outliers", kind="blorf", classes=classes, count=3)
    assert shared == labels(reasoner, "fine-outliers", kind="blorf", classes=classes[::-1], count=3)


def test_fine_outliers_of_a_kind_without_others_are_refused(reasoner):
    request = Request(load_prompt("fine-outliers"), {"kind": "blorf", "classes": ("blorf gizmo",), "count": 3})
    [reply] = reasoner.replies([request], allow=lambda: True)
    assert reply.final and "nothing left" in reply.fault


def test_groups_follow_the_tree_of_kinds(reasoner):
    classes = ("beagle", "zebra", "garbage truck", "bicycle", "strawberry", "apple", "blorf truck")
    [answer] = ask(reasoner, Request(load_prompt("categorise"), {"classes": classes, "count": 3}))
    groups = [set(group) for group in answer.groups.values()]
    assert {"beagle", "zebra"} in groups and {"strawberry", "apple"} in groups
    assert {"garbage truck", "bicycle"} <= max(groups, key=len)


def test_the_selected_are_members_of_the_list_far_from_classes_and_each_other(reasoner):
    drafts = ("dog", "puppy", "wolf", "piano", "ocean", "a label of far too many words")
    said = labels(reasoner, "select", labels=drafts, classes=("golden retriever", "tabby cat"), count=2)
    assert set(said) == {"piano", "ocean"}
    assert set(labels(reasoner, "select", labels=drafts, classes=ID, count=50)) == {*drafts[:-1]}


def test_what_it_cannot_answer_is_a_final_fault(reasoner):
    wrong = [
        Request(load_prompt("describe-image-freely"), {}),
        Request(load_prompt("look-alikes"), {"label": "zebra"}),
        Request(load_prompt("look-alikes"), {"label": "zebra", "count": 0}),
        Request(load_prompt("far-outliers"), {"classes": (), "count": 3}),
        Request(load_prompt("far-outliers-more"), {"count": 3}),
        Request(load_prompt("near-outliers-image"), {"label": "zebra", "count": 3}),
    ]
    replies = list(reasoner.replies(wrong, allow=lambda: True))
    assert len(replies) == len(wrong) and all(reply.final and reply.text is None for reply in replies)
    with pytest.raises(Refused, match="goes on"):
        Question.of(wrong[4])
    chosen = Turn(Request(load_prompt("select"), {"labels": ("a", "b"), "classes": ID, "count": 1}), '["a"]')
    with pytest.raises(Refused, match="none of elaborate"):
        Question.of(Request(load_prompt("elaborate-more"), {"count": 3}, history=(chosen,)))


def test_it_asks_before_each_request(reasoner):
    request = Request(load_prompt("look-alikes"), {"label": "zebra", "count": 2})
    allowed = iter([True, False, True])
    assert len(list(reasoner.replies([request] * 3, allow=lambda: next(allowed)))) == 1


def test_the_revision_follows_encoder_labels_vectors_and_images(around):
    images = np.eye(256, dtype=np.float32)
    others = [
        replace(around, encoder_id="mini@other"),
        replace(around, id_texts=(*ID[:-1], "okapi")),
        replace(around, id_vectors=around.id_vectors[::-1]),
        replace(around, image_vectors=lambda: images),
        replace(around, id_image_vectors=lambda: images[:1], id_image_labels=lambda: np.array([0])),
    ]
    revisions = {WordNetReasoner(each).revision for each in (around, *others)}
    assert len(revisions) == 6
    assert WordNetReasoner(around).revision in revisions


def test_it_is_a_reasoner_only(around):
    with pytest.raises(UsageError, match="no painter is called 'wordnet'"):
        make_generator("painter", "wordnet", GeneratorOptions(), around)


@pytest.mark.parametrize(
    ("prompt", "slots", "verdict"),
    [
        ("is-proper-noun", {"label": "nile"}, "yes"),
        ("is-proper-noun", {"label": "French horn"}, "no"),
        ("is-subcategory", {"label": "beagle", "kind": "dog"}, "yes"),
        ("is-subcategory", {"label": "dog", "kind": "beagle"}, "no"),
        ("is-subcategory", {"label": "beagle", "kind": "no such word"}, "no"),
    ],
)
def test_yes_or_no_is_what_wordnet_knows(reasoner, prompt, slots, verdict):
    [answer] = ask(reasoner, Request(load_prompt(prompt), slots))
    assert tuple(answer.labels) == (verdict,)

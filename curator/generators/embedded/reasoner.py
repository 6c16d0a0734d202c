"""The embedded reasoner: answers the questions that methods put to a language model from WordNet and text vectors.

WordNet knows what a class is, the encoder's space what it resembles. Look-alikes are relatives of a class ranked by the
cosine of their texts; outliers from other domains are the nearest nouns of another branch; groups are cuts through the
tree of kinds. Whatever the question, no answer is an ID label, a synonym, a kind of one, more general than one, or
too near one. Answers come from the vocabulary (see nouns.py), so that people know the words. Nothing is drawn by
chance: cosines are exact (see methods/kernels/cosines.py), ties go by text, and no reply depends on another request.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from curator.banks.kinship import Subcategories
from curator.banks.wordnet import load_wordnet
from curator.generators.answers import LONGEST, clean_label
from curator.generators.embedded.answering import (
    Question,
    Refused,
    answer_each,
    digest_of,
    picture_vector,
    text_slot,
)
from curator.generators.embedded.centring import unit_rows
from curator.generators.embedded.nouns import ALIKE, Vocabulary, below_senses, keys_of, piece_keys, senses_of
from curator.generators.embedded.relatives import Groups, Mask, Words, near_hypernyms, near_kinds, shared_kinds
from curator.generators.requests import Reply, Request
from curator.generators.surroundings import Surroundings
from curator.methods.kernels.cosines import exact_cosines, on_grid
from curator.methods.kernels.farthest import farthest_points

FORMAT = 2  # raised whenever the same request may get another answer
CLASSES_A_GROUP, MOST_GROUPS = 10, 10  # as MM-OOD's primary categories: one for ten classes, at most ten
RELATED_FROM = 0.5  # quantile of all words' cosines to a class: relatives below it are so by another sense

Order: TypeAlias = Iterable[int]  # positions in the vocabulary, the best first


class WordNetReasoner:
    """Names what is like or unlike classes. Implements `Generator`."""

    model = "wordnet"
    room: int | None = None

    def __init__(self, surroundings: Surroundings, vocabulary: Vocabulary | None = None) -> None:
        self._surroundings = surroundings
        self._vocabulary = vocabulary or Vocabulary(surroundings)
        self._words = Words(surroundings, self._vocabulary)
        self._kinds: dict[str, Subcategories] = {}

    @cached_property
    def revision(self) -> str:
        around = self._surroundings
        classes = (around.id_texts, around.id_vectors, around.id_image_vectors(), around.id_image_labels())
        return digest_of(FORMAT, self._vocabulary.digest, *classes, around.image_vectors())

    def replies(self, requests: Sequence[Request], *, allow: Callable[[], bool]) -> Iterator[Reply]:
        return answer_each(requests, allow, self._answer)

    def close(self) -> None:
        """Nothing is held that is worth freeing."""

    def _answer(self, request: Request) -> Reply:
        if request.prompt.answer == "verdict":
            return Reply(0, text=json.dumps({"verdict": "yes" if self._verdict(request) else "no"}))
        question = Question.of(request)
        if question.name == "categorise":
            groups = self._groups(question.texts("classes"), question.count)
            members = [{"name": name, "members": list(classes)} for name, classes in groups]
            return Reply(0, text=json.dumps({"groups": members}, ensure_ascii=False))
        labels = self._select(question) if question.name == "select" else self._named(question)
        if not labels:
            raise Refused("the vocabulary has nothing left to answer with")
        return Reply(0, text=json.dumps({"labels": labels}, ensure_ascii=False))

    def _verdict(self, request: Request) -> bool:
        """As far as WordNet knows: whether a noun has no sense but as a name; whether some sense of it is below some
        sense of the other."""
        label, name = text_slot(request, "label"), request.prompt.name
        if name == "is-proper-noun":
            return load_wordnet().is_proper(label)
        if name == "is-subcategory":
            return self._kinds_of(text_slot(request, "kind")).id_label(label) is not None
        raise Refused(f"{self.model} does not know the prompt {name}")

    def _kinds_of(self, kind: str) -> Subcategories:
        if kind not in self._kinds:
            self._kinds[kind] = Subcategories([kind], load_wordnet())
        return self._kinds[kind]

    def _named(self, question: Question) -> list[str]:
        """The first words of the question's order that may be said; alike ones only where others do not suffice."""
        orders: dict[str, Callable[[Question], tuple[Order, tuple[str, ...]]]] = {
            "look-alikes": self._look_alikes,
            "near-outliers": self._near_outliers,
            "near-outliers-image": self._near_outliers,
            "near-irrelevant": self._irrelevant,
            "near-dissimilar": self._dissimilar,
            "far-outliers": self._far_outliers,
            "fine-outliers": self._fine_outliers,
            "sketch": self._sketch,
            "elaborate": self._elaborate,
            "elaborate-lake": self._elaborate,
            "elaborate-words": self._elaborate,
        }
        if question.name not in orders:
            raise Refused(f"{self.model} does not know the prompt {question.request.prompt.name}")
        order, classes = orders[question.name](question)
        id_texts = self._surroundings.id_texts
        others = tuple(text for text in classes if text not in id_texts)
        allowed = ~(self._words.bar(id_texts) | self._words.bar(others))
        said = keys_of(question.said)
        texts, words = self._vocabulary.texts, [place for place in order if allowed[place]]
        fresh = [place for place in words if piece_keys(texts[place]).isdisjoint(said)]
        kept, alike = list[int](), list[int]()
        for place in fresh:
            if len(kept) == question.count:
                break
            near = bool(kept) and exact_cosines(self._words.grid[[place]], self._words.grid[kept]).max() >= ALIKE
            (alike if near else kept).append(place)
        return [texts[place] for place in (*kept, *alike)][: question.count]

    # What each question looks for: an order of words, and the classes that it bars beside the ID labels.

    def _look_alikes(self, question: Question) -> tuple[Order, tuple[str, ...]]:
        """Siblings and cousins of the class that lie near it, then other nouns, each by cosine."""
        label = question.text("label")
        above = [kind for sense in self._words.class_senses.of(label) for kind in near_hypernyms(sense)]
        near = {below.synset_id for parent in above for below in load_wordnet().hyponyms(parent)}
        cousins = {below.synset_id for aunt in near for below in load_wordnet().hyponyms(load_wordnet().synset(aunt))}
        cosines = self._cosines(self._words.encoded([label])[0])
        related = self._words.with_sense(near | cousins) & (cosines >= np.quantile(cosines, RELATED_FROM))
        return self._by_cosine(cosines, first=related), (label,)

    def _near_outliers(self, question: Question) -> tuple[Order, tuple[str, ...]]:
        """Nouns of other branches by cosine to the class, or to the middle of class and picture where one is shown."""
        label = question.text("label")
        [query] = self._words.encoded([label])
        cosines = self._cosines(query)
        if question.name == "near-outliers-image":
            centring = self._vocabulary.centring
            picture = centring.images(picture_vector(question.request)[None])[0]
            cosines = self._centred(centring.texts(query[None])[0] + picture)
        return self._by_cosine(cosines, among=~self._words.in_branches([label])), (label,)

    def _irrelevant(self, question: Question) -> tuple[Order, tuple[str, ...]]:
        """Well-known words of other branches, each as far as can be from the class and from those before."""
        label = question.text("label")
        words = np.flatnonzero(self._words.well_known & ~self._words.in_branches([label]) & ~self._words.bar((label,)))
        wanted = min(4 * question.count + len(question.said), len(words))
        chosen = farthest_points(self._words.grid[words], self._words.encoded([label]), wanted)
        return words[chosen].tolist(), (label,)

    def _dissimilar(self, question: Question) -> tuple[Order, tuple[str, ...]]:
        """Well-known words by cosine to the class, the lowest first."""
        label = question.text("label")
        return self._by_cosine(-self._cosines(self._words.encoded([label])[0]), among=self._words.well_known), (label,)

    def _far_outliers(self, question: Question) -> tuple[Order, tuple[str, ...]]:
        """Of each group of classes what resembles it and is in no class's branch, in turn."""
        classes = question.texts("classes")
        count = min(MOST_GROUPS, -(-len(classes) // CLASSES_A_GROUP))
        groups = self._groups(classes, count)
        orders = [self._resembling(members, classes) for _, members in groups]
        return dict.fromkeys(place for places in zip(*orders, strict=True) for place in places), classes

    def _sketch(self, question: Question) -> tuple[Order, tuple[str, ...]]:
        """What resembles the group and is in no branch of its classes."""
        classes = question.texts("classes")
        return self._resembling(classes, classes), classes

    def _fine_outliers(self, question: Question) -> tuple[Order, tuple[str, ...]]:
        """Other kinds of that kind, or of what the classes share, by cosine to their middle; never anything else."""
        classes = question.texts("classes")
        senses = senses_of(question.text("kind")) or shared_kinds(classes, self._words.class_senses.of)
        among = self._words.with_sense(below_senses(senses) - {sense.synset_id for sense in senses})
        return self._by_cosine(self._cosines(self._middle(classes)), among=among), classes

    def _elaborate(self, question: Question) -> tuple[Order, tuple[str, ...]]:
        """What is nearest the picture that was shown, or its label where the picture has no vector."""
        centring, classes = self._vocabulary.centring, question.texts("classes")
        try:
            query = centring.images(picture_vector(question.request)[None])[0]
        except Refused:
            query = centring.texts(self._words.encoded([question.text("label")]))[0]
        return self._by_cosine(self._centred(query)), (question.text("label"), *classes)

    def _select(self, question: Question) -> list[str]:
        """The entries of the list that are farthest from the classes and from each other."""
        prompt = question.request.prompt
        labels = [text for text in dict.fromkeys(question.texts("labels")) if clean_label(text) == text]
        fitting = sorted(text for text in labels if len(text) <= LONGEST and len(text.split()) <= prompt.max_words)
        if not fitting:
            return []
        classes = self._words.encoded(question.texts("classes"))
        return [fitting[place] for place in farthest_points(self._words.encoded(fitting), classes, question.count)]

    def _groups(self, classes: Sequence[str], count: int) -> list[tuple[str, tuple[str, ...]]]:
        return Groups(self._words.encoded, classes, self._words.class_senses.of).cut(count)

    def _resembling(self, group: Sequence[str], classes: Sequence[str]) -> Order:
        """All words by cosine to the group's middle: first those of other branches, then those that share no near kind
        with a class, then the rest. With many classes no branch is without one."""
        shared = {above for text in classes for sense in senses_of(text) for above in near_kinds(sense)}
        related = np.array([not shared.isdisjoint(near_kinds(sense)) for sense in self._words.senses])
        tier = self._words.in_branches(classes).astype(int) + related
        return [int(place) for place in np.lexsort((-self._cosines(self._middle(group)), tier))]

    def _by_cosine(
        self, cosines: NDArray[np.float64], *, among: Mask | None = None, first: Mask | None = None
    ) -> Order:
        """Positions by cosine, then by text; only those of `among`, and those of `first` before all others."""
        later = np.zeros(len(cosines)) if first is None else ~first
        order = np.lexsort((-cosines, later)).tolist()  # the vocabulary is sorted by text, and the sort is stable
        return [place for place in order if among is None or among[place]]

    def _cosines(self, query: NDArray[np.floating]) -> NDArray[np.float64]:
        return exact_cosines(self._words.grid, on_grid(unit_rows(query[None])))[:, 0]

    def _centred(self, query: NDArray[np.float64]) -> NDArray[np.float64]:
        return exact_cosines(self._centred_grid, on_grid(unit_rows(query[None])))[:, 0]

    def _middle(self, texts: Sequence[str]) -> NDArray[np.float64]:
        return np.asarray(self._words.encoded(texts).mean(axis=0, dtype=np.float64))

    @cached_property
    def _centred_grid(self) -> NDArray[np.float64]:
        return on_grid(self._vocabulary.centring.texts(self._vocabulary.vectors))

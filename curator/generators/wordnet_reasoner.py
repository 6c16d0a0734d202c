"""The embedded reasoner: answers the questions that methods put to a language model from WordNet and text vectors.

WordNet knows what a class is, the encoder's space what it resembles. Look-alikes are relatives of a class ranked by the
cosine of their texts; outliers from other domains are the nearest nouns of another branch; groups are cuts through the
tree of kinds. Whatever the question, no answer is an ID label, a synonym, a kind of one, more general than one, or
too near one. Answers come from the vocabulary (see vocabulary.py), so that people know the words. Nothing is drawn by
chance: cosines are exact (see methods/cosines.py), ties go by text, and no reply depends on another request.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from curator.banks.audit import near_cut, nearest
from curator.banks.prompts import fill
from curator.banks.text_cache import encode_prompts
from curator.banks.wordnet import load_wordnet
from curator.banks.wordnet.lexicon import Synset, word_key
from curator.generators.answers import LONGEST, clean_label
from curator.generators.feature_painter import (
    Question,
    Refused,
    answer_each,
    digest_of,
    picture_vector,
    refuse_address,
    unit_rows,
)
from curator.generators.requests import Reply, Request, Role
from curator.generators.surroundings import Surroundings
from curator.generators.vocabulary import (
    ALIKE,
    FILES,
    Vocabulary,
    below_senses,
    common_tokens,
    keys_of,
    kinds_of,
    piece_keys,
    senses_of,
)
from curator.methods.cosines import exact_cosines, on_grid
from curator.types import Vectors

FORMAT = 1  # raised whenever the same request may get another answer
SAMPLE = 1000  # words whose neighbours say what is near in a space
COMMON_PLACES = 12_000  # of CLIP's table: words that everybody knows, for answers that are wanted to be far away
BROAD = ("artifact", "instrumentality")  # half of all things: what is below them divides into branches
CLASSES_A_GROUP, MOST_GROUPS = 10, 10  # as MM-OOD's primary categories: one for ten classes, at most ten
RELATED_FROM = 0.5  # quantile of all words' cosines to a class: relatives below it are so by another sense
GENERAL_STEPS = 2  # up to the hypernym that two related things share

Mask: TypeAlias = NDArray[np.bool_]
Order: TypeAlias = Iterable[int]  # positions in the vocabulary, the best first


class WordNetReasoner:
    """Names what is like or unlike classes. Implements `Generator`."""

    model = "wordnet"

    def __init__(self, surroundings: Surroundings, vocabulary: Vocabulary | None = None) -> None:
        self._surroundings = surroundings
        self._vocabulary = vocabulary or Vocabulary(surroundings)
        self._barred: dict[tuple[str, ...], Mask] = {}

    @cached_property
    def revision(self) -> str:
        around = self._surroundings
        return digest_of(FORMAT, self._vocabulary.digest, around.id_texts, around.id_vectors, around.image_vectors())

    def replies(self, requests: Sequence[Request], *, allow: Callable[[], bool]) -> Iterator[Reply]:
        return answer_each(requests, allow, self._answer)

    def close(self) -> None:
        """Nothing is held that is worth freeing."""

    def _answer(self, request: Request) -> Reply:
        question = Question.of(request)
        if question.name == "categorise":
            groups = Groups(self._encoded, question.texts("classes")).cut(question.count)
            members = [{"name": name, "members": list(classes)} for name, classes in groups]
            return Reply(0, text=json.dumps({"groups": members}, ensure_ascii=False))
        labels = self._select(question) if question.name == "select" else self._named(question)
        if not labels:
            raise Refused("the vocabulary has nothing left to answer with")
        return Reply(0, text=json.dumps({"labels": labels}, ensure_ascii=False))

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
        }
        if question.name not in orders:
            raise Refused(f"{self.model} does not know the prompt {question.request.prompt.name}")
        order, classes = orders[question.name](question)
        id_texts = self._surroundings.id_texts
        allowed = ~(self._bar(id_texts) | self._bar(tuple(text for text in classes if text not in id_texts)))
        said = keys_of(question.said)
        texts, words = self._vocabulary.texts, [place for place in order if allowed[place]]
        fresh = [place for place in words if piece_keys(texts[place]).isdisjoint(said)]
        kept, alike = list[int](), list[int]()
        for place in fresh:
            if len(kept) == question.count:
                break
            near = bool(kept) and exact_cosines(self._grid[[place]], self._grid[kept]).max() >= ALIKE
            (alike if near else kept).append(place)
        return [texts[place] for place in (*kept, *alike)][: question.count]

    # What each question looks for: an order of words, and the classes that it bars beside the ID labels.

    def _look_alikes(self, question: Question) -> tuple[Order, tuple[str, ...]]:
        """Siblings and cousins of every sense of the class that lie near it, then other nouns, each by cosine."""
        label = question.text("label")
        parents = [parent for sense in senses_of(label) for parent in load_wordnet().hypernyms(sense)]
        above = [*parents, *(grand for parent in parents for grand in load_wordnet().hypernyms(parent))]
        near = {below.synset_id for parent in above for below in load_wordnet().hyponyms(parent)}
        cousins = {below.synset_id for aunt in near for below in load_wordnet().hyponyms(load_wordnet().synset(aunt))}
        cosines = self._cosines(self._encoded([label])[0])
        related = self._with_sense(near | cousins) & (cosines >= np.quantile(cosines, RELATED_FROM))
        return self._by_cosine(cosines, first=related), (label,)

    def _near_outliers(self, question: Question) -> tuple[Order, tuple[str, ...]]:
        """Nouns of other branches by cosine to the class, or to the middle of class and picture where one is shown."""
        label = question.text("label")
        [query] = self._encoded([label])
        cosines = self._cosines(query)
        if question.name == "near-outliers-image":
            centring = self._vocabulary.centring
            picture = centring.images(picture_vector(question.request)[None])[0]
            cosines = self._centred(centring.texts(query[None])[0] + picture)
        return self._by_cosine(cosines, among=~self._in_branches([label])), (label,)

    def _irrelevant(self, question: Question) -> tuple[Order, tuple[str, ...]]:
        """Well-known words of other branches, each as far as can be from the class and from those before."""
        label = question.text("label")
        words = np.flatnonzero(self._well_known & ~self._in_branches([label]) & ~self._bar((label,)))
        wanted = min(4 * question.count + len(question.said), len(words))
        chosen = farthest_points(self._grid[words], self._encoded([label]), wanted)
        return words[chosen].tolist(), (label,)

    def _dissimilar(self, question: Question) -> tuple[Order, tuple[str, ...]]:
        """Well-known words by cosine to the class, the lowest first."""
        label = question.text("label")
        return self._by_cosine(-self._cosines(self._encoded([label])[0]), among=self._well_known), (label,)

    def _far_outliers(self, question: Question) -> tuple[Order, tuple[str, ...]]:
        """Of each group of classes what resembles it and is in no class's branch, in turn."""
        classes = question.texts("classes")
        count = min(MOST_GROUPS, -(-len(classes) // CLASSES_A_GROUP))
        groups = Groups(self._encoded, classes).cut(count)
        orders = [self._resembling(members, classes) for _, members in groups]
        return dict.fromkeys(place for places in zip(*orders, strict=True) for place in places), classes

    def _sketch(self, question: Question) -> tuple[Order, tuple[str, ...]]:
        """What resembles the group and is in no branch of its classes."""
        classes = question.texts("classes")
        return self._resembling(classes, classes), classes

    def _fine_outliers(self, question: Question) -> tuple[Order, tuple[str, ...]]:
        """Other kinds of that kind, or of what the classes share, by cosine to their middle; never anything else."""
        classes = question.texts("classes")
        senses = senses_of(question.text("kind")) or shared_kinds(classes)
        among = self._with_sense(below_senses(senses) - {sense.synset_id for sense in senses})
        return self._by_cosine(self._cosines(self._middle(classes)), among=among), classes

    def _elaborate(self, question: Question) -> tuple[Order, tuple[str, ...]]:
        """What is nearest the picture that was shown, or its label where the picture has no vector."""
        centring, classes = self._vocabulary.centring, question.texts("classes")
        try:
            query = centring.images(picture_vector(question.request)[None])[0]
        except Refused:
            query = centring.texts(self._encoded([question.text("label")]))[0]
        return self._by_cosine(self._centred(query)), (question.text("label"), *classes)

    def _select(self, question: Question) -> list[str]:
        """The entries of the list that are farthest from the classes and from each other."""
        prompt = question.request.prompt
        labels = [text for text in dict.fromkeys(question.texts("labels")) if clean_label(text) == text]
        fitting = sorted(text for text in labels if len(text) <= LONGEST and len(text.split()) <= prompt.max_words)
        if not fitting:
            return []
        vectors = on_grid(self._encoded(fitting))
        count = min(question.count, len(fitting))
        return [fitting[place] for place in farthest_points(vectors, self._encoded(question.texts("classes")), count)]

    def _resembling(self, group: Sequence[str], classes: Sequence[str]) -> Order:
        """All words by cosine to the group's middle: first those of other branches, then those that share no near kind
        with a class, then the rest. With many classes no branch is without one."""
        shared = {above for text in classes for sense in senses_of(text) for above in near_kinds(sense)}
        related = np.array([not shared.isdisjoint(near_kinds(sense)) for sense in self._senses])
        tier = self._in_branches(classes).astype(int) + related
        return [int(place) for place in np.lexsort((-self._cosines(self._middle(group)), tier))]

    def _by_cosine(
        self, cosines: NDArray[np.float64], *, among: Mask | None = None, first: Mask | None = None
    ) -> Order:
        """Positions by cosine, then by text; only those of `among`, and those of `first` before all others."""
        later = np.zeros(len(cosines)) if first is None else ~first
        order = np.lexsort((-cosines, later)).tolist()  # the vocabulary is sorted by text, and the sort is stable
        return [place for place in order if among is None or among[place]]

    def _cosines(self, query: NDArray[np.floating]) -> NDArray[np.float64]:
        return exact_cosines(self._grid, on_grid(unit_rows(query[None])))[:, 0]

    def _centred(self, query: NDArray[np.float64]) -> NDArray[np.float64]:
        return exact_cosines(self._centred_grid, on_grid(unit_rows(query[None])))[:, 0]

    def _middle(self, texts: Sequence[str]) -> NDArray[np.float64]:
        return np.asarray(self._encoded(texts).mean(axis=0, dtype=np.float64))

    def _encoded(self, texts: Sequence[str]) -> Vectors:
        """(n, d): ID labels as they are in the bank, words as in the vocabulary, others encoded each by itself."""
        around, known = self._surroundings, self._known
        alone = {text: [fill(around.template, text)] for text in texts if text not in known}
        found = known | {text: encode_prompts(around.encoder(), prompts)[0] for text, prompts in alone.items()}
        return np.stack([found[text] for text in texts])

    @cached_property
    def _known(self) -> dict[str, Vectors]:
        vocabulary, around = self._vocabulary, self._surroundings
        words = dict(zip(vocabulary.texts, vocabulary.vectors, strict=True))
        return words | dict(zip(around.id_texts, around.id_vectors, strict=True))

    @cached_property
    def _grid(self) -> NDArray[np.float64]:
        return on_grid(self._vocabulary.vectors)

    @cached_property
    def _centred_grid(self) -> NDArray[np.float64]:
        return on_grid(self._vocabulary.centring.texts(self._vocabulary.vectors))

    @cached_property
    def _senses(self) -> list[Synset]:
        return [load_wordnet().synset(word.synset) for word in self._vocabulary.words]

    @cached_property
    def _all_kinds(self) -> list[tuple[frozenset[str], frozenset[str]]]:
        """Of each word the ids of all its senses, and of everything that one of them is a kind of."""
        senses = [frozenset(sense.synset_id for sense in senses_of(text)) for text in self._vocabulary.texts]
        return [(own, frozenset[str]().union(*map(kinds_of, own))) for own in senses]

    @cached_property
    def _branches(self) -> list[set[str]]:
        return [usual_branches(text) for text in self._vocabulary.texts]

    @cached_property
    def _well_known(self) -> Mask:
        tokens = common_tokens()
        return np.array([tokens.get(text, COMMON_PLACES) < COMMON_PLACES for text in self._vocabulary.texts])

    def _with_sense(self, synset_ids: set[str]) -> Mask:
        return np.array([sense.synset_id in synset_ids for sense in self._senses])

    def _in_branches(self, classes: Sequence[str]) -> Mask:
        """Words that share a usual branch with a class."""
        branches = set[str]().union(*map(usual_branches, classes))
        return np.array([not branches.isdisjoint(own) for own in self._branches])

    def _bar(self, classes: tuple[str, ...]) -> Mask:
        """Words that may never be an answer: they hold a class's name or a synonym, are a kind of it or more general in
        any sense, or are too near it."""
        if classes not in self._barred:
            names = keys_of(classes)
            senses = {sense.synset_id for text in classes for sense in senses_of(text)}
            above = frozenset[str]().union(*map(kinds_of, senses))
            named = [not piece_keys(text).isdisjoint(names) for text in self._vocabulary.texts]
            kin = [bool(own & above or kinds & senses) for own, kinds in self._all_kinds]
            near = nearest(self._grid, on_grid(self._encoded(classes)))[1] >= self._cut if classes else False
            self._barred[classes] = np.array(named) | np.array(kin) | near
        return self._barred[classes]

    @cached_property
    def _cut(self) -> float:
        """From which cosine to a class a word is too near: as audit.py has it, from the ID labels' nearest others, but
        no less than the same of a sample of words. A few classes that have nothing in common would bar half of the
        language (ten of Imagenette: 0.19 in curator-mini, where a word has its neighbour at 0.81)."""
        sample = self._grid[:: max(1, len(self._grid) // SAMPLE)]
        words = np.partition(exact_cosines(sample, self._grid), -2, axis=1)[:, -2]  # the best is the word itself
        labels = on_grid(self._surroundings.id_vectors)
        return max(near_cut(nearest(labels, labels, apart=True)[1]), float(np.median(words)))


def farthest_points(rows: NDArray[np.float64], anchors: Vectors, count: int) -> list[int]:
    """Rows (n, d) from `on_grid`: each the one farthest from the anchors and those before, ties in order."""
    closest = exact_cosines(rows, on_grid(anchors)).max(axis=1)
    chosen = list[int]()
    for _ in range(count):
        best = int(closest.argmin())
        chosen.append(best)
        closest = np.maximum(closest, exact_cosines(rows, rows[[best]])[:, 0])
        closest[best] = np.inf
    return chosen


def usual_sense(text: str, *, most: int = 1) -> list[Synset]:
    """The first senses of a text that can be seen, or else the first; none for a text that WordNet does not know."""
    senses = senses_of(text)
    return ([sense for sense in senses if sense.lexname in FILES] or senses)[:most]


def near_kinds(sense: Synset) -> set[str]:
    """The sense and what it is a kind of, up to GENERAL_STEPS steps."""
    reached, found = [sense], {sense.synset_id}
    for _ in range(GENERAL_STEPS):
        reached = [above for below in reached for above in load_wordnet().hypernyms(below)]
        found |= {above.synset_id for above in reached}
    return found


def path_of(sense: Synset) -> list[Synset]:
    """From the most general kind down to the sense, by the first hypernym of each."""
    path = [sense]
    while parents := load_wordnet().hypernyms(path[-1]):
        path.append(parents[0])
    return path[::-1]


def branch_of(sense: Synset) -> str:
    """The domain of a sense: WordNet's file, or for artefacts, which are half of all things, the kind of artefact."""
    path = path_of(sense)
    broad = [place for place, above in enumerate(path) if above.lemmas[0] in BROAD]
    return path[broad[-1] + 1].synset_id if broad and broad[-1] + 1 < len(path) else sense.lexname


def usual_branches(text: str) -> set[str]:
    """The branches of the first senses that can be seen: WordNet's first `leopard` is its fur."""
    return {branch_of(sense) for sense in usual_sense(text, most=3)}


def shared_kinds(texts: Sequence[str]) -> list[Synset]:
    """The most special kind that the usual senses of all texts share; none where a text has no sense."""
    paths = [path_of(sense) for text in texts for sense in usual_sense(text)]
    shared = [steps[0] for steps in zip(*paths, strict=False) if len(set(steps)) == 1]
    return shared[-1:]


class Groups:
    """Divides classes along the tree of kinds."""

    def __init__(self, encode: Callable[[Sequence[str]], Vectors], classes: Sequence[str]) -> None:
        self._encode = encode
        self._classes = tuple(dict.fromkeys(classes))
        self._paths = {text: path_of(sense) for text in self._classes for sense in usual_sense(text)}

    def cut(self, count: int) -> list[tuple[str, tuple[str, ...]]]:
        """(name, members) of at most `count` groups, by name: again and again the largest group loses the kind that
        divides it most evenly. Classes that WordNet does not know join the group whose middle is nearest."""
        groups = [[text for text in self._classes if text in self._paths] or list(self._classes)]
        while len(groups) < count and (best := max(map(self._division, groups), key=lambda cut: (cut[0], cut[1])))[0]:
            _, _, whole, part = best
            groups.remove(whole)
            groups += [[text for text in whole if text not in part], part]
        middles = unit_rows(np.stack([self._encode(group).mean(axis=0, dtype=np.float64) for group in groups]))
        for text in self._classes:
            if not any(text in group for group in groups):
                nearness = (middles * self._encode([text])[0]).sum(axis=1)
                groups[int(nearness.argmax())].append(text)
        return sorted(self._with_names(groups))

    def _division(self, group: list[str]) -> tuple[int, str, list[str], list[str]]:
        """How many classes the smaller part has, the kind (its id), the group and the part; 0 where nothing divides."""
        below: dict[str, list[str]] = {}
        for text in group:
            for kind in self._paths.get(text, ()):
                below.setdefault(kind.synset_id, []).append(text)
        sizes = [(min(len(part), len(group) - len(part)), name) for name, part in below.items()]
        size, best = max(sizes, default=(0, ""))
        return size, best, group, below.get(best, [])

    def _with_names(self, groups: list[list[str]]) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Each group under the name of what its classes share; one name twice is told apart by a number."""
        taken = set[str]()
        for group in groups:
            kinds = shared_kinds([text for text in group if text in self._paths])
            kinds = load_wordnet().hypernyms(kinds[0])[:1] if kinds and len(group) == 1 else kinds
            name = kinds[0].lemmas[0] if kinds else "thing"
            name = f"{name} {len(taken) + 1}" if word_key(name) in taken else name
            taken.add(word_key(name))
            yield name, tuple(group)


def make_reasoner(rest: str, role: Role, options: Any, surroundings: Surroundings) -> WordNetReasoner:
    """The reasoner `wordnet`. Raises GeneratorError in another role, or for something behind the name."""
    refuse_address(rest, role, "reasoner", WordNetReasoner.model)
    return WordNetReasoner(surroundings)

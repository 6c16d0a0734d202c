"""What WordNet and an encoder's space know of words and classes: senses, branches, kinds, and which words are barred.

A class is a text, and most texts mean several things. Which one is meant is chosen by vectors (`Senses`): WordNet's own
order is by how often a sense is written of, and its first `beaver` is the fur. What a class is like (its group, its
look-alikes) follows from the chosen sense; what must not be an answer is left out by other senses as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from curator.banks.audit import near_cut, nearest
from curator.banks.prompts import fill
from curator.banks.text_cache import encode_prompts
from curator.banks.wordnet import load_wordnet
from curator.banks.wordnet.lexicon import Synset, word_key
from curator.generators.embedded.answering import one_torch_thread
from curator.generators.embedded.centring import unit_rows
from curator.generators.embedded.nouns import (
    FILES,
    Vocabulary,
    below_senses,
    common_tokens,
    keys_of,
    kinds_of,
    piece_keys,
    senses_of,
)
from curator.generators.surroundings import Surroundings
from curator.methods.kernels.cosines import exact_cosines, on_grid
from curator.types import Vectors

SAMPLE = 1000  # words whose neighbours say what is near in a space
COMMON_PLACES = 12_000  # of CLIP's table: words that everybody knows, for answers that are wanted to be far away
BROAD = ("artifact", "instrumentality")  # half of all things: what is below them divides into branches
USUAL_SENSES = 3  # of a word that nothing is known of but the word: WordNet's first `leopard` is its fur
KINDS_SHOWN = 8  # kinds of a sense that its words are taken from

Mask: TypeAlias = NDArray[np.bool_]
Encode: TypeAlias = Callable[[Sequence[str]], Vectors]  # texts to (n, d) unit norm
SenseOf: TypeAlias = Callable[[str], Sequence[Synset]]  # one, or none for a text that WordNet does not know


def concrete_senses(text: str) -> list[Synset]:
    """The senses of a text that can be seen, or else all; none for a text that WordNet does not know."""
    senses = senses_of(text)
    return [sense for sense in senses if sense.lexname in FILES] or senses


def usual_sense(text: str) -> list[Synset]:
    """The first of them: the sense by WordNet alone."""
    return concrete_senses(text)[:1]


def near_hypernyms(sense: Synset) -> list[Synset]:
    """What a sense is a kind of, one step up and then two: what two related things share."""
    parents = load_wordnet().hypernyms(sense)
    return [*parents, *(grand for parent in parents for grand in load_wordnet().hypernyms(parent))]


def near_kinds(sense: Synset) -> set[str]:
    """Ids of the sense and of what it is a kind of, up to two steps."""
    return {sense.synset_id, *(above.synset_id for above in near_hypernyms(sense))}


def kin_ids(label: str) -> set[str]:
    """Ids of the senses of a label, of all kinds of it, and of what it is a kind of up to two steps."""
    senses = senses_of(label)
    return below_senses(senses) | {above.synset_id for sense in senses for above in near_hypernyms(sense)}


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


def shared_kinds(texts: Sequence[str], sense_of: SenseOf = usual_sense) -> list[Synset]:
    """The most special kind that the senses of all texts share; none where a text has no sense."""
    paths = [path_of(sense) for text in texts for sense in sense_of(text)]
    shared = [steps[0] for steps in zip(*paths, strict=False) if len(set(steps)) == 1]
    return shared[-1:]


def words_of(sense: Synset, text: str) -> list[str]:
    """What tells a sense of a text apart: its other lemmas, what it is a kind of (two steps), and kinds of it."""
    wordnet = load_wordnet()
    parents = wordnet.hypernyms(sense)
    grand = [above.lemmas[0] for parent in parents for above in wordnet.hypernyms(parent)]
    kinds = [kind.lemmas[0] for kind in wordnet.hyponyms(sense)[:KINDS_SHOWN]]
    words = [*sense.lemmas, *(lemma for parent in parents for lemma in parent.lemmas), *grand, *kinds]
    return [word for word in dict.fromkeys(map(word_key, words)) if word != word_key(text)]


@dataclass
class Senses:
    """Which sense of a class is meant: that whose words (`words_of`) have their middle nearest to the class.

    image_of: (d,) the mean image of a class, None where there is none; then the class is where its text is. Where a
    plant is nearest and a food has the same name, it is the food: `lemon` is the fruit before it is the tree.
    Of the 226 names of ImageNet classes that WordNet knows in several branches, curator-mini by text alone meets
    ImageNet's own sense for 143 and its branch for 158; WordNet's first visible sense meets 77 and 87. With the mean of
    15 images a class, of the 54 of these names that tiny64 has: 39 and 42, against 21 and 22. Which words and the rule
    of foods were chosen on these names (without the rule: 133 and 149, 37 and 40), so others may fare a little worse.
    """

    encode: Encode
    image_of: Callable[[str], Vectors | None] = lambda text: None
    _chosen: dict[str, list[Synset]] = field(default_factory=dict)

    def of(self, text: str) -> list[Synset]:
        """One, or none for a text that WordNet does not know; of equally near ones WordNet's first."""
        if text not in self._chosen:
            senses = concrete_senses(text)
            self._chosen[text] = [self._nearest(text, senses)] if len(senses) > 1 else senses
        return self._chosen[text]

    def branches(self, texts: Sequence[str]) -> set[str]:
        """Of the sense meant and of the usual ones: what is to come from another branch must not come from the right
        one where the choice was wrong (`monarch` by its text is a sovereign, and butterflies lie near)."""
        senses = (sense for text in texts for sense in (*self.of(text), *concrete_senses(text)[:USUAL_SENSES]))
        return {branch_of(sense) for sense in senses}

    def _nearest(self, text: str, senses: Sequence[Synset]) -> Synset:
        best = max(senses, key=self._nearness(text))
        foods = [sense for sense in senses if sense.lexname == "noun.food"]
        return foods[0] if foods and best.lexname == "noun.plant" else best

    def _nearness(self, text: str) -> Callable[[Synset], float]:
        image = self.image_of(text)
        query = on_grid(unit_rows((self.encode([text])[0] if image is None else image)[None]))

        def nearness(sense: Synset) -> float:
            words = words_of(sense, text)
            if not words:
                return -2.0  # a cosine that every other sense has more than
            middle = unit_rows(self.encode(words).mean(axis=0, dtype=np.float64)[None])
            return float(exact_cosines(on_grid(middle), query)[0, 0])

        return nearness


class Words:
    """The vocabulary beside classes: vectors, senses, and which words share a branch with them or may not be said."""

    def __init__(self, surroundings: Surroundings, vocabulary: Vocabulary) -> None:
        self._surroundings, self._vocabulary = surroundings, vocabulary
        self._barred: dict[tuple[str, ...], Mask] = {}
        self.class_senses = Senses(self.encoded, lambda text: self._class_images.get(text))

    def encoded(self, texts: Sequence[str]) -> Vectors:
        """(n, d): ID labels as they are in the bank, words as in the vocabulary, others encoded each by itself."""
        around, known = self._surroundings, self._known
        if missing := [text for text in dict.fromkeys(texts) if text not in known]:
            encoder = around.encoder()
            with one_torch_thread():
                known |= {text: encode_prompts(encoder, [fill(around.template, text)])[0] for text in missing}
        return np.stack([known[text] for text in texts])

    @cached_property
    def _known(self) -> dict[str, Vectors]:
        vocabulary, around = self._vocabulary, self._surroundings
        words = dict(zip(vocabulary.texts, vocabulary.vectors, strict=True))
        return words | dict(zip(around.id_texts, around.id_vectors, strict=True))

    @cached_property
    def grid(self) -> NDArray[np.float64]:
        return on_grid(self._vocabulary.vectors)

    @cached_property
    def _class_images(self) -> dict[str, Vectors]:
        """The mean of the ID images of each label that has any."""
        around = self._surroundings
        vectors, labels = around.id_image_vectors(), around.id_image_labels()
        present = np.unique(labels).tolist() if len(vectors) else []
        return {around.id_texts[label]: vectors[labels == label].mean(axis=0, dtype=np.float64) for label in present}

    @cached_property
    def senses(self) -> list[Synset]:
        return [load_wordnet().synset(word.synset) for word in self._vocabulary.words]

    @cached_property
    def _all_kinds(self) -> list[tuple[frozenset[str], frozenset[str]]]:
        """Of each word the ids of all its senses, and of everything that one of them is a kind of."""
        senses = [frozenset(sense.synset_id for sense in senses_of(text)) for text in self._vocabulary.texts]
        return [(own, frozenset[str]().union(*map(kinds_of, own))) for own in senses]

    @cached_property
    def _branches(self) -> list[set[str]]:
        """Of each word those of its first senses that can be seen."""
        senses = (concrete_senses(text)[:USUAL_SENSES] for text in self._vocabulary.texts)
        return [set(map(branch_of, usual)) for usual in senses]

    @cached_property
    def well_known(self) -> Mask:
        tokens = common_tokens()
        return np.array([tokens.get(text, COMMON_PLACES) < COMMON_PLACES for text in self._vocabulary.texts])

    def with_sense(self, synset_ids: set[str]) -> Mask:
        return np.array([sense.synset_id in synset_ids for sense in self.senses])

    def in_branches(self, classes: Sequence[str]) -> Mask:
        """Words of which a usual sense is of the same branch as a class."""
        branches = self.class_senses.branches(classes)
        return np.array([not branches.isdisjoint(own) for own in self._branches])

    def bar(self, classes: tuple[str, ...]) -> Mask:
        """Words that may never be an answer: they hold a class's name or a synonym, are a kind of it or more general in
        any sense, or are too near it."""
        if classes not in self._barred:
            names = keys_of(classes)
            senses = {sense.synset_id for text in classes for sense in senses_of(text)}
            above = frozenset[str]().union(*map(kinds_of, senses))
            named = [not piece_keys(text).isdisjoint(names) for text in self._vocabulary.texts]
            kin = [bool(own & above or kinds & senses) for own, kinds in self._all_kinds]
            near = nearest(self.grid, on_grid(self.encoded(classes)))[1] >= self._cut if classes else False
            self._barred[classes] = np.array(named) | np.array(kin) | near
        return self._barred[classes]

    @cached_property
    def _cut(self) -> float:
        """From which cosine to a class a word is too near: as audit.py has it, from the ID labels' nearest others, but
        no less than the same of a sample of words. A few classes that have nothing in common would bar half of the
        language (ten of Imagenette: 0.19 in curator-mini, where a word has its neighbour at 0.81)."""
        sample = self.grid[:: max(1, len(self.grid) // SAMPLE)]
        words = np.partition(exact_cosines(sample, self.grid), -2, axis=1)[:, -2]  # the best is the word itself
        labels = on_grid(self._surroundings.id_vectors)
        return max(near_cut(nearest(labels, labels, apart=True)[1]), float(np.median(words)))


class Groups:
    """Divides classes along the tree of kinds. `sense_of`: which of its senses each class is taken by."""

    def __init__(self, encode: Encode, classes: Sequence[str], sense_of: SenseOf = usual_sense) -> None:
        self._encode, self._sense_of = encode, sense_of
        self._classes = tuple(dict.fromkeys(classes))
        self._paths = {text: path_of(sense) for text in self._classes for sense in sense_of(text)}

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
            kinds = shared_kinds([text for text in group if text in self._paths], self._sense_of)
            kinds = load_wordnet().hypernyms(kinds[0])[:1] if kinds and len(group) == 1 else kinds
            name = kinds[0].lemmas[0] if kinds else "thing"
            name = f"{name} {len(taken) + 1}" if word_key(name) in taken else name
            taken.add(word_key(name))
            yield name, tuple(group)

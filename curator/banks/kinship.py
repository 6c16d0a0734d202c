"""What WordNet says of a text and the ID labels: the same name, a synonym, or more or less general by up to two steps.

Every sense of a word counts, as in id_names.py: the encoder sees the word, not the sense that was meant. So a relation
is a reason to look, not a proof: WordNet's `crane` is a machine, a bird and a writer.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from curator.banks.id_names import name_keys, wordnet_synonyms, written_forms
from curator.banks.wordnet.lexicon import Synset, WordNet, word_key

Relation: TypeAlias = Literal["equal", "synonym", "hypernym", "hyponym"]

MOST_STEPS = 2  # further up are things such as "object", further down single breeds and makes


@dataclass(frozen=True, slots=True)
class Kin:
    """What a text is to the ID label of that index. `steps` in WordNet: 0 for equal and synonym, else 1 or 2."""

    relation: Relation
    steps: int
    id_index: int

    @property
    def rank(self) -> int:
        """The lower, the closer: equal, synonym, one step, two steps."""
        return -1 if self.relation == "equal" else self.steps


class Kinship:
    """The names and senses of the ID labels, each once looked up, for any number of questions."""

    def __init__(self, id_texts: Sequence[str], synonyms: Mapping[str, Sequence[str]], wordnet: WordNet) -> None:
        self._wordnet = wordnet
        self._by_name: dict[str, list[Kin]] = defaultdict(list)
        self._by_sense: dict[str, list[Kin]] = defaultdict(list)
        given = {word_key(label): list(names) for label, names in synonyms.items()}
        for index, text in enumerate(id_texts):
            self._add_names(index, text, given.get(word_key(text), []))
            self._add_senses(index, text)

    def of(self, text: str, *, apart_from: int | None = None) -> list[Kin]:
        """The closest relations of a text to ID labels, all of one rank; empty when there is none.

        `apart_from` is the ID label that the text is itself, where it is one.
        """
        by_name = (kin for key in name_keys(text, self._wordnet) for kin in self._by_name.get(key, ()))
        by_sense = (kin for sense in senses_of(text, self._wordnet) for kin in self._by_sense.get(sense.synset_id, ()))
        found = [kin for kin in dict.fromkeys((*by_name, *by_sense)) if kin.id_index != apart_from]
        closest = min((kin.rank for kin in found), default=0)
        return [kin for kin in found if kin.rank == closest]

    def _add_names(self, index: int, text: str, given: Iterable[str]) -> None:
        """Compared exactly as when a bank is built: see id_names.py."""
        names = [text, *given]
        known = [name for written in names for name in wordnet_synonyms(written, self._wordnet)]
        for name in (*names, *known):
            for key in name_keys(name, self._wordnet):
                self._by_name[key].append(Kin("equal" if name == text else "synonym", 0, index))

    def _add_senses(self, index: int, text: str) -> None:
        for sense in senses_of(text, self._wordnet):
            for steps, above in _walk(sense, self._wordnet.hypernyms):
                self._by_sense[above.synset_id].append(Kin("hypernym", steps, index))
            for steps, below in _walk(sense, self._wordnet.hyponyms):
                self._by_sense[below.synset_id].append(Kin("hyponym", steps, index))


class Subcategories:
    """What is a kind of an ID label: each noun that has a sense, however far, below any sense of one.

    An image of such a thing belongs (NegRefine asks a language model for it). So many senses take out too much rather
    than too little: losing a negative costs nothing, keeping one costs ID images.
    """

    def __init__(self, id_texts: Sequence[str], wordnet: WordNet) -> None:
        self._wordnet = wordnet
        self._id_label: dict[str, str] = {}
        for text in id_texts:
            waiting = senses_of(text, wordnet)
            while waiting:
                for below in wordnet.hyponyms(waiting.pop()):
                    if below.synset_id not in self._id_label:
                        self._id_label[below.synset_id] = text
                        waiting.append(below)

    def id_label(self, text: str) -> str | None:
        """The ID label that a text is a kind of, of several the first; None where WordNet knows of none."""
        senses = (sense.synset_id for sense in senses_of(text, self._wordnet))
        return next((self._id_label[sense] for sense in senses if sense in self._id_label), None)


def senses_of(text: str, wordnet: WordNet) -> list[Synset]:
    """All senses of a text, whichever way WordNet writes it."""
    return [sense for form in written_forms(text, wordnet) for sense in wordnet.synsets(form)]


def _walk(sense: Synset, neighbours: Callable[[Synset], list[Synset]]) -> Iterator[tuple[int, Synset]]:
    """(steps, synset) of all that is reached in one to MOST_STEPS steps."""
    reached = [sense]
    for steps in range(1, MOST_STEPS + 1):
        reached = [other for synset in reached for other in neighbours(synset)]
        for other in reached:
            yield steps, other

"""Reads the package's WordNet file: the corpus that negatives are mined from, and the graph that knows synonyms.

A word is looked up whatever its case, with spaces or underscores. Results are in a fixed order: senses by frequency
(WordNet's own sense order, nouns before adjectives), lists of lemmas alphabetically by code point.
It holds no glosses, verbs or adverbs. The file is made by `tests/banks/derive_wordnet.py`.
"""

from __future__ import annotations

import hashlib
import lzma
import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Literal, NamedTuple, TypeAlias

from curator.errors import UsageError
from curator.resources import data_file

PartOfSpeech: TypeAlias = Literal["noun", "adjective"]

DATA_FILE = data_file("curator.banks.wordnet", "wordnet.tsv.xz")
PARTS: dict[str, PartOfSpeech] = {"n": "noun", "a": "adjective", "s": "adjective"}
# Lexicographer files by number, lexnames(5WN); verbs and adverbs are there to keep the numbers.
LEXNAMES = (
    *("adj.all", "adj.pert", "adv.all", "noun.Tops", "noun.act", "noun.animal", "noun.artifact", "noun.attribute"),
    *("noun.body", "noun.cognition", "noun.communication", "noun.event", "noun.feeling", "noun.food", "noun.group"),
    *("noun.location", "noun.motive", "noun.object", "noun.person", "noun.phenomenon", "noun.plant"),
    *("noun.possession", "noun.process", "noun.quantity", "noun.relation", "noun.shape", "noun.state"),
    *("noun.substance", "noun.time", "verb.body", "verb.change", "verb.cognition", "verb.communication"),
    *("verb.competition", "verb.consumption", "verb.contact", "verb.creation", "verb.emotion", "verb.motion"),
    *("verb.perception", "verb.possession", "verb.social", "verb.stative", "verb.weather", "adj.ppl"),
)
LEXNAMES_OF: dict[PartOfSpeech, tuple[str, ...]] = {
    "noun": tuple(name for name in LEXNAMES if name.startswith("noun.")),
    "adjective": tuple(name for name in LEXNAMES if name.startswith("adj.")),
}
# A sense as one number: the row of its synset, plus its rank among those of its word, plus what adjectives come behind.
RANK, ADJECTIVE = 1 << 20, 1 << 40
# Regular plural endings and what they stand for: morphy(7WN).
PLURAL_ENDINGS = (
    *(("ses", "s"), ("xes", "x"), ("zes", "z"), ("ches", "ch"), ("shes", "sh"), ("men", "man"), ("ies", "y")),
    ("s", ""),
)


@dataclass(frozen=True, slots=True)
class Synset:
    """One sense shared by its lemmas (case kept, most typical first). `synset_id` is `<8-digit offset>-<n|a|s>`."""

    synset_id: str
    part_of_speech: PartOfSpeech
    lexname: str
    lemmas: tuple[str, ...]


class Candidate(NamedTuple):
    """A lower-case word or phrase that may become a label, with the most frequent sense that let it in."""

    text: str
    part_of_speech: PartOfSpeech
    lexname: str
    synset: str


class WordNet:
    """The whole lexicon, parsed on demand. Build it with `load_wordnet()`."""

    def __init__(self, data: bytes) -> None:
        self.sha256 = hashlib.sha256(data).hexdigest()
        lines = [line.split("\t") for line in lzma.decompress(data).decode("ascii").splitlines()]
        self._rows: list[list[str]] = [line for line in lines if line[0] == "S"]
        self._plurals = {line[1]: tuple(line[2].split("|")) for line in lines if line[0] == "X"}

    def lemmas(
        self,
        part_of_speech: PartOfSpeech,
        *,
        lexnames: Iterable[str] | None = None,
        exclude: Iterable[str] = (),
        first_only: bool = False,
    ) -> list[Candidate]:
        """Distinct lower-case lemmas of the given lexicographer files (default: all), in alphabetical order.

        A word is in when any of its senses is in a file that is not excluded, as in NegLabel's lists. `first_only`
        takes only the first lemma of each synset: one word per concept. Raises UsageError for an unknown file.
        """
        files = _chosen_files(part_of_speech, lexnames, exclude)
        best: dict[str, int] = {}
        for number, row in enumerate(self._rows):
            if row[2] in files:
                for text, rank in _split_lemmas(row[4], first_only=first_only):
                    sense = rank * RANK + number
                    if sense < best.get(text, sense + 1):
                        best[text] = sense
        return [self._candidate(text, best[text] % RANK) for text in sorted(best)]

    def synset(self, synset_id: str) -> Synset:
        """The synset of that id. Raises KeyError."""
        return self._synset(self._row_of_id[synset_id])

    def synsets(self, lemma: str, part_of_speech: PartOfSpeech | None = None) -> list[Synset]:
        """The senses of a word, nouns before adjectives, most frequent first; empty for an unknown word."""
        found = [self._synset(row) for row in self._rows_of(word_key(lemma))]
        return [synset for synset in found if part_of_speech in (None, synset.part_of_speech)]

    def synonyms(self, lemma: str) -> list[str]:
        """The other lemmas of all senses of a word, lower-case, in sense order, each once."""
        words = (word_key(other) for synset in self.synsets(lemma) for other in synset.lemmas)
        return [word for word in dict.fromkeys(words) if word != word_key(lemma)]

    def hypernyms(self, synset: Synset) -> list[Synset]:
        """What this is a kind of or, for a name, an instance of."""
        return [self._synset(row) for row in self._parents(self._row_of_id[synset.synset_id])]

    def hyponyms(self, synset: Synset) -> list[Synset]:
        """The direct kinds and instances of this, in file order."""
        return [self._synset(row) for row in self._children.get(self._row_of_id[synset.synset_id], ())]

    def singulars(self, noun: str) -> list[str]:
        """Nouns of WordNet whose plural the word may be, by the irregular list or else the regular endings."""
        word = word_key(noun)
        regular = (word.removesuffix(end) + stem for end, stem in PLURAL_ENDINGS if word.endswith(end))
        forms = self._plurals.get(word) or tuple(regular)
        return [form for form in dict.fromkeys(forms) if form != word and self.synsets(form, "noun")]

    def is_proper(self, noun: str) -> bool:
        """Whether every sense of a noun is a name: an instance (`Nile`), or written with a capital in its last word
        (`genus Rosa`; not `French horn`, nor `T-shirt`). False for a word that WordNet does not know."""
        word = word_key(noun)
        rows = [self._rows[number] for number in self._rows_of(word)]
        nouns = [row for row in rows if PARTS[row[1]] == "noun"]
        return bool(nouns) and all(_is_name(row, word) for row in nouns)

    def cluster(self, synset_id: str) -> list[Synset]:
        """An adjective and its satellites, which are alike to it (wninput(5WN)); raises KeyError for an unknown one.

        WordNet's file has them behind their head, up to the next head.
        """
        number = self._row_of_id[synset_id]
        found = [self._synset(number)]
        for row in range(number + 1, len(self._rows)):
            if self._rows[row][1] != "s":
                break
            found.append(self._synset(row))
        return found

    @cached_property
    def _row_of_id(self) -> dict[str, int]:
        return {_synset_id(row): number for number, row in enumerate(self._rows)}

    def _rows_of(self, word: str) -> list[int]:
        """The rows that have the word, in the order of its senses."""
        return [sense % RANK for sense in sorted(self._senses.get(word, ()))]

    @cached_property
    def _senses(self) -> dict[str, tuple[int, ...]]:
        """Of each word, its senses in no order, as numbers that sort nouns before adjectives, and then by rank. Whole
        numbers cost a fifth of the time of anything that the collector of garbage has to look through."""
        senses: dict[str, tuple[int, ...]] = {}
        for number, row in enumerate(self._rows):
            first = number if PARTS[row[1]] == "noun" else ADJECTIVE + number
            for text, rank in _split_lemmas(row[4]):
                senses[text] = (*senses.get(text, ()), rank * RANK + first)
        return senses

    @cached_property
    def _children(self) -> dict[int, list[int]]:
        children: dict[int, list[int]] = defaultdict(list)
        for number in range(len(self._rows)):
            for parent in self._parents(number):
                children[parent].append(number)
        return children

    def _parents(self, number: int) -> Iterator[int]:
        links = self._rows[number][5]
        return (number + int(link.removeprefix("i")) for link in links.split(",")) if links else iter(())

    def _synset(self, number: int) -> Synset:
        row = self._rows[number]
        lemmas = tuple(lemma.partition("#")[0] for lemma in row[4].split("|"))
        return Synset(_synset_id(row), PARTS[row[1]], row[2], lemmas)

    def _candidate(self, text: str, number: int) -> Candidate:
        row = self._rows[number]
        return Candidate(text, PARTS[row[1]], row[2], _synset_id(row))


@cache
def load_wordnet() -> WordNet:
    """The shipped lexicon, read once a process (about 0.2 s)."""
    return WordNet(DATA_FILE.read_bytes())


def word_key(word: str) -> str:
    """How a word is looked up: lower case, single spaces, no underscores, and letters with their accents in one, as
    macOS takes those of file names apart."""
    composed = word if word.isascii() else unicodedata.normalize("NFC", word)
    return " ".join(composed.replace("_", " ").lower().split())


def _split_lemmas(field: str, *, first_only: bool = False) -> Iterator[tuple[str, int]]:
    lemmas = field.lower().split("|")
    for lemma in lemmas[:1] if first_only else lemmas:
        text, _, rank = lemma.partition("#")
        yield text, int(rank or 0)


def _is_name(row: list[str], word: str) -> bool:
    """Whether the lemma of the row that is looked up as `word` names one thing."""
    lemmas = (lemma.partition("#")[0] for lemma in row[4].split("|"))
    written = next(lemma for lemma in lemmas if word_key(lemma) == word)
    return "i" in row[5] or re.split("[ -]", written)[-1][:1].isupper()


def _synset_id(row: list[str]) -> str:
    return f"{int(row[3]):08d}-{row[1]}"


def _chosen_files(
    part_of_speech: PartOfSpeech, lexnames: Iterable[str] | None, exclude: Iterable[str]
) -> Collection[str]:
    excluded = set(exclude)
    wanted = set(LEXNAMES_OF[part_of_speech] if lexnames is None else lexnames)
    for name in sorted((wanted | excluded) - {*LEXNAMES_OF["noun"], *LEXNAMES_OF["adjective"]}):
        known = ", ".join(LEXNAMES_OF[part_of_speech])
        raise UsageError(f"WordNet has no lexicographer file {name!r} of nouns or adjectives", hint=f"known: {known}")
    return (wanted - excluded) & set(LEXNAMES_OF[part_of_speech])

"""`[negatives.wordnet]`: the words of WordNet's lexicographer files, the corpus of NegLabel and CSP."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from typing import Annotated, ClassVar, Literal, TypeAlias

from curator.banks.checks import TemplateText, TextsOrNone, some_of
from curator.banks.prompts import TEMPLATES, fill
from curator.banks.published import Published
from curator.banks.sources.source import Inputs, ReadLabels, SourceLabel
from curator.banks.wordnet import Candidate, PartOfSpeech, WordNet, load_wordnet
from curator.banks.wordnet.lexicon import LEXNAMES_OF
from curator.ranges import Place, Range, read_table

Words: TypeAlias = Literal["first", "all"]
Adjectives: TypeAlias = Literal["all", "looks"]

Parts: TypeAlias = Annotated[tuple[PartOfSpeech, ...], some_of("noun", "adjective", at_least=1)]
Lexnames: TypeAlias = Annotated[tuple[str, ...], some_of(*LEXNAMES_OF["noun"], *LEXNAMES_OF["adjective"])]

# Clusters of adjectives that say how a surface looks, by their heads: colour, sheen, pattern and texture.
LOOKS = {
    "chromatic": "00366691-a",
    "achromatic": "00386392-a",
    "colored": "00394562-a",
    "colorful": "00402419-a",
    "colorless": "00404202-a",
    "light": "00408660-a",
    "dark": "00409440-a",
    "bright": "00278551-a",
    "dull": "00283703-a",
    "polished": "01811998-a",
    "clear": "00431447-a",
    "opaque": "00433115-a",
    "patterned": "01786134-a",
    "plain": "01785907-a",
    "adorned": "00056002-a",
    "woven": "02579470-a",
    "rough": "02238463-a",
    "smooth": "02236843-a",
    "coarse": "02230991-a",
    "fine": "02232252-a",
    "furrowed": "02243807-a",
    "uneven": "00911327-a",
    "hairy": "00212173-a",
    "soft": "01152746-a",
    "hard": "01150915-a",
    "porous": "00329396-a",
    "crystalline": "00268869-a",
    "metallic": "01527420-a",
}


@dataclass(frozen=True, slots=True)
class WordNetSource:
    """`include` empty: all lexicographer files of the parts of speech. `superclasses`: see `phrase`. `adjectives`: all,
    or those whose first sense is one of LOOKS.

    CSP draws a superclass with Python's `random.choice` over one stream, so that each draw depends on the number of
    adjectives before it. Ours depends on seed and adjective alone: the phrases differ from the published ones, and a
    changed corpus leaves those of the other adjectives as they are.
    """

    parts_of_speech: Parts = ("noun", "adjective")
    words: Words = "first"
    include: Lexnames = ()
    exclude: Lexnames = ("noun.animal", "noun.food")
    noun_template: TemplateText = TEMPLATES["nice"]
    adjective_template: TemplateText = TEMPLATES["adjective"]
    adjectives: Adjectives = "all"
    superclasses: TextsOrNone = ()
    seed: Annotated[int, Range(0)] = 0

    repeats: ClassVar[bool] = False
    given_by: ClassVar[tuple[str, ...]] = ()
    mine: ClassVar[bool] = True
    files: ClassVar[tuple[str, ...]] = ()
    banks: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def parse(cls, table: Mapping[str, object], place: Place, published: Published) -> WordNetSource:
        defaults = {
            "exclude": published.exclude,
            "noun_template": published.template,
            "adjective_template": published.adjective_template,
            "superclasses": published.superclasses,
        }
        return read_table(cls, table, place, defaults=defaults)

    def as_mapping(self) -> Mapping[str, object]:
        """Without superclasses there is no draw: neither key is there then, nor `adjectives` where all are taken, as in
        banks from before they existed."""
        left_out = (() if self.superclasses else PHRASE_KEYS) + (("adjectives",) if self.adjectives == "all" else ())
        return {key: value for key, value in asdict(self).items() if key not in left_out}

    def read(self, inputs: Inputs) -> ReadLabels:
        wordnet = load_wordnet()
        return ReadLabels(tuple(map(self.label, self.candidates(wordnet))), {"sha256": wordnet.sha256})

    def candidates(self, wordnet: WordNet) -> list[Candidate]:
        """Distinct words, part after part in the spec's order; a word of two parts belongs to the first."""
        found: dict[str, Candidate] = {}
        for part in self.parts_of_speech:
            for candidate in wordnet.lemmas(
                part, lexnames=self.include or None, exclude=self.exclude, first_only=self.words == "first"
            ):
                if part == "noun" or self.adjectives == "all" or candidate.synset in senses_of_looks():
                    found.setdefault(candidate.text, candidate)
        return list(found.values())

    def label(self, candidate: Candidate) -> SourceLabel:
        origin = f"wordnet:{candidate.lexname}"
        if candidate.part_of_speech == "noun":
            return SourceLabel(candidate.text, "noun", origin, fill(self.noun_template, candidate.text))
        if not self.superclasses:
            return SourceLabel(candidate.text, "adjective", origin, fill(self.adjective_template, candidate.text))
        text = phrase(candidate.text, self.superclasses, self.seed)
        return SourceLabel(text, "adjective", origin, fill(self.adjective_template, text), word=candidate.text)


@cache
def senses_of_looks() -> frozenset[str]:
    """The ids of the senses of LOOKS."""
    return frozenset(sense.synset_id for head in LOOKS.values() for sense in load_wordnet().cluster(head))


def phrase(adjective: str, superclasses: tuple[str, ...], seed: int) -> str:
    """CSP's conjugated superclass: `red` becomes `red area`. The draw is a hash of seed and adjective."""
    digest = hashlib.sha256(f"{seed}:{adjective}".encode()).digest()
    return f"{adjective} {superclasses[int.from_bytes(digest[:8], 'big') % len(superclasses)]}"


PHRASE_KEYS = ("superclasses", "seed")

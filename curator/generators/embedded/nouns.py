"""The words that embedded describers and reasoners speak: common WordNet nouns, and what is known of them.

Which nouns? WordNet's first lemmas of things that can be seen, of one or two words, all of them common. WordNet does
not say what is common; CLIP's byte-pair table does: it merges into one token what was frequent in its captions, so a
word that is one token of open_clip's file is one that people use for pictures. Of two words the first must narrow the
second (`golf ball`, not `free state`). That leaves 6,700 of 24,600, without the rarities that unknown images are near.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from curator.banks.id_names import id_name_keys, name_keys, written_forms
from curator.banks.prompts import fill
from curator.banks.wordnet import Candidate, load_wordnet
from curator.banks.wordnet.lexicon import Synset, word_key
from curator.errors import GeneratorError
from curator.generators.embedded.answering import digest_of
from curator.generators.embedded.centring import Centring
from curator.generators.surroundings import Surroundings
from curator.types import Vectors

FORMAT = 1  # raised whenever the words or their vectors change
FILES = (
    *("noun.animal", "noun.artifact", "noun.body", "noun.food", "noun.location", "noun.object", "noun.phenomenon"),
    *("noun.plant", "noun.shape", "noun.substance", "noun.person"),  # of persons only those below
)
# Most person nouns judge or cannot be seen: of ImageNet's 2,832 person synsets 158 were found safe and imageable (Yang
# et al., Towards Fairer Datasets, FAT* 2020). So people are these.
PEOPLE = (
    *("man", "woman", "boy", "girl", "child", "baby", "soldier", "dancer", "musician", "singer", "bride", "groom"),
    *("swimmer", "skier", "runner", "cyclist", "surfer", "climber", "athlete", "farmer", "fisherman", "chef"),
    *("waiter", "nurse", "clown", "astronaut", "cowboy", "spectator"),
)
# Kinds of a file that no one sees or would write under a photograph, with all that is below them.
UNSEEN = {
    "noun.artifact": ("drug", "sound recording", "line"),
    "noun.body": (
        *("vein", "artery", "nerve", "body substance", "reproductive organ", "excretory organ", "neural structure"),
        *("gene", "cell", "cavity", "duct", "area", "membrane", "tissue"),
    ),
    "noun.substance": ("chemical element", "compound", "body waste", "molecule", "acid"),
    "noun.location": ("point", "line", "direction", "region"),
    "noun.shape": ("angle", "line", "curve"),
    "noun.phenomenon": ("physical phenomenon", "consequence", "process"),
}
SEEN = {"noun.phenomenon": ("atmospheric phenomenon",), "noun.body": ("brain",)}  # in spite of that
# Coarse words, and rare ones that unknown images are near to.
UNFIT = {
    *("anus", "arse", "ass", "breast", "bum", "butt", "cock", "crap", "cunt", "nipple", "pussy", "thong", "tit"),
    *("anil", "belvedere", "cirque", "cote", "delft", "dita", "mire", "nard", "neve", "pia", "uke", "whereabouts"),
}
# WordNet's places are mostly administrative; these are the scenes of photographs.
PLACES = (
    *("beach", "forest", "mountain", "street", "city", "kitchen", "bedroom", "bathroom", "garden", "park", "field"),
    *("desert", "river", "lake", "sea", "ocean", "island", "cave", "cliff", "valley", "hill", "waterfall"),
    *("harbor", "bridge", "road", "highway", "market", "shop", "restaurant", "church", "castle", "stadium"),
    *("office", "classroom", "library", "hospital", "museum", "garage", "barn", "farm", "meadow", "swamp", "pond"),
    *("snow", "sky", "cloud", "sunset", "playground", "yard", "room", "house", "tower", "building", "temple"),
    *("theater", "studio", "laboratory", "zoo", "aquarium", "orchard", "pasture", "jungle", "glacier", "coast"),
    *("village", "station", "airport"),
)
ALIKE = 0.85  # cosine of two texts that say the same; the nearest other word is at 0.79 in the median (curator-mini)


@cache
def common_tokens() -> dict[str, int]:
    """Whole words of CLIP's byte-pair table and their place in it, the most frequent first.

    Read from open_clip's file without importing open_clip. Raises GeneratorError when it is not there.
    """
    lines = gzip.decompress(_token_file().read_bytes()).decode("utf-8").split("\n")[1 : 49152 - 256 - 2 + 1]
    merged = ("".join(line.split()) for line in lines)
    whole = (token.removesuffix("</w>") for token in merged if token.endswith("</w>"))
    return {token: place for place, token in enumerate(whole)}


def _token_file() -> Path:
    found = find_spec("open_clip")
    folders = list(found.submodule_search_locations or ()) if found else []
    for path in (Path(folder) / "bpe_simple_vocab_16e6.txt.gz" for folder in folders):
        if path.is_file():
            return path
    raise GeneratorError("the vocabulary needs open_clip's table of byte pairs", hint="pip install open_clip_torch")


@cache
def common_nouns() -> tuple[Candidate, ...]:
    """The vocabulary, by text. A word is in when the sense that can be seen is among its first two as a noun, and it is
    no more an adjective than a noun (`deep`, `local`, `short`). All of PLACES are."""
    wordnet, unseen = load_wordnet(), below(UNSEEN) - below(SEEN)
    first = wordnet.lemmas("noun", lexnames=FILES, first_only=True)
    found = {word.text: word for word in first if _is_common(word) and _is_seen(word, unseen)}
    found |= {word.text: word for word in wordnet.lemmas("noun", lexnames=FILES) if word.text in PLACES}
    return tuple(found[text] for text in sorted(found))


def _is_common(word: Candidate) -> bool:
    parts = word.text.split()
    if len(parts) > 2 or UNFIT & set(parts) or not all(len(part) > 2 and part in common_tokens() for part in parts):
        return False
    heads = {sense.synset_id for sense in load_wordnet().synsets(parts[-1], "noun")}
    return len(parts) == 1 or bool(heads & kinds_of(word.synset))


def _is_seen(word: Candidate, unseen: set[str]) -> bool:
    if word.synset in unseen or (word.lexname == "noun.person" and word.text not in PEOPLE):
        return False
    senses = [sense for sense in load_wordnet().synsets(word.text, "noun") if sense.lemmas[0].islower()]
    usual = word.synset in [sense.synset_id for sense in senses[:2]]
    return usual and len(load_wordnet().synsets(word.text, "adjective")) <= len(senses)


@cache
def kinds_of(synset_id: str) -> frozenset[str]:
    """Ids of that sense and of all that it is a kind of."""
    wordnet = load_wordnet()
    above = wordnet.hypernyms(wordnet.synset(synset_id))
    return frozenset([synset_id]).union(*(kinds_of(sense.synset_id) for sense in above))


def below(kinds: Mapping[str, Sequence[str]]) -> set[str]:
    """Ids of the senses of those nouns that are in that file of WordNet, and of all that is a kind of them."""
    wordnet = load_wordnet()
    named = (
        (file, sense) for file, nouns in kinds.items() for noun in nouns for sense in wordnet.synsets(noun, "noun")
    )
    return below_senses([sense for file, sense in named if sense.lexname == file])


def below_senses(senses: Sequence[Synset]) -> set[str]:
    """Ids of those senses and of all that is a kind of them."""
    waiting, reached = list(senses), set[str]()
    while waiting:
        sense = waiting.pop()
        if sense.synset_id not in reached:
            reached.add(sense.synset_id)
            waiting += load_wordnet().hyponyms(sense)
    return reached


@cache
def piece_keys(text: str) -> frozenset[str]:
    """What a text and every run of its words are compared by, as names (see id_names.py)."""
    parts = word_key(text).replace("-", " ").split()
    pieces = (" ".join(parts[start:end]) for end in range(1, len(parts) + 1) for start in range(end))
    return frozenset(key for piece in pieces for key in name_keys(piece, load_wordnet()))


def holds_name(text: str, keys: AbstractSet[str]) -> bool:
    """Whether a text is, or holds as whole words, a name of which those are the keys."""
    return not piece_keys(text).isdisjoint(keys)


def keys_of(names: Sequence[str]) -> set[str]:
    """What names and their synonyms are compared by."""
    return set(id_name_keys(names, {}, load_wordnet()))


@dataclass(frozen=True)
class Vocabulary:
    """The common nouns in an encoder's space. `words` are by text; vectors belong to the surroundings' template."""

    surroundings: Surroundings
    words: tuple[Candidate, ...] = field(default_factory=common_nouns)

    @property
    def digest(self) -> str:
        """Of what shaped words and vectors. The files are hashed, so that nothing has to be made to know it."""
        given = None if self.words == common_nouns() else [word.text for word in self.words]
        tokens = hashlib.sha256(_token_file().read_bytes()).hexdigest()
        around = self.surroundings
        return digest_of(FORMAT, load_wordnet().sha256, tokens, given, around.encoder_id, around.template)

    @cached_property
    def texts(self) -> tuple[str, ...]:
        return tuple(word.text for word in self.words)

    @cached_property
    def vectors(self) -> Vectors:
        """(n, d). Encoded once, through the text cache: 2.4 s of curator-mini on two cores."""
        around = self.surroundings
        return around.text_cache.encode(around.encoder(), [fill(around.template, text) for text in self.texts])

    @cached_property
    def is_place(self) -> NDArray[np.bool_]:
        return np.isin(self.texts, PLACES)

    @cached_property
    def centring(self) -> Centring:
        return Centring.of(self.surroundings.image_vectors(), self.vectors)


def senses_of(label: str) -> list[Synset]:
    """The senses of a label as a noun, however it is written; names (`Crane`) only where there is nothing else."""
    wordnet = load_wordnet()
    pairs = [(form, sense) for form in written_forms(label, wordnet) for sense in wordnet.synsets(form, "noun")]
    common = [sense for form, sense in pairs if any(_is_word(lemma, form) for lemma in sense.lemmas)]
    return list(dict.fromkeys(common or [sense for _, sense in pairs]))


def _is_word(lemma: str, form: str) -> bool:
    """Whether the lemma is that form and no name: the last word of `French horn` is small."""
    return word_key(lemma) == form and lemma.split()[-1].islower()

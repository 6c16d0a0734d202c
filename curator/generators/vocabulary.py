"""The embedded describer, and the words that embedded describers and reasoners speak: common WordNet nouns.

A caption model is replaced by look-up: the phrases of a vocabulary nearest an image in the encoder's own space, through
FAISS. What it says is no better than the encoder, but needs no weights and is the same everywhere.

Which nouns? WordNet's first lemmas of things that can be seen, of one or two words, all of them common. WordNet does
not say what is common; CLIP's byte-pair table does: it merges into one token what was frequent in its captions, so a
word that is one token of open_clip's file is one that people use for pictures. Of two words the first must narrow the
second (`golf ball`, not `free state`). That leaves 6,700 of 24,600, without the rarities that unknown images are near.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from functools import cache, cached_property, partial
from importlib.util import find_spec
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curator.banks.id_names import id_name_keys, name_keys, written_forms
from curator.banks.prompts import fill
from curator.banks.text_cache import encode_prompts
from curator.banks.wordnet import Candidate, load_wordnet
from curator.banks.wordnet.lexicon import Synset, word_key
from curator.errors import GeneratorError
from curator.generators.feature_painter import (
    Centring,
    Refused,
    answer_each,
    count_slot,
    digest_of,
    picture_vector,
    refuse_address,
    text_slot,
)
from curator.generators.requests import Reply, Request, Role
from curator.generators.surroundings import Surroundings
from curator.methods.cosines import exact_cosines, on_grid
from curator.types import Vectors
from curator.vectors import LabelCollection, Neighbours, load_recipe

FORMAT = 1  # raised whenever the same request may get another answer
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
# WordNet has 14,000 adjectives and does not say which can be seen; these are of what a camera records. `dry`, `rough`,
# `big` and their like are left out: curator-mini said one of them of every third image.
ADJECTIVES = (
    *("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white", "grey", "golden"),
    *("silver", "colourful", "dark", "bright", "wooden", "metal", "stone", "glass", "leather", "furry", "hairy"),
    *("feathered", "shiny", "striped", "spotted", "wet", "snowy", "sunny", "cloudy", "foggy", "sandy", "grassy"),
    *("rocky", "leafy", "old", "round"),
)
ALIKE = 0.85  # cosine of two texts that say the same; the nearest other word is at 0.79 in the median (curator-mini)
NEAREST = 100  # nouns and places that are looked at an image
BEST = {"noun": 4, "place": 3, "adjective": 4}  # that phrases are composed of
GAIN = 0.03  # cosine by which a composed phrase must be nearer: so much the best of many gains by chance (the median)
MOST_WORDS = 7
BATCH = 256  # images whose neighbours are looked up at once


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


@dataclass(frozen=True, slots=True)
class Seen:
    """What is near one image: positions in the vocabulary, the nearest first."""

    nouns: list[int]
    places: list[int]
    query: NDArray[np.float64]


class VocabularyDescriber:
    """Names what an image is near to. Implements `Generator`."""

    model = "vocabulary"

    def __init__(self, surroundings: Surroundings, vocabulary: Vocabulary | None = None) -> None:
        self._surroundings = surroundings
        self._vocabulary = vocabulary or Vocabulary(surroundings)

    @cached_property
    def revision(self) -> str:
        around = self._surroundings
        return digest_of(self._vocabulary.digest, around.id_texts, around.image_vectors())

    def replies(self, requests: Sequence[Request], *, allow: Callable[[], bool]) -> Iterator[Reply]:
        for start in range(0, len(requests), BATCH):
            part = requests[start : start + BATCH]
            granted = list(takewhile(lambda _: allow(), part))
            answer = partial(self._answer, self._look(granted))
            for reply in answer_each(granted, lambda: True, answer):
                yield replace(reply, position=start + reply.position)
            if len(granted) < len(part):
                return

    def close(self) -> None:
        """Nothing is held that is worth freeing."""

    @cached_property
    def _neighbours(self) -> Neighbours:
        from curator.vectors.faiss_index import FaissIndex

        centred = self._vocabulary.centring.texts(self._vocabulary.vectors).astype(np.float32)
        collection = LabelCollection(centred, self._vocabulary.digest, name="vocabulary")
        return Neighbours(collection, FaissIndex.build(collection, load_recipe("flat")))

    @cached_property
    def _adjectives(self) -> NDArray[np.float64]:
        around = self._surroundings
        vectors = around.text_cache.encode(around.encoder(), [fill(around.template, word) for word in ADJECTIVES])
        return self._vocabulary.centring.texts(vectors)

    @cached_property
    def _id_keys(self) -> set[str]:
        return keys_of(self._surroundings.id_texts)

    def _look(self, requests: Sequence[Request]) -> dict[str, Seen]:
        """What the pictures are near to, by image id; those without a vector are left out."""
        pictures = [picture for request in requests for picture in request.pictures[:1]]
        vectors = {picture.image_id: picture.vector for picture in pictures if picture.vector is not None}
        if not vectors:
            return {}
        queries = self._vocabulary.centring.images(np.stack(list(vectors.values())))
        rows, is_place = queries.astype(np.float32), self._vocabulary.is_place
        nouns, _ = self._neighbours.nearest(rows, NEAREST, allow=~is_place)
        places, _ = self._neighbours.nearest(rows, NEAREST, allow=is_place)
        found = zip(vectors, nouns.tolist(), places.tolist(), queries, strict=True)
        return {name: Seen(noun, place, query) for name, noun, place, query in found}

    def _answer(self, seen: dict[str, Seen], request: Request) -> Reply:
        name = request.prompt.name
        if name not in ("describe-image", "describe-image-freely", "list-elements"):
            raise Refused(f"{self.model} does not know the prompt {name}")
        picture_vector(request)  # refuses a request without one
        found = seen[request.pictures[0].image_id]
        if name == "list-elements":
            said: dict[str, Any] = {"labels": self._elements(request, found)}
        else:
            barred = keys_of([text_slot(request, "label")]) | self._id_keys if name == "describe-image" else set[str]()
            said = {"description": self._describe(found, barred)}
        return Reply(0, text=json.dumps(said, ensure_ascii=False))

    def _describe(self, seen: Seen, barred: set[str]) -> str:
        """The phrase nearest the image among single nouns and places and what is composed of the best of them."""
        texts = self._vocabulary.texts
        nouns = [texts[place] for place in self._distinct(seen.nouns, barred, BEST["noun"])]
        places = [texts[place] for place in self._distinct(seen.places, barred, BEST["place"])]
        nearness = (self._adjectives * seen.query).sum(axis=1)
        ranked = [ADJECTIVES[place] for place in np.argsort(-nearness, kind="stable")]
        adjectives = [word for word in ranked if not holds_name(word, barred)][: BEST["adjective"]]
        phrases = self._ranked([*nouns, *places, *composed(nouns, places, adjectives)], seen.query)
        plain = next((pair for pair in phrases if pair[1] in (*nouns, *places)), None)
        if plain is None:
            raise Refused("every phrase near the image names a class")
        return phrases[0][1] if phrases[0][0] >= plain[0] + GAIN else plain[1]

    def _elements(self, request: Request, seen: Seen) -> list[str]:
        """Places and things near the image that are not its main subject: half of each, by nearness."""
        label, count = text_slot(request, "label"), count_slot(request)
        barred, kin = keys_of([label]), kin_ids(label)
        vocabulary, around = self._vocabulary, self._surroundings
        subject = encode_prompts(around.encoder(), [fill(around.template, label)])

        def other(position: int) -> bool:
            near = exact_cosines(on_grid(vocabulary.vectors[[position]]), on_grid(subject))[0, 0] >= ALIKE
            return vocabulary.words[position].synset not in kin and not near

        places = self._distinct([place for place in seen.places if other(place)], barred, (count + 1) // 2)
        nouns = self._distinct([noun for noun in seen.nouns if other(noun)], barred, count - len(places))
        phrases = [vocabulary.texts[position] for position in (*places, *nouns)]
        return [phrase for _, phrase in self._ranked(phrases, seen.query)]

    def _distinct(self, positions: Sequence[int], barred: set[str], most: int) -> list[int]:
        """The first few that name nothing barred and do not say what an earlier one says."""
        vocabulary, kept = self._vocabulary, list[int]()
        for position in positions:
            if len(kept) == most:
                break
            cosines = vocabulary.vectors[kept].astype(np.float64) @ vocabulary.vectors[position]
            if not holds_name(vocabulary.texts[position], barred) and not (cosines >= ALIKE).any():
                kept.append(position)
        return kept

    def _ranked(self, phrases: Sequence[str], query: NDArray[np.float64]) -> list[tuple[float, str]]:
        """Cosines and phrases, the nearest first, then by text. An image's phrases are one batch and not cached: no
        reply depends on other requests, and the text cache, which is read as a whole, stays small."""
        if not phrases:
            return []
        around = self._surroundings
        vectors = encode_prompts(around.encoder(), [fill(around.template, phrase) for phrase in phrases])
        cosines = (self._vocabulary.centring.texts(vectors) * query).sum(axis=1)
        return sorted(zip(cosines.tolist(), phrases, strict=True), key=lambda pair: (-pair[0], pair[1]))


def senses_of(label: str) -> list[Synset]:
    """The senses of a label as a noun, however it is written; names (`Crane`) only where there is nothing else."""
    wordnet = load_wordnet()
    pairs = [(form, sense) for form in written_forms(label, wordnet) for sense in wordnet.synsets(form, "noun")]
    common = [sense for form, sense in pairs if any(_is_word(lemma, form) for lemma in sense.lemmas)]
    return list(dict.fromkeys(common or [sense for _, sense in pairs]))


def _is_word(lemma: str, form: str) -> bool:
    """Whether the lemma is that form and no name: the last word of `French horn` is small."""
    return word_key(lemma) == form and lemma.split()[-1].islower()


def kin_ids(label: str) -> set[str]:
    """Ids of the senses of a label, of all kinds of it, and of what it is a kind of up to two steps."""
    senses = senses_of(label)
    parents = [parent for sense in senses for parent in load_wordnet().hypernyms(sense)]
    above = [*parents, *(grand for parent in parents for grand in load_wordnet().hypernyms(parent))]
    return below_senses(senses) | {sense.synset_id for sense in above}


def composed(nouns: Sequence[str], places: Sequence[str], adjectives: Sequence[str]) -> list[str]:
    """`red car` and `car in a street`, of fewer than eight words, none that says a word twice."""
    plain = [f"{adjective} {noun}" for adjective in adjectives for noun in (*nouns, *places)]
    set_in = [f"{noun} in {'an' if place[0] in 'aeiou' else 'a'} {place}" for noun in nouns for place in places]
    return [
        text for text in (*plain, *set_in) if len(set(words := text.split())) == len(words) and len(words) <= MOST_WORDS
    ]


def make_describer(rest: str, role: Role, options: Any, surroundings: Surroundings) -> VocabularyDescriber:
    """The describer `vocabulary`. Raises GeneratorError in another role, or for something behind the name."""
    refuse_address(rest, role, "describer", VocabularyDescriber.model)
    return VocabularyDescriber(surroundings)

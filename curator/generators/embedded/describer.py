"""The embedded describer: names an image by the phrases of a vocabulary (see nouns.py) that lie nearest to it.

A caption model is replaced by look-up in the encoder's own space, through FAISS. What it says is no better than the
encoder, but needs no weights and is the same everywhere.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import takewhile

import numpy as np
from numpy.typing import NDArray

from curator.banks.prompts import fill
from curator.banks.text_cache import encode_prompts
from curator.generators.embedded.answering import (
    Refused,
    answer_each,
    count_slot,
    digest_of,
    one_torch_thread,
    picture_vector,
    text_slot,
)
from curator.generators.embedded.nouns import ALIKE, Vocabulary, holds_name, keys_of
from curator.generators.embedded.relatives import kin_ids
from curator.generators.requests import Reply, Request
from curator.generators.surroundings import Surroundings
from curator.methods.kernels.cosines import exact_cosines, on_grid
from curator.types import Vectors
from curator.vectors import LabelCollection, Neighbours, load_recipe

FORMAT = 2  # raised whenever the same request may get another answer
# WordNet has 14,000 adjectives and does not say which can be seen; these are of what a camera records. `dry`, `rough`,
# `big` and their like are left out: curator-mini said one of them of every third image.
ADJECTIVES = (
    *("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white", "grey", "golden"),
    *("silver", "colourful", "dark", "bright", "wooden", "metal", "stone", "glass", "leather", "furry", "hairy"),
    *("feathered", "shiny", "striped", "spotted", "wet", "snowy", "sunny", "cloudy", "foggy", "sandy", "grassy"),
    *("rocky", "leafy", "old", "round"),
)
NEAREST = 100  # nouns and places that are looked at an image
BEST = {"noun": 4, "place": 3, "adjective": 4}  # that phrases are composed of
GAIN = 0.03  # cosine by which a composed phrase must be nearer: so much the best of many gains by chance (the median)
MOST_WORDS = 7
BATCH = 256  # images whose neighbours are looked up at once


@dataclass(frozen=True, slots=True)
class NearWords:
    """What is near one image: positions in the vocabulary, the nearest first."""

    nouns: list[int]
    places: list[int]
    query: NDArray[np.float64]


class VocabularyDescriber:
    """Names what an image is near to. Implements `Generator`."""

    model = "vocabulary"
    room: int | None = None

    def __init__(self, surroundings: Surroundings, vocabulary: Vocabulary | None = None) -> None:
        self._surroundings = surroundings
        self._vocabulary = vocabulary or Vocabulary(surroundings)

    @cached_property
    def revision(self) -> str:
        around = self._surroundings
        return digest_of(FORMAT, self._vocabulary.digest, around.id_texts, around.image_vectors())

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

    def _look(self, requests: Sequence[Request]) -> dict[str, NearWords]:
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
        return {name: NearWords(noun, place, query) for name, noun, place, query in found}

    def _answer(self, seen: dict[str, NearWords], request: Request) -> Reply:
        name = request.prompt.name
        if name not in ("describe-image", "describe-image-freely", "list-elements"):
            raise Refused(f"{self.model} does not know the prompt {name}")
        picture_vector(request)  # refuses a request without one
        found = seen[request.pictures[0].image_id]
        if name == "list-elements":
            said: dict[str, object] = {"labels": self._elements(request, found)}
        else:
            barred = keys_of([text_slot(request, "label")]) | self._id_keys if name == "describe-image" else set[str]()
            said = {"description": self._describe(found, barred)}
        return Reply(0, text=json.dumps(said, ensure_ascii=False))

    def _describe(self, seen: NearWords, barred: set[str]) -> str:
        """The phrase nearest the image among single nouns and places and what is composed of the best of them."""
        texts = self._vocabulary.texts
        nouns = self._distinct(seen.nouns, barred, BEST["noun"])
        places = self._distinct(seen.places, barred, BEST["place"])
        plain = self._ranked([*nouns, *places], seen.query)
        if not plain:
            raise Refused("every phrase near the image names a class")
        nearness = (self._adjectives * seen.query).sum(axis=1)
        ranked = [ADJECTIVES[place] for place in np.argsort(-nearness, kind="stable")]
        adjectives = [word for word in ranked if not holds_name(word, barred)][: BEST["adjective"]]
        phrases = composed([texts[place] for place in nouns], [texts[place] for place in places], adjectives)
        cosine, phrase = nearest_first(self._nearness(self._encoded(phrases), seen.query), phrases)[0]
        return phrase if cosine >= plain[0][0] + GAIN else plain[0][1]

    def _elements(self, request: Request, seen: NearWords) -> list[str]:
        """Places and things near the image that are not its main subject: half of each, by nearness."""
        label, count = text_slot(request, "label"), count_slot(request)
        barred, kin = keys_of([label]), kin_ids(label)
        vocabulary = self._vocabulary
        subject = self._encoded([label])

        def other(position: int) -> bool:
            near = exact_cosines(on_grid(vocabulary.vectors[[position]]), on_grid(subject))[0, 0] >= ALIKE
            return vocabulary.words[position].synset not in kin and not near

        places = self._distinct([place for place in seen.places if other(place)], barred, (count + 1) // 2)
        nouns = self._distinct([noun for noun in seen.nouns if other(noun)], barred, count - len(places))
        return [phrase for _, phrase in self._ranked([*places, *nouns], seen.query)]

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

    def _ranked(self, positions: Sequence[int], query: NDArray[np.float64]) -> list[tuple[float, str]]:
        """Cosines and words of the vocabulary, the nearest first, then by text."""
        vocabulary, places = self._vocabulary, list(positions)
        words = [vocabulary.texts[place] for place in places]
        return nearest_first(self._nearness(vocabulary.vectors[places], query), words)

    def _nearness(self, vectors: Vectors, query: NDArray[np.float64]) -> list[float]:
        nearness: list[float] = (self._vocabulary.centring.texts(vectors) * query).sum(axis=1).tolist()
        return nearness

    def _encoded(self, phrases: Sequence[str]) -> Vectors:
        """(n, d). An image's phrases are one batch and not cached: what a text encoder gives for a text depends on its
        batch in the last bits, so no reply depends on other requests only if no batch does. The text cache, which is
        read as a whole, stays small as well. One thread: 40 short texts are too few to share out among several."""
        around = self._surroundings
        encoder = around.encoder()
        with one_torch_thread():
            return encode_prompts(encoder, [fill(around.template, phrase) for phrase in phrases])


def nearest_first(cosines: Sequence[float], phrases: Sequence[str]) -> list[tuple[float, str]]:
    """Pairs, the largest cosine first, then by text."""
    return sorted(zip(cosines, phrases, strict=True), key=lambda pair: (-pair[0], pair[1]))


def composed(nouns: Sequence[str], places: Sequence[str], adjectives: Sequence[str]) -> list[str]:
    """`red car` and `car in a street`, of fewer than eight words, none that says a word twice."""
    plain = [f"{adjective} {noun}" for adjective in adjectives for noun in (*nouns, *places)]
    set_in = [f"{noun} in {'an' if place[0] in 'aeiou' else 'a'} {place}" for noun in nouns for place in places]
    return [
        text for text in (*plain, *set_in) if len(set(words := text.split())) == len(words) and len(words) <= MOST_WORDS
    ]

"""A scripted Asking, which answers from a function and remembers what it was asked; a world without a workspace."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from curator.banks.wordnet import load_wordnet
from curator.generators.answers import Answer
from curator.generators.asking import Call, call_id_of
from curator.generators.requests import Picture, Request
from curator.methods.maths import Scores
from curator.systems.cleaning import Cleaner, CleaningRules
from curator.systems.stream import Stream, batches
from curator.systems.world import IdImage
from curator.types import Bank, Label, Vectors

DIMENSION = 64


@dataclass
class ScriptedAsking:
    """`script(role, request)` gives labels (a list), groups (a mapping), a picture's name (bytes), or "rejected" or
    "failed". `batches` are the roles and requests of each `ask`."""

    script: Callable[[str, Request], Any]
    batches: list[tuple[str, list[Request]]] = field(default_factory=list)
    expected: list[tuple[str, Request]] = field(default_factory=list)
    tokens: int | None = None
    painter: str = "diffusers:scripted"

    def model(self, role: str) -> str:
        return self.painter if role == "painter" else "scripted"

    def room(self, role: str) -> int | None:
        return self.tokens

    def ask(self, role: str, requests: Sequence[Request]) -> list[Call]:
        assert requests, "nothing was asked"
        for request in requests:
            assert request.text  # the slots fit the prompt
        self.batches.append((role, list(requests)))
        return [self._call(role, request) for request in requests]

    def _call(self, role: str, request: Request) -> Call:
        facts = {"call_id": call_id_of(role, "scripted", "1", request), "role": role, "model": "scripted"}
        found = self.script(role, request)
        if isinstance(found, str):
            return Call(revision="1", request=request, status=found, fault="scripted", **facts)
        if isinstance(found, bytes):
            return Call(revision="1", request=request, status="answered", artefact=found.decode(), **facts)
        if isinstance(found, Mapping):
            groups = {name: tuple(members) for name, members in found.items()}
            answer, output = Answer(tuple(groups), groups, {}), json.dumps({"groups": found})
        else:
            answer, output = Answer(tuple(found), {}, {}), json.dumps({"labels": list(found)})
        return Call(revision="1", request=request, status="answered", answer=answer, output=output, **facts)

    def expect(self, role: str, requests: Sequence[Request]) -> None:
        self.expected += [(role, request) for request in requests]

    def artefact(self, call: Call) -> bytes:
        raise NotImplementedError

    def release(self, *roles: str) -> None:
        """Nothing is loaded."""

    @property
    def requests(self) -> list[Request]:
        return [request for _, requests in self.batches for request in requests]

    @property
    def stages(self) -> list[tuple[str, int]]:
        """(prompt, requests) of every batch."""
        return [(requests[0].prompt.name, len(requests)) for _, requests in self.batches]


@pytest.fixture
def scripted() -> type[ScriptedAsking]:
    return ScriptedAsking


def directions(texts: Sequence[str]) -> Vectors:
    """A fixed random direction for every text: any two are nearly at right angles."""
    rows = [np.random.default_rng(zlib.crc32(text.encode())).normal(size=DIMENSION) for text in texts]
    vectors = np.array(rows).reshape(len(texts), DIMENSION)
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def encode() -> Callable[[Sequence[str]], Vectors]:
    return directions


@pytest.fixture
def make_cleaner() -> Callable[..., Cleaner]:
    """A cleaner of these ID labels, whose vectors are those of `encode` in the template of a photo."""

    def make(*id_texts: str, synonyms: Mapping[str, Sequence[str]] | None = None, **rules: Any) -> Cleaner:
        vectors = directions([f"a photo of a {text}." for text in id_texts])
        return Cleaner(id_texts, vectors, synonyms or {}, load_wordnet(), CleaningRules(**rules))

    return make


@dataclass
class MadeWorld:
    """ID labels with `directions` for an encoder. `guard`: the cleaner, whatever the rules. lake: what its images show,
    the foremost first, by id."""

    parent: Bank
    guard: Cleaner
    id_images: tuple[IdImage, ...] = ()
    encode: Callable[[Sequence[str]], Vectors] = directions
    lake: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def cleaner(self, rules: CleaningRules) -> Cleaner:
        return self.guard

    def reference_vectors(self, image_ids: Sequence[str]) -> Vectors:
        return directions(image_ids)

    def lake_vectors(self, image_ids: Sequence[str]) -> Vectors:
        weighed = [sum(vector / 4**place for place, vector in enumerate(self.shown(name))) for name in image_ids]
        rows = np.array(weighed).reshape(len(image_ids), DIMENSION)
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)

    def shown(self, image_id: str) -> Vectors:
        ids = self.parent.id_texts
        return directions([text if text in ids else f"a photo of a {text}." for text in self.lake[image_id]])

    def neighbours(self, vectors: Vectors, k: int) -> list[list[tuple[str, float]]]:
        names = list(self.lake)
        cosines = vectors @ self.lake_vectors(names).T
        return [[(names[place], float(row[place])) for place in np.argsort(-row)[:k]] for row in cosines]

    def picture(self, image_id: str, vector: Vectors) -> Picture:
        return Picture(image_id, lambda: b"", vector)

    def painted_picture(self, asking: ScriptedAsking, call: Call) -> Picture:
        assert call.artefact is not None
        return self.picture(call.artefact, directions([call.artefact])[0])


@pytest.fixture
def world_of(make_cleaner):
    """A world with these ID labels. Nothing is too near."""

    def make(*id_texts: str, **rules: Any) -> MadeWorld:
        labels = tuple(Label(text, "id", "labels.txt") for text in id_texts)
        bank = Bank("base", "0" * 32, "letters@1", 20.0, labels, directions(id_texts), {})
        return MadeWorld(bank, make_cleaner(*id_texts, **{"max_cosine": 1.0} | rules))

    return make


@pytest.fixture
def picture() -> Callable[[str], Picture]:
    def make(image_id: str) -> Picture:
        return Picture(image_id, lambda: b"", directions([image_id])[0])

    return make


# Streams: unit vectors, by functions, so that hypothesis may call them too


def score_stream(stream: Stream, vectors: Vectors, *, batch_rows: int = 256) -> Scores:
    """The scores of all vectors (n, d) in their order, fed in batches."""
    return np.concatenate([np.zeros(0), *(stream.feed(batch) for batch in batches(vectors, batch_rows))])


@pytest.fixture(scope="session")
def drawn(unit: Callable[[Any], Vectors]) -> Callable[..., Vectors]:
    """Random directions, around a few middles where `spread` is small."""

    def draw(rows: int, dimension: int = 8, *, seed: int = 0, spread: float = 0.0) -> Vectors:
        generator = np.random.default_rng(seed)
        noise = generator.normal(size=(rows, dimension))
        if not spread:
            return unit(noise)
        middles = np.random.default_rng(99).normal(size=(4, dimension))
        return unit(middles[generator.integers(0, 4, rows)] + spread * noise)

    return draw

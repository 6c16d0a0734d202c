"""ANTS as it was published: the lake as one ordered stream that is described and imagined on while it is scored.

The algorithm is stream.py. Here its questions go to the generators and its labels are cleaned as those of
the frozen form are. What the stream ended with is the bank; what it gave each image in passing are its online scores.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from curator.errors import BankError
from curator.generators.asking import Asking, Call
from curator.methods.kernels.cosines import on_grid
from curator.methods.maths import Scores
from curator.methods.spec import bank_scale
from curator.systems.ants.questions import (
    BASE,
    ENS,
    VSNL,
    WEIGHT_DIGITS,
    ask_look_alikes,
    describe,
    look_alike_proposals,
    sentence_account,
    sentence_proposals,
    without_named,
)
from curator.systems.ants.settings import AntsSettings
from curator.systems.ants.stream import AntsStream, ImageToDescribe
from curator.systems.cleaning import Cleaned, Cleaner, what_is_left
from curator.systems.conversations import tally
from curator.systems.proposals import Learned, Proposal, Streamed
from curator.systems.world import World
from curator.types import Vectors


@dataclass
class AntsRun:
    """One pass over a lake: the stream, and what was said of it."""

    world: World
    asking: Asking
    settings: AntsSettings
    sentences: list[Proposal] = field(default_factory=list)
    names: dict[bytes, Proposal] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    said: set[str] = field(default_factory=set)
    became: Counter[str] = field(default_factory=Counter)  # of sentences
    answers: dict[str, list[Proposal]] = field(default_factory=lambda: {ENS: [], VSNL: []})
    washed: list[Cleaned] = field(default_factory=list)
    cleaner: Cleaner = field(init=False)
    stream: AntsStream = field(init=False)

    def __post_init__(self) -> None:
        parent = self.world.parent
        self.cleaner = self.world.cleaner(self.settings.rules)
        self.stream = AntsStream(
            parent.id_vectors,
            self._base,
            self.settings,
            scale=bank_scale(parent),
            describe=self._describe,
            look_alikes=self._look_alikes,
            base_negatives=parent.negative_vectors,
            device=self.world.device,
        )

    def feed(self, vectors: Vectors, images: Sequence[Hashable] | None = None) -> Scores:
        return self.stream.feed(vectors, images)

    def _base(self, vectors: Vectors) -> tuple[Scores, NDArray[np.int32]]:
        (table,) = self.world.base_scorer.score(vectors)
        return table.id_score, table.id_label

    def _describe(self, candidates: Sequence[ImageToDescribe]) -> Vectors:
        """Sentences of images, cleaned; one that was said before is not said again."""
        parent, images = self.world.parent, self.world.look_up([str(candidate.image) for candidate in candidates])
        calls = describe(images, self.world, self.asking, self.settings)
        self.calls += calls
        said = sentence_proposals(calls, parent, images, self.settings)
        proposals, named = without_named(said, parent, self.settings)
        self.answers[ENS] += proposals
        new = [item for item in proposals if item.text.lower() not in self.said]
        self.said |= {item.text.lower() for item in new}
        cleaned = self.cleaner.clean(new, self.world.encode)
        self.became.update(sentence_account(len(said), named, new, cleaned))
        self.sentences += cleaned.kept
        self.washed.append(cleaned)
        return cleaned.vectors

    def _look_alikes(self, classes: Sequence[int]) -> Mapping[int, Vectors]:
        """Names of look-alikes, cleaned class by class: the stream keeps each vector once."""
        calls = ask_look_alikes(classes, self.world.parent, self.asking, self.settings)
        self.calls += calls
        found = {}
        for label, call in zip(classes, calls, strict=True):
            names = look_alike_proposals([call], self.world.parent)
            cleaned = self.cleaner.clean(names, self.world.encode)
            self.answers[VSNL] += names
            self.washed.append(cleaned)
            found[label] = cleaned.vectors
            for proposal, vector in zip(cleaned.kept, cleaned.vectors, strict=True):
                self.names.setdefault(key_of(vector), proposal)
        return found

    def learned(self, streamed: Streamed) -> Learned:
        """What the stream ended with. A side that never got a label leaves the other one alone. Raises BankError
        where the stream ended before anything was to be asked."""
        self._refuse_unasked()
        frozen = self.stream.frozen()
        ens = [self.sentences[number] for number in frozen.ens_numbers.tolist()]
        vsnl = [self.names[key_of(vector)] for vector in frozen.vsnl]
        first = self.world.parent.id_count
        account = {
            "images": self.stream.images,
            "batches": self.stream.batches,
            "updates": self.stream.updates,
            "threshold": float(self.stream.threshold),
            "calls": tally(self.calls),
            "sentences": dict(self.became),
            "ens": len(ens),
            "vsnl": len(vsnl),
        }
        besides = sum(map(len, self.answers.values())) - sum(cleaned.counts["raw"] for cleaned in self.washed)
        note, is_empty = what_is_left(self.washed, self.answers.values(), first, besides=besides)
        weight = round(self.stream.weight, WEIGHT_DIGITS) if ens and vsnl else float(bool(ens))
        return Learned(
            negatives=(*ens, *vsnl),
            facts={"ens_weight": weight, "initialised": self.settings.initialise, "mode": "online"},
            account=account,
            inherited=tuple(range(first, first + frozen.base_kept)),
            inherited_source=BASE if self.settings.initialise else "",
            streamed=streamed,
            thinned=note,
            emptied=is_empty,
        )

    def _refuse_unasked(self) -> None:
        settings, stream = self.settings, self.stream
        wants_classes = settings.variant != "ens" and stream.batches >= settings.first_class_batch
        if stream.updates or wants_classes or settings.initialise:
            return
        raise BankError(
            f"ants: {stream.images} images are too few for mode online: it describes when more than "
            f"{settings.cache_size} that look OOD have come, and asks for look-alikes from batch "
            f"{settings.first_class_batch} of {settings.batch} images on",
            hint="lower cache_size, first_class_batch or batch, or take mode frozen",
        )


def key_of(vector: Vectors) -> bytes:
    """By what a vector is recognised when it comes back from the stream."""
    return bytes(on_grid(np.asarray(vector)[None])[0].astype(np.float32).tobytes())

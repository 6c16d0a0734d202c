"""ANTS as it was published: the lake as one ordered stream that is described and imagined on while it is scored.

The algorithm is stream.py. Here its questions go to the generators and its labels are cleaned as those of
the frozen form are. What the stream ended with is the bank; what it gave each image in passing are its online scores.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from curator.generators.asking import Call
from curator.methods import BankScorer
from curator.methods.kernels.cosines import on_grid
from curator.methods.maths import Scores
from curator.methods.spec import bank_scale
from curator.systems.ants.learn import (
    BASE,
    WEIGHT_DIGITS,
    AntsSettings,
    AntsTools,
    ask_look_alikes,
    describe,
    look_alike_proposals,
    sentence_proposals,
    without_id_names,
)
from curator.systems.ants.stream import Activation, AntsStream, Candidate
from curator.systems.ants.stream import AntsSettings as StreamSettings
from curator.systems.conversations import tally
from curator.systems.online import Streamed
from curator.systems.proposals import Learned, Proposal
from curator.types import Bank, Vectors


def stream_settings(settings: AntsSettings, parent: Bank) -> StreamSettings:
    """The stream's settings: the code's rules for `histogram`, the paper's for `share`."""
    weight_over: Literal["all", "negatives"] = "negatives" if settings.weight == "negatives" else "all"
    return StreamSettings(
        scale=bank_scale(parent),
        threshold=settings.gamma if settings.threshold == "share" else settings.start,
        selection="lowest" if settings.threshold == "share" else "all",
        cache_size=settings.cache_size,
        eta=settings.eta,
        ens_updates=settings.updates,
        class_count=settings.wanted_classes(parent.id_count),
        first_class_batch=settings.first_class_batch,
        class_interval=settings.class_interval,
        names=settings.names,
        weight_over=weight_over,
        initialised=settings.initialise,
        queue_cap=settings.queue_cap,
        group_size=settings.group_size,
        activation=Activation() if settings.activation else None,
        seed=settings.seed,
    )


@dataclass
class AntsRun:
    """One pass over a lake: the stream, and what was said of it. `base`: NegLabel on the parent bank."""

    parent: Bank
    settings: AntsSettings
    tools: AntsTools
    base: BankScorer
    sentences: list[Proposal] = field(default_factory=list)
    names: dict[bytes, Proposal] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    said: set[str] = field(default_factory=set)
    naming_id: int = 0
    stream: AntsStream = field(init=False)

    def __post_init__(self) -> None:
        self.stream = AntsStream(
            self.parent.id_vectors,
            self._base,
            stream_settings(self.settings, self.parent),
            describe=self._describe,
            look_alikes=self._look_alikes,
            base_negatives=self.parent.negative_vectors,
        )

    def feed(self, vectors: Vectors, images: Any = None) -> Scores:
        return self.stream.feed(vectors, images)

    def _base(self, vectors: Vectors) -> tuple[Scores, Any]:
        (table,) = self.base.score(vectors)
        return table.id_score, table.id_label

    def _describe(self, candidates: Sequence[Candidate]) -> Vectors:
        """Sentences of images, cleaned; one that was said before is not said again."""
        images = self.tools.look_up([str(candidate.image) for candidate in candidates])
        calls = describe(images, self.parent, self.settings, self.tools)
        self.calls += calls
        proposals, named = without_id_names(sentence_proposals(calls, self.parent, images, self.settings), self.parent)
        self.naming_id += named
        new = [item for item in proposals if item.text.lower() not in self.said]
        self.said |= {item.text.lower() for item in new}
        cleaned = self.tools.cleaner.clean(new, self.tools.encode)
        self.sentences += cleaned.kept
        return cleaned.vectors

    def _look_alikes(self, classes: Sequence[int]) -> Mapping[int, Vectors]:
        """Names of look-alikes, cleaned class by class: the stream keeps each vector once."""
        calls = ask_look_alikes(classes, self.parent, self.settings, self.tools)
        self.calls += calls
        found = {}
        for label, call in zip(classes, calls, strict=True):
            cleaned = self.tools.cleaner.clean(look_alike_proposals([call], self.parent), self.tools.encode)
            found[label] = cleaned.vectors
            for proposal, vector in zip(cleaned.kept, cleaned.vectors, strict=True):
                self.names.setdefault(key_of(vector), proposal)
        return found

    def learned(self, streamed: Streamed) -> Learned:
        """What the stream ended with. A side that never got a label leaves the other one alone."""
        frozen = self.stream.frozen()
        ens = [self.sentences[number] for number in frozen.ens_numbers.tolist()]
        vsnl = [self.names[key_of(vector)] for vector in frozen.vsnl]
        base = range(self.parent.id_count, self.parent.id_count + frozen.base_kept)
        account = {
            "images": self.stream.images,
            "batches": self.stream.batches,
            "updates": self.stream.updates,
            "threshold": float(frozen.threshold),
            "calls": tally(self.calls),
            "sentences_naming_an_id_label": self.naming_id,
            "ens": len(ens),
            "vsnl": len(vsnl),
        }
        weight = round(frozen.weight, WEIGHT_DIGITS) if ens and vsnl else float(bool(ens))
        return Learned(
            negatives=(*ens, *vsnl),
            facts={"ens_weight": weight, "initialised": frozen.initialised, "mode": "online"},
            account=account,
            inherited=tuple(base),
            inherited_source=BASE if frozen.initialised else "",
            streamed=streamed,
        )


def key_of(vector: Vectors) -> bytes:
    """By what a vector is recognised when it comes back from the stream."""
    return bytes(on_grid(np.asarray(vector)[None])[0].astype(np.float32).tobytes())

"""Builds a bank from its spec: labels, corpus, encoding through the cache, mining, digest and lineage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from curator.banks.digest import bank_digest
from curator.banks.id_names import DropReason, split_id_names
from curator.banks.labels import read_labels
from curator.banks.mining import MINERS, Mined, Miner
from curator.banks.prompts import fill
from curator.banks.spec import BankSpec, WordNetSpec
from curator.banks.text_cache import Progress, TextCache
from curator.banks.wordnet import Candidate, WordNet, load_wordnet
from curator.banks.wordnet.lexicon import word_key
from curator.errors import BankError, ConfigError
from curator.types import Bank, Encoder, Label, Vectors


@dataclass(frozen=True, slots=True)
class Negatives:
    """The mined labels, their vectors (m, d) and how they came about."""

    labels: tuple[Label, ...]
    vectors: Vectors
    lineage: Mapping[str, Any]


def build_bank(
    spec: BankSpec, encoder: Encoder, *, root: Path, text_cache: TextCache, progress: Progress | None = None
) -> Bank:
    """ID labels first, then the negatives in mining order, each with its unit vector.

    `root` is the workspace, to which the spec's label file is relative. `progress(done, total)` counts texts that had
    to be encoded. Raises ConfigError for bad labels, UsageError for an unknown miner, BankError when none is left.
    """
    miner: Miner = MINERS.get(spec.mining.method)
    id_labels = make_id_labels(spec, root)
    id_vectors = text_cache.encode(encoder, [label.prompt or "" for label in id_labels])
    if spec.mining.limit == 0:
        negatives = Negatives((), id_vectors[:0], {})
    else:
        corpus = Corpus.of(spec, [label.text for label in id_labels])
        vectors = text_cache.encode(encoder, corpus.prompts, progress=progress)
        mined = miner(corpus.candidates, vectors, id_vectors, spec.mining)
        negatives = make_negatives(corpus, vectors, mined, id_labels)
    labels = (*id_labels, *negatives.labels)
    settings = spec.as_mapping()
    return Bank(
        name=spec.name,
        digest=bank_digest(labels, encoder_id=encoder.encoder_id, spec=settings),
        encoder_id=encoder.encoder_id,
        logit_scale=float(encoder.logit_scale),
        labels=labels,
        vectors=np.concatenate([id_vectors, negatives.vectors]),
        spec=settings,
        lineage=negatives.lineage,
    )


def make_id_labels(spec: BankSpec, root: Path) -> tuple[Label, ...]:
    """The ID labels with their prompts. Raises ConfigError, also for synonyms of a label that is not there."""
    inline = not isinstance(spec.id.labels, str)
    texts = list(spec.id.labels) if inline else read_labels(root / str(spec.id.labels))
    source = "spec" if inline else str(spec.id.labels)
    for label in spec.id.synonyms:
        if word_key(label) not in map(word_key, texts):
            raise ConfigError(f"bank {spec.name}: id.synonyms names {label!r}, which is not an ID label")
    return tuple(Label(text, "id", source, prompt=fill(spec.id.template, text)) for text in texts)


@dataclass(frozen=True, slots=True)
class Corpus:
    """The candidates left after ID names were dropped, their prompts, and the count of what was there and dropped."""

    candidates: list[Candidate]
    prompts: list[str]
    lineage: Mapping[str, Any]

    @classmethod
    def of(cls, spec: BankSpec, id_texts: Sequence[str]) -> Corpus:
        wordnet = load_wordnet()
        found = wordnet_candidates(spec.wordnet, wordnet)
        kept, dropped = found, dict[DropReason, list[str]]()
        if spec.mining.remove_id_names:
            kept, dropped = split_id_names(found, id_texts, spec.id.synonyms, wordnet)
        if not kept:
            raise BankError(
                f"bank {spec.name} has no candidates for negatives",
                hint="widen negatives.wordnet, or set mining.limit = 0 for a bank without negatives",
            )
        prompts = [fill(spec.wordnet.template(candidate.part_of_speech), candidate.text) for candidate in kept]
        facts = {"wordnet_sha256": wordnet.sha256, "found": count_parts(found), "dropped": dropped}
        return cls(kept, prompts, {**facts, "candidates": count_parts(kept)})


def wordnet_candidates(rules: WordNetSpec, wordnet: WordNet) -> list[Candidate]:
    """Distinct words, part after part in the spec's order; a word of two parts belongs to the first."""
    candidates: dict[str, Candidate] = {}
    for part in rules.parts_of_speech:
        first_only = rules.words == "first"
        for candidate in wordnet.lemmas(
            part, lexnames=rules.include or None, exclude=rules.exclude, first_only=first_only
        ):
            candidates.setdefault(candidate.text, candidate)
    return list(candidates.values())


def make_negatives(corpus: Corpus, vectors: Vectors, mined: Mined, id_labels: Sequence[Label]) -> Negatives:
    """Labels of the chosen candidates. Raises BankError when mining chose none."""
    if not mined.chosen.size:
        raise BankError(
            f"mining chose none of {len(corpus.candidates)} candidates",
            hint="raise mining.fraction, or set mining.limit = 0 for a bank without negatives",
        )
    columns = zip(
        mined.chosen.tolist(),
        mined.statistic.tolist(),
        mined.nearest_id.tolist(),
        mined.nearest_id_cosine.tolist(),
        strict=True,
    )
    labels = tuple(
        Label(
            text=corpus.candidates[index].text,
            role="negative",
            source=f"wordnet:{corpus.candidates[index].lexname}",
            part_of_speech=corpus.candidates[index].part_of_speech,
            prompt=corpus.prompts[index],
            statistic=statistic,
            nearest_id=id_labels[nearest].text,
            nearest_id_cosine=cosine,
        )
        for index, statistic, nearest, cosine in columns
    )
    chosen = count_parts([corpus.candidates[index] for index in mined.chosen])
    return Negatives(labels, vectors[mined.chosen], {**corpus.lineage, "chosen": chosen})


def count_parts(candidates: Sequence[Candidate]) -> dict[str, int]:
    """How many candidates of each part of speech."""
    parts = [candidate.part_of_speech for candidate in candidates]
    return {part: parts.count(part) for part in dict.fromkeys(parts)}

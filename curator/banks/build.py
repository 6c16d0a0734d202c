"""Builds a bank from its spec: labels, corpus, encoding through the cache, mining, digest and lineage."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from curator.banks.corpus import Corpus
from curator.banks.digest import bank_digest
from curator.banks.labels import read_labels
from curator.banks.mining import MINERS, Mined, Miner
from curator.banks.prompts import fill
from curator.banks.quantiles import mining_statistics
from curator.banks.sources import BankSource, FindBank, Inputs, SourceLabel, no_banks
from curator.banks.sources.banks import short_address
from curator.banks.spec import BankSpec, MiningSpec
from curator.banks.text_cache import TextCache
from curator.banks.wordnet.lexicon import word_key
from curator.errors import BankError, ConfigError
from curator.progress import step
from curator.types import Bank, Encoder, Label, Vectors


def build_bank(
    spec: BankSpec,
    encoder: Encoder,
    *,
    root: Path,
    text_cache: TextCache,
    find_bank: FindBank = no_banks,
) -> Bank:
    """ID labels first, then the mined negatives in mining order, then those that are kept, in the spec's order.

    `root` is the workspace, to which the spec's files are relative; `find_bank` gives the banks it takes labels from.
    Raises ConfigError for bad labels, UsageError for an unknown miner, BankError when no negative is left or another
    bank is not there.
    """
    miner: Miner = MINERS.get(spec.mining.method)
    inputs = Inputs(root, find_bank)
    id_side = read_id_side(spec, inputs)
    id_texts = [label.text for label in id_side.labels]
    with step("collect candidates"):
        corpus = Corpus.of(spec, id_texts, id_side.synonyms, inputs)
    id_vectors = text_cache.encode(encoder, [label.prompt or "" for label in id_side.labels])

    def encode(labels: Sequence[SourceLabel]) -> Vectors:
        return text_cache.encode(encoder, [label.prompt for label in labels])

    mined = mine(corpus.mined, encode(corpus.mined), id_vectors, spec.mining, miner)
    kept = keep(corpus.kept, encode(corpus.kept), id_vectors, spec.mining)
    labels = (*id_side.labels, *mined.bank_labels(id_texts), *kept.bank_labels(id_texts))
    settings = spec.as_mapping()
    for source in spec.sources:
        settings |= source.facts(inputs) if isinstance(source, BankSource) else {}
    return Bank(
        name=spec.name,
        digest=bank_digest(labels, encoder_id=encoder.encoder_id, spec=settings),
        encoder_id=encoder.encoder_id,
        logit_scale=float(encoder.logit_scale),
        labels=labels,
        vectors=np.concatenate([id_vectors, mined.vectors, kept.vectors]),
        spec=settings,
        lineage={"id": id_side.lineage, **corpus.lineage([*mined.labels, *kept.labels])},
    )


@dataclass(frozen=True, slots=True)
class IdSide:
    """The ID labels with their prompts, their other names, and what they were read from.

    The lineage keeps the names too, so that a bank whose ID labels come from this one knows them.
    """

    labels: tuple[Label, ...]
    synonyms: Mapping[str, Sequence[str]]
    lineage: Mapping[str, object]


def read_id_side(spec: BankSpec, inputs: Inputs) -> IdSide:
    """Raises ConfigError, also for synonyms of a label that is not there."""
    inherited: Mapping[str, list[str]] = {}
    lineage: dict[str, object] = {"list": "spec"}
    if spec.id.bank is not None:
        bank = inputs.find_bank(spec.id.bank)
        texts, source = [label.text for label in bank.labels[: bank.id_count]], f"bank:{short_address(bank)}"
        inherited = bank.lineage.get("id", {}).get("synonyms", {})
        lineage = {"bank": bank.name, "digest": bank.digest}
    elif isinstance(spec.id.labels, str):
        path, source = inputs.root / spec.id.labels, spec.id.labels
        texts = read_labels(path, repeats=spec.id.repeats)
        lineage = {"list": source, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    else:
        texts, source = list(spec.id.labels or ()), "spec"
    known = set(map(word_key, texts))
    for label in spec.id.synonyms:
        if word_key(label) not in known:
            raise ConfigError(f"bank {spec.name}: id.synonyms names {label!r}, which is not an ID label")
    synonyms = {label: list(names) for label, names in inherited.items()}
    for label, names in spec.id.synonyms.items():
        synonyms.setdefault(label, []).extend(names)
    labels = tuple(Label(text, "id", source, prompt=fill(spec.id.template, text)) for text in texts)
    return IdSide(labels, synonyms, {**lineage, "synonyms": synonyms})


def changed_labels(bank: Bank, root: Path) -> str | None:
    """The file of the ID labels, relative to the workspace, if it has others now than the bank was built of."""
    made, of = bank.lineage.get("id", {}), bank.spec.get("id", {})
    path = root / str(made.get("list"))
    try:
        if "sha256" not in made or hashlib.sha256(path.read_bytes()).hexdigest() == made["sha256"]:
            return None
    except OSError:  # what is not there is no other list
        return None
    with suppress(ConfigError):  # building says what is wrong with it
        if tuple(read_labels(path, repeats=bool(of.get("repeats")))) == bank.id_texts:
            return None
    return str(made["list"])


@dataclass(frozen=True, slots=True)
class Negatives:
    """Labels that became negatives (m), their vectors (m, d), and where they stand among the ID labels."""

    labels: Sequence[SourceLabel]
    vectors: Vectors
    mined: Mined

    def bank_labels(self, id_texts: Sequence[str]) -> tuple[Label, ...]:
        columns = (self.mined.statistic, self.mined.nearest_id, self.mined.nearest_id_cosine)
        rows = zip(self.labels, *(column.tolist() for column in columns), strict=True)
        return tuple(
            Label(
                text=label.text,
                role="negative",
                source=label.origin,
                part_of_speech=label.part_of_speech,
                prompt=label.prompt,
                statistic=statistic,
                nearest_id=id_texts[nearest],
                nearest_id_cosine=cosine,
            )
            for label, statistic, nearest, cosine in rows
        )


def mine(
    candidates: Sequence[SourceLabel], vectors: Vectors, id_vectors: Vectors, rules: MiningSpec, miner: Miner
) -> Negatives:
    """The chosen candidates. Raises BankError when there were some and mining chose none."""
    if not candidates:
        return keep((), vectors, id_vectors, rules)
    mined = miner(candidates, vectors, id_vectors, rules)
    if not mined.chosen.size:
        raise BankError(
            f"mining chose none of {len(candidates)} candidates",
            hint="raise mining.fraction, or set mining.limit = 0 for a bank without mined negatives",
        )
    return Negatives([candidates[index] for index in mined.chosen], vectors[mined.chosen], mined)


def keep(labels: Sequence[SourceLabel], vectors: Vectors, id_vectors: Vectors, rules: MiningSpec) -> Negatives:
    """All the labels, with the statistics that mining would have gone by."""
    every = np.arange(len(labels))
    if not labels:
        return Negatives((), vectors, Mined(every, np.zeros(0), every, np.zeros(0)))
    return Negatives(labels, vectors, Mined(every, *mining_statistics(vectors, id_vectors, rules)))

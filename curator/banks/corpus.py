"""What the sources of a spec offer for negatives, without repeats and without names of ID labels, and its account."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from curator.banks.rules import Dropped, Rules, refuse_unknown
from curator.banks.sources import SOURCES, Inputs, LabelSource, SourceLabel
from curator.banks.spec import BankSpec
from curator.banks.wordnet import load_wordnet
from curator.banks.wordnet.lexicon import word_key
from curator.errors import BankError


@dataclass(frozen=True, slots=True)
class SourceShare:
    """What one source contributes: `labels` are left of `found` after repeats and what is `dropped` went."""

    source: LabelSource
    found: Sequence[SourceLabel]
    labels: tuple[SourceLabel, ...]
    dropped: Dropped
    read_from: Mapping[str, object]

    def lineage(self, chosen: Iterable[SourceLabel]) -> dict[str, object]:
        """Counts by part of speech; found = repeated + dropped + candidates."""
        dropped = sum(map(len, self.dropped.values()))
        mine = set(self.labels)
        return {
            "kind": next(kind for kind, source_type in SOURCES.items() if isinstance(self.source, source_type)),
            "mine": self.source.mine,
            **self.read_from,
            "found": count_parts(self.found),
            "repeated": len(self.found) - dropped - len(self.labels),
            "dropped": {reason: len(labels) for reason, labels in self.dropped.items()},
            "candidates": count_parts(self.labels),
            "chosen": count_parts([label for label in chosen if label in mine]),
        }


@dataclass(frozen=True, slots=True)
class Corpus:
    """The shares of the sources, in the spec's order. No two labels of it have the same text."""

    shares: tuple[SourceShare, ...]

    @classmethod
    def of(
        cls, spec: BankSpec, id_texts: Sequence[str], synonyms: Mapping[str, Sequence[str]], inputs: Inputs
    ) -> Corpus:
        """Reads the sources; where nothing is to be mined, only those that are kept as they are.

        Raises BankError when nothing is left.
        """
        sources = [source for source in spec.sources if not source.mine or spec.mining.limit != 0]
        found = [source.read(inputs) for source in sources]
        distinct = without_repeats(sources, [item.labels for item in found])
        refuse_unknown(spec.mining, spec.name, [label for labels in distinct for label in labels])
        rules = Rules(spec.mining, id_texts, synonyms)
        shares = []
        for source, item, labels in zip(sources, found, distinct, strict=True):
            kept, dropped = rules.split(labels, mined=source.mine)
            shares.append(SourceShare(source, item.labels, tuple(kept), dropped, item.lineage))
        if sources and not any(share.labels for share in shares):
            raise BankError(
                f"bank {spec.name} has no candidates for negatives",
                hint="widen negatives, or set mining.limit = 0 for a bank without mined negatives",
            )
        return cls(tuple(shares))

    @property
    def mined(self) -> list[SourceLabel]:
        """The candidates of mining."""
        return [label for share in self.shares if share.source.mine for label in share.labels]

    @property
    def kept(self) -> list[SourceLabel]:
        """What becomes a negative without mining."""
        return [label for share in self.shares if not share.source.mine for label in share.labels]

    def lineage(self, chosen: Sequence[SourceLabel]) -> dict[str, object]:
        """The account of all sources together and of each; texts that were dropped are listed by reason."""
        dropped: dict[str, list[str]] = {}
        for share in self.shares:
            for reason, labels in share.dropped.items():
                dropped.setdefault(reason, []).extend(label.text for label in labels)
        return {
            "wordnet_sha256": load_wordnet().sha256,
            "found": count_parts([label for share in self.shares for label in share.found]),
            "dropped": dropped,
            "candidates": count_parts([label for share in self.shares for label in share.labels]),
            "chosen": count_parts(chosen),
            "sources": [share.lineage(chosen) for share in self.shares],
        }


def without_repeats(sources: Sequence[LabelSource], found: Sequence[Sequence[SourceLabel]]) -> list[list[SourceLabel]]:
    """Each text once, for the first source that offers it; those kept as they are go before those that are mined."""
    owners: dict[str, SourceLabel] = {}
    for mine in (False, True):
        for source, labels in zip(sources, found, strict=True):
            if source.mine == mine:
                for label in labels:
                    owners.setdefault(word_key(label.text), label)
    return [[label for label in labels if owners[word_key(label.text)] is label] for labels in found]


def count_parts(labels: Sequence[SourceLabel]) -> dict[str, int]:
    """How many labels of each part of speech."""
    parts = [label.part_of_speech or "none" for label in labels]
    return {part: parts.count(part) for part in dict.fromkeys(parts)}

"""NegRefine's filter of negatives: names of single things go, and so do words for kinds of the ID classes.

Ansari et al., NegRefine: Refining Negative Label-Based Zero-Shot OOD Detection, ICCV 2025, arXiv 2507.09795 (known to
us from its code and logs). For each negative a judge is asked whether it is a proper noun, and then, of its nearest ID
labels by the cosine of the bare words, the nearest first, whether it is a kind of that; the first yes ends it. A
negative that is one of these labels goes unasked. The judge is a language model, or WordNet.

Models err here too ("minuteman" is no missile): what was dropped, and for which label, is kept, and what is `spared`
stays. Differences: questions are asked in rounds, all negatives at once, which asks the same ones; labels stay as they
are written and in their order, and only what the judge is shown is cleaned.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from curator.banks.digest import bank_digest
from curator.banks.wordnet.lexicon import word_key
from curator.errors import BankError
from curator.methods.kernels.cosines import exact_cosines, on_grid
from curator.types import Bank

Reason: TypeAlias = Literal["refined_proper_noun", "refined_equal", "refined_subcategory"]
NEAREST = 10
SHORTEST = 3  # characters of a cleaned text


class Judge(Protocol):
    """Who is asked. A question that got no answer counts as no; `unanswered` counts them, `asked` all."""

    asked: int
    unanswered: int

    def proper(self, words: Sequence[str]) -> list[bool]:
        """Whether each is the name of a single thing."""

    def subcategories(self, pairs: Sequence[tuple[str, str]]) -> list[bool]:
        """Whether the first of each pair is a kind of the second."""


@dataclass(frozen=True, slots=True)
class Refined:
    """kept: the places of the words that stay. dropped: of the others, the reason and the ID label concerned."""

    kept: tuple[int, ...]
    dropped: dict[int, tuple[Reason, str | None]] = field(default_factory=dict)

    def by_reason(self, words: Sequence[str]) -> dict[Reason, list[str]]:
        found: dict[Reason, list[str]] = {"refined_proper_noun": [], "refined_equal": [], "refined_subcategory": []}
        for place, (reason, _) in sorted(self.dropped.items()):
            found[reason].append(words[place])
        return found

    def account(self, words: Sequence[str], judge: Judge) -> dict[str, object]:
        """JSON values for the lineage: counts, and every drop with its reason; kinds with the ID label."""
        counts = {reason: len(found) for reason, found in self.by_reason(words).items()}
        kinds = {words[place]: label for place, (_, label) in sorted(self.dropped.items()) if label is not None}
        return {
            "asked": judge.asked,
            "unanswered": judge.unanswered,
            "kept": len(self.kept),
            "dropped": counts,
            "dropped_for": kinds,
            "dropped_names": self.by_reason(words)["refined_proper_noun"],
        }


def refine(
    words: Sequence[str],
    nearest: NDArray[np.integer[Any]],
    id_texts: Sequence[str],
    judge: Judge,
    *,
    spared: Collection[str] = (),
) -> Refined:
    """words: of n negatives; nearest: (n, k), the places of the ID labels nearest to each, the nearest first."""
    safe = set(map(word_key, spared))
    left = [place for place, word in enumerate(words) if word_key(word) not in safe]
    dropped: dict[int, tuple[Reason, str | None]] = {}
    verdicts = judge.proper([shown(words[place]) for place in left])
    dropped |= {place: ("refined_proper_noun", None) for place, yes in zip(left, verdicts, strict=True) if yes}
    for number in range(nearest.shape[1]):
        left = [place for place in left if place not in dropped]
        of_place = {place: id_texts[nearest[place, number]] for place in left}
        for place, label in of_place.items():
            if word_key(words[place]) == word_key(label):
                dropped[place] = ("refined_equal", label)
        asked = [place for place in left if place not in dropped]
        verdicts = judge.subcategories([(shown(words[place]), of_place[place]) for place in asked])
        for place, yes in zip(asked, verdicts, strict=True):
            if yes:
                dropped[place] = ("refined_subcategory", of_place[place])
    kept = tuple(place for place in range(len(words)) if place not in dropped)
    return Refined(kept, dropped)


def nearest_labels(words: NDArray[np.floating], labels: NDArray[np.floating], count: int) -> NDArray[np.intp]:
    """(n, k), the k = min(count, C) nearest labels (C, d) of each word (n, d), of equal ones the first."""
    order: NDArray[np.intp] = np.argsort(-exact_cosines(on_grid(words), on_grid(labels)), axis=1, kind="stable")
    return order[:, :count]


def cleaned(text: str) -> str:
    """Only letters, underscores, hyphens and spaces."""
    return "".join(character for character in text if character.isalpha() or character in "_- ")


def cleaned_words(words: Sequence[str]) -> list[str]:
    """As the published code cleans a list: each once, those of three characters or more, in their order."""
    return list(dict.fromkeys(word for word in map(cleaned, words) if len(word) >= SHORTEST))


def shown(text: str) -> str:
    """What a judge is shown of a word: cleaned, unless nothing much is left of it."""
    clean = cleaned(text)
    return clean.replace("_", " ") if len(clean) >= SHORTEST else text


def named_negatives(bank: Bank) -> list[str]:
    """The negatives of a mined bank that were not mined but named, by lists, for which nobody is asked. They stand
    last."""
    shares = [share for share in bank.lineage.get("sources", ()) if not share["mine"]]
    count = sum(sum(share["chosen"].values()) for share in shares)
    return [label.text for label in bank.labels[len(bank.labels) - count :]]


def refined_bank(bank: Bank, refined: Refined, account: Mapping[str, object]) -> Bank:
    """A mined bank, whose spec says so, without the negatives that were dropped. Raises BankError if none is left."""
    words = [label.text for label in bank.labels[bank.id_count :]]
    if not refined.kept:
        raise BankError(f"bank {bank.name}: refining drops all {len(words)} negatives", hint="see mining.keep_labels")
    kept = [*range(bank.id_count), *(bank.id_count + place for place in refined.kept)]
    labels = tuple(bank.labels[place] for place in kept)
    dropped = {**bank.lineage.get("dropped", {}), **refined.by_reason(words)}
    return replace(
        bank,
        digest=bank_digest(labels, encoder_id=bank.encoder_id, spec=bank.spec),
        labels=labels,
        vectors=bank.vectors[kept],
        lineage={**bank.lineage, "dropped": dropped, "refined": dict(account)},
    )

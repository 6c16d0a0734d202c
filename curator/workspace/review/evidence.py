"""What reviews say about the labels of a bank: candidates for removal and for addition, each with the images behind it.

An image decided ID but flagged speaks against the negative label that decides its flag: the one without which it would
be kept, or, where no single one does, the nearest. An image decided OOD but kept asks for a negative: the words of the
vocabulary that lie nearest to it. A label noted as wrong for an image is a candidate for removal by that alone. Images
of one group of near-duplicates are one witness.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from curator.banks.prompts import fill
from curator.banks.wordnet.lexicon import word_key
from curator.generators.embedded.nouns import Vocabulary
from curator.methods import Method
from curator.methods.attribution import LabelPart, attribute, scale_of
from curator.methods.kernels.cosines import exact_cosines, on_grid
from curator.methods.kernels.exact_pass import LayerCosines
from curator.methods.statistics import Needs
from curator.systems.cleaning import CleaningRules
from curator.systems.proposals import Proposal
from curator.types import Bank, Label, Vectors
from curator.workspace.learn.world import LedgerWorld

Action: TypeAlias = Literal["remove", "add"]
NEAREST = 3  # words that an image asks for
LOOKED_AT = 25  # nearest words, of which the cleaning may leave some
SOURCE = "review"


@dataclass(frozen=True, slots=True)
class Judged:
    """A reviewed image of the lake. `witness`: its group. `vector`: (d,)."""

    image_id: str
    witness: str
    is_id: bool
    log_odds: float
    vector: NDArray[np.float32]


@dataclass
class LabelEdit:
    """A change of one label. images: ids, sorted. against: witnesses that speak for leaving the label as it is.

    cost: what the change would do to the flags, where it was tried; needs: what would have to be decided for it.
    decided: of how many images the label alone decides the flag. noted: reviewers who call the label wrong.
    """

    action: Action
    label: str
    why: str
    images: tuple[str, ...] = ()
    witnesses: int = 0
    decided: int = 0
    against: int = 0
    noted: int = 0
    cosine: float | None = None
    outcome: str = ""
    cost: str = ""
    needs: str = ""
    prompt: str = field(default="", repr=False)
    vector: NDArray[np.float32] | None = field(default=None, repr=False, compare=False)
    source: str = field(default=SOURCE, repr=False)

    @property
    def refused(self) -> bool:
        return bool(self.outcome)

    def as_json(self) -> dict[str, object]:
        names = (
            "action",
            "label",
            "why",
            "witnesses",
            "decided",
            "against",
            "noted",
            "cosine",
            "outcome",
            "cost",
            "needs",
        )
        return {name: getattr(self, name) for name in names} | {"images": list(self.images)}


def removals(
    bank: Bank, method: Method, cut: float, judged: Sequence[Judged], notes: Mapping[str, set[str]]
) -> list[LabelEdit]:
    """Negatives to take out. notes: by label as noted, the images for which it is wrong."""
    images: dict[int, set[str]] = defaultdict(set)
    witnesses: dict[int, set[str]] = defaultdict(set)
    against: dict[int, set[str]] = defaultdict(set)
    decided: dict[int, int] = defaultdict(int)
    flagged = [item for item in judged if item.log_odds < cut]
    for item, (label, alone) in zip(flagged, _deciding_negatives(bank, method, cut, flagged), strict=True):
        if item.is_id and label is not None:
            images[label].add(item.image_id)
            witnesses[label].add(item.witness)
            decided[label] += alone
        elif label is not None:
            against[label].add(item.witness)
    found = [
        LabelEdit(
            "remove",
            bank.labels[label].text,
            "flags what was decided ID",
            tuple(sorted(images[label])),
            len(witnesses[label]),
            decided[label],
            len(against[label]),
        )
        for label in images
    ]
    return ranked(_with_notes(bank, found, notes))


def _deciding_negatives(
    bank: Bank, method: Method, cut: float, flagged: Sequence[Judged]
) -> list[tuple[int | None, bool]]:
    """The negative behind the flag of each image, and whether it decides alone."""
    if not flagged:
        return []
    vectors = np.stack([item.vector for item in flagged])
    cosines = exact_cosines(on_grid(vectors), on_grid(bank.vectors))
    layers = {layer: LayerCosines(bank, layer)(vectors) for layer in method.layer_needs}
    found = (
        attribute(
            method,
            cosines[row, : bank.id_count],
            cosines[row, bank.id_count :],
            scale=scale_of(method, bank.logit_scale),
            k=NEAREST,
            layers={layer: sides.of(row) for layer, sides in layers.items()},
        )
        for row in range(len(cosines))
    )
    return [_deciding_negative(item.negatives, cut) for item in found]


def _deciding_negative(negatives: Sequence[LabelPart], cut: float) -> tuple[int | None, bool]:
    turning = [part for part in negatives if (part.log_odds_without or -np.inf) >= cut]
    if turning:
        return max(turning, key=lambda part: part.log_odds_without or -np.inf).label, True
    return (negatives[0].label, False) if negatives else (None, False)


def _with_notes(bank: Bank, found: list[LabelEdit], notes: Mapping[str, set[str]]) -> list[LabelEdit]:
    by_key = {word_key(item.label): item for item in found}
    roles = {word_key(label.text): label for label in reversed(bank.labels)}
    for text in sorted(notes):
        label = roles.get(word_key(text))
        item = by_key.get(word_key(text)) or LabelEdit("remove", label.text if label else text, "noted as wrong")
        item.noted += len(notes[text])
        item.images = tuple(sorted({*item.images, *notes[text]}))
        if label is None:
            item.outcome = "the bank has no such label"
        elif label.role == "id":
            item.outcome = "it is an ID label: change those in the spec"
        by_key.setdefault(word_key(text), item)
    return list(by_key.values())


def source_of_words(method: Method) -> str:
    """Where added words are said to come from, so that they count: a method of several layers, each of its own sources,
    has names of things in the last one."""
    chosen = [layer.negatives for layer in method.layer_needs] if method.needs == Needs() else []
    return f"{chosen[-1][0]}:{SOURCE}" if chosen and chosen[-1] else SOURCE


def additions(world: LedgerWorld, bank: Bank, method: Method, judged: Sequence[Judged], cut: float) -> list[LabelEdit]:
    """Words to add as negatives, for images decided OOD that are kept; refused ones among them with the reason."""
    missed = [item for item in judged if not item.is_id and item.log_odds >= cut]
    if not missed:
        return []
    vocabulary = Vocabulary(world.surroundings)
    queries = vocabulary.centring.images(np.stack([item.vector for item in missed]))
    cosines = queries @ vocabulary.centring.texts(vocabulary.vectors).T
    nearest = np.argsort(-cosines, axis=1, kind="stable")[:, :LOOKED_AT]
    template = bank.spec.get("id", {}).get("template", world.surroundings.template)
    template = tuple(template) if isinstance(template, list) else template
    words = [vocabulary.texts[place] for place in dict.fromkeys(nearest.ravel().tolist())]
    reasons, vectors = _cleaned(world, bank, words, {word: fill(template, word) for word in words})
    found: dict[str, LabelEdit] = {}
    source = source_of_words(method)
    witnesses: dict[str, set[str]] = defaultdict(set)
    for row, item in enumerate(missed):
        wanted = 0
        for place in nearest[row].tolist():
            word = vocabulary.texts[place]
            entry = found.setdefault(
                word, LabelEdit("add", word, "lies nearest to what was decided OOD", source=source)
            )
            entry.outcome, entry.vector, entry.prompt = reasons.get(word, ""), vectors.get(word), fill(template, word)
            entry.images = tuple(sorted({*entry.images, item.image_id}))
            entry.cosine = max(entry.cosine or -1.0, round(float(cosines[row, place]), 6))
            witnesses[word].add(item.witness)
            wanted += not entry.refused
            if wanted == NEAREST:
                break
    for word, entry in found.items():
        entry.witnesses = len(witnesses[word])
    return ranked(found.values())


def _cleaned(
    world: LedgerWorld, bank: Bank, words: Sequence[str], prompts: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, NDArray[np.float32]]]:
    """Why words cannot become negatives, by word, and the vectors of the others."""
    known = {word_key(label.text) for label in bank.labels}
    reasons = {word: "the bank has it already" for word in words if word_key(word) in known}
    fresh = [Proposal(word, prompts[word], SOURCE) for word in words if word not in reasons]
    cleaned = world.cleaner(CleaningRules()).clean(fresh, lambda texts: world.encode(texts))
    for reason, texts in cleaned.dropped.items():
        reasons |= dict.fromkeys(texts, f"refused: {reason.replace('_', ' ')}")
    return reasons, {item.text: cleaned.vectors[row] for row, item in enumerate(cleaned.kept)}


def ranked(found: Iterable[LabelEdit]) -> list[LabelEdit]:
    """Those with most witnesses first; at last by text, so that the order is always the same."""
    return sorted(
        found, key=lambda item: (item.refused, -(item.witnesses + item.noted), -(item.cosine or 0.0), item.label)
    )


def varied(bank: Bank, removed: Iterable[str], added: Sequence[LabelEdit]) -> Bank:
    """The bank without some negatives and with some more behind the others. It has no digest of its own: to try out."""
    gone = {word_key(text) for text in removed}
    kept = [place for place, label in enumerate(bank.labels) if label.role == "id" or word_key(label.text) not in gone]
    new: list[Vectors] = [item.vector[None] for item in added if item.vector is not None]
    labels = [bank.labels[place] for place in kept]
    labels += [Label(item.label, "negative", item.source) for item in added if item.vector is not None]
    return replace(bank, labels=tuple(labels), vectors=np.concatenate([bank.vectors[kept], *new]))

"""Finds the labels of a bank that deserve a second look, with the reason and the label each of them concerns.

A negative that names, contains or resembles an ID label takes score from images that belong. The published rules let
such words through: a 0.95 quantile does not see the nearest 5 % of the ID labels, so the list that NegLabel released
holds 31 exact ImageNet classes. Equal and synonymous names are removed when a bank is built (id_names.py); here they
are looked for again, together with what only a person can judge. Nothing is changed.

When is a cosine too near? Spaces differ, so no fixed number serves: CSP's 0.95 suits CLIP, while in the space of
curator-mini no negative of a bank of 200 classes passes 0.78. The ID labels give the scale instead.

- A negative is `near` from the median of the ID labels' cosines to their nearest other ID label: it is as near to a
  class as at least half of the classes are to their own neighbour. (curator-mini: 78 of 10,597 negatives for 100
  classes, 99 of 10,578 for 200. The smallest of those cosines instead of the median marks 1,441 and 3,045; a quantile
  of the negatives' own cosines always marks the same share, however good the bank.)
- Two ID labels are `near` above Tukey's fence of the same cosines, Q3 + 1.5 (Q3 - Q1): an outlier among neighbours.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from curator.banks.kinship import Kin, Kinship
from curator.banks.wordnet.lexicon import WordNet, word_key
from curator.methods.kernels.cosines import exact_cosines, on_grid
from curator.types import Bank, LabelRole, Vectors

Reason: TypeAlias = Literal["equal", "synonym", "same_text", "same_vector", "hyponym", "hypernym", "near"]
REASONS: tuple[Reason, ...] = get_args(Reason)  # the gravest first

LONE_MIN_COSINE = 0.95  # CSP's, for a bank whose ID labels have no neighbours to measure by
SAME_DISTANCE = 1e-3  # between unit vectors; a text encoded in another batch moves by less
BLOCK_CELLS = 1 << 23  # 64 MiB of float64 cosines


@dataclass(frozen=True, slots=True)
class Doubt:
    """One label, one reason. `label` and `concerns` are indices of labels; `cosine` is that between the two.

    `steps` is the distance in WordNet of a hypernym or hyponym, 1 or 2: the label is one of the label it concerns.
    """

    label: int
    reason: Reason
    concerns: int
    cosine: float
    steps: int | None = None


@dataclass(frozen=True, slots=True)
class Audit:
    """The doubts, the gravest first, and from which cosine a negative is near an ID label."""

    bank: Bank
    doubts: tuple[Doubt, ...]
    min_cosine: float

    def count(self, role: LabelRole, *reasons: Reason) -> int:
        """How many distinct labels of the role are in doubt, for one of the reasons where any is given."""
        wanted = reasons or REASONS
        found = {doubt.label for doubt in self.doubts if doubt.reason in wanted}
        return sum(self.bank.labels[label].role == role for label in found)


def audit_bank(bank: Bank, wordnet: WordNet, *, min_cosine: float | None = None) -> Audit:
    """Looks at every label of a bank. `min_cosine` replaces the rule for negatives that are near (see the module)."""
    id_grid = on_grid(bank.id_vectors)
    neighbour, neighbour_cosine = nearest(id_grid, id_grid, apart=True)
    cut = near_cut(neighbour_cosine) if min_cosine is None else min_cosine
    found = [
        *_kin(bank, wordnet),
        *_near_id_labels(neighbour, neighbour_cosine),
        *_near_negatives(bank, id_grid, cut),
        *_same(bank),
    ]
    ordered = sorted(found, key=lambda doubt: (REASONS.index(doubt.reason), -doubt.cosine, doubt.label))
    return Audit(bank, tuple(ordered), cut)


def near_cut(neighbour_cosine: NDArray[np.float64]) -> float:
    """From which cosine to an ID label a negative is near, given each ID label's to its nearest other (C,)."""
    return float(np.median(neighbour_cosine)) if len(neighbour_cosine) > 1 else LONE_MIN_COSINE


def near_fence(neighbour_cosine: NDArray[np.float64]) -> float:
    """Tukey's upper fence of the ID labels' cosines to their nearest other one (C,): above it two are too alike."""
    if len(neighbour_cosine) < 2:
        return LONE_MIN_COSINE
    low, high = np.quantile(neighbour_cosine, [0.25, 0.75])
    return float(high + 1.5 * (high - low))


def nearest(
    rows: NDArray[np.float64], columns: NDArray[np.float64], *, apart: bool = False
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """rows: (n, d), columns: (k, d), from `on_grid`. The nearest column of each row and its cosine, (n,) each.

    `apart`: rows and columns are the same and no row is its own neighbour; a lone row has itself, at cosine -1.
    """
    indices, cosines = np.zeros(len(rows), dtype=np.intp), np.full(len(rows), -1.0)
    step = max(1, BLOCK_CELLS // len(columns))
    for start in range(0, len(rows), step):
        block = exact_cosines(rows[start : start + step], columns)
        if apart:
            block[np.arange(len(block)), np.arange(start, start + len(block))] = -1.0
        indices[start : start + step] = block.argmax(axis=1)
        cosines[start : start + step] = block.max(axis=1)
    return indices, cosines


def coinciding_pairs(vectors: Vectors) -> NDArray[np.intp]:
    """vectors: (n, d). All pairs of rows at a distance of at most SAME_DISTANCE, (p, 2), the earlier row first.

    A projection on a unit direction moves two rows apart by no more than their distance. So in the order of one
    projection only neighbours need a look, and three more projections leave hardly any pair to measure in full.
    """
    count, dimension = vectors.shape
    directions = np.cos(np.outer(np.arange(1, dimension + 1), [0.7548776662, 0.5698402910, 1.3247179572, 2.2360679775]))
    shadows = vectors.astype(np.float64) @ (directions / np.linalg.norm(directions, axis=0))  # (n, 4)
    order = np.argsort(shadows[:, 0], kind="stable")
    shadows = shadows[order]
    found = [np.zeros((0, 2), dtype=np.intp)]
    for step in range(1, count):
        gaps = np.abs(shadows[step:] - shadows[:-step])
        if gaps[:, 0].min() > SAME_DISTANCE:
            break
        close = np.flatnonzero((gaps <= SAME_DISTANCE).all(axis=1))
        pairs = np.sort(np.stack([order[close], order[close + step]], axis=1), axis=1)
        distances = np.linalg.norm(vectors[pairs[:, 0]] - vectors[pairs[:, 1]], axis=1)
        found.append(pairs[distances <= SAME_DISTANCE])
    return np.concatenate(found)


def _kin(bank: Bank, wordnet: WordNet) -> Iterator[Doubt]:
    """The closest relation of each negative, to the ID label of the largest cosine where several are equally close; of
    ID labels among themselves equal names and synonyms only, since classes of several levels are common."""
    id_texts = [label.text for label in bank.labels[: bank.id_count]]
    kinship = Kinship(id_texts, bank.spec.get("id", {}).get("synonyms", {}), wordnet)
    same: dict[tuple[int, int], Kin] = {}
    for index, label in enumerate(bank.labels):
        related = kinship.of(label.text, apart_from=index if label.role == "id" else None)
        if label.role == "id":
            same |= {(min(index, kin.id_index), max(index, kin.id_index)): kin for kin in related if kin.rank <= 0}
        elif related:
            cosine, kin = max(((_cosine(bank, index, kin.id_index), kin) for kin in related), key=lambda pair: pair[0])
            yield Doubt(index, kin.relation, kin.id_index, cosine, kin.steps or None)
    for (first, second), kin in same.items():
        yield Doubt(second, kin.relation, first, _cosine(bank, first, second))


def _near_negatives(bank: Bank, id_grid: NDArray[np.float64], cut: float) -> Iterator[Doubt]:
    if not len(bank.negative_vectors):
        return
    label, cosine = nearest(on_grid(bank.negative_vectors), id_grid)
    first = bank.id_count
    for row in np.flatnonzero(cosine >= cut).tolist():
        yield Doubt(first + row, "near", int(label[row]), float(cosine[row]))


def _near_id_labels(neighbour: NDArray[np.intp], cosine: NDArray[np.float64]) -> list[Doubt]:
    """Pairs of ID labels above the fence, each once, under the later of the two."""
    pairs = {}
    for row in np.flatnonzero(cosine > near_fence(cosine)).tolist():
        first, second = sorted((row, int(neighbour[row])))
        pairs[first, second] = float(cosine[row])
    return [Doubt(second, "near", first, value) for (first, second), value in pairs.items()]


def _same(bank: Bank) -> Iterator[Doubt]:
    """Negatives whose text was there before, and labels of whatever role whose vector was: they count twice."""
    first_of: dict[str, int] = {}
    repeats = dict[int, int]()
    for index in range(bank.id_count, len(bank.labels)):
        first = first_of.setdefault(word_key(bank.labels[index].text), index)
        if first != index:
            repeats[index] = first
            yield Doubt(index, "same_text", first, _cosine(bank, index, first))
    coinciding: dict[int, int] = {}
    for first, second in coinciding_pairs(bank.vectors).tolist():
        coinciding[second] = min(first, coinciding.get(second, first))
    for second, first in coinciding.items():
        if repeats.get(second) != first:
            yield Doubt(second, "same_vector", first, _cosine(bank, second, first))


def _cosine(bank: Bank, first: int, second: int) -> float:
    return float(exact_cosines(on_grid(bank.vectors[[first]]), on_grid(bank.vectors[[second]]))[0, 0])

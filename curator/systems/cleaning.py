"""Cleans lists of generated labels: no repeats, no ID label under any name, no kind of one, nothing too near one.

The order is that of EOE's code (Cao et al., ICML 2024): unique, not an ID label, no shared word, not too near. What it
compares letter for letter is compared here as when a bank is built (plurals, spaces, synonyms: see id_names.py), and
kinds of an ID label are removed as well: a language model asked for what looks like a dog answers with dogs. Every drop
has a reason and every step a count, since a list shrinks a lot: EOE's 2,994 labels near ImageNet-1k leave 578.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from curator.banks.audit import LONE_MIN_COSINE, near_fence, nearest
from curator.banks.id_names import DropReason, id_name_keys, name_keys
from curator.banks.kinship import Subcategories
from curator.banks.prompts import lines_of
from curator.banks.wordnet.lexicon import WordNet, word_key
from curator.methods.kernels.cosines import on_grid
from curator.systems.proposals import Proposal
from curator.types import Vectors

Dropped: TypeAlias = Literal[
    "repeated", "id_name", "given_synonym", "wordnet_synonym", "kind", "word_overlap", "too_near"
]
FEWEST_FOR_FENCE = 10  # quartiles of fewer cosines say nothing: then CSP's 0.95 is too near
FEWEST_WORDS = 200  # of which the limit for look-alikes may be
MOST_WORDS = 10_000
LONE_WORDS = 0.02  # the share of words that stand more alone than a look-alike may be near
FEWEST_KEPT = 0.1  # of the labels that were said, below which cleaning has emptied a list
FEWEST_SAID = 10  # labels, of which one may make up most
REASONS: tuple[Dropped, ...] = get_args(Dropped)
# After which drops each count of the account is taken.
STEPS: dict[str, tuple[Dropped, ...]] = {
    "distinct": ("repeated",),
    "minus_id_names": ("id_name",),
    "minus_synonyms": ("given_synonym", "wordnet_synonym"),
    "minus_kinds": ("kind",),
    "minus_word_overlap": ("word_overlap",),
    "minus_too_near": ("too_near",),
}
SAID: dict[Dropped, str] = {  # of so many labels, and at which limit
    "repeated": "{0} were said before",
    "id_name": "{0} name an ID label",
    "given_synonym": "{0} are given as synonyms of one",
    "wordnet_synonym": "{0} are synonyms of one in WordNet",
    "kind": "{0} are kinds of one",
    "word_overlap": "{0} share a word with one",
    "too_near": "{0} lie too near to one (max_cosine {1})",
}
VectorsOf: TypeAlias = Callable[[Sequence[str]], Vectors]  # of prompts: (n, d), unit norm, in order


@dataclass(frozen=True, slots=True)
class CleaningRules:
    """lower_case: labels and prompts are lowered, as EOE has them. word_overlap: a label that shares a whitespace word
    with an ID label is dropped (EOE, near only). drop_kinds: so is one that WordNet knows as a kind of an ID label.

    max_cosine: so is one whose text has a larger cosine to an ID label. EOE: 0.85 for ImageNet-20, else none, which is
    1 here and compares nothing (EOE asserts it instead, and trips on rounding). None: above Tukey's fence of the ID
    labels' cosines to their nearest other one, so nearer than two classes are: the measure of `bank audit` for ID
    labels among themselves. That for mined negatives, the median, would drop most look-alikes: they are near by design.

    look_alikes: so the labels are, and where the classes lie far apart the fence says nothing of how near is too near:
    then the limit is at least the cosine that 98 of 100 words of the bank have to their nearest other one. Of mini it
    is 0.50, and the fence of Imagenette's ten classes 0.28, which drops every look-alike. On unseen images, near and
    far OOD of five kinds, 0.50 gave EOE near a mean AUROC of 99.1 and MM-OOD near 99.2 (parent 99.1; without any limit
    98.7, 98.9). What is asked to be far is held to the fence: 99.1 by it, 98.8 by 0.50.
    """

    lower_case: bool = True
    word_overlap: bool = False
    max_cosine: float | None = None
    drop_kinds: bool = True
    look_alikes: bool = False


@dataclass(frozen=True, slots=True)
class Cleaned:
    """kept: in order, with their vectors (n, d). dropped: texts by reason. counts: labels left after each step.

    max_cosine: above which a label was too near; near: the cosines of those that were, as they stand in `dropped`.
    """

    kept: tuple[Proposal, ...]
    vectors: Vectors
    dropped: Mapping[Dropped, list[str]]
    counts: Mapping[str, int]
    max_cosine: float = 1.0
    near: tuple[float, ...] = ()

    def account(self) -> dict[str, object]:
        """Counts of steps and of reasons, for a lineage."""
        return {**self.counts, "dropped": {reason: len(texts) for reason, texts in self.dropped.items() if texts}}


def losses(cleaned: Sequence[Cleaned]) -> str:
    """What was dropped of lists that were cleaned, by what rule, in words; empty where nothing was."""
    counts = Counter({reason: sum(len(item.dropped[reason]) for item in cleaned) for reason in REASONS})
    limits = " and ".join(dict.fromkeys(f"{item.max_cosine:.2f}" for item in cleaned if item.near))
    said = [SAID[reason].format(count, limits) for reason, count in counts.items() if count]
    return f"of {sum(counts.values()) + sum(len(item.kept) for item in cleaned)} labels {', '.join(said)}" * bool(said)


def thinned(cleaned: Sequence[Cleaned]) -> str:
    """A line where less than a fifth of what the other rules left was far enough, and what keeps more; else empty."""
    kept, near = sum(len(item.kept) for item in cleaned), sum(len(item.near) for item in cleaned)
    if near <= 4 * kept or (other := looser(cleaned)) is None:
        return ""
    return (
        f"only {kept} of {kept + near} labels {'was' if kept == 1 else 'were'} kept: {losses(cleaned)}; "
        f"`-s max_cosine={other[0]:.2f}` keeps {other[1]}"
    )


def emptied(cleaned: Sequence[Cleaned], id_count: int, *, besides: int = 0) -> bool:
    """Whether so little is left that a bank of it cannot judge: less than a tenth of what was said, repeats included,
    and not a label for each ID label. besides: repeats that were dropped before cleaning. One label of 119 made
    Imagenette's FPR95 9 % of 2 %; 9 of 29, not one a class, cost EOE a half of a point of AUROC, and 22 of 75, nearly
    one a class, nothing."""
    kept, said = sum(len(item.kept) for item in cleaned), besides + sum(item.counts["raw"] for item in cleaned)
    return kept < id_count and kept < FEWEST_KEPT * said


def one_answer(lists: Iterable[Sequence[Proposal]]) -> str:
    """A line where one label makes up most of what was said in a list: a model that says the same whatever it is asked
    sees nothing, or the lake holds one kind of thing. Empty where none does."""
    for proposals in lists:
        counts = Counter(word_key(item.text.casefold()) for item in proposals)
        text, count = next(iter(counts.most_common(1)), ("", 0))
        if len(proposals) >= FEWEST_SAID and 2 * count > len(proposals):
            return f"{count} of {len(proposals)} answers are the same, {text!r}"
    return ""


def what_is_left(
    cleaned: Sequence[Cleaned], lists: Iterable[Sequence[Proposal]], id_count: int, *, besides: int = 0
) -> tuple[str, bool]:
    """A line where little is left of lists that were cleaned, or was said, and whether it is too little for a bank; see
    `emptied` and `one_answer`."""
    same, is_empty = one_answer(lists), emptied(cleaned, id_count, besides=besides)
    said = same or thinned(cleaned)
    if is_empty and not said:
        more = f", and {besides} more were said before" if besides else ""
        said = f"only {sum(len(item.kept) for item in cleaned)} were kept: {losses(cleaned)}{more}"
    return said, is_empty


def looser(cleaned: Sequence[Cleaned]) -> tuple[float, int] | None:
    """A max_cosine, in hundredths, that keeps half of what was too near, and how many labels are kept by it then; None
    where nothing was too near."""
    near = np.array([cosine for item in cleaned for cosine in item.near])
    if not len(near):
        return None
    limit = min(1.0, math.ceil(100 * float(np.median(near))) / 100)
    return limit, sum(len(item.kept) for item in cleaned) + int((near <= limit).sum())


Clean: TypeAlias = Callable[[Sequence[Proposal]], Cleaned]  # what systems get: a Cleaner with its encoder bound


@dataclass(frozen=True)
class Cleaner:
    """Knows the ID labels, their vectors (C, d) and other names by label, and the rules; looks each up once. words:
    vectors (k, d) of words at large, of which the limit for look-alikes is."""

    id_texts: tuple[str, ...]
    id_vectors: Vectors
    synonyms: Mapping[str, Sequence[str]]
    wordnet: WordNet
    rules: CleaningRules = CleaningRules()
    words: Vectors | None = None

    def clean(self, proposals: Sequence[Proposal], vectors_of: VectorsOf) -> Cleaned:
        """What may become negatives. Of equal texts, whatever their case, the first is kept.

        `vectors_of` gets the prompts of what all other rules left, in one call, and none where they left nothing.
        """
        dropped: dict[Dropped, list[str]] = {reason: [] for reason in REASONS}
        seen: set[str] = set()
        left: list[Proposal] = []
        for proposal in map(lowered, proposals) if self.rules.lower_case else proposals:
            reason = self._reason(proposal.text, seen)
            if reason is None:
                left.append(proposal)
            else:
                dropped[reason].append(proposal.text)
        kept, vectors, near = self._far_enough(left, vectors_of, dropped["too_near"])
        return Cleaned(
            tuple(kept), vectors, dropped, counts_of(len(proposals), dropped), self.max_cosine, tuple(near.tolist())
        )

    @cached_property
    def max_cosine(self) -> float:
        """Above which cosine to an ID label a text is too near."""
        if self.rules.max_cosine is not None:
            return self.rules.max_cosine
        grid = on_grid(self.id_vectors)
        if len(grid) < FEWEST_FOR_FENCE:
            return LONE_MIN_COSINE
        fence = near_fence(nearest(grid, grid, apart=True)[1])
        return min(1.0, max(fence, self._apart if self.rules.look_alikes else fence))

    @cached_property
    def _apart(self) -> float:
        """How near nearly every word has another one; of few words nothing is known."""
        if self.words is None or len(self.words) < FEWEST_WORDS:
            return -1.0
        words = on_grid(self.words[:: -(-len(self.words) // MOST_WORDS)])
        return float(np.quantile(nearest(words, words, apart=True)[1], LONE_WORDS))

    def _reason(self, text: str, seen: set[str]) -> Dropped | None:
        """Why a text is dropped before it is encoded, if it is; `seen` takes it in."""
        key = word_key(text.casefold())
        if key in seen:
            return "repeated"
        seen.add(key)
        found = [self._names[name] for name in name_keys(text, self.wordnet) if name in self._names]
        if found:
            return min(found, key=REASONS.index)
        if self.rules.drop_kinds and self._subcategories.id_label(text) is not None:
            return "kind"
        if self.rules.word_overlap and words_of(text) & self._words:
            return "word_overlap"
        return None

    def _far_enough(
        self, left: list[Proposal], vectors_of: VectorsOf, too_near: list[str]
    ) -> tuple[list[Proposal], Vectors, NDArray[np.float64]]:
        """What is, its vectors, and the cosines of what is not."""
        if not left:
            return [], np.zeros((0, self.id_vectors.shape[1]), dtype=np.float32), np.zeros(0)
        vectors = vectors_of([proposal.prompt for proposal in left])
        if self.max_cosine >= 1.0:
            return left, vectors, np.zeros(0)
        cosines = nearest(on_grid(vectors), on_grid(self.id_vectors))[1]
        near = cosines > self.max_cosine
        too_near += [left[row].text for row in np.flatnonzero(near)]
        return [left[row] for row in np.flatnonzero(~near)], vectors[~near], cosines[near]

    @cached_property
    def _names(self) -> dict[str, DropReason]:
        return id_name_keys(self.id_texts, self.synonyms, self.wordnet)

    @cached_property
    def _subcategories(self) -> Subcategories:
        return Subcategories(self.id_texts, self.wordnet)

    @cached_property
    def _words(self) -> set[str]:
        return {word for text in self.id_texts for word in words_of(text)}


def words_of(text: str) -> set[str]:
    """Its whitespace words without case. EOE lowers the outliers only: an ID label's `Siamese` then matches nothing."""
    return set(word_key(text.casefold()).split())


def lowered(proposal: Proposal) -> Proposal:
    """The proposal in lower case, and where its prompt's lines hold the text, there as well; a template's own capitals
    stay. The last place in a line counts, so that `A photo of A` keeps its article."""
    text = proposal.text.lower()
    if text == proposal.text:
        return proposal
    written = proposal.text.replace("_", " ")
    lines = []
    for line in lines_of(proposal.prompt):
        before, found, after = line.rpartition(written)
        lines.append(before + found.lower() + after)
    return replace(proposal, text=text, prompt="\n".join(lines))


def counts_of(raw: int, dropped: Mapping[Dropped, Iterable[str]]) -> dict[str, int]:
    """How many labels are left after each step, in order, beginning with `raw`."""
    counts, left = {"raw": raw}, raw
    for step, reasons in STEPS.items():
        left -= sum(len(list(dropped[reason])) for reason in reasons)
        counts[step] = left
    return counts

"""ANTS: negative images of a lake, sentences about them, look-alikes of the ID classes near them, one weight.

Zhu et al., ANTS: Adaptive Negative Textual Space Shaping for OOD Detection, arXiv 2509.03951. Two banks are made: ENS,
descriptions of images that NegLabel doubts most (far OOD), and VSNL, names of things that look like the ID classes
which those images resemble (near OOD). The method `ants` weighs both by what the negative images themselves say of each
bank.

The published method makes them batch by batch, which is online.py here. What is frozen depends on the sample alone, not
on the order of its images: they are sorted by content. Where the paper and its code differ, see settings.py.

Ours besides: by default the negative images are those that calibrated p-values leave over when ID images are accounted
for (`World.suspects`); by the published rule they are widened by nearest neighbours. Near-duplicates count once.
Classes are chosen by how many negative images lie near them as well as by frequency. Sentences that name an ID class
are dropped.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from curator.errors import BankError
from curator.generators.asking import Asking
from curator.methods.kernels.cosines import exact_cosines, on_grid
from curator.methods.members.ants import adaptive_weight, balanced_scores, negative_threshold, side_score
from curator.methods.spec import bank_scale
from curator.systems.ants.online import AntsRun
from curator.systems.ants.questions import (
    BASE,
    ENS,
    VSNL,
    WEIGHT_DIGITS,
    ask_look_alikes,
    describe,
    look_alike_proposals,
    sentence_proposals,
    without_id_names,
)
from curator.systems.ants.settings import AntsSettings
from curator.systems.conversations import tally
from curator.systems.proposals import Learned, Proposal
from curator.systems.stream import stream_lake, suspects_of
from curator.systems.world import LakeSample, Suspects, World
from curator.types import Bank, Vectors

NEAREST_LABELS = 3  # of each negative image, that count towards the choice of classes


def learn_ants(world: World, asking: Asking, settings: AntsSettings) -> Learned:
    """Frozen: on a sample of the lake, by content. Online: on the whole lake as it arrived."""
    if settings.mode == "frozen":
        return learn_frozen(world, asking, settings)
    run, streamed = stream_lake(lambda: AntsRun(world, asking, settings), world, settings, largest=1.0)
    return run.learned(streamed)


def learn_frozen(world: World, asking: Asking, settings: AntsSettings) -> Learned:
    """Both banks and the weight. Raises BankError when no image is negative, or nothing is left of what was said."""
    parent = world.parent
    sample = world.look_up(world.sample_ids(settings.sample)).sorted_by_id()
    suspects = suspects_of(world, settings)
    negatives, found = (
        negative_images(sample, settings, world) if suspects is None else excess_images(suspects, settings, world)
    )
    descriptions = describe(negatives, world, asking, settings)
    classes = choose_classes(sample, negatives, parent, settings)
    look_alikes = ask_look_alikes(classes, parent, asking, settings)
    sentences, named = without_id_names(sentence_proposals(descriptions, parent, negatives, settings), parent)
    names = look_alike_proposals(look_alikes, parent)
    cleaned = world.cleaner(settings.rules).clean([*sentences, *names], world.encode)
    sides = {source: rows_of(cleaned.kept, cleaned.vectors, source) for source in (ENS, VSNL)}
    if not len(cleaned.kept):
        raise BankError(
            "ants: no negative label is left", hint='see `curator sql "select * from report.generator_calls"`'
        )
    weight = ens_weight(sample, negatives, parent, sides, settings)
    account = {
        **found,
        "described": tally(descriptions),
        "sentences_naming_an_id_label": named,
        "classes": [parent.labels[place].text for place in classes],
        "asked": tally(look_alikes),
        "cleaning": dict(cleaned.counts),
        "dropped": {reason: list(texts) for reason, texts in cleaned.dropped.items()},
        "ens": len(sides[ENS]),
        "vsnl": len(sides[VSNL]),
    }
    return Learned(
        negatives=tuple(cleaned.kept),
        facts={"ens_weight": weight, "initialised": settings.initialise, "mode": "frozen"},
        account=account,
        inherited=tuple(range(parent.id_count, len(parent.labels))) if settings.initialise else (),
        inherited_source=BASE if settings.initialise else "",
    )


def negative_images(
    sample: LakeSample, settings: AntsSettings, world: World
) -> tuple[LakeSample, dict[str, int | float]]:
    """The images that are described, the least ID first, and how they were found.

    histogram: the code's rule on all scores of the sample (`negative_threshold`). share: the paper's: of the scores
    below gamma the lowest share eta. Their neighbours join them as far as they are doubtful too (below `upper`).
    """
    if settings.threshold == "histogram":
        upper, threshold = negative_threshold(sample.id_score, settings.eta)
    else:
        below = np.sort(sample.id_score[sample.id_score < settings.gamma])
        kept = math.ceil(settings.eta * len(below))
        upper, threshold = settings.gamma, float(np.nextafter(below[kept - 1], 2.0)) if kept else 0.0
    found = sample.take(np.flatnonzero(sample.id_score < threshold)).lowest_first()
    if not len(found):
        raise BankError(
            f"ants: none of {len(sample)} images scores below {threshold:.3g}: there is nothing to learn from",
            hint="scan images that do not belong, or raise eta or gamma",
        )
    candidates = found.take(np.arange(min(len(found), 4 * settings.images)))
    wider = candidates.joined(widened(candidates, upper, settings, world)).lowest_first()
    distinct = without_duplicates(wider, settings)
    account: dict[str, int | float] = {
        "sample": len(sample),
        "threshold": float(threshold),
        "upper": float(upper),
        "below_threshold": len(found),
        "widened": len(wider),
        "distinct": len(distinct),
    }
    return distinct, account


def excess_images(
    suspects: Suspects, settings: AntsSettings, world: World
) -> tuple[LakeSample, dict[str, int | float]]:
    """The images of the excess that are described: those that look nearly the same once, the least ID first."""
    found = world.look_up(suspects.ood).lowest_first()
    distinct = without_duplicates(found, settings)
    return distinct, {"excess": len(found), "distinct": len(distinct)}


def widened(found: LakeSample, upper: float, settings: AntsSettings, world: World) -> LakeSample:
    """Neighbours of the negative images in the whole lake, as far as NegLabel doubts them as well."""
    known = set(found.image_ids)
    near = world.neighbours(found.vectors, settings.widen + 1) if settings.widen else ()
    others = {
        image_id
        for row in near
        for image_id, cosine in row
        if cosine >= settings.widen_cosine and image_id not in known
    }
    seen = world.look_up(sorted(others))
    return seen.take(np.flatnonzero(seen.id_score < upper))


def without_duplicates(images: LakeSample, settings: AntsSettings) -> LakeSample:
    """Of images that look nearly the same the one that stands first; at most `settings.images`."""
    grid = on_grid(images.vectors) if len(images) else np.zeros((0, 1))
    kept: list[int] = []
    for place in range(len(images)):
        if len(kept) == settings.images:
            break
        if not kept or exact_cosines(grid[[place]], grid[kept]).max() < settings.duplicate_cosine:
            kept.append(place)
    return images.take(np.array(kept, dtype=np.intp))


def choose_classes(sample: LakeSample, negatives: LakeSample, parent: Bank, settings: AntsSettings) -> list[int]:
    """The ID classes that look-alikes are asked for, the foremost first.

    frequency: how often a class is predicted (the paper's F(y), over the sample). neighbours: how often it is among the
    nearest ID labels of a negative image, the nearest weighing most. both: the mean of the two shares.
    """
    count = parent.id_count
    frequency = np.bincount(sample.id_label, minlength=count) / max(len(sample), 1)
    cosines = exact_cosines(on_grid(negatives.vectors), on_grid(parent.id_vectors))  # (n, C)
    nearest = np.argsort(-cosines, axis=1, kind="stable")[:, :NEAREST_LABELS]
    weight = np.broadcast_to(1.0 / np.arange(1, nearest.shape[1] + 1), nearest.shape)
    near = np.bincount(nearest.ravel(), weight.ravel(), minlength=count) / weight.sum()
    weights = {"frequency": frequency, "neighbours": near, "both": (frequency + near) / 2}[settings.choose]
    chosen = np.argsort(-weights, kind="stable")[: settings.wanted_classes(count)]
    return [int(place) for place in chosen if weights[place] > 0]


def ens_weight(
    sample: LakeSample,
    negatives: LakeSample,
    parent: Bank,
    sides: Mapping[str, Vectors],
    settings: AntsSettings,
) -> float:
    """lambda = F(mean S_ens, mean S_vsnl): the side that takes more from the negative images weighs more (eq. of the
    paper). A side that is empty has no weight."""
    if not len(sides[ENS]) or not len(sides[VSNL]):
        return float(len(sides[ENS]) > 0)
    if isinstance(settings.weight, float):
        return settings.weight
    images = negatives.vectors if settings.weight == "negatives" else sample.vectors
    inside = cosines_to(images, parent.id_vectors)
    ens, vsnl = (cosines_to(images, sides[source]) for source in (ENS, VSNL))
    scale = bank_scale(parent)
    if settings.weight == "negatives":
        means = [side_score(inside, side, scale=scale, group_size=settings.group_size).mean() for side in (ens, vsnl)]
    else:
        balanced = balanced_scores(inside, ens, vsnl, scale=scale, group_size=parent.id_count)
        means = [side.mean() for side in balanced]
    return round(adaptive_weight(float(means[0]), float(means[1])), WEIGHT_DIGITS)


def cosines_to(images: Vectors, labels: Vectors) -> NDArray[np.float64]:
    """(n, d) and (k, d) to (n, k), exact."""
    return exact_cosines(on_grid(images), on_grid(labels))


def rows_of(kept: Sequence[Proposal], vectors: Vectors, source: str) -> Vectors:
    """The vectors of the negatives from one side."""
    rows: Vectors = vectors[np.array([item.source == source for item in kept], dtype=bool)]
    return rows

"""ANTS: negative images of a lake, sentences about them, look-alikes of the ID classes near them, one weight.

Zhu et al., ANTS: Adaptive Negative Textual Space Shaping for OOD Detection, arXiv 2509.03951. Two banks are made: ENS,
descriptions of images that NegLabel doubts most (far OOD), and VSNL, names of things that look like the ID classes
which those images resemble (near OOD). The method `ants` weighs both by what the negative images themselves say of each
bank.

The published method makes them batch by batch, which is online.py here. What is frozen depends on the sample alone, not
on the order of its images: they are sorted by content. Where the paper and its code differ, see settings.py.

Ours besides: by default the negative images are those that calibrated p-values leave over when ID images are accounted
for (`World.suspects`); by the published rule they are widened by nearest neighbours. Those that are described are drawn
from all of them (images.py). Classes are chosen by how many negative images lie near them as well as by frequency.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from curator.errors import BankError
from curator.generators.asking import Asking
from curator.methods.kernels.cosines import exact_cosines, on_grid
from curator.methods.members.ants import adaptive_weight, balanced_scores, side_score
from curator.methods.spec import bank_scale
from curator.systems.ants.images import negative_images
from curator.systems.ants.online import AntsRun
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
from curator.systems.cleaning import what_is_left
from curator.systems.conversations import tally
from curator.systems.proposals import Learned, Proposal
from curator.systems.stream import batches, stream_lake
from curator.systems.world import LakeSample, World
from curator.types import Bank, Vectors

ROWS = 4096  # images that are compared with labels at once
NEAREST_LABELS = 3  # of each negative image, that count towards the choice of classes


def learn_ants(world: World, asking: Asking, settings: AntsSettings) -> Learned:
    """Frozen: on a sample of the lake, by content. Online: on the whole lake as it arrived."""
    if settings.mode == "frozen":
        return learn_frozen(world, asking, settings)
    run, streamed = stream_lake(lambda: AntsRun(world, asking, settings), world, settings, largest=1.0)
    return run.learned(streamed)


def learn_frozen(world: World, asking: Asking, settings: AntsSettings) -> Learned:
    """Both banks and the weight, or one of them. Raises BankError when no image is negative, or nothing is left of what
    was said."""
    parent = world.parent
    sample = world.look_up(world.sample_ids(settings.sample)).sorted_by_id()
    negatives = negative_images(sample, world, settings)
    drawn = negatives.drawn if settings.variant != "vsnl" else negatives.drawn.take(np.arange(0))
    descriptions = describe(drawn, world, asking, settings) if len(drawn) else []
    classes = choose_classes(sample, negatives.candidates, parent, settings) if settings.variant != "ens" else []
    look_alikes = ask_look_alikes(classes, parent, asking, settings) if classes else []
    said = sentence_proposals(descriptions, parent, drawn, settings)
    sentences, named = without_named(said, parent, settings)
    names = look_alike_proposals(look_alikes, parent)
    cleaned = world.cleaner(settings.rules).clean([*sentences, *names], world.encode)
    sides = {source: rows_of(cleaned.kept, cleaned.vectors, source) for source in (ENS, VSNL)}
    if not len(cleaned.kept):
        raise BankError("ants: no negative label is left", hint="see `curator query calls`")
    account = {
        **negatives.account,
        "described": tally(descriptions),
        "sentences": sentence_account(len(said), named, sentences, cleaned),
        "classes": [parent.labels[place].text for place in classes],
        "asked": tally(look_alikes),
        "cleaning": dict(cleaned.counts),
        "dropped": {reason: list(texts) for reason, texts in cleaned.dropped.items()},
        "ens": len(sides[ENS]),
        "vsnl": len(sides[VSNL]),
    }
    note, is_empty = what_is_left([cleaned], [sentences, names], parent.id_count)
    weight = ens_weight(sample, negatives.candidates, parent, sides, settings)
    return Learned(
        negatives=tuple(cleaned.kept),
        facts={"ens_weight": weight, "initialised": settings.initialise, "mode": "frozen"},
        account=account,
        inherited=tuple(range(parent.id_count, len(parent.labels))) if settings.initialise else (),
        inherited_source=BASE if settings.initialise else "",
        thinned=note,
        emptied=is_empty,
    )


def choose_classes(sample: LakeSample, negatives: LakeSample, parent: Bank, settings: AntsSettings) -> list[int]:
    """The ID classes that look-alikes are asked for, the foremost first.

    frequency: how often a class is predicted (the paper's F(y), over the sample). neighbours: how often it is among the
    nearest ID labels of a negative image, the nearest weighing most. both: the mean of the two shares.
    """
    count = parent.id_count
    frequency = np.bincount(sample.id_label, minlength=count) / max(len(sample), 1)
    near = np.zeros(count)
    for part in batches(negatives.vectors, ROWS):
        nearest = np.argsort(-cosines_to(part, parent.id_vectors), axis=1, kind="stable")[:, :NEAREST_LABELS]
        weight = np.broadcast_to(1.0 / np.arange(1, nearest.shape[1] + 1), nearest.shape)
        near += np.bincount(nearest.ravel(), weight.ravel(), minlength=count)
    near /= max(near.sum(), 1.0)
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
    """lambda = F(mean S_ens, mean S_vsnl): the side that takes more from the negative images, whether described or not,
    weighs more (eq. of the paper). A side that is empty has no weight."""
    if not len(sides[ENS]) or not len(sides[VSNL]):
        return float(len(sides[ENS]) > 0)
    if isinstance(settings.weight, float):
        return settings.weight
    images = negatives.vectors if settings.weight == "negatives" else sample.vectors
    scale, sums = bank_scale(parent), np.zeros(2)
    for part in batches(images, ROWS):
        inside, ens, vsnl = (cosines_to(part, labels) for labels in (parent.id_vectors, sides[ENS], sides[VSNL]))
        if settings.weight == "negatives":
            scores = [side_score(inside, side, scale=scale, group_size=settings.group_size) for side in (ens, vsnl)]
        else:
            scores = [*balanced_scores(inside, ens, vsnl, scale=scale, group_size=parent.id_count)]
        sums += [side.sum() for side in scores]
    means = sums / max(len(images), 1)
    return round(adaptive_weight(float(means[0]), float(means[1])), WEIGHT_DIGITS)


def cosines_to(images: Vectors, labels: Vectors) -> NDArray[np.float64]:
    """(n, d) and (k, d) to (n, k), exact."""
    return exact_cosines(on_grid(images), on_grid(labels))


def rows_of(kept: Sequence[Proposal], vectors: Vectors, source: str) -> Vectors:
    """The vectors of the negatives from one side."""
    rows: Vectors = vectors[np.array([item.source == source for item in kept], dtype=bool)]
    return rows

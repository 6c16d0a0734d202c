"""Which images of the lake are taken for negative, and which of them are described.

All of them count for the weight and for the choice of classes; a budget of them is described. The lowest scores alone
would say what the parent knows already, so the described ones are drawn over what the candidates show (clusters by
spherical k-means) and within each cluster over the whole range of their scores.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from curator.errors import BankError
from curator.methods.kernels.cosines import exact_cosines, on_grid
from curator.methods.members.ants import negative_threshold
from curator.systems.ants.settings import AntsSettings
from curator.systems.stream import batches, suspects_of
from curator.systems.world import LakeSample, World

ROWS = 1024  # images that are compared at once


@dataclass(frozen=True, slots=True)
class NegativeImages:
    """candidates: all images taken for negative; drawn: those that are described, the least ID first. account: how they
    were found."""

    candidates: LakeSample
    drawn: LakeSample
    account: dict[str, int | float]


def negative_images(sample: LakeSample, world: World, settings: AntsSettings) -> NegativeImages:
    """The images of the excess, or by the published rule those below a threshold (`below_threshold`).

    Raises BankError when no image is negative.
    """
    suspects = suspects_of(world, settings)
    if suspects is None:
        candidates, account = below_threshold(sample, world, settings)
    else:
        candidates = world.look_up(suspects.ood).lowest_first()
        account = {"excess": len(candidates)}
    drawn, clusters = drawn_over(candidates, settings)
    scores = {"lowest": float(drawn.id_score[0]), "highest": float(drawn.id_score[-1])} if len(drawn) else {}
    return NegativeImages(candidates, drawn, {**account, "clusters": clusters, "drawn": len(drawn), **scores})


def below_threshold(
    sample: LakeSample, world: World, settings: AntsSettings
) -> tuple[LakeSample, dict[str, int | float]]:
    """The negative images of a sample by the published rules, the least ID first, and how they were found.

    histogram: the code's rule on all scores of the sample (`negative_threshold`). share: the paper's: of the scores
    below gamma the lowest share eta. Their neighbours in the lake join them as far as they are doubtful too (below
    `upper`).
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
    wider = found.joined(widened(found.take(spaced(len(found), settings.images)), found, upper, world, settings))
    account: dict[str, int | float] = {
        "sample": len(sample),
        "threshold": float(threshold),
        "upper": float(upper),
        "below_threshold": len(found),
        "widened": len(wider),
    }
    return wider.lowest_first(), account


def widened(asked: LakeSample, found: LakeSample, upper: float, world: World, settings: AntsSettings) -> LakeSample:
    """Neighbours of some negative images in the whole lake, as far as NegLabel doubts them as well; none of `found`."""
    known = set(found.image_ids)
    near = world.neighbours(asked.vectors, settings.widen + 1) if settings.widen else ()
    others = {
        image_id
        for row in near
        for image_id, cosine in row
        if cosine >= settings.widen_cosine and image_id not in known
    }
    seen = world.look_up(sorted(others))
    return seen.take(np.flatnonzero(seen.id_score < upper))


def drawn_over(candidates: LakeSample, settings: AntsSettings) -> tuple[LakeSample, int]:
    """At most `settings.images` candidates (given the least ID first), and of how many clusters.

    Images that look nearly the same count once: the least ID of a cluster stands for them. Clusters give as many each
    as they have and the budget allows, evenly spaced in the order of their scores. Where the budget covers all, there
    are no clusters.
    """
    groups = clusters_of(candidates, settings)
    distinct = [group[distinct_places(candidates.take(group), settings.duplicate_cosine)] for group in groups]
    wanted = level_shares([len(group) for group in distinct], settings.images)
    chosen = [group[spaced(len(group), count)] for group, count in zip(distinct, wanted, strict=True)]
    return candidates.take(np.sort(np.concatenate([np.zeros(0, np.intp), *chosen]))), len(groups)


def clusters_of(images: LakeSample, settings: AntsSettings) -> list[NDArray[np.intp]]:
    """Places of the images in each cluster, rising; one of all where the budget covers them."""
    if len(images) <= settings.images:
        return [np.arange(len(images))]
    from curator.vectors.faiss_index import spherical_means

    centres = spherical_means(images.vectors, min(settings.clusters, settings.images), seed=settings.seed)
    nearest = np.concatenate([(part @ centres.T).argmax(axis=1) for part in batches(images.vectors, ROWS)])
    order = np.argsort(nearest, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(nearest[order])) + 1)
    return [part.astype(np.intp) for part in parts]


def distinct_places(images: LakeSample, duplicate_cosine: float) -> NDArray[np.intp]:
    """Of images that look nearly the same (cosines from there on) the one that stands first."""
    grid = on_grid(images.vectors)
    kept = np.ones(len(images), dtype=bool)
    for start in range(0, len(images), ROWS):
        alike = exact_cosines(grid[start : start + ROWS], grid) >= duplicate_cosine
        for place, row in enumerate(alike, start):
            if kept[place]:
                kept[place + 1 :] &= ~row[place + 1 :]
    return np.flatnonzero(kept)


def level_shares(sizes: list[int], total: int) -> list[int]:
    """How many each group gives, so that together they are `total` (all, if fewer): as equal as their sizes allow."""
    given, left = [0] * len(sizes), total
    for number, place in enumerate(sorted(range(len(sizes)), key=lambda place: sizes[place])):
        given[place] = min(sizes[place], left // (len(sizes) - number))
        left -= given[place]
    return given


def spaced(count: int, wanted: int) -> NDArray[np.intp]:
    """At most `wanted` places among `count`, rising: the middles of as many equal parts."""
    wanted = min(count, wanted)
    found: NDArray[np.intp] = ((np.arange(wanted) + 0.5) * count / max(wanted, 1)).astype(np.intp)
    return found

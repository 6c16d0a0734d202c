"""ANTS, frozen: negative images of a lake, sentences about them, look-alikes of the ID classes near them, one weight.

Zhu et al., ANTS: Adaptive Negative Textual Space Shaping for OOD Detection, arXiv 2509.03951. Two banks are made
where the published method makes them batch by batch: ENS, descriptions of images that NegLabel doubts most (far OOD),
and VSNL, names of things that look like the ID classes which those images resemble (near OOD). The method `ants` weighs
both by what the negative images themselves say of each bank.

What is frozen here depends on the sample alone, not on the order of its images: they are sorted by content. The order-
dependent form is curator/systems/ants/stream.py. Where the paper and its code differ, both forms are settings:

    threshold   share: the paper's, the lowest of those below `gamma` · histogram: the code's, by the shape of scores
    classes     0: the paper's share `class_share` of the ID classes, but `class_least`, the code's 40, at least
    weight      negatives: the paper's, over the negative images · all: the code's, over all images, banks balanced
    exclude     true: the paper's, a description must not name the predicted class · false: the code's for Qwen and BLIP
    initialise  true: the paper's, both banks begin with the parent's negatives · false: the code's default

By default the first of each. The histogram's rule takes the largest jump for the foot of the ID peak; where most of a
lake is OOD it lies at the other end, and hardly an image is described (with curator-mini on the development data: 29
images and an AUROC far of 97.6, against 400 images and 99.7).

Ours besides: negative images are widened and de-duplicated by nearest neighbours; classes are chosen by how many
negative images lie near them as well as by frequency; sentences that name an ID class are dropped.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from curator.banks import checks
from curator.banks.checks import Check, read_table
from curator.banks.prompts import fill, resolve_template
from curator.errors import BankError
from curator.generators.asking import Asking, Call
from curator.generators.prompts import load_prompt
from curator.generators.requests import Picture, Request
from curator.methods.kernels.cosines import exact_cosines, on_grid
from curator.methods.members.ants import adaptive_weight, balanced_scores, negative_threshold, side_score
from curator.methods.spec import bank_scale
from curator.systems.cleaning import Cleaner
from curator.systems.conversations import tally
from curator.systems.lake import LakeSample, joined
from curator.systems.limits import between, check_fields, number, or_none, out_of, positive_count, template_name
from curator.systems.proposals import Learned, Proposal
from curator.types import Bank, Vectors

ENS, VSNL, BASE = "ants:ens", "ants:vsnl", "ants:base:"
WEIGHT_DIGITS = 6  # of the frozen weight, which stands in the name of every score
NEAREST_LABELS = 3  # of each negative image, that count towards the choice of classes


@dataclass(frozen=True, slots=True)
class AntsSettings:
    """`sample`: images of the lake to learn from, 0 for all. Scores are of NegLabel on the parent bank, in [0, 1].

    threshold, eta, gamma: which images are negative, see `negative_images`. widen: neighbours of each that may join it,
    from `widen_cosine` on. duplicate_cosine: from where two of them count once. images: at most so many are described.
    class_count (0: by `class_share`), choose: of which ID classes look-alikes are asked for; names: how many of each.
    weight: of ENS against VSNL, in [0, 1], or how to find it. group_size: labels of a group in the score.

    online only, see stream.py: batch images at a time, from a threshold of `start`; more than cache_size
    negative images are described at once, `updates` times; look-alikes are asked for in batch first_class_batch and
    every class_interval after; a bank keeps queue_cap sentences; activation: the code's addition after TANL. orders:
    how many other orders are tried.
    """

    mode: Literal["frozen", "online"] = "frozen"
    sample: int = 20_000
    threshold: Literal["histogram", "share"] = "share"
    eta: float = 0.5
    gamma: float = 0.9
    widen: int = 3
    widen_cosine: float = 0.9
    duplicate_cosine: float = 0.98
    images: int = 400
    exclude: bool = True
    class_count: int = 0
    class_share: float = 0.08
    class_least: int = 40
    choose: Literal["both", "frequency", "neighbours"] = "both"
    names: int = 5
    weight: Literal["negatives", "all"] | float = "negatives"
    initialise: bool = False
    sentence_template: str = "plain"
    max_cosine: float | None = None
    group_size: int = 100
    batch: int = 256
    orders: int = 1
    start: float = 0.8
    cache_size: int = 200
    updates: int = 10
    first_class_batch: int = 10
    class_interval: int = 40
    queue_cap: int = 10_000
    activation: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        check_fields(self, _CHECKS, "ants")

    @classmethod
    def resolve(cls, table: Mapping[str, Any], *, where: str = "ants") -> Self:
        """Raises ConfigError that names an unknown key or a bad value."""
        return cls(**read_table(table, _CHECKS, where))

    def wanted_classes(self, id_count: int) -> int:
        """Of how many ID classes look-alikes are asked for: the paper's 8 % but not too few, or a given number."""
        wanted = self.class_count or max(self.class_least, math.ceil(self.class_share * id_count))
        return min(wanted, id_count)


def _weight(value: Any) -> str | float:
    if value in ("negatives", "all"):
        return str(value)
    try:
        return number(value, high=1.0)
    except ValueError as fault:
        raise ValueError("negatives, all, or a number from 0 to 1") from fault


_CHECKS: dict[str, Check] = {
    "mode": out_of("frozen", "online"),
    "sample": checks.count,
    "threshold": out_of("histogram", "share"),
    "eta": checks.share,
    "gamma": checks.share,
    "widen": checks.count,
    "widen_cosine": between(-1, 1),
    "duplicate_cosine": between(-1, 1),
    "images": positive_count,
    "exclude": checks.flag,
    "class_count": checks.count,
    "class_share": checks.share,
    "class_least": positive_count,
    "choose": out_of("both", "frequency", "neighbours"),
    "names": positive_count,
    "weight": _weight,
    "initialise": checks.flag,
    "sentence_template": template_name,
    "max_cosine": or_none(between(-1, 1)),
    "group_size": positive_count,
    "batch": positive_count,
    "orders": checks.count,
    "start": checks.share,
    "cache_size": checks.count,
    "updates": checks.count,
    "first_class_batch": positive_count,
    "class_interval": positive_count,
    "queue_cap": positive_count,
    "activation": checks.flag,
    "seed": checks.count,
}


@dataclass(frozen=True)
class AntsTools:
    """What learning needs of the world around it.

    neighbours: (n, d) and k to the ids and cosines of the nearest lake images of each. look_up: what the parent bank
    says of lake images. picture: an image that a describer may look at. encode: prompts to unit vectors.
    """

    asking: Asking
    neighbours: Callable[[Vectors, int], Sequence[Sequence[tuple[str, float]]]]
    look_up: Callable[[Sequence[str]], LakeSample]
    picture: Callable[[str, Vectors], Picture]
    encode: Callable[[Sequence[str]], Vectors]
    cleaner: Cleaner


def learn_ants(sample: LakeSample, parent: Bank, settings: AntsSettings, tools: AntsTools) -> Learned:
    """Both banks and the weight. Raises BankError when no image is negative, or nothing is left of what was said."""
    sample = sample.sorted_by_id()
    negatives, found = negative_images(sample, settings, tools)
    descriptions = describe(negatives, parent, settings, tools)
    classes = choose_classes(sample, negatives, parent, settings)
    look_alikes = ask_look_alikes(classes, parent, settings, tools)
    sentences, named = without_id_names(sentence_proposals(descriptions, parent, negatives, settings), parent)
    names = look_alike_proposals(look_alikes, parent)
    cleaned = tools.cleaner.clean([*sentences, *names], tools.encode)
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


def negative_images(sample: LakeSample, settings: AntsSettings, tools: AntsTools) -> tuple[LakeSample, dict[str, Any]]:
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
    wider = joined(candidates, widened(candidates, upper, settings, tools)).lowest_first()
    distinct = without_duplicates(wider, settings)
    account = {
        "sample": len(sample),
        "threshold": float(threshold),
        "upper": float(upper),
        "below_threshold": len(found),
        "widened": len(wider),
        "distinct": len(distinct),
    }
    return distinct, account


def widened(found: LakeSample, upper: float, settings: AntsSettings, tools: AntsTools) -> LakeSample:
    """Neighbours of the negative images in the whole lake, as far as NegLabel doubts them as well."""
    known = set(found.image_ids)
    near = tools.neighbours(found.vectors, settings.widen + 1) if settings.widen else ()
    others = {
        image_id
        for row in near
        for image_id, cosine in row
        if cosine >= settings.widen_cosine and image_id not in known
    }
    seen = tools.look_up(sorted(others))
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


def describe(negatives: LakeSample, parent: Bank, settings: AntsSettings, tools: AntsTools) -> list[Call]:
    """A description of each negative image."""
    prompt = load_prompt("describe-image" if settings.exclude else "describe-image-freely")
    requests = [
        Request(
            prompt,
            {"label": parent.labels[label].text} if settings.exclude else {},
            pictures=(tools.picture(image_id, vector),),
            seed=settings.seed,
        )
        for image_id, vector, label in zip(
            negatives.image_ids, negatives.vectors, negatives.id_label.tolist(), strict=True
        )
    ]
    calls = tools.asking.ask("describer", requests)
    tools.asking.release("describer")
    return calls


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


def ask_look_alikes(classes: Sequence[int], parent: Bank, settings: AntsSettings, tools: AntsTools) -> list[Call]:
    """Names of things that look like each of the classes."""
    requests = [
        Request(
            load_prompt("look-alikes"),
            {"label": parent.labels[place].text, "count": settings.names},
            seed=settings.seed,
        )
        for place in classes
    ]
    calls = tools.asking.ask("reasoner", requests)
    tools.asking.release("reasoner")
    return calls


def sentence_proposals(
    calls: Sequence[Call], parent: Bank, negatives: LakeSample, settings: AntsSettings
) -> list[Proposal]:
    """ENS: sentences as they are, in the order of the images; the published code encodes them without a template."""
    template = resolve_template(settings.sentence_template)
    return [
        Proposal(text, fill(template, text), ENS, call.call_id, parent.labels[label].text)
        for call, label in zip(calls, negatives.id_label.tolist(), strict=True)
        for text in call.labels[:1]
    ]


def look_alike_proposals(calls: Sequence[Call], parent: Bank) -> list[Proposal]:
    """VSNL: names in the template of the ID labels, in lower case."""
    template = resolve_template(parent.spec["id"]["template"])
    return [
        Proposal(name.lower(), fill(template, name.lower()), VSNL, call.call_id, str(call.request.slots["label"]))
        for call in calls
        for name in call.labels
    ]


def without_id_names(proposals: Sequence[Proposal], parent: Bank) -> tuple[list[Proposal], int]:
    """The sentences that do not contain the name of an ID label as whole words, and how many do."""
    names = sorted({label.text.replace("_", " ").lower() for label in parent.labels[: parent.id_count]}, key=len)
    pattern = re.compile(r"\b(?:" + "|".join(map(re.escape, reversed(names))) + r")s?\b", re.IGNORECASE)
    kept = [item for item in proposals if not pattern.search(item.text)]
    return kept, len(proposals) - len(kept)


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

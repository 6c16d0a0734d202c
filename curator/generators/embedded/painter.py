"""The embedded painter: outliers synthesised among the vectors themselves, without an image (NPOS).

Non-Parametric Outlier Synthesis (Tao et al., ICLR 2023) looks for the ID vectors at the boundary, those far from their
k-th nearest neighbour, adds Gaussian noise to them, and keeps what is still further out. Here an image that a method
wants repainted gives the vector that noise is added to, its class gives the boundary, and a text steers by a little of
its own direction. What comes back are the vectors that an image encoder would have made of the picture.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from curator.banks.text_cache import encode_prompts
from curator.errors import ConfigError
from curator.generators.embedded.answering import (
    Refused,
    answer_each,
    digest_of,
    picture_vector,
    text_slot,
)
from curator.generators.embedded.centring import unit_rows
from curator.generators.painter_settings import TASKS
from curator.generators.requests import Reply, Request
from curator.generators.surroundings import Surroundings
from curator.methods.kernels.cosines import exact_cosines, on_grid
from curator.ranges import Place, Range, read_table
from curator.types import Vectors

FORMAT = 2  # raised whenever the same request may get another artefact
BLOCK_CELLS = 1 << 22  # 32 MiB of float64 cosines


@dataclass(frozen=True, slots=True)
class SynthesisSettings:
    """How outliers are made. A request's `settings` may set each of them, by these names.

    k: the neighbour whose distance says how isolated a vector is. boundary_share: of a class, its most isolated images,
    0–1. noise: expected length of the Gaussian noise that is added to a unit vector (NPOS gives its deviation in each
    dimension; the length means the same in every space). candidates: vectors tried a round. widenings: rounds with
    noise 1.5 times as long when all candidates of a round lie among ID images. count: vectors kept. context_weight:
    length of the step in the direction of the text, small, so that the picture and not the text says where the outlier
    is. Defaults are for spaces of unit vectors; they were looked at with curator-mini.
    """

    k: Annotated[int, Range(1)] = 5
    boundary_share: Annotated[float, Range(0, 1, above=True)] = 0.1
    noise: Annotated[float, Range(1e-6)] = 0.5
    candidates: Annotated[int, Range(1)] = 200
    widenings: Annotated[int, Range(0)] = 6
    count: Annotated[int, Range(1)] = 1
    context_weight: Annotated[float, Range(0)] = 0.15

    @classmethod
    def resolve(cls, prompt: str, given: Mapping[str, object]) -> SynthesisSettings:
        """From the settings of a request with that prompt. What a diffusion model would be told there (size, steps) is
        passed over: systems send it to whatever painter there is. Raises Refused for any other key, and a bad value."""
        known = [item.name for item in fields(cls)]
        passed_over = [item.name for item in fields(TASKS[prompt])] if prompt in TASKS else []
        if unknown := sorted(given.keys() - {*known, *passed_over}):
            raise Refused(f"{prompt} has no setting {', '.join(unknown)}: known are {', '.join(known)}")
        own = {name: given[name] for name in known if name in given}
        try:
            settings = read_table(cls, own, Place(prompt, strict=True))
        except ConfigError as fault:
            raise Refused(fault.message) from fault
        if settings.count > settings.candidates:
            raise Refused(f"{prompt}: count is {settings.count}, more than the {settings.candidates} candidates")
        return settings


@dataclass(frozen=True, slots=True)
class Outliers:
    """Synthesised vectors (n, d) unit norm, the most isolated first, with their k-NN distances to the ID vectors (n,).

    `tried`: candidates over all rounds. `noise`: length of the noise of the round that gave them.
    """

    vectors: Vectors
    distances: NDArray[np.float64]
    tried: int
    noise: float


def knn_distance(
    queries: NDArray[np.floating], reference: NDArray[np.floating], k: int, *, apart: bool = False
) -> NDArray[np.float64]:
    """Euclidean distance to the k-th nearest reference vector, (n,), in [0, 2]; the same in any batch.

    queries: (n, d), reference: (m, d), unit norm. `apart`: they are the same, and no vector is its own neighbour.
    Where there are fewer than k neighbours the furthest counts. Raises ValueError without any.
    """
    neighbours = len(reference) - apart
    if neighbours < 1:
        raise ValueError("no vector to measure a distance to")
    columns, found = on_grid(reference), np.zeros(len(queries))
    step = max(1, BLOCK_CELLS // len(reference))
    for start in range(0, len(queries), step):
        cosines = exact_cosines(on_grid(queries[start : start + step]), columns)
        if apart:
            rows = np.arange(len(cosines))
            cosines[rows, start + rows] = -np.inf
        place = len(reference) - min(k, neighbours)
        kth = np.partition(cosines, place, axis=1)[:, place]
        found[start : start + step] = np.sqrt(np.clip(2.0 - 2.0 * kth, 0.0, None))
    return found


def boundary_rows(distances: NDArray[np.float64], share: float) -> NDArray[np.intp]:
    """The rows with the largest of the k-NN distances (n,), at least one, the largest first, ties in order."""
    count = max(1, round(share * len(distances)))
    return np.argsort(-distances, kind="stable")[:count]


def synthesise_outliers(
    origin: NDArray[np.floating],
    reference: NDArray[np.floating],
    boundary: float,
    draws: np.random.Generator,
    settings: SynthesisSettings,
    *,
    step: NDArray[np.floating] | None = None,
) -> Outliers | None:
    """Vectors around `origin` (d,) whose k-NN distance to the ID vectors `reference` (m, d) is at least `boundary`.

    Each candidate is origin + step + noise, brought back to unit norm; those too near to ID are rejected and the
    furthest of the others kept. `step` (d,): the way in which all candidates are moved. None when every round's
    candidates lie among ID vectors. Fewer than `count` vectors are given where fewer are outside.
    """
    d = origin.shape[0]
    centre = origin if step is None else origin + step
    for widening in range(settings.widenings + 1):
        noise = settings.noise * 1.5**widening
        moved = centre + draws.standard_normal((settings.candidates, d)) * (noise / np.sqrt(d))
        candidates = unit_rows(moved).astype(np.float32)
        distances = knn_distance(candidates, reference, settings.k)
        order = np.argsort(-distances, kind="stable")[: settings.count]
        kept = order[distances[order] >= boundary]
        if kept.size:
            return Outliers(candidates[kept], distances[kept], (widening + 1) * settings.candidates, noise)
    return None


class FeaturePainter:
    """Vectors in place of pictures. Implements `Generator`."""

    model = "features"
    room: int | None = None

    def __init__(self, surroundings: Surroundings) -> None:
        self._surroundings = surroundings
        self._distances: dict[int, NDArray[np.float64]] = {}

    @cached_property
    def revision(self) -> str:
        around = self._surroundings
        images = [] if len(self._images) else [around.image_vectors()]
        labels = around.id_image_labels()
        shaping = (around.encoder_id, around.template, around.id_texts, around.id_vectors, self._images, labels)
        return digest_of(FORMAT, *shaping, *images)

    def replies(self, requests: Sequence[Request], *, allow: Callable[[], bool]) -> Iterator[Reply]:
        return answer_each(requests, allow, self._answer)

    def close(self) -> None:
        """Nothing is held that is worth freeing."""

    def _answer(self, request: Request) -> Reply:
        if request.prompt.name != "inpaint":
            raise Refused(f"{self.model} does not know the prompt {request.prompt.name}")
        if len(self._images) < 2:
            raise Refused("there are no ID images to keep away from")
        settings = SynthesisSettings.resolve(request.prompt.name, request.settings)
        # Each request draws from its own stream: neither its place nor its neighbours change what it gets.
        draws = np.random.default_rng([abs(request.seed), int(request.digest, 16)])
        boundary, found = self._inpaint(request, settings, draws)
        if found is None:
            raise Refused("every vector that was tried lies among ID images")
        facts = {
            "knn_distances": [round(distance, 6) for distance in found.distances.tolist()],
            "boundary_distance": round(boundary, 6),
            "candidates": found.tried,
            "noise": found.noise,
        }
        return Reply(0, artefact=save({"vectors": found.vectors}), suffix=".safetensors", facts=facts)

    def _inpaint(
        self, request: Request, settings: SynthesisSettings, draws: np.random.Generator
    ) -> tuple[float, Outliers | None]:
        """Around the picture's vector, moved a little as the context says, beyond the boundary of its class."""
        origin = unit_rows(picture_vector(request)[None])[0]
        step = settings.context_weight * self._direction(text_slot(request, "context"))
        nearest = int(exact_cosines(on_grid(origin[None]), on_grid(self._images)).argmax())
        boundary = self._boundary(settings, int(self._labels[nearest]))
        return boundary, synthesise_outliers(origin, self._images, boundary, draws, settings, step=step)

    def _boundary(self, settings: SynthesisSettings, label: int) -> float:
        """The least k-NN distance among the boundary rows of a class."""
        if settings.k not in self._distances:
            self._distances[settings.k] = knn_distance(self._images, self._images, settings.k, apart=True)
        distances = self._distances[settings.k][self._labels == label]
        return float(distances[boundary_rows(distances, settings.boundary_share)].min())

    def _direction(self, context: str) -> NDArray[np.float64]:
        """(d,) unit: what sets that text apart from the ID labels, which holds for images as for texts."""
        around = self._surroundings
        [text] = encode_prompts(around.encoder(), [context])
        direction: NDArray[np.float64] = unit_rows((text - self._text_mean)[None])[0]
        return direction

    @cached_property
    def _images(self) -> Vectors:
        vectors = self._surroundings.id_image_vectors()
        return unit_rows(vectors).astype(np.float32) if len(vectors) else vectors

    @cached_property
    def _labels(self) -> NDArray[np.integer]:
        labels: NDArray[np.integer] = self._surroundings.id_image_labels()
        return labels

    @cached_property
    def _present(self) -> NDArray[np.integer]:
        return np.unique(self._labels)

    @cached_property
    def _text_mean(self) -> NDArray[np.float64]:
        mean: NDArray[np.float64] = self._surroundings.id_vectors[self._present].mean(axis=0, dtype=np.float64)
        return mean

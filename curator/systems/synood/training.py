"""SynOOD's two trainings, on vectors that are there already: a projection of images, and new vectors of labels.

Both run on the CPU in float32, on one thread, with a generator of their own. Promised is: the same inputs and seed
give the same bits on the same machine and library, however many threads PyTorch has, whatever was drawn before, and
whatever PYTHONHASHSEED is. Another machine may differ in the last digits. No global seed is set, and the number of
threads is put back.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from curator.errors import BankError
from curator.generators.embedded.answering import one_torch_thread
from curator.systems.synood.settings import SynoodSettings
from curator.types import Vectors

GRID = 2.0**24
LARGEST_ROW = (
    8.0  # with rows below it, products with vectors on the 2^-25 grid add up exactly (methods/kernels/projection.py)
)
EPSILON = 1e-5  # of LayerNorm


@dataclass(frozen=True)
class ResidualProjection:
    """f_hat = norm(f + ReLU(LayerNorm(W f + b))). weight: (d, d) float32, entries multiples of 2^-24, rows of norm
    below 8; bias, gain, shift: (d,) float32. losses: the mean of each epoch."""

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    gain: NDArray[np.float32]
    shift: NDArray[np.float32]
    losses: tuple[float, ...]


@dataclass(frozen=True)
class Tuned:
    """vectors: (M', d) unit norm, in the order of the labels given; raw: as trained. losses: the mean of each epoch."""

    vectors: Vectors
    raw: NDArray[np.float32]
    losses: tuple[float, ...]


def train_projection(
    id_vectors: Vectors,
    id_labels: NDArray[np.integer],
    synthetic_vectors: Vectors,
    synthetic_labels: NDArray[np.integer],
    text_vectors: Vectors,
    scale: float,
    settings: SynoodSettings,
) -> ResidualProjection:
    """id_vectors: (m, d), synthetic_vectors: (s, d), text_vectors: (C + M', d), unit norm; both labels are rows of the
    last, ID labels first. Linear, LayerNorm and ReLU, added to the image vector; texts stay as they are.

    One softmax over all C + M' labels, as in the code: the paper's equation 12 sums over the M' negatives alone, where
    an ID image has no place. In both the residual is added to the feature before that is normalised (norm about 10 for
    ViT-B/16); stored vectors are of unit norm, so here it is added to those, when training and when scoring, and begins
    small (`projection_gain`). Adam, cosine by epoch. Raises BankError when the loss is no longer finite.
    """
    images = torch.from_numpy(np.concatenate([id_vectors, synthetic_vectors]).astype(np.float32))
    labels = torch.from_numpy(np.concatenate([id_labels, synthetic_labels]).astype(np.int64))
    texts = torch.from_numpy(text_vectors.astype(np.float32))
    draw = torch.Generator().manual_seed(settings.seed)
    with one_torch_thread():  # how sums are divided between threads changes their last digits
        layers = new_layers(images.shape[1], settings.projection_gain, draw)
        optimiser = torch.optim.Adam(layers, lr=settings.projection_rate, weight_decay=settings.projection_decay)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(
            optimiser, T_max=settings.projection_epochs, eta_min=settings.projection_last_rate
        )
        losses = []
        for _ in range(settings.projection_epochs):
            total = 0.0
            for rows in batches(len(images), settings.projection_batch, draw):
                loss = contrast_loss(residual(images[rows], *layers), texts, labels[rows], scale)
                total += step(optimiser, loss, "projection") * len(rows)
            losses.append(total / len(images))
            schedule.step()
    weight, bias, gain, shift = (layer.detach().numpy() for layer in layers)
    weight, bias = exact_rows(weight, bias)
    return ResidualProjection(weight, bias, gain, shift, tuple(losses))


def tune_labels(
    image_vectors: Vectors,
    labels: NDArray[np.integer],
    label_vectors: NDArray[np.floating],
    scale: float,
    settings: SynoodSettings,
) -> Tuned:
    """image_vectors: (n, d) unit norm, not projected; labels: (n,) rows of label_vectors (M', d), the text features as
    the tower gives them, of any norm.

    Cross entropy over the M' labels alone, no ID label and no other negative among them, as in the code (the paper's
    equation 14 sums over images). A longer feature turns less in a step. SGD with momentum, cosine by epoch to 0, on
    float32: the code tunes float16 on a GPU, where small steps are lost. Raises BankError when the loss is no longer
    finite.
    """
    images = torch.from_numpy(image_vectors.astype(np.float32))
    targets = torch.from_numpy(labels.astype(np.int64))
    features = torch.from_numpy(label_vectors.astype(np.float32)).clone().requires_grad_()
    draw = torch.Generator().manual_seed(settings.seed)
    with one_torch_thread():  # how sums are divided between threads changes their last digits
        optimiser = torch.optim.SGD(
            [features], lr=settings.tuning_rate, momentum=settings.tuning_momentum, weight_decay=settings.tuning_decay
        )
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=settings.tuning_epochs)
        losses = []
        for _ in range(settings.tuning_epochs):
            total = 0.0
            for rows in batches(len(images), settings.tuning_batch, draw):
                loss = contrast_loss(images[rows], features, targets[rows], scale)
                total += step(optimiser, loss, "tuning") * len(rows)
            losses.append(total / len(images))
            schedule.step()
    raw = features.detach().numpy()
    return Tuned(unit_rows(raw), raw, tuple(losses))


def residual(features: Tensor, weight: Tensor, bias: Tensor, gain: Tensor, shift: Tensor) -> Tensor:
    """features: (n, d). f + ReLU(LayerNorm(W f + b)), (n, d), not normalised."""
    hidden = F.layer_norm(F.linear(features, weight, bias), features.shape[1:], gain, shift, EPSILON)
    return features + F.relu(hidden)


def contrast_loss(images: Tensor, texts: Tensor, labels: Tensor, scale: float) -> Tensor:
    """images: (n, d), texts: (k, d), both divided by their norms here; labels: (n,). The mean cross entropy of a
    softmax over all texts, of cosines times `scale`."""
    logits = scale * F.normalize(images, dim=1) @ F.normalize(texts, dim=1).T
    return F.cross_entropy(logits, labels)


def new_layers(width: int, gain: float, draw: torch.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Weight and bias as PyTorch begins a Linear, uniform within 1 / sqrt(d); gain and shift of LayerNorm."""
    bound = 1 / math.sqrt(width)
    weight, bias = (torch.empty(shape).uniform_(-bound, bound, generator=draw) for shape in ((width, width), (width,)))
    layers = (weight, bias, torch.full((width,), gain), torch.zeros(width))
    return tuple(layer.requires_grad_() for layer in layers)  # type: ignore[return-value]  # four, as `layers` has


def batches(count: int, size: int, draw: torch.Generator) -> Iterator[Tensor]:
    """The rows of one epoch in a new order, so many at a time."""
    yield from torch.split(torch.randperm(count, generator=draw), size)


def step(optimiser: torch.optim.Optimizer, loss: Tensor, what: str) -> float:
    """One step down the loss; returns its value before."""
    value = float(loss.detach())
    if not math.isfinite(value):
        raise BankError(f"synood: the loss of the {what} is {value}", hint=f"lower {what}_rate")
    optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimiser.step()
    return value


def exact_rows(
    weight: NDArray[np.float32], bias: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Weight on the 2^-24 grid, each row of norm below 8, with its bias.

    LayerNorm takes out a common factor of W f + b but for its epsilon, so where a row has grown too long both are
    halved until none is. float32 holds the grid: from 0.5 on its own steps are no finer.
    """
    entries, offsets = weight.astype(np.float64), bias.astype(np.float64)
    while True:
        rounded = np.rint(entries * GRID) / GRID
        if np.linalg.norm(rounded, axis=1).max(initial=0.0) < LARGEST_ROW:
            return rounded.astype(np.float32), offsets.astype(np.float32)
        entries, offsets = entries / 2, offsets / 2


def unit_rows(rows: NDArray[np.float32]) -> Vectors:
    """(n, d) divided by their norms."""
    wide = rows.astype(np.float64)
    unit: Vectors = (wide / np.linalg.norm(wide, axis=1, keepdims=True)).astype(np.float32)
    return unit

"""Vectors as small integers, whose products are exact: the same on any machine, device and block size, to the bit.

A vector is rotated (random signs and a Hadamard transform, which spreads outlying entries: CLIP's vectors have a few
dimensions ten times larger than the rest), divided by a step of its own and rounded: to 8 bits (`high`), or to 15 bits
held as `high` * 128 + `low`. Matrix units multiply 8-bit integers four times faster than float32 numbers.

The rotation is the one of QuaRot (Ashkboos et al., NeurIPS 2024). It is made of additions in a fixed order, not of a
matrix product, whose order of summation depends on shapes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch

LARGEST = 127  # of an 8-bit part; -128 is not used, so that signs are symmetric
PARTS = 128  # low parts to a high one
SIGN_SEED = 20_240_517
EXACT_FLOAT32_WIDTH = 2**24 // LARGEST**2  # longest rows whose products float32 sums hold exactly


@dataclass(frozen=True, slots=True)
class IntegerVectors:
    """A vector is step * (high + low / 128), rotated. `high`, `low`: int8 (n, width), no `low` for 8 bits.
    `step`: float32 (n,)."""

    high: torch.Tensor
    low: torch.Tensor | None
    step: torch.Tensor

    def __getitem__(self, rows: slice) -> IntegerVectors:
        return IntegerVectors(self.high[rows], None if self.low is None else self.low[rows], self.step[rows])


def to_integers(vectors: torch.Tensor, *, fine: bool) -> IntegerVectors:
    """vectors: (n, d) float32. Each row on a grid of its own: 127 steps (`fine`: 127 * 128) up to its largest entry."""
    rotated = rotate(vectors)
    largest = torch.maximum(rotated.amax(dim=1), -rotated.amin(dim=1)).clamp_min_(1e-30)
    if not fine:
        rotated.mul_((LARGEST / largest)[:, None]).round_()
        return IntegerVectors(rotated.to(torch.int8), None, largest / LARGEST)
    rotated.mul_((LARGEST * PARTS / largest)[:, None]).round_()
    high = torch.round(rotated / PARTS)
    return IntegerVectors(high.to(torch.int8), rotated.sub_(high, alpha=PARTS).to(torch.int8), largest / LARGEST)


def rotate(vectors: torch.Tensor) -> torch.Tensor:
    """(n, d) to (n, width), width = d rounded up to 64: an orthogonal map, the same for images and labels."""
    rows, dimension = vectors.shape
    width = -(-dimension // 64) * 64
    block = width & -width  # the largest power of two that divides the width
    rotated = torch.zeros(width, rows, dtype=torch.float32, device=vectors.device)  # columns together: faster sums
    torch.mul(vectors.T, signs(dimension).to(vectors.device)[:, None], out=rotated[:dimension])
    spare = torch.empty_like(rotated)
    half = 1
    while half < block:
        pairs, sums = (buffer.view(width // (2 * half), 2, half, rows) for buffer in (rotated, spare))
        torch.add(pairs[:, 0], pairs[:, 1], out=sums[:, 0])
        torch.sub(pairs[:, 0], pairs[:, 1], out=sums[:, 1])
        rotated, spare, half = spare, rotated, 2 * half
    return rotated.T.contiguous().mul_(block**-0.5)


@cache
def signs(dimension: int) -> torch.Tensor:
    """Seeded signs, (dimension,) of -1 and 1."""
    drawn = np.random.default_rng(SIGN_SEED).integers(0, 2, dimension)
    return torch.from_numpy((2 * drawn - 1).astype(np.float32))


def integer_buffer(size: int, device: torch.device) -> torch.Tensor:
    """For the products of `multiply`: int32 where there are integer units, else float64."""
    return torch.empty(size, dtype=torch.int32 if has_integer_units(device.type) else torch.float64, device=device)


def multiply(rows: torch.Tensor, columns: torch.Tensor, buffer: torch.Tensor) -> torch.Tensor:
    """rows: int8 (n, width), columns: int8 (k, width). Their sums of products (n, k), exact, held in `buffer`."""
    shape = len(rows), len(columns)
    if not has_integer_units(rows.device.type):
        exact = torch.float32 if rows.shape[1] <= EXACT_FLOAT32_WIDTH else torch.float64
        return buffer[: shape[0] * shape[1]].view(shape).copy_(rows.to(exact) @ columns.to(exact).T)
    if rows.is_cuda:
        columns = torch.nn.functional.pad(columns, (0, 0, 0, -len(columns) % 8))  # cuBLAS wants multiples of 8
        return torch._int_mm(rows, columns.T)[:, : shape[1]]
    return torch._int_mm(rows, columns.T, out=buffer[: shape[0] * shape[1]].view(shape))


@cache
def has_integer_units(device: str) -> bool:
    """Whether 8-bit products work here and are exact: without VNNI, some processors clip sums at 16 bits."""
    generator = np.random.default_rng(0)
    left, right = (torch.from_numpy(generator.choice([-LARGEST, LARGEST], (32, 64)).astype(np.int8)) for _ in range(2))
    expected = left.double() @ right.double().T
    try:
        found = torch._int_mm(left.to(device), right.to(device).T)
    except (RuntimeError, AttributeError):
        return False
    return torch.equal(found.double().cpu(), expected)

"""Statistics of the candidates that may be chosen, without exact cosines of those that cannot.

Most candidates lie clearly above the cut, which cheap cosines prove: bfloat16 where the processor multiplies it, else
float32. Every cheap cosine is within a bound of the exact one (see `Cheap`), so a candidate with enough cosines above
the limit by more than the bound has its quantile above the limit. For the others the cheap cosines say which few ID
labels can stand at the quantile or be the nearest, and only their cosines are computed exactly.

The limit is guessed from a sample, a little high, and proved afterwards: at least as many as wanted must be found at
or below it. So what is chosen, and its statistics, are to the bit those of exact cosines throughout.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from curator.banks.quantiles import Nearness, between, exclude, mining_statistics, position_of
from curator.banks.spec import MiningSpec
from curator.methods.kernels.cosines import NORM_TOLERANCE, on_grid
from curator.types import Vectors

if TYPE_CHECKING:
    import torch

SAMPLE = 1024  # candidates of each part of speech that the limit is guessed from
SAFETY = 3.0  # standard deviations that the guess lies high
BLOCK_ROWS = 2048
DENSE = 4  # from one cosine in so many on, a matrix product is faster than single ones
FIRST = 4  # one label in so many rules out what it can before the others are looked at
LARGEST_NORM = 1.0 + NORM_TOLERANCE


def sieved_statistics(
    vectors: Vectors, id_vectors: Vectors, parts: NDArray[np.str_], wanted: Mapping[str, int], rules: MiningSpec
) -> Nearness | None:
    """As `mining_statistics`, exact for all that can be among the `wanted` lowest of their part of speech.

    The statistic of the others is infinite. vectors: (n, d), id_vectors: (k, d), float32 of unit norm, parts: (n,).
    None when a guessed limit was too low. Raises EncoderError for a vector that is not of unit norm.
    """
    import torch

    cheap = Cheap.of(id_vectors, vectors[:: -(-len(vectors) // SAMPLE)].mean(axis=0))
    limits = np.full(len(vectors), -np.inf)
    for part, count in wanted.items():
        of_part = np.flatnonzero(parts == part)
        limits[of_part] = guess_limit(vectors, of_part, count, cheap, rules)
    found = Nearness(np.full(len(vectors), np.inf), np.zeros(len(vectors), np.intp), np.full(len(vectors), -np.inf))

    def fill(start: int) -> None:
        rows = slice(start, start + BLOCK_ROWS)
        kept, exact = sieve(checked(vectors[rows]), limits[rows], cheap, rules)
        for whole, of_kept in zip(found, exact, strict=True):
            whole[start + kept] = of_kept

    with ThreadPoolExecutor(torch.get_num_threads()) as threads:
        list(threads.map(fill, range(0, len(vectors), BLOCK_ROWS)))
    decided = exclude(found.statistic, found.nearest_cosine, rules)[0] <= limits
    return found if all((decided & (parts == part)).sum() >= count for part, count in wanted.items()) else None


def guess_limit(vectors: Vectors, of_part: NDArray[np.intp], count: int, cheap: Cheap, rules: MiningSpec) -> float:
    """A statistic that at least `count` of the candidates at `of_part` very likely do not exceed."""
    if not count:
        return -math.inf
    sample = of_part[:: -(-len(of_part) // SAMPLE)]
    cosines = cheap.precise(checked(vectors[sample]))
    low = position_of(rules.quantile, rules.statistic, cosines.shape[1])[1]
    statistic = np.partition(cosines, low, axis=1)[:, low].astype(np.float64)
    statistic, _ = exclude(statistic, cosines.max(axis=1), rules)
    share = count / len(of_part)
    rank = math.ceil(len(sample) * share + SAFETY * math.sqrt(len(sample) * share * (1 - share)))
    limit = np.sort(statistic)[rank] if rank < len(sample) else math.inf
    return limit if limit < 1.0 else math.inf  # 1 is what the excluded have


def sieve(
    vectors: Vectors, limits: NDArray[np.float64], cheap: Cheap, rules: MiningSpec
) -> tuple[NDArray[np.intp], Nearness]:
    """vectors: (n, d), limits: (n,). Which rows may be at or below their limit, and the exact statistics of those."""
    import torch

    enough = len(cheap.grid) - position_of(rules.quantile, rules.statistic, len(cheap.grid))[0]
    rounded, offsets = cheap.rounded(vectors)
    first, rest = cheap.columns[:, : cheap.first], cheap.columns[:, cheap.first :]
    limits = np.where(limits > -np.inf, limits - offsets + cheap.error, -np.inf)
    cosines = rounded @ first
    above = count_above(cosines, limits)
    left = np.flatnonzero((above < enough) & (limits > -np.inf))
    others = rounded[torch.from_numpy(left)] @ rest
    of_left = np.flatnonzero(above[left] + count_above(others, limits[left]) < enough)
    kept = left[of_left]
    joined = torch.cat([cosines[torch.from_numpy(kept)], others[torch.from_numpy(of_left)]], dim=1)
    return kept, exact_statistics(vectors[kept], joined.float().numpy()[:, cheap.back], cheap, rules)


def count_above(cosines: torch.Tensor, limits: NDArray[np.float64]) -> NDArray[np.intp]:
    """How many of each row are surely above its limit: (n, k) and (n,) to (n,). Floats are compared by their bits,
    which NumPy does ten times faster than torch compares bfloat16; for that limits below 0 count as 0."""
    import torch

    integer = torch.int16 if cosines.dtype == torch.bfloat16 else torch.int32
    rounded = torch.from_numpy(limits.clip(min=0.0)).to(cosines.dtype)
    bits = rounded.view(integer).numpy() + (rounded.double().numpy() < limits)  # rounded up
    above = cosines.view(integer).numpy() > bits.astype(cosines.view(integer).numpy().dtype)[:, None]
    counts: NDArray[np.intp] = above.sum(axis=1, dtype=np.int32)
    return counts


def exact_statistics(vectors: Vectors, cosines: NDArray[np.float32], cheap: Cheap, rules: MiningSpec) -> Nearness:
    """vectors: (n, d), cosines: their cheap cosines (n, k). An order statistic moves by no more than the values do, so
    what stands at the quantile is within twice the error of what stands there by cheap cosines; likewise the nearest.
    """
    low, high, share = position_of(rules.quantile, rules.statistic, cosines.shape[1])
    ordered = np.partition(cosines, low, axis=1)
    reach = np.float32(2 * (cheap.error + cheap.rounding))
    least = ordered[:, low, None] - reach
    most = ordered[:, high:].min(axis=1, keepdims=True) + reach
    nearest = ordered[:, low:].max(axis=1, keepdims=True) - reach
    needed = (cosines >= least) & (cosines <= most) | (cosines >= nearest)
    counts = np.count_nonzero(needed, axis=1)
    if counts.sum() * DENSE >= needed.size:
        return mining_statistics(vectors, cheap.id_vectors, rules) if len(vectors) else Nearness(*np.zeros((3, 0)))
    labels = np.flatnonzero(needed) - np.repeat(np.arange(len(vectors)) * cosines.shape[1], counts)
    exact = cheap.exact(vectors, labels, counts)
    at = low - np.count_nonzero(cosines < least, axis=1)
    return from_needed(labels, exact, counts, at, (high - low, share))


def from_needed(
    labels: NDArray[np.intp],
    exact: NDArray[np.float64],
    counts: NDArray[np.intp],
    at: NDArray[np.intp],
    step: tuple[int, float],
) -> Nearness:
    """labels, exact: those that were needed and their cosines, row after row, `counts` (n,) of each.

    at: where the lower of the two values that the quantile lies between stands among them, ascending (n,); `step`: how
    many further the higher one stands, and the quantile's share of the way there.
    """
    filled = np.arange(counts.max()) < counts[:, None]
    values, columns = np.full(filled.shape, -np.inf), np.zeros(filled.shape, np.intp)
    values[filled], columns[filled] = exact, labels
    rows = np.arange(len(values))
    best = values.argmax(axis=1)
    nearest, nearest_cosine = columns[rows, best], values[rows, best]
    values.sort(axis=1)
    lower = filled.shape[1] - counts + at
    return Nearness(between(values[rows, lower], values[rows, lower + step[0]], step[1]), nearest, nearest_cosine)


def checked(vectors: Vectors) -> Vectors:
    """The same, contiguous, and writeable as torch asks. Raises EncoderError unless every norm is 1."""
    block = np.require(vectors, np.float32, ["C", "W"])
    norms = np.sqrt(np.einsum("nd,nd->n", block, block))
    if not (np.abs(norms - 1.0) < 0.9 * NORM_TOLERANCE).all():
        on_grid(block)  # decides in float64
    return block


@dataclass(frozen=True, slots=True)
class Cheap:
    """ID vectors made ready: `columns` (d, k) for cheap cosines, `grid` (k, d) float64 for exact ones.

    The columns stand by their cosine to the middle of the candidates, the highest first: the `first` of them are enough
    to rule out many candidates. Column `back[i]` is label i.

    The mean of the ID vectors is taken off the columns, because texts have much in common and small products have small
    errors; its product with the candidate is an offset of the row. An offset and a cheap cosine, before it is rounded
    to its dtype, are within `error` of the exact cosine; rounding adds `rounding`. With u the rounding unit of the
    dtype, r a label less the mean and r' what it is rounded to, the candidate's rounding adds u * |v| * |r'| and the
    label's |v| * |r - r'| (Cauchy-Schwarz). Sums of d products in float32, in any order, add d * 2^-23 of the norms at
    most, even in units that cut digits off (Higham 2002, 3.1), and the grid of exact cosines 2^-25 * sqrt(d).
    """

    id_vectors: Vectors
    grid: NDArray[np.float64]
    mean: NDArray[np.float32]
    columns: torch.Tensor
    back: NDArray[np.intp]
    first: int
    error: float
    rounding: float

    @classmethod
    def of(cls, id_vectors: Vectors, middle: Vectors) -> Cheap:
        """id_vectors: (k, d) float32, middle: (d,). Raises EncoderError for one that is not of unit norm."""
        import torch

        from curator.encoders.torch_runtime import cpu_computes_bfloat16

        with warnings.catch_warnings():  # torch says once that these are in beta; filters are no matter for threads
            warnings.simplefilter("ignore")
            torch.zeros(1, 1).to_sparse_csr()
        grid = on_grid(id_vectors)
        mean = grid.mean(axis=0).astype(np.float32)
        dtype, unit = (torch.bfloat16, 2.0**-9) if cpu_computes_bfloat16() else (torch.float32, 2.0**-24)
        centred = torch.from_numpy(grid - mean)
        rounded = centred.to(dtype)
        largest = float(torch.linalg.vector_norm(rounded.double(), dim=1).max())
        label_error = float(torch.linalg.vector_norm(centred - rounded.double(), dim=1).max())
        dimension = grid.shape[1]
        sums = 2 * LARGEST_NORM * (dimension + 32) * 2.0**-23 + 2.0**-25 * math.sqrt(dimension)
        error = LARGEST_NORM * (unit * largest + label_error + sums)
        order = np.argsort(-(grid @ middle.astype(np.float64)), kind="stable")
        back, first = np.argsort(order), -(-len(grid) // FIRST)
        rounding = 1.01 * unit * LARGEST_NORM * largest
        return cls(id_vectors, grid, mean, rounded[order].T, back, first, 1.01 * error, rounding)

    def rounded(self, vectors: Vectors) -> tuple[torch.Tensor, NDArray[np.float32]]:
        """vectors: (n, d) float32, contiguous. Returns them in the dtype of `columns`, and the offsets (n,)."""
        import torch

        rows = torch.from_numpy(vectors)
        return rows.to(self.columns.dtype), (rows @ torch.from_numpy(self.mean)).numpy()

    def precise(self, vectors: Vectors) -> NDArray[np.float32]:
        """vectors: (n, d). Their cosines (n, k) as float32 has them."""
        import torch

        cosines: NDArray[np.float32] = (torch.from_numpy(vectors) @ torch.from_numpy(self.id_vectors.T)).numpy()
        return cosines

    def exact(self, vectors: Vectors, labels: NDArray[np.intp], counts: NDArray[np.intp]) -> NDArray[np.float64]:
        """The exact cosines of each of vectors (n, d) to its next `counts` (n,) of labels."""
        import torch

        ends = torch.from_numpy(np.concatenate([[0], np.cumsum(counts)]))
        zeros = torch.zeros(len(labels), dtype=torch.float64)
        shape = len(vectors), len(self.grid)
        wanted = torch.sparse_csr_tensor(ends, torch.from_numpy(labels), zeros, shape, check_invariants=False)
        rows, columns = torch.from_numpy(on_grid(vectors)), torch.from_numpy(self.grid.T)
        exact: NDArray[np.float64] = torch.sparse.sampled_addmm(wanted, rows, columns, beta=0.0).values().numpy()
        return exact

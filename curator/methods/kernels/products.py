"""Cosines of batch after batch with the same labels, for streams: in float32, on a GPU where there is one.

What a stream gives an image depends on its batches and their order anyway, so what the exact cosines of cosines.py are
for, that it depends on nothing else, is not to be had. With up to 256 labels these cost nothing and are taken all the
same: small banks then score as their frozen forms do, to the last digits.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from curator.methods.kernels.cosines import exact_cosines, on_grid
from curator.methods.kernels.exact_pass import LABELS


class Products:
    """labels: (k, d), of unit norm, made ready once. device: auto, cpu or a CUDA device.

    A float32 cosine errs by about 1e-7.
    """

    def __init__(self, labels: NDArray[np.floating], device: str = "auto") -> None:
        self._count = len(labels)
        self._exact = on_grid(labels) if len(labels) <= LABELS else None
        self._labels: Any = None
        if self._exact is None:
            import torch

            from curator.encoders.torch_runtime import resolve_device

            self._labels = torch.from_numpy(np.array(labels, dtype=np.float32)).to(resolve_device(device))

    def __len__(self) -> int:
        return self._count

    def __call__(self, rows: NDArray[np.floating]) -> NDArray[np.float64]:
        """rows: (n, d), of unit norm. Cosines (n, k)."""
        if self._exact is not None:
            return exact_cosines(on_grid(rows), self._exact)
        import torch

        block = torch.from_numpy(np.ascontiguousarray(rows, dtype=np.float32)).to(self._labels.device)
        found: NDArray[np.float32] = (block @ self._labels.T).cpu().numpy()
        return found.astype(np.float64)

"""The threshold that keeps a wanted share of known ID images: an order statistic, no model of the distribution."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from curator.errors import UsageError
from curator.policy.conformal import sorted_scores

MINIMUM_TAIL = 10  # below so many flagged reference images, the share that new ID images lose is poorly known


@dataclass(frozen=True, slots=True)
class Calibration:
    """`min_log_odds` keeps `kept_share` (>= `keep`) of the `n` reference images; `warning` says when n is too small.

    Under other rules than `keep`, that is the share which the rule would keep on average.
    """

    min_log_odds: float
    n: int
    keep: float
    kept_share: float
    warning: str | None = None


def calibrate(log_odds: NDArray[np.floating], *, keep: float) -> Calibration:
    """The largest observed value such that at least `keep` of the reference has log_odds >= it. Ties are kept together.

    log_odds: (n,), of images known to be ID; keep: in (0, 1), read as the decimal that was written, so that 0.07 of 100
    is 7 and not 8. New ID images of the same kind are kept with about that share, less the sampling error.
    Raises UsageError for an empty or non-finite reference and for a share outside (0, 1).
    """
    if not 0.0 < keep < 1.0:
        raise UsageError(f"the share of ID images to keep must lie between 0 and 1, not {keep}")
    values = sorted_scores(log_odds)
    share = Fraction(repr(float(keep)))
    threshold = float(values[values.size - math.ceil(share * values.size)])
    kept_share = float((values >= threshold).mean())
    return Calibration(threshold, values.size, float(keep), kept_share, small_tail_warning(values.size, share))


def small_tail_warning(n: int, keep: Fraction) -> str | None:
    """A sentence when fewer than MINIMUM_TAIL reference images are expected below the threshold."""
    needed = math.ceil(MINIMUM_TAIL / (1 - keep))
    if n >= needed:
        return None
    return f"{n} reference images are few for keeping {float(keep):g}: the threshold is uncertain, use {needed} or more"

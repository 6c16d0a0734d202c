"""What a system learnt: negatives with their evidence, tensors, and figures. The workspace turns it into a bank."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curator.systems.online import Streamed


@dataclass(frozen=True, slots=True)
class Proposal:
    """A negative that a system proposes.

    text: as it becomes the label. prompt: what is encoded. source: such as `ants:ens`, which methods choose by.
    call_id: the generator call that gave it; None where no call did. concerns: the ID label it was asked about.
    """

    text: str
    prompt: str
    source: str
    call_id: str | None = None
    concerns: str | None = None


@dataclass(frozen=True, slots=True)
class Learned:
    """negatives: in order. parameters: tensors of the bank. facts: what the bank's method reads, `learned` of its spec.

    inherited: places among the parent bank's labels that are taken over before the negatives, in this order; their
    sources get `inherited_source` in front. account: counts and choices at each step, JSON values, for the lineage.
    pictures: names of artefacts with what they show. used_images: ids of ID images that took part, which are not held
    out any more. streamed: scores that the lake's images got in passing, of an online run.
    """

    negatives: tuple[Proposal, ...]
    parameters: Mapping[str, NDArray[np.generic]] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    account: Mapping[str, Any] = field(default_factory=dict)
    pictures: tuple[Mapping[str, Any], ...] = ()
    used_images: frozenset[str] = frozenset()
    streamed: Streamed | None = None
    inherited: tuple[int, ...] = ()
    inherited_source: str = ""

"""What a painter minimises to make an image hard for a guide classifier: losses on its logits, one value per image.

SynOOD's paper, its code and the loss that both mean are three things. Here are all of them, and `make_loss` refuses the
two that cannot do the work. With C classes, logits g and LSE = log sum exp, s = mean(g) - LSE(g) is minus the cross
entropy between the uniform distribution u and p = softmax(g): s = -log C - KL(u || p), at most -log C.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TypeAlias

import torch
from torch import Tensor

from curator.errors import GeneratorError, UsageError

GuideLoss: TypeAlias = Callable[[Tensor], Tensor]  # (B, C) logits to (B,) losses

CODE_TARGET = -5.0  # SynOOD's code, for the 1,000 classes of ImageNet
REACHABLE_BELOW = 149  # classes: with C <= 148 < e^5, -log C lies above the target
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LossChoice:
    """Which loss, and the two numbers of those that stand on the energy E = -tau LSE(g / tau).

    m_out: the energy that is wanted, in the units of the guide's logits; SynOOD published none. A good value is a high
    quantile (0.95) of E on ID images that the guide has not seen.
    """

    name: str = "uniform_ce"
    m_out: float | None = None
    tau: float = 1.0


@cache  # so that its warning comes once, not with every batch
def make_loss(choice: LossChoice, *, class_count: int) -> GuideLoss:
    """The loss that a painter minimises. Raises UsageError for an unknown name or a missing number, GeneratorError for
    a loss that would not move any image, or not to where it should."""
    if choice.name == "paper_eq7":  # m_out - tau LSE(g / tau), as SynOOD prints it
        raise GeneratorError(
            "the loss paper_eq7 pulls images into the ID classes: it falls as LSE rises (a sign error of the paper)",
            hint="use uniform_ce, or energy_hinge, which is what the equation cites",
        )
    if choice.name not in LOSSES:
        raise UsageError(f"there is no guide loss {choice.name!r}", hint=f"one of {', '.join(PAINTER_LOSSES)}")
    if choice.name == "energy_hinge" and choice.m_out is None:
        raise UsageError("the loss energy_hinge needs m_out, the energy to reach", hint="or use uniform_ce")
    if not (choice.tau > 0 and math.isfinite(choice.tau)):
        raise UsageError(f"tau is {choice.tau}", hint="give a number above 0")
    if choice.name == "code_energy" and class_count < REACHABLE_BELOW:
        log.warning("code_energy with %d classes makes images whose s is above -5 more confident", class_count)
    make = LOSSES[choice.name]
    loss = make(choice)
    if not moves(loss, class_count):
        raise GeneratorError(
            f"the loss {choice.name} has a gradient of 0 everywhere on the logits of {class_count} classes",
            hint="use uniform_ce, and a guide of two classes or more",
        )
    return loss


def moves(loss: GuideLoss, class_count: int) -> bool:
    """Whether the loss has a gradient anywhere: at logits near and far from uniform, low and high, in float64.

    Far more than rounding (1e-16 here) must remain somewhere; a hinge may well be flat at most of the places.
    """
    directions = torch.randn(4, class_count, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    places = [scale * directions + level for scale in (0.1, 1.0, 10.0) for level in (-1e3, 0.0, 1e3)]
    with torch.enable_grad():
        logits = torch.cat(places).requires_grad_()
        (gradient,) = torch.autograd.grad(loss(logits).sum(), logits, allow_unused=True)
    return gradient is not None and bool(gradient.abs().max() > 1e-9)


def confidence_gap(logits: Tensor) -> Tensor:
    """s = mean(g) - LSE(g), (B,)."""
    return logits.mean(dim=1) - logits.logsumexp(dim=1)


def energy(logits: Tensor, tau: float) -> Tensor:
    """E = -tau LSE(g / tau), (B,); low for images of the classes (Liu et al., NeurIPS 2020, eq. 4)."""
    return -tau * torch.logsumexp(logits / tau, dim=1)


def uniform_ce(logits: Tensor) -> Tensor:
    """KL(u || p)^2 = (s + log C)^2: the loss of SynOOD's code with the target that is right for every C."""
    return (confidence_gap(logits) + math.log(logits.shape[1])).square()


def energy_hinge(logits: Tensor, *, m_out: float, tau: float) -> Tensor:
    """max(0, m_out - E)^2: raises the energy up to m_out and then stops (Liu et al., eq. 7, the part for outliers)."""
    return (m_out - energy(logits, tau)).clamp(min=0).square()


def code_energy(logits: Tensor) -> Tensor:
    """(-5 - s)^2, as SynOOD's code. For C = 1000 the target is out of reach (s <= -6.9) and the loss is uniform_ce with
    another offset. With C <= 148 it is within reach, and an image with s > -5 is made *more* confident."""
    return (CODE_TARGET - confidence_gap(logits)).square()


def code_msp(logits: Tensor) -> Tensor:
    """`kl_div(softmax(g), u)` of SynOOD's code, which hands probabilities to a function that takes their logarithms:
    mean(u (log u - p)) is the same for all logits, since the probabilities sum to 1. For comparison only."""
    share = 1.0 / logits.shape[1]
    return (share * (math.log(share) - logits.softmax(dim=1))).mean(dim=1)


LOSSES: dict[str, Callable[[LossChoice], GuideLoss]] = {
    "uniform_ce": lambda choice: uniform_ce,
    "energy_hinge": lambda choice: lambda logits: energy_hinge(logits, m_out=choice.m_out or 0.0, tau=choice.tau),
    "code_energy": lambda choice: code_energy,
    "code_msp": lambda choice: code_msp,
}
PAINTER_LOSSES = ("uniform_ce", "energy_hinge", "code_energy")

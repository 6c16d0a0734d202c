"""The settings of OODD."""

from __future__ import annotations

from dataclasses import dataclass

from curator.methods.kernels.dictionary import Own
from curator.methods.members.oodd import NEAREST, Base
from curator.systems.registry import Mode, Rule
from curator.systems.settings import Count, Natural, SystemSettings


@dataclass(frozen=True, slots=True)
class OoddSettings(SystemSettings):
    """Yang et al., CVPR 2025. mode, suspects, sample, batch, orders: see curator.systems.stream.

    length: images that the dictionary holds at most. base, k: as in the method. own: whether an image of the stream
    that is held counts for itself, as published.
    """

    system = "oodd"

    mode: Mode = "frozen"
    suspects: Rule = "excess"
    sample: Natural = 20_000
    batch: Count = 64
    orders: Natural = 0
    length: Count = 2048
    base: Base = "neglabel"
    k: Count = NEAREST
    own: Own = "include"
    seed: Natural = 0

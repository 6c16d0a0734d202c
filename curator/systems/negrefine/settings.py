"""The settings of NegRefine."""

from __future__ import annotations

from dataclasses import dataclass

from curator.banks.refine import NEAREST
from curator.generators.requests import Role
from curator.methods.members.negrefine import JOINED
from curator.systems.settings import Count, Natural, SystemSettings


@dataclass(frozen=True, slots=True)
class NegRefineSettings(SystemSettings):
    """Ansari et al., ICCV 2025. nearest: ID labels that each negative is asked about. keep: negatives that stay,
    whatever the reasoner says.

    pairs: of ID label and negative that the joined score looks at, those met most often in `sample` images of the
    reference and the lake each; 0 for none, as published 20,000 would not do: it encodes 25 for each image. joined: of
    the nearest labels of either role that are joined.
    """

    system = "negrefine"

    nearest: Count = NEAREST
    keep: tuple[str, ...] = ()
    pairs: Natural = 0
    joined: Count = JOINED
    sample: Natural = 2_000
    seed: Natural = 0

    @property
    def roles(self) -> tuple[Role, ...]:
        return ("reasoner",)

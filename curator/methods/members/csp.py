"""CSP: NegLabel's score on a bank whose negatives were mined as conjugated semantic pool.

Chen et al., Conjugated Semantic Pool Improves OOD Detection with Pre-trained Vision-Language Models, NeurIPS 2024.
What is new in it is the bank (`[mining] method = "csp"` in its spec: superclass phrases, prompt ensembles, no candidate
too near an ID label). The score is NegLabel's to the letter. On a bank mined otherwise this name is refused, lest a
result be called CSP that is not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from curator.errors import BankError
from curator.methods.members.neglabel import NegLabel
from curator.types import Bank


@dataclass(frozen=True, slots=True, kw_only=True)
class CSP(NegLabel):
    """The parameters are NegLabel's."""

    name: ClassVar[str] = "csp"

    @classmethod
    def for_bank(cls, bank: Bank, parameters: Mapping[str, Any]) -> Self:
        miner = bank.spec.get("mining", {}).get("method")
        if miner != "csp":
            raise BankError(
                f"the method csp needs a bank mined by csp, bank {bank.name} was mined by {miner}",
                hint='use csp-paper or another whose spec says [mining] method = "csp"; or neglabel, the same formula',
            )
        return super(CSP, cls).for_bank(bank, parameters)

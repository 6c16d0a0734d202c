"""A policy: the cut on the log-odds of one method on one bank, named by the digest of its content.

Log-odds rather than `id_score`, because they still tell images apart where the score has rounded to 0 or 1.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from curator.errors import UsageError
from curator.policy.calibration import Calibration
from curator.policy.rule import Rule, rule_of
from curator.types import Bank

if TYPE_CHECKING:
    from curator.methods.spec import Method


@dataclass(frozen=True)
class Policy:
    """Flags images whose `log_odds` are below `min_log_odds`. Holds for one encoder, bank and method only.

    min_log_odds: -inf flags nothing. Classes and nights with a cut of their own have rows beside the policy; for a rule
    by night (`fdr`) it is the cut above which none of theirs lies.
    `provenance` says where the cut comes from: JSON values only, `kind` is `default` or `calibrated`.
    """

    name: str
    encoder_id: str
    bank_digest: str
    method_id: str
    min_log_odds: float
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if math.isnan(self.min_log_odds) or self.min_log_odds == math.inf:
            raise UsageError(f"policy {self.name}: the threshold must be a number, not {self.min_log_odds}")

    @property
    def rule(self) -> Rule | None:
        """The rule that it was calibrated by; None for a default."""
        return rule_of(self.provenance)

    @property
    def calibration_id(self) -> str | None:
        """The calibration that it rests on; None for a default, and for policies from before there were any."""
        return self.provenance.get("calibration_id")

    @property
    def policy_id(self) -> str:
        """32 hexadecimal digits of the SHA-256 of everything above: the same content, the same id, on any machine."""
        content = {name: getattr(self, name) for name in ("name", "encoder_id", "bank_digest", "method_id")}
        cut = float(self.min_log_odds) if math.isfinite(self.min_log_odds) else None
        content |= {"min_log_odds": cut, "provenance": dict(self.provenance)}
        text = json.dumps(content, sort_keys=True, allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def flags(self, log_odds: NDArray[np.floating]) -> NDArray[np.bool_]:
        """(n,) to (n,): True where an image is flagged as OOD. A NaN is flagged rather than passed."""
        flagged: NDArray[np.bool_] = ~(np.asarray(log_odds) >= self.min_log_odds)
        return flagged


def calibrated_policy(
    bank: Bank,
    method: Method,
    calibration: Calibration,
    *,
    name: str,
    rule: Rule | None = None,
    calibration_id: str | None = None,
    reference: Mapping[str, Any] | None = None,
) -> Policy:
    """The policy of a calibration; `reference` describes the images it was measured on (sources, run, ...).

    rule: keep, with the share of the calibration, unless given.
    """
    facts = {
        "kind": "calibrated",
        "rule": (rule or Rule("keep", calibration.keep)).as_json(),
        "calibration_id": calibration_id,
        "keep": calibration.keep,
        "kept_share": calibration.kept_share,
        "n": calibration.n,
        "warning": calibration.warning,
        "reference": dict(reference or {}),
    }
    return policy_of(bank, method, name, calibration.min_log_odds, facts)


def policy_of(bank: Bank, method: Method, name: str, cut: float, provenance: Mapping[str, Any]) -> Policy:
    """The policy of that cut for one bank and method."""
    return Policy(name, bank.encoder_id, bank.digest, method.method_id, cut, provenance)

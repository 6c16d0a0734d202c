"""Published methods that turn cosines into an `id_score`: higher is more ID, always.

`score` is the pure form (arrays in, array out). `resolve_method` names a method for a bank, `BankScorer` runs any
number of them in one pass. Images are ranked by `log_odds`: the logit of the `id_score` where that is a probability,
computed without leaving the log domain, because an `id_score` rounds to 1 from a log-odds of 37 on, and then no longer
ranks. A threshold is no part of a method: see curator.policy.
"""

from __future__ import annotations

from curator.methods.kernels.scoring import BankScorer, ScoreTable
from curator.methods.registry import METHODS, score
from curator.methods.spec import Method, MethodSpec, resolve_method

__all__ = ["METHODS", "BankScorer", "Method", "MethodSpec", "ScoreTable", "resolve_method", "score"]

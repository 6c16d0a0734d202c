"""Published methods that turn cosines into an `id_score`: higher is more ID, always, and in [0, 1].

`score` is the pure form (arrays in, array out). `resolve_method` names a method for a bank, `score_vectors` runs it.
Each method also gives `log_odds`, the logit of its `id_score`, computed without leaving the log domain: an `id_score`
rounds to 1 from a log-odds of 37 on, and then no longer ranks. A threshold is no part of a method: see curator.policy.
"""

from __future__ import annotations

from curator.methods.registry import METHODS, score
from curator.methods.scoring import ScoreTable, score_vectors
from curator.methods.spec import Method, MethodSpec, resolve_method

__all__ = ["METHODS", "Method", "MethodSpec", "ScoreTable", "resolve_method", "score", "score_vectors"]

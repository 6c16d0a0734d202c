"""The registered methods and their pure form: arrays in, array out."""

from __future__ import annotations

import inspect
from typing import Any

from curator.errors import UsageError
from curator.methods.maths import Cosines, Scores
from curator.registry import Registry

METHODS = Registry(
    "method",
    {
        "adaneg": "curator.methods.members.adaneg:AdaNeg",
        "ants": "curator.methods.members.ants:ANTS",
        "csp": "curator.methods.members.csp:CSP",
        "energy": "curator.methods.members.logits:Energy",
        "eoe": "curator.methods.members.eoe:EOE",
        "fusion": "curator.methods.members.fusion:Fusion",
        "interneg": "curator.methods.members.interneg:InterNeg",
        "knn": "curator.methods.members.knn:KNN",
        "mahalanobis": "curator.methods.members.mahalanobis:Mahalanobis",
        "max_logit": "curator.methods.members.logits:MaxLogit",
        "mcm": "curator.methods.members.mcm:MCM",
        "mmood": "curator.methods.members.mmood:MMOOD",
        "neglabel": "curator.methods.members.neglabel:NegLabel",
        "negrefine": "curator.methods.members.negrefine:NegRefine",
        "oodd": "curator.methods.members.oodd:OODD",
        "residual": "curator.methods.members.residual:Residual",
        "synood": "curator.methods.members.synood:SynOOD",
        "tanl": "curator.methods.members.tanl:TANL",
        "vim": "curator.methods.members.vim:ViM",
    },
)


def score(name: str, id_cosines: Cosines, negative_cosines: Cosines | None = None, **parameters: Any) -> Scores:
    """The `id_score` of a method by its formula alone, without a bank: (n,) float64, higher is more ID.

    id_cosines: (n, C); negative_cosines: (n, M) or None. The parameters are those of the method's formula:
    `neglabel_score`, `mcm_score`, ... Raises UsageError for an unknown method or parameter or a missing one.
    """
    formula = METHODS.get(name).formula
    try:
        inspect.signature(formula).bind(id_cosines, negative_cosines, **parameters)
    except TypeError as error:
        raise UsageError(f"{name}: {error}", hint=f"{formula.__name__}{inspect.signature(formula)}") from error
    scores: Scores = formula(id_cosines, negative_cosines, **parameters)
    return scores

"""The policy of a method that nobody has calibrated."""

from __future__ import annotations

from curator.methods.kernels.exact_pass import even_statistics
from curator.methods.spec import DefaultRule, Method
from curator.policy.policy import Policy, policy_of
from curator.types import Bank


def default_policy(bank: Bank, method: Method, *, rule: DefaultRule = "even_odds") -> Policy:
    """The cut that needs no reference images. It promises no share of kept ID images: that takes `calibrate`.

    even_odds: `id_score` below 0.5 is flagged. NegLabel: the negatives outweigh the ID labels; MCM: no ID label
    outweighs the others together (UsageError where that says nothing: two labels, or raw cosines).
    label_for_label, for NegLabel: flagged when the negatives fit better than the ID labels, each side divided by its
    size. Measured with curator-mini on thumbnails, 10 to 1,000 ID labels: even odds flag nothing to most of the ID
    images, depending on these numbers and on groups; label for label flags 9 to 23 %, at temperature 0.5 it flags 10 to
    16 %, and MCM's cut flags 7 to 61 % (`make evaluation` prints such shares).
    """
    cut = method.default_min_log_odds(even_statistics(bank, method), rule)
    return policy_of(bank, method, "default", cut, {"kind": "default", "rule": rule})

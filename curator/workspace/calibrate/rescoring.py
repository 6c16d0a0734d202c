"""Rescoring: stored vectors under other banks and methods. Embeds no image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from curator.errors import UsageError
from curator.report.notebook import Shown
from curator.store import Ledger
from curator.types import Bank
from curator.workspace.context import Context
from curator.workspace.judge.in_force import InForce, count_flags
from curator.workspace.judge.naming import name_stored
from curator.workspace.judge.night_cuts import judge_nights
from curator.workspace.judge.policies import bank_label, policy_in_force, scored_by
from curator.workspace.judge.scoring import score_stored
from curator.workspace.judge.suited import suited_method
from curator.workspace.published import reading
from curator.workspace.session import writing


@dataclass(frozen=True, slots=True)
class Scoring:
    """One bank and method: how many images were newly scored, how many of the lake's have a score, and are flagged, or
    would be if it ruled."""

    bank: str
    bank_digest: str
    method_id: str
    rescored: int
    scored: int
    flagged: int
    policy: str
    policy_note: str

    def rules(self, ruling: InForce | None) -> bool:
        """Whether the lake is judged so."""
        mine = (self.bank_digest, self.method_id, self.policy)
        return ruling is not None and mine == (ruling.bank_digest, ruling.method_id, ruling.policy or "none")


@dataclass(frozen=True, slots=True, repr=False)
class ScoreSummary(Shown):
    """What a rescoring did. `ruled_by`: what rules, as before."""

    run_id: str
    scorings: tuple[Scoring, ...]
    ruled_by: InForce | None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def run_scoring(
    context: Context, *, banks: Sequence[str], methods: Sequence[str], where: str | None = None
) -> ScoreSummary:
    """Score the stored vectors under each bank with each method, all methods of a bank in one pass. Without methods:
    each bank under the one that suits it, that of its system, or else the configured one.

    `where`: an SQL condition on report.scores; other images are left out. What rules stays as it is, and the report
    views show what they showed: `report.compare` has all scorings side by side.
    """
    only = None if where is None else matching_images(context, where)
    arguments = {"banks": list(banks), "methods": list(methods), "where": where}
    with writing(context, "score", arguments) as ledger:
        context.require_current(ledger.database)
        encoder_id = context.encoder_id(ledger.database)
        scorings: list[Scoring] = []
        for address in banks or (context.config.scan.bank,):
            bank = context.bank_for(ledger, address, encoder_id=encoder_id)
            suited = (suited_method(bank.spec, bank.id_count, context.config),)
            scorings += score_bank(context, ledger, bank, methods or suited, only)
        named_by = context.find_bank(ledger.database, context.config.scan.bank, encoder_id=encoder_id) or bank
        name_stored(ledger, context.namer(named_by), context.layout.vectors(encoder_id))
        ruled_by = InForce.of(ledger.database)
    return ScoreSummary(ledger.run_id, tuple(scorings), ruled_by)


def score_bank(
    context: Context, ledger: Ledger, bank: Bank, methods: Sequence[str], only: frozenset[str] | None
) -> list[Scoring]:
    """The scorings of one bank."""
    scorer = context.scorer(bank, *methods, database=ledger.database)
    counts = score_stored(ledger, scorer, context.layout.vectors(bank.encoder_id), only=only)
    scorings = []
    for method in scorer.methods:
        policy, note = policy_in_force(ledger, bank, method)
        if only is None:
            judge_nights(ledger, policy, method)
        scoring, policy_id = scored_by(bank, method), policy.policy_id if policy else None
        counted = count_flags(ledger.database, scoring, policy_id)
        scorings.append(
            Scoring(
                bank=bank_label(ledger.database, bank),
                bank_digest=bank.digest,
                method_id=method.method_id,
                rescored=counts[method.method_id],
                scored=counted["scored"],
                flagged=counted["flagged"],
                policy=policy.name if policy else "none",
                policy_note=note,
            )
        )
    return scorings


def matching_images(context: Context, where: str) -> frozenset[str]:
    """Images of the published report.scores that meet an SQL condition. Raises UsageError when there are none."""
    with reading(context.layout, sealed=True) as database:
        found = database.filtered_ids("report.scores", where)
    if not found:
        raise UsageError(f"no image meets the condition {where!r}", hint="it is on the columns of report.scores")
    return frozenset(found)

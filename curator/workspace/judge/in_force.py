"""What rules the lake: the bank version, method and policy by which the report views judge every image."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from curator.policy import Policy
from curator.policy.rule import Rule, rule_of
from curator.store import Database, Ledger


@dataclass(frozen=True, slots=True)
class InForce:
    """What rules. `bank`: an address, `base@v2`. `policy`: None where nothing can be flagged, for want of a cut.
    `calibrated`: the options of `curator calibrate` that the policy was made with; None for a default."""

    bank: str
    method_id: str
    policy: str | None
    calibrated: str | None
    bank_digest: str
    policy_id: str | None
    encoder_id: str

    @classmethod
    def of(cls, database: Database) -> Self | None:
        """None where nothing was scored yet."""
        row = database.row("show_selection")
        return None if row is None else cls.of_row(row)

    @classmethod
    def of_row(cls, row: Mapping[str, Any]) -> Self:
        """row: of the query `show_selection`."""
        rule = rule_of(json.loads(row["policy_provenance"])) if row["policy_provenance"] else None
        return cls(
            bank=f"{row['bank_name']}@v{row['bank_version']}",
            method_id=row["method_id"],
            policy=row["policy_name"],
            calibrated=rule.options if rule else None,
            bank_digest=row["bank_digest"],
            policy_id=row["policy_id"],
            encoder_id=row["encoder_id"],
        )

    @property
    def bank_address(self) -> str:
        """The bank version by its digest, whatever encoder it is of."""
        return f"{self.bank.partition('@')[0]}@{self.bank_digest}"

    def count_flags(self, database: Database, *, run_id: str = "") -> dict[str, Any]:
        """Scored and flagged images of the lake, and those of them that arrived in a run."""
        return count_flags(database, self.scoring, self.policy_id, run_id=run_id)

    @property
    def scoring(self) -> dict[str, str]:
        """What names the scoring, as parameters of queries."""
        return {"encoder_id": self.encoder_id, "bank_digest": self.bank_digest, "method_id": self.method_id}

    def __str__(self) -> str:
        return f"bank {self.bank}, method {self.method_id}, policy {self.policy or 'none'}"

    @property
    def method(self) -> str:
        """The method as people write it, without what goes without saying."""
        from curator.methods.spec import short_form

        return short_form(self.method_id)

    @property
    def said(self) -> str:
        """As people read it on a terminal."""
        return f"bank {self.bank}, method {self.method}, policy {self.policy or 'none'}"

    def as_json(self) -> dict[str, str | None]:
        return asdict(self)


def count_flags(
    database: Database, scoring: Mapping[str, str], policy_id: str | None, *, run_id: str = ""
) -> dict[str, Any]:
    """`scored` and `flagged` images of the lake, and `new_scored` and `new_flagged`, those that arrived in a run."""
    return database.row("count_flags", **scoring, policy_id=policy_id, run_id=run_id) or {}


@dataclass(frozen=True, slots=True)
class ChosenPolicy:
    """The policy that was put in force by hand last, and its rule; None for a default, which has none."""

    name: str
    rule: Rule | None

    @classmethod
    def of(cls, database: Database) -> Self | None:
        """None where none was chosen."""
        row = database.row("find_policy_chosen")
        return None if row is None else cls(row["name"], rule_of(json.loads(row["provenance"])))


def ruled_lines(now: InForce, before: InForce | None) -> list[str]:
    """One line that says what rules, and what ruled before where that was something else; and where a calibrated policy
    was left behind, how to make another."""
    if before is None:
        return [f"ruled by {now.said}"]
    said = [f"ruled by {now.said} now; before: {_differing(before, now)}"]
    if before.calibrated and not now.calibrated and before.scoring != now.scoring:
        what = f"bank {before.bank}" if before.bank_digest != now.bank_digest else f"method {before.method}"
        again = "" if before.encoder_id == now.encoder_id else "--reference SRC "  # embedded by the other encoder
        said.append(
            f"policy {before.policy} is of {what} and judges nothing else: "
            f"`curator calibrate {again}{before.calibrated}` makes one of what rules now"
        )
    return said


def _differing(before: InForce, now: InForce) -> str:
    """The parts of what ruled before that are others now."""
    parts = {
        f"bank {before.bank}": before.bank_digest != now.bank_digest,
        f"method {before.method}": before.method_id != now.method_id,
        f"policy {before.policy or 'none'}": before.policy != now.policy,
    }
    return ", ".join(name for name, differs in parts.items() if differs) or f"an earlier policy {before.policy}"


def put_in_force(
    ledger: Ledger, scoring: Mapping[str, str], policy: Policy | None, *, before: InForce | None
) -> tuple[InForce, InForce | None]:
    """Let a scoring and a policy rule: the report views judge by them from now on. Returns what rules now, and what
    ruled before where that was something else. scoring: `encoder_id`, `bank_digest` and `method_id`. before: what rules
    until then."""
    policy_id = policy.policy_id if policy else None
    if before is not None and before.scoring == scoring and before.policy_id == policy_id:
        return before, None
    ledger.database.run("insert_selection", **scoring, policy_id=policy_id, run_id=ledger.run_id)
    now = InForce.of(ledger.database)
    assert now is not None
    return now, before

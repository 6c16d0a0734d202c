"""Whether a policy has references enough, for its rule and for nights of the size that this lake has."""

from __future__ import annotations

from curator.policy import Policy
from curator.store import Database
from curator.workspace.judge.policies import policy_of


def shortage(database: Database, policy: Policy) -> str | None:
    """A sentence that says how many references would be enough; None where there are, or no rule asks for any."""
    if policy.rule is None:
        return None
    classes = [int(row["image_count"]) for row in database.rows("list_policy_classes", policy_id=policy.policy_id)]
    night = (database.row("find_night_size") or {}).get("images")
    return policy.rule.warning(int(policy.provenance["n"]) - sum(classes), classes=classes, night=night)


def selected_shortage(database: Database) -> tuple[str, str] | None:
    """The name of the policy that decides what the views show, and its sentence; None where there is none to say."""
    selection = database.row("find_selection")
    scoring = {name: str((selection or {}).get(name)) for name in ("encoder_id", "bank_digest", "method_id")}
    row = selection and database.row("find_policy", **scoring)
    if not row:
        return None
    sentence = shortage(database, policy_of(row, scoring))
    return (str(row["name"]), sentence) if sentence else None

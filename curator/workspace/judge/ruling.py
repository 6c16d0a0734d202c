"""What a policy says of one image, and what it would say without one of its labels."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from curator.errors import UsageError
from curator.methods.attribution import Attribution, LabelPart
from curator.store import Database
from curator.workspace.judge.scoring import Scorer


@dataclass(frozen=True, slots=True)
class Cuts:
    """The policy of a scoring and its cuts: the common one, and by ID label those of classes that have their own."""

    policy: Mapping[str, Any]
    common: float
    by_class: Mapping[int, float]

    @classmethod
    def of(cls, database: Database, names: Mapping[str, str]) -> Cuts | None:
        """names: what names the scoring. None where no policy rules."""
        policy = database.row("find_policy", **names)
        if policy is None:
            return None
        rows = database.rows("list_policy_classes", policy_id=policy["policy_id"])
        return cls(policy, policy["min_log_odds"], {row["id_label"]: row["min_log_odds"] for row in rows})

    @property
    def by_night(self) -> bool:
        """Whether each night has a cut of its own."""
        return bool(self.policy["rule"] == "fdr")

    def of_label(self, id_label: int) -> float:
        """That of images with this nearest ID label; for cuts by night, the one above which no night's lies."""
        return self.by_class.get(id_label, self.common)


@dataclass(frozen=True, slots=True)
class Ruling:
    """The score of one image, its id_score and log_odds, and the cut for it; `found` is the same by exact cosines.

    `cuts`: None where no policy rules. `cut`: None there, and where the policy cannot rule; -inf flags nothing.
    `online`: the score is a stream's.
    """

    score: Mapping[str, float]
    cuts: Cuts | None
    cut: float | None
    found: Attribution
    online: bool = False

    @classmethod
    def of(
        cls, database: Database, scorer: Scorer, names: Mapping[str, str], image_id: str | None, found: Attribution
    ) -> Ruling:
        """names: what names the scoring. Raises UsageError where it is a stream's and this image was not in it."""
        online = names["method_id"] != scorer.method.method_id
        stored = database.row("find_score", image_id=image_id, **names) if image_id else None
        if online and stored is None:
            raise UsageError(f"the image has no score by {names['method_id']}", hint="see `curator query scorings`")
        score = stored or {"id_score": found.id_score, "log_odds": found.log_odds}
        if (cuts := Cuts.of(database, names)) is None:
            return cls(score, None, None, found, online)
        if stored is not None:
            row = database.row("find_cut", policy_id=cuts.policy["policy_id"], image_id=image_id) or cuts.policy
            cut: float | None = row["min_log_odds"]
        else:
            cut = None if cuts.by_night else cuts.of_label(found.ids[0].label)
        return cls(score, cuts, cut, found, online)

    @property
    def flagged(self) -> bool | None:
        return None if self.cut is None else self.score["log_odds"] < self.cut

    @property
    def parts(self) -> tuple[LabelPart, ...]:
        return (*self.found.ids, *self.found.negatives)

    @property
    def note(self) -> str | None:
        """Why leaving labels out says nothing of the flag, where it does not."""
        if self.cuts is not None and self.cut is None:
            return "the policy judges the images of a night together, and this one is of none"
        if self.online:
            return "a stream gave this score in passing: what it would be without a label cannot be computed"
        if all(part.log_odds_without == self.found.log_odds for part in self.parts):
            return "the method looks at reference images and not at labels: leaving one out changes nothing"
        if self.cut is not None and (self.found.log_odds < self.cut) != self.flagged:
            return "the score is within its rounding error of the cut: which label decides cannot be told"
        return None

    def turns(self, part: LabelPart) -> bool | None:
        """Whether the image would be on the other side of the cut without the label; None where that cannot be told."""
        without = part.log_odds_without
        if self.note is not None or self.cut is None or without is None:
            return None
        return (without < self._cut_without(part)) != self.flagged

    def deciding(self) -> LabelPart | None:
        """The label that turns the flag, of several the one that the score moves most without."""
        turning = [part for part in self.parts if self.turns(part)]
        return max(turning, key=lambda part: abs((part.log_odds_without or 0.0) - self.found.log_odds), default=None)

    def _cut_without(self, part: LabelPart) -> float:
        """Without its nearest ID label an image is of another class. The cuts of nights are taken as they are."""
        assert self.cut is not None and self.cuts is not None
        if self.cuts.by_night or not self.cuts.by_class or part is not self.found.ids[0]:
            return self.cut
        return self.cuts.of_label(self.found.ids[1].label)

    def as_facts(self, scorer: Scorer) -> dict[str, Any]:
        """The fields of an explanation that it gives."""
        policy, deciding, cut = self.cuts.policy if self.cuts else {}, self.deciding(), self.cut
        finite = cut if cut is not None and math.isfinite(cut) else None
        return {
            "id_score": self.score["id_score"],
            "log_odds": self.score["log_odds"],
            "policy": policy.get("name"),
            "min_id_score": None if finite is None else float(scorer.method.id_score(np.array([finite]))[0]),
            "min_log_odds": finite,
            "policy_provenance": json.loads(policy["provenance"]) if policy else None,
            "flagged": self.flagged,
            "tried": len(self.parts),
            "removal_note": self.note,
            "deciding": None if deciding is None else scorer.bank.labels[deciding.label].text,
        }

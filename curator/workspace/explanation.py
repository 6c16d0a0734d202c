"""What an explanation says: values that terminal, JSON and page show alike."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

from curator.report.explain_page import explain_page
from curator.workspace.label_origins import LabelOrigin

State: TypeAlias = Literal["lake", "gone", "reference", "evaluation", "file"]


@dataclass(frozen=True, slots=True)
class ExplainedLabel:
    """A label near the image. `share`: of the sum over the labels of its role; `id_score_without` it, where the method
    can do without. `changes_flag`: whether the image would then be on the other side of the cut; None where that cannot
    be told. `decides`: it does, and more than any other. `made_by`: the generator call it comes from, if there is one.
    """

    label: str
    role: str
    source: str
    cosine: float
    share: float
    id_score_without: float | None
    changes_flag: bool | None
    decides: bool
    made_by: LabelOrigin | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """One image under one bank and method. `flagged` is None where no policy rules, or none can judge the image.

    `state`: in the lake now, gone from it, of the reference or an evaluation, or a file that was never scanned.
    `places`: the first of the `copies` addresses at which it lies in the lake.
    `min_log_odds` is the cut for this image, of its class or night where the policy has such; None: nothing is flagged.
    `id_score` and `log_odds` are those of the store, for an image that was scored so, else computed now.
    `deciding`: the one label without which the image would be on the other side of the cut, if there is one among the
    `tried`: so many nearest of each role were each left out, and the score computed anew, by exact cosines.
    `removal_note`: why that says nothing, where it does not.
    """

    uri: str
    state: State
    image_id: str | None
    copies: int
    places: tuple[str, ...]
    bank: str
    bank_name: str
    bank_version: int
    method_id: str
    id_score: float
    log_odds: float
    policy: str | None
    min_id_score: float | None
    min_log_odds: float | None
    policy_provenance: Mapping[str, Any] | None
    flagged: bool | None
    deciding: str | None
    tried: int
    removal_note: str | None
    labels: tuple[ExplainedLabel, ...]
    reference: tuple[Mapping[str, Any], ...]
    neighbours: tuple[Mapping[str, Any], ...]
    thumbnail: bytes | None = None
    thumbnail_fault: str | None = None

    def as_json(self) -> dict[str, Any]:
        """The thumbnail, where there is one, in base64."""
        picture = None if self.thumbnail is None else base64.b64encode(self.thumbnail).decode()
        return asdict(self) | {"thumbnail": picture}

    def as_html(self) -> str:
        """One page without network."""
        return explain_page(asdict(self), self.verdict())

    def verdict(self) -> str:
        """What decides, in one sentence."""
        if self.policy is None:
            return "no policy rules, so nothing is flagged"
        if self.removal_note is not None:
            return self.removal_note
        if self.min_log_odds is None:
            return "the policy flags nothing here, whatever an image scores"
        if self.deciding is None:
            return f"no single label decides: without any one of the {self.tried} nearest the flag stays"
        other = "kept" if self.flagged else "flagged"
        return f"decided by the label {self.deciding!r}: without it the image would be {other}"

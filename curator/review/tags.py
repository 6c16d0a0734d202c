"""A tagging: somebody gave an image a tag, or took it off. Of an image and a tag the newest counts, whoever it was."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime

from curator.printable import text_fault
from curator.review.reviews import IMAGE_ID, BadReview, checked_time

LONGEST_TAG = 60  # characters


@dataclass(frozen=True, slots=True)
class Tagging:
    """given: false where the tag was taken off. tagged_at: UTC, without a zone."""

    image_id: str
    tag: str
    given: bool
    reviewer: str
    tagged_at: datetime

    @property
    def about(self) -> tuple[str, ...]:
        """The image that it names."""
        return (self.image_id,)

    @property
    def tagging_id(self) -> str:
        """The same tagging has the same id, however often it is recorded."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True, default=str).encode()).hexdigest()[:32]

    def as_json(self) -> dict[str, object]:
        return {**asdict(self), "tagged_at": self.tagged_at.isoformat()}


def checked_tag(text: object) -> str:
    """A tag as it is kept: one line without outer spaces. Raises BadReview."""
    if not isinstance(text, str) or not text.strip():
        raise BadReview("a tag is a text")
    if (fault := text_fault(text.strip(), longest=LONGEST_TAG)) is not None:
        raise BadReview(f"the tag {fault}")
    return text.strip()


def parse_tagging(fields: Mapping[str, object], *, now: datetime) -> Tagging:
    """A tagging from the fields of a line of a journal. Raises BadReview."""
    image_id, given, reviewer = fields.get("image_id"), fields.get("given"), fields.get("reviewer")
    when = checked_time("tagged_at", str(fields.get("tagged_at") or "") or None, now)
    if not isinstance(image_id, str) or not IMAGE_ID.fullmatch(image_id):
        raise BadReview(f"image_id must be 32 hexadecimal digits, not {image_id!r}")
    if not isinstance(given, bool) or not isinstance(reviewer, str) or not reviewer or when is None:
        raise BadReview("it does not say who gave or took off a tag, and when")
    return Tagging(image_id, checked_tag(fields.get("tag")), given, reviewer, when)

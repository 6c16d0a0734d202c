"""The façade of reviews, as `workspace.reviews`: what people decide, and what follows for the banks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from curator.workspace.context import Context
from curator.workspace.review.export import ReviewExport, export_reviews
from curator.workspace.review.propose import BankProposal, propose_bank
from curator.workspace.review.record import ImportSummary, collect_if_free, import_reviews, style_of


@dataclass(frozen=True, slots=True)
class Reviews:
    """Decisions about images and groups of them. All that was decided is in `report.reviews`."""

    _context: Context

    def export_to(
        self, path: Path | str, *, style: str | None = None, limit: int = 200, decided: bool = False
    ) -> ReviewExport:
        """Write the first groups of the queue, or of what is decided, to be decided elsewhere.

        style: csv, jsonl, fiftyone (a folder) or label-studio; by default after the suffix. Raises UsageError for a
        path that is there already.
        """
        collect_if_free(self._context)
        target = Path(path)
        return export_reviews(self._context, target, style=style_of(target, style), limit=limit, decided=decided)

    def import_from(
        self, path: Path | str, *, style: str | None = None, reviewer: str, wait_seconds: float = 0.0
    ) -> ImportSummary:
        """Record the decisions of a file. `reviewer`: whose they are where the file does not say.

        Raises UsageError for a file that is not of the format at all; a bad line is a fault in the summary.
        """
        return import_reviews(self._context, Path(path), style=style, reviewer=reviewer, wait_seconds=wait_seconds)

    def propose(
        self,
        parent: str = "base",
        *,
        name: str | None = None,
        method: str | None = None,
        write: bool = False,
        build: bool = False,
        wait_seconds: float = 0.0,
    ) -> BankProposal:
        """What the decisions say about a bank: labels to remove and to add, with evidence and judgement.

        parent: the bank to change. name: of the new one, else `<parent>-reviewed`. method: judge by it, not by the
        one that suits the parent. write: the spec file of the new bank; build: that, and a version of it.

        Raises BankError for a proposal that makes things worse when it is to be written or built.
        """
        collect_if_free(self._context)
        return propose_bank(
            self._context, parent, name=name, method=method, write=write, build=build, wait_seconds=wait_seconds
        )

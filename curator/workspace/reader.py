"""The reading half of the façade: all of it comes from the published snapshot and never waits for a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import pyarrow as pa

from curator.config import Config
from curator.errors import UsageError
from curator.export.parts import TAR_BYTES
from curator.export.run import Replace
from curator.report.notebook import in_notebook
from curator.workspace.context import Context
from curator.workspace.judge.in_force import InForce
from curator.workspace.keep.doctor import examine
from curator.workspace.keep.integrity import Finding
from curator.workspace.layout import Layout
from curator.workspace.look.banks import AuditReport, DiffReport, page_of, report_audit, report_diff, show_bank
from curator.workspace.look.explain import Explanation, explain_image
from curator.workspace.look.export import ExportRequest, ExportSummary, run_export
from curator.workspace.look.images import ImageTable, with_pictures
from curator.workspace.look.search import build_indexes, list_indexes, search_images, search_labels
from curator.workspace.makefile import dependency_rules, night_rules
from curator.workspace.night.baselines import pin_baseline
from curator.workspace.night.plots import Plots
from curator.workspace.night.report import NightReport, report_night
from curator.workspace.published import reading_or_empty
from curator.workspace.results import Results


class Reader(Results):
    """A folder with a configuration, label banks, vectors and a ledger, to be looked at."""

    def __init__(self, layout: Layout, config: Config) -> None:
        super().__init__(layout)
        self._context = Context(layout, config)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.layout.root)!r})"

    def _repr_html_(self) -> str:
        with reading_or_empty(self.layout) as database:
            ruling, lake = InForce.of(database), database.row("accounting", limit=1) or {}
            flags = ruling.count_flags(database) if ruling else {}
        ruled = {"ruled by": str(ruling) if ruling else "nothing yet: nothing was scanned"}
        known = {name: flags.get(name, 0) for name in ("scored", "flagged")}
        return in_notebook("notebook", "summary", title=repr(self), facts=ruled | lake | known, rows=(), count=0)

    @property
    def config(self) -> Config:
        """The options in force."""
        return self._context.config

    @property
    def plot(self) -> Plots:
        """Charts of the nights, on matplotlib axes."""
        return Plots(self._context)

    def images(self, rows: str | pa.Table = "flagged", *, limit: int = 20, **parameters: object) -> ImageTable:
        """Rows with a small picture beside each of the first: of a named query, of SQL, or of a table that another
        method gave, such as `search`."""
        if isinstance(rows, str):
            is_sql = " " in rows.strip()
            rows = self.sql(rows, parameters) if is_sql else self.query(rows, limit=limit, **parameters)
        return with_pictures(self._context, rows)

    def search(
        self,
        *,
        text: str | None = None,
        image: str | Path | None = None,
        label: str | None = None,
        k: int = 10,
        among: Literal["images", "labels"] = "images",
    ) -> pa.Table:
        """The k images (or labels of the bank) nearest to a text, an image or a label, the nearest first."""
        given = {"text": text, "image": image, "label": label}
        if sum(value is not None for value in given.values()) != 1:
            raise UsageError("search by exactly one of text, image and label")
        for name, value in given.items():
            if value is not None and not str(value).strip():
                raise UsageError(f"the {name} to search by is empty")
        search = search_images if among == "images" else search_labels
        return search(self._context, text=text, image=None if image is None else str(image), label=label, k=k)

    def explain(
        self,
        image: str | Path,
        *,
        bank: str | None = None,
        method: str | None = None,
        k: int = 5,
        thumbnail: bool = False,
    ) -> Explanation:
        """Why an image is flagged or kept: its nearest labels and their share of the score, which of them decides and
        how it was made, its nearest reference images and lake neighbours, and the policy; by default as the report
        views judge it. `as_html()` of it is a page."""
        return explain_image(self._context, str(image), bank=bank, method=method, k=k, picture=thumbnail)

    def export(
        self,
        images: str,
        *,
        to: str | Path,
        format: str,
        where: str | None = None,
        limit: int | None = None,
        parameters: Mapping[str, object] | None = None,
        one_of_each_group: bool = False,
        by_label: bool = True,
        tar_bytes: int = TAR_BYTES,
        replace: Replace = "nothing",
    ) -> ExportSummary:
        """Export images (`flagged`, `kept`, or the name of a query whose rows have an `image_id` or a `uri`) to a
        folder or URL in one of the formats; a killed export goes on.

        where: an SQL condition on report.scores. limit: so many at most, the lowest scores first. parameters: of the
        query. by_label: a folder of links for each label. tar_bytes: images of a tar, in bytes. replace: what stands
        in the place of a finished export. Raises UsageError for a destination that holds anything else.
        """
        request = ExportRequest(
            images,
            str(to),
            format,
            where=where,
            limit=limit,
            parameters=parameters or {},
            one_of_each_group=one_of_each_group,
            by_label=by_label,
            tar_bytes=tar_bytes,
            replace=replace,
        )
        return run_export(self._context, self.queries(), request)

    def build_indexes(self) -> pa.Table:
        """Build or update the image and label indexes by their recipes."""
        return build_indexes(self._context)

    def indexes(self) -> pa.Table:
        """The indexes of the workspace and whether they are fresh."""
        return list_indexes(self._context)

    def show_bank(
        self, address: str = "base", *, role: Literal["id", "negative"] | None = None, limit: int = 20
    ) -> tuple[dict[str, object], pa.Table]:
        """A bank version (`name`, `name@digest` or `name@v2`): its facts, with spec, lineage and the number of doubtful
        labels by role and reason, and at most `limit` labels of each role, in order."""
        return show_bank(self._context, address, role=role, limit=limit)

    def bank_page(self, address: str = "base") -> str:
        """A bank version as one HTML page: facts, labels by source with their evidence, and what was painted."""
        return page_of(self._context, address)

    def audit_bank(self, address: str = "base", *, min_cosine: float | None = None) -> AuditReport:
        """The doubtful labels of a bank version, the gravest first. `min_cosine`: from which cosine to an ID label a
        negative is too near, instead of the rule of `curator.banks.audit`."""
        return report_audit(self._context, address, min_cosine=min_cosine)

    def diff_banks(self, old: str, new: str) -> DiffReport:
        """What changed from one bank version to another: labels, spec and facts."""
        return report_diff(self._context, old, new)

    def bank_dependencies(self, name: str | None = None) -> str:
        """The files and banks that the spec of a bank names, as rules for make; without a name, those of all banks of a
        night, and which they are. Reads nothing but specs."""
        return night_rules(self.layout, self.config) if name is None else dependency_rules(self.layout, name)

    def report(self, night: str | None = None, *, fail_on: Sequence[str] = (), pictures: bool = True) -> NightReport:
        """The report of a night (date or run id, by default the last): as data and, with its pictures, as a page."""
        return report_night(self._context, night, fail_on=fail_on, pictures=pictures)

    def pin_baseline(self, night: str | None = None) -> dict[str, object]:
        """Make a night the baseline that reports compare others with."""
        return pin_baseline(self._context, night)

    def doctor(self, *, check: bool = False) -> list[Finding]:
        """Examine the machine and the workspace: encoder, weights, GPU, FAISS, disk, lock, ledger, vector files."""
        return examine(self._context, check=check)

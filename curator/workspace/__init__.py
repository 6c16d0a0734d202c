"""The façade: everything one can do with a workspace, for Python users and for the CLI, its first user.

Reading (`sql`, `query`, `search`, `check`) uses the published snapshot and never waits; writing (`scan`, `calibrate`,
`score`, `build_bank`) takes the workspace's lock for one run. Results are Arrow tables or small frozen summaries.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import pyarrow as pa

from curator.config import Config
from curator.errors import UsageError
from curator.evaluation.summary import EvaluationSummary
from curator.generators.asking import PlannedCalls
from curator.policy import Policy, Rule
from curator.store import CheckResult, ListingCounts, run_checks
from curator.store.queries import NamedQuery, user_queries
from curator.types import Bank
from curator.workspace.calibrate.check import ALPHAS, CalibrationCheck, check_calibration
from curator.workspace.calibrate.rescoring import ScoreSummary, run_scoring
from curator.workspace.calibrate.run import CalibrationSummary, run_calibration, use_policy
from curator.workspace.context import Context
from curator.workspace.create import create_workspace
from curator.workspace.evaluate.plan import EvaluationRequest
from curator.workspace.evaluate.run import run_evaluation
from curator.workspace.keep.backup import BackupSummary, make_backup, refuse_remote_backup, restore_backup
from curator.workspace.keep.doctor import examine
from curator.workspace.keep.housekeeping import Leftovers, collect_garbage
from curator.workspace.keep.integrity import Finding
from curator.workspace.layout import Layout, find_workspace, refuse_remote
from curator.workspace.learn.run import LearnRequest, LearnSummary, build_bank, plan_learning, run_learning
from curator.workspace.look.banks import AuditReport, DiffReport, page_of, report_audit, report_diff, show_bank
from curator.workspace.look.explain import Explanation, explain_image
from curator.workspace.look.export import ExportRequest, ExportSummary, run_export
from curator.workspace.look.search import build_indexes, list_indexes, search_images, search_labels
from curator.workspace.makefile import dependency_rules
from curator.workspace.names import check_names
from curator.workspace.night.baselines import pin_baseline
from curator.workspace.night.conditions import Limits
from curator.workspace.night.report import NightReport, report_night
from curator.workspace.night.run import run_night
from curator.workspace.review.facade import Reviews
from curator.workspace.scan.plan import PlanRequest, ScanPlan, plan_scan
from curator.workspace.scan.request import ScanRequest, ScanSummary, ScanWatcher, SilentWatcher
from curator.workspace.scan.run import preview_scan
from curator.workspace.session import reading, writing

__all__ = [
    "AuditReport",
    "BackupSummary",
    "CalibrationCheck",
    "CalibrationSummary",
    "DiffReport",
    "EvaluationRequest",
    "EvaluationSummary",
    "Explanation",
    "ExportRequest",
    "ExportSummary",
    "Finding",
    "LearnRequest",
    "LearnSummary",
    "Leftovers",
    "NightReport",
    "PlanRequest",
    "ScanPlan",
    "ScanSummary",
    "ScanWatcher",
    "ScoreSummary",
    "Workspace",
]


class Workspace:
    """A folder with a configuration, label banks, vectors and a ledger. Make one with `create`, open one with `open`.

    Example:

        workspace = curator.open("my-lake")
        summary = workspace.scan("/data/incoming")
        table = workspace.sql("select uri, id_score from report.flagged order by id_score limit 20")
    """

    def __init__(self, layout: Layout, config: Config) -> None:
        self.layout = layout
        self.config = config
        self._context = Context(layout, config)

    @classmethod
    def create(cls, folder: Path | str, *, labels: Path | str | Sequence[str], encoder: str = "mini") -> Workspace:
        """Make a workspace for the ID labels given (a file, one label a line, or a sequence).

        Raises UsageError when the folder is a workspace already or a label is bad.
        """
        refuse_remote(folder)
        layout = create_workspace(Path(folder), labels=labels, encoder=encoder)
        return cls(layout, Config.resolve(layout.config))

    @classmethod
    def open(cls, folder: Path | str = ".", *, overrides: Mapping[str, object] | None = None) -> Workspace:
        """Open the workspace at `folder` or above it. `overrides` are options keyed `section.key` (see config.py).

        Raises WorkspaceError when there is none, ConfigError for a bad option.
        """
        refuse_remote(folder)
        layout = find_workspace(Path(folder))
        config = Config.resolve(layout.config, overrides=overrides)
        check_names(config)
        return cls(layout, config)

    # Writing

    def scan(
        self,
        *sources: str | Path,
        rehash: bool = False,
        retry_rejects: bool = False,
        exclude: Sequence[str] = (),
        include: Sequence[str] = (),
        max_reject_rate: float | None = None,
        fail_on: Sequence[str] = (),
        wait_seconds: float = 0.0,
        watcher: ScanWatcher | None = None,
    ) -> ScanSummary:
        """Scan sources (folder, file, glob, tar, Parquet; local or any fsspec URL) into the lake, score and flag.

        Only what is new or changed since the last scan is read. A killed scan is resumed by the same call.
        `exclude` and `include` are patterns of names below the sources, besides those of the configuration: see
        curator/lake/sources/filters.py.
        `max_reject_rate` (of all rejects; else `scan.max_reject_rate` holds, for those of one reason and unless rejects
        are what is read) and `fail_on` (`flag_rate>0.2`: see night/conditions.py) say when the night is not all right:
        the results are kept, and the summary has `broken_limits` and the `exit_code` of the command line.

        Raises UsageError for a bad condition, WorkspaceLocked when another run still holds the workspace after
        `wait_seconds`.
        """
        one_reason_rate = 1.0 if retry_rejects else self.config.scan.max_reject_rate
        limits = Limits.resolve(max_reject_rate=max_reject_rate, fail_on=fail_on, one_reason_rate=one_reason_rate)
        request = ScanRequest(_addresses(sources), "lake", rehash, retry_rejects, wait_seconds, exclude, include)
        return run_night(self._context, request, watcher or SilentWatcher(), limits=limits)

    def preview(
        self,
        *sources: str | Path,
        rehash: bool = False,
        retry_rejects: bool = False,
        exclude: Sequence[str] = (),
        include: Sequence[str] = (),
    ) -> list[ListingCounts]:
        """What a scan so called would read: new, changed, unchanged, gone, and bytes. Reads no image."""
        request = ScanRequest(_addresses(sources), "lake", rehash, retry_rejects, 0.0, exclude, include)
        return preview_scan(self._context, request)

    def calibrate(
        self,
        *reference: str | Path,
        keep: float | None = None,
        alpha: float | None = None,
        fdr: float | None = None,
        by_class: bool = False,
        minimum: int | None = None,
        name: str | None = None,
        watcher: ScanWatcher | None = None,
        wait_seconds: float = 0.0,
    ) -> CalibrationSummary:
        """Let reference ID images, those that are there unless some are named, set the threshold; flags follow at once.

        keep: the share of them to keep, 0.95 unless one of the other rules is given: `alpha`, the p-value at which to
        flag, `fdr`, the share of the flags of a night that may be false. by_class: within classes that have references
        enough, `minimum` or more. name: of the policy.
        """
        rule = Rule.chosen(keep=keep, alpha=alpha, fdr=fdr, by_class=by_class, minimum=minimum)
        sources, watcher = [*map(str, reference)], watcher or SilentWatcher()
        return run_calibration(self._context, sources, watcher, rule=rule, name=name, wait_seconds=wait_seconds)

    def check_calibration(
        self, *held_out: str | Path, alphas: Sequence[float] = ALPHAS, watcher: ScanWatcher | None = None
    ) -> CalibrationCheck:
        """Whether flags keep their promise on held-out ID images: those named, else half of the reference."""
        return check_calibration(self._context, [*map(str, held_out)], watcher or SilentWatcher(), alphas=alphas)

    def use_policy(self, name: str) -> Policy:
        """Let a policy made before decide again. Scores nothing."""
        return use_policy(self._context, name)

    def score(
        self, *, bank: str | Sequence[str] = (), method: str | Sequence[str] = (), where: str | None = None
    ) -> ScoreSummary:
        """Score the stored vectors under one or more other banks (`name`, `name@digest`) or methods. Embeds no image.

        `where`: an SQL condition on report.scores. With it, and with several scorings, the report views go on showing
        what they showed; `report.compare` has all side by side.
        """
        banks, methods = ((given,) if isinstance(given, str) else tuple(given) for given in (bank, method))
        return run_scoring(self._context, banks=banks, methods=methods, where=where)

    def evaluate(self, request: EvaluationRequest, *, watcher: ScanWatcher | None = None) -> EvaluationSummary:
        """Measure how well banks and methods tell ID from OOD on images whose side is known, and store the figures.

        The images are embedded once and never shown by the views of the lake.
        """
        return run_evaluation(self._context, request, watcher or SilentWatcher())

    def learn_bank(self, request: LearnRequest, *, watcher: ScanWatcher | None = None) -> LearnSummary:
        """Make a bank by one of the systems that learn from images: ants, mmood, synood, eoe, adaneg, tanl.

        Every generator call is a row, and an identical one is answered from there: the same request goes on where a
        run stopped. Raises BudgetSpent at `max_calls`, BankError for a version that the guard refuses.
        """
        return run_learning(self._context, request, watcher or SilentWatcher())

    def plan_bank(self, request: LearnRequest) -> tuple[PlannedCalls, ...]:
        """The generator calls that `learn_bank` would make now. Makes and writes nothing."""
        return plan_learning(self._context, request)

    def build_bank(self, name: str = "base", *, wait_seconds: float = 0.0) -> Bank:
        """Build the bank of `banks/<name>.toml`; an unchanged spec gives the version that exists.

        The spec of a system (ants, mmood, …) is run as `learn_bank` does.

        Raises WorkspaceLocked when another run still holds the workspace after `wait_seconds`.
        """
        return build_bank(self._context, name, wait_seconds=wait_seconds)

    def publish(self, *, to: str | None = None, replace: bool = False) -> Path:
        """Publish the ledger as it is now. Every writing call does this by itself at its end.

        `to`: a folder or URL that gets a copy, whole or not at all. `replace`: give up runs that only the snapshot has.
        Raises OutputError where it cannot be written.
        """
        with writing(self._context, "publish", {"to": to}, publish_to=to, replaces=replace, needs_vectors=False):
            pass
        return self.layout.snapshot

    @property
    def reviews(self) -> Reviews:
        """Decisions of people about flagged images: export, import, the review page, and what they say about a bank."""
        return Reviews(self._context)

    # Keeping

    def collect_garbage(self, *, remove: bool = False) -> Leftovers:
        """What nobody refers to any more: files of killed runs, caches of what is not in use. `remove`: remove it."""
        return collect_garbage(self._context, remove=remove)

    def backup(self, destination: Path | str, *, keep: int | None = None, without_lost: bool = False) -> BackupSummary:
        """Back up into a new folder of `destination`, whole or not at all; then keep only the newest `keep` there.
        `without_lost`: also a workspace that has lost files that its ledger refers to; the summary names them."""
        refuse_remote_backup(destination)
        return make_backup(self._context, Path(destination), keep=keep, without_lost=without_lost)

    @classmethod
    def restore(cls, backup: Path | str, folder: Path | str) -> Workspace:
        """Make the workspace of a backup, or of the newest of a folder of backups, at `folder`, which must be new.

        Raises BackupError when a file is not the one that was backed up.
        """
        refuse_remote_backup(backup)
        refuse_remote(folder)
        layout = restore_backup(Path(backup), Path(folder))
        return cls(layout, Config.resolve(layout.config))

    def plan(self, request: PlanRequest) -> ScanPlan:
        """What a scan would cost on a fleet of machines: stages measured here, time, storage and bottleneck by a model.

        Builds the bank where it has no version yet; otherwise leaves nothing behind.
        """
        return plan_scan(self._context, request)

    # Reading

    def sql(self, query: str, parameters: Mapping[str, object] | None = None) -> pa.Table:
        """Run SQL on the published snapshot, read-only, without access to any file. Returns the last result."""
        with reading(self.layout, sealed=True) as database:
            return database.arrow(query, parameters)

    def queries(self) -> dict[str, NamedQuery]:
        """The named queries: those that ship, and the workspace's own in `queries/*.sql`, which go first.

        Raises ConfigError for a file that is no text or holds no queries.
        """
        return user_queries(self.layout.queries)

    def query(self, name: str, **parameters: object) -> pa.Table:
        """Run a named query. `limit` is 20 unless given. Raises UsageError for an unknown name or parameter."""
        queries = self.queries()
        if name not in queries:
            raise UsageError(f"no query is called {name!r}", hint=f"known: {', '.join(queries)}")
        wanted = queries[name].parameters
        given = {"limit": 20, **parameters} if "limit" in wanted else dict(parameters)
        if given.keys() != set(wanted):
            raise UsageError(f"query {name!r} takes the parameters {', '.join(wanted) or '(none)'}")
        return self.sql(queries[name].sql, given)

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

    def export(self, request: ExportRequest) -> ExportSummary:
        """Export flagged images, kept ones, or those of a query; a killed export goes on. Raises UsageError for a
        destination that holds anything else."""
        return run_export(self._context, self.queries(), request)

    def build_indexes(self) -> pa.Table:
        """Build or update the image and label indexes by their recipes."""
        return build_indexes(self._context)

    def indexes(self) -> pa.Table:
        """The indexes of the workspace and whether they are fresh."""
        return list_indexes(self._context)

    def banks(self) -> pa.Table:
        """The bank versions, newest first."""
        with reading(self.layout) as database:
            return database.table("list_banks")

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

    def bank_dependencies(self, name: str = "base") -> str:
        """The files and banks that the spec of a bank names, as rules for make. Reads nothing but the spec."""
        return dependency_rules(self.layout, name)

    def report(self, night: str | None = None, *, fail_on: Sequence[str] = (), pictures: bool = True) -> NightReport:
        """The report of a night (date or run id, by default the last): as data and, with its pictures, as a page."""
        return report_night(self._context, night, fail_on=fail_on, pictures=pictures)

    def pin_baseline(self, night: str | None = None) -> dict[str, object]:
        """Make a night the baseline that reports compare others with."""
        return pin_baseline(self._context, night)

    def baselines(self) -> pa.Table:
        """The pinned baselines, the newest first."""
        with reading(self.layout) as database:
            return database.table("list_baselines")

    def check(self) -> list[CheckResult]:
        """Run every check of `sql/checks` on the published snapshot."""
        with reading(self.layout) as database:
            return run_checks(database)

    def doctor(self, *, check: bool = False) -> list[Finding]:
        """Examine the machine and the workspace: encoder, weights, GPU, FAISS, disk, lock, ledger, vector files."""
        return examine(self._context, check=check)


def _addresses(sources: Sequence[str | Path]) -> tuple[str, ...]:
    if not sources:
        raise UsageError("name at least one source", hint="a folder, file, glob, tar, Parquet file or fsspec URL")
    return tuple(str(source) for source in sources)

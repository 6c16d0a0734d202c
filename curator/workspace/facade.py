"""The façade: everything one can do with a workspace, for Python users and for the CLI, its first user.

Reading (`sql`, `query`, `search`, `check`) uses the published snapshot and never waits; writing (`scan`, `calibrate`,
`score`, `build_bank`) takes the workspace's lock for one run. Results are Arrow tables or small frozen summaries.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from curator.config import Config
from curator.endings import Ending
from curator.engines.cost_model import Fleet
from curator.errors import UsageError
from curator.evaluation.reproduction import Reproduction
from curator.evaluation.summary import EvaluationSummary
from curator.generators.planning import PlannedCalls
from curator.metrics import Positive
from curator.policy import Rule
from curator.store import ListingCounts
from curator.types import Bank
from curator.workspace.app.serve import Ready, serve_app
from curator.workspace.calibrate.check import ALPHAS, CalibrationCheck, check_calibration
from curator.workspace.calibrate.rescoring import ScoreSummary, run_scoring
from curator.workspace.calibrate.run import CalibrationRequest, CalibrationSummary, run_calibration
from curator.workspace.calibrate.use import UseSummary, put_in_use
from curator.workspace.create import create_workspace
from curator.workspace.evaluate.plan import EvaluationRequest
from curator.workspace.evaluate.reproduce import ReproductionRequest, reproduce
from curator.workspace.evaluate.run import run_evaluation
from curator.workspace.judge.in_force import InForce
from curator.workspace.keep.backup import BackupSummary, make_backup, refuse_remote_backup, restore_backup
from curator.workspace.keep.housekeeping import Leftovers, collect_garbage
from curator.workspace.keep.integrity import Finding
from curator.workspace.layout import find_workspace, refuse_remote
from curator.workspace.learn.plan import plan_learning
from curator.workspace.learn.run import LearnRequest, LearnSummary, build_bank, run_learning
from curator.workspace.look.banks import AuditReport, DiffReport
from curator.workspace.look.explain import Explanation
from curator.workspace.look.export import ExportSummary
from curator.workspace.names import check_names
from curator.workspace.night.conditions import Limits
from curator.workspace.night.report import NightReport
from curator.workspace.night.run import run_night
from curator.workspace.reader import Reader
from curator.workspace.review.facade import Reviews
from curator.workspace.scan.measuring import MeasureSummary, measure_images
from curator.workspace.scan.plan import ScanPlan, plan_scan
from curator.workspace.scan.request import ScanRequest, ScanSummary, ScanWatcher, SilentWatcher
from curator.workspace.scan.run import preview_scan
from curator.workspace.session import writing

__all__ = [
    "AuditReport",
    "BackupSummary",
    "CalibrationCheck",
    "CalibrationSummary",
    "DiffReport",
    "EvaluationSummary",
    "Explanation",
    "ExportSummary",
    "Finding",
    "InForce",
    "LearnSummary",
    "Leftovers",
    "NightReport",
    "Reproduction",
    "ReproductionRequest",
    "ScanPlan",
    "ScanSummary",
    "ScanWatcher",
    "ScoreSummary",
    "UseSummary",
    "Workspace",
]


class Workspace(Reader):
    """A folder with a configuration, label banks, vectors and a ledger. Make one with `create`, open one with `open`.

    Example:

        workspace = curator.open("my-lake")
        summary = workspace.scan("/data/incoming")
        table = workspace.sql("select uri, id_score from report.flagged order by id_score limit 20")
    """

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
        gone: Sequence[str | Path] = (),
        max_reject_rate: float | None = None,
        fail_on: Sequence[str] = (),
        wait_seconds: float = 0.0,
        exit_codes: Mapping[Ending, int] | None = None,
        watcher: ScanWatcher | None = None,
    ) -> ScanSummary:
        """Scan sources (folder, file, glob, tar, Parquet; local or any fsspec URL) into the lake, score and flag.

        Only what is new or changed since the last scan is read. A killed scan is resumed by the same call.
        `exclude` and `include` are patterns of names below the sources, besides those of the configuration: see
        curator/lake/sources/filters.py. `gone`: sources that are there no more; their images leave the lake.
        `max_reject_rate` (of all rejects; else `scan.max_reject_rate` holds, for those of one reason and unless rejects
        are what is read) and `fail_on` (`flag_rate>0.2`: see night/conditions.py) say when the night is not all right:
        the results are kept, and the summary has its `ending` and the `broken_limits`. exit_codes: those for the
        metrics file. Raises UsageError for a bad condition, WorkspaceLocked when `wait_seconds` were not enough.
        """
        for_one = 1.0 if retry_rejects else self.config.scan.max_reject_rate
        limits = Limits.resolve(max_reject_rate=max_reject_rate, fail_on=fail_on, one_reason_rate=for_one)
        found = _addresses(sources, *gone)
        asked = ScanRequest(found, "lake", rehash, retry_rejects, wait_seconds, exclude, include, gone)
        return run_night(self._context, asked, watcher or SilentWatcher(), limits=limits, exit_codes=exit_codes or {})

    def preview(
        self,
        *sources: str | Path,
        rehash: bool = False,
        retry_rejects: bool = False,
        exclude: Sequence[str] = (),
        include: Sequence[str] = (),
        gone: Sequence[str | Path] = (),
    ) -> list[ListingCounts]:
        """What a scan so called would read: new, changed, unchanged, gone, and bytes. Reads no image."""
        request = ScanRequest(_addresses(sources, *gone), "lake", rehash, retry_rejects, 0.0, exclude, include, gone)
        return preview_scan(self._context, request)

    def calibrate(
        self,
        *reference: str | Path,
        keep: float | None = None,
        alpha: float | None = None,
        fdr: float | None = None,
        by_class: bool = False,
        minimum: int | None = None,
        rule: Rule | None = None,
        name: str | None = None,
        for_night: bool = False,
        bank: str | None = None,
        method: str | None = None,
        forget: Sequence[str | Path] = (),
        watcher: ScanWatcher | None = None,
        wait_seconds: float = 0.0,
    ) -> CalibrationSummary:
        """Let reference ID images, those that are there unless some are named, set the threshold; flags follow at once.

        keep: the share of them to keep, 0.95 unless one of the other rules is given: `alpha`, the p-value at which to
        flag, `fdr`, the share of the flags of a night that may be false. by_class: within classes that have references
        enough, `minimum` or more. rule: in place of all these. name: of the policy. for_night: it is not chosen by hand
        (see `policy_chosen`). bank, method: of which it is made instead of those configured; a policy of others than
        those that rule changes no flag until `use` puts it in force. forget: sources that are no reference any more.
        """
        rule = rule or Rule.chosen(keep=keep, alpha=alpha, fdr=fdr, by_class=by_class, minimum=minimum)
        asked = CalibrationRequest(rule, name, bank, method, for_night, wait_seconds, _texts(forget))
        return run_calibration(self._context, _texts(reference), watcher or SilentWatcher(), asked)

    def check_calibration(
        self, *held_out: str | Path, alphas: Sequence[float] = ALPHAS, watcher: ScanWatcher | None = None
    ) -> CalibrationCheck:
        """Whether flags keep their promise on held-out ID images: those named, else half of the reference."""
        return check_calibration(self._context, [*map(str, held_out)], watcher or SilentWatcher(), alphas=alphas)

    def use(
        self,
        bank: str | None = None,
        method: str | None = None,
        *,
        policy: str | None = None,
        wait_seconds: float = 0.0,
    ) -> UseSummary:
        """Let a bank (`name`, or one version of it as `name@v2`) and a method (else the one that suits it) rule: the
        report views judge every image by them, and each later scan, since `curator.toml` names them from now on.
        policy: of this bank and method, by name or id; else the one chosen or calibrated last for them rules. Without
        a bank and a method: another policy of those that rule. Embeds no image. Raises UsageError for a policy of
        another bank or method.
        """
        return put_in_use(self._context, bank=bank, method=method, policy=policy, wait_seconds=wait_seconds)

    def score(
        self, *, bank: str | Sequence[str] = (), method: str | Sequence[str] = (), where: str | None = None
    ) -> ScoreSummary:
        """Score the stored vectors under one or more other banks (`name`, `name@digest`), each with these methods, or
        else with the one that suits it. Embeds no image.

        `where`: an SQL condition on report.scores. What rules stays as it is, whatever is scored (see `use`);
        `report.compare` has all scorings side by side.
        """
        banks, methods = ((given,) if isinstance(given, str) else tuple(given) for given in (bank, method))
        return run_scoring(self._context, banks=banks, methods=methods, where=where)

    def evaluate(
        self,
        *,
        positive: Positive,
        id_sources: Sequence[str | Path] = (),
        ood_sources: Mapping[str, Sequence[str | Path]] | None = None,
        near: Sequence[str] = (),
        id_labels: Path | str | None = None,
        ood_rest: str | None = None,
        label_map: Path | str | None = None,
        banks: Sequence[str] = (),
        methods: Sequence[str] = (),
        reference: Sequence[str | Path] = (),
        replicates: int = 1000,
        seed: int = 0,
        protocol: str | None = None,
        data: Path | str | None = None,
        same_format: str | None = None,
        streams: Sequence[str] = (),
        orders: int = 3,
        watcher: ScanWatcher | None = None,
    ) -> EvaluationSummary:
        """Measure how well banks and methods tell ID from OOD on images whose side is known, and store the figures.

        The images are embedded once and never shown by the views of the lake. What the arguments say stands at
        `EvaluationRequest` in curator/workspace/evaluate/plan.py.
        """
        request = EvaluationRequest(
            positive=positive,
            id_sources=_texts(id_sources),
            ood_sources={name: _texts(sources) for name, sources in (ood_sources or {}).items()},
            near=tuple(near),
            id_labels=_path(id_labels),
            ood_rest=ood_rest,
            label_map=_path(label_map),
            banks=tuple(banks),
            methods=tuple(methods),
            reference=_texts(reference),
            replicates=replicates,
            seed=seed,
            protocol=protocol,
            data=_path(data),
            same_format=same_format,
            streams=tuple(streams),
            orders=orders,
        )
        return run_evaluation(self._context, request, watcher or SilentWatcher())

    @staticmethod
    def reproduce(
        folder: Path | str, request: ReproductionRequest, *, watcher: ScanWatcher | None = None
    ) -> Reproduction:
        """Make a published table again by its recipes, in a workspace of its own at `folder`; a killed one goes on."""
        refuse_remote(folder)
        return reproduce(Path(folder), request, watcher or SilentWatcher())

    def learn_bank(
        self,
        system: str,
        name: str | None = None,
        *,
        parent: str | None = None,
        settings: Mapping[str, object] | None = None,
        reference: Sequence[str | Path] = (),
        max_calls: int | None = None,
        force: bool = False,
        ask_again: bool = False,
        wait_seconds: float = 0.0,
        watcher: ScanWatcher | None = None,
    ) -> LearnSummary:
        """Make a bank by one of the systems that learn: ants, mmood, synood, eoe, adaneg, tanl; `name`: else as that.
        settings: on top of the spec's. reference: ID images to take in first. max_calls: of models, None for no
        limit. force: learn also where the lake holds no clear excess of OOD images, and keep a version that is worse.
        What was answered is a row and stays: the same call goes on where a run stopped. ask_again: also with what was
        rejected. Raises BudgetSpent at `max_calls`, BankError where there is nothing to learn and for a worse bank.
        """
        of, given = name or system, settings or {}
        wanted = LearnRequest(system, of, parent, given, _texts(reference), max_calls, force, wait_seconds, ask_again)
        return run_learning(self._context, wanted, watcher or SilentWatcher())

    def plan_bank(
        self,
        system: str,
        name: str | None = None,
        *,
        parent: str | None = None,
        settings: Mapping[str, object] | None = None,
        force: bool = False,
        ask_again: bool = False,
    ) -> tuple[PlannedCalls, ...]:
        """The generator calls that `learn_bank` would make now. Makes and writes nothing."""
        wanted = LearnRequest(system, name or system, parent, settings or {}, force=force, ask_again=ask_again)
        return plan_learning(self._context, wanted)

    def build_bank(self, name: str = "base", *, wait_seconds: float = 0.0) -> Bank:
        """Build the bank of `banks/<name>.toml`; an unchanged spec gives the version that exists.

        The spec of a system (ants, mmood, …) is run as `learn_bank` does. WorkspaceLocked after `wait_seconds`.
        """
        return build_bank(self._context, name, wait_seconds=wait_seconds)

    def publish(self, *, to: str | None = None, replace: bool = False) -> Path:
        """Publish the ledger as it is now. Every writing call does this by itself at its end.

        `to`: a folder or URL that gets a copy, whole or not at all. `replace`: give up runs that only the snapshot has.
        Raises OutputError where it cannot be written."""
        run = self._context, "publish", {"to": to}
        with writing(*run, publish_to=to, publish_anew=True, replaces=replace, needs_vectors=False):
            pass
        return self.layout.snapshot

    @property
    def reviews(self) -> Reviews:
        """Decisions of people about flagged images: export, import, and what they say about a bank."""
        return Reviews(self._context)

    def serve_app(
        self, *, reviewer: str, port: int = 0, ready: Ready | None = None, ended: threading.Event | None = None
    ) -> tuple[int, bool]:
        """Serve the app until `ended` or Ctrl-C; `ready(address, images)` says where. Returns how many decisions were
        made, and whether all are recorded: if not, another run writes, and the next command about reviews does it."""
        return serve_app(self._context, port=port, reviewer=reviewer, ready=ready, ended=ended or threading.Event())

    # Keeping

    def measure(self, *, wait_seconds: float = 0.0) -> MeasureSummary:
        """Decode images that were scanned before images were measured as pictures, and measure them."""
        return measure_images(self._context, wait_seconds=wait_seconds)

    def collect_garbage(self, *, remove: bool = False) -> Leftovers:
        """What nobody refers to any more: files of killed runs, caches of what is not in use. `remove`: remove it."""
        return collect_garbage(self._context, remove=remove)

    def backup(self, destination: Path | str, *, keep: int | None = None, without_lost: bool = False) -> BackupSummary:
        """Back up into a new folder of `destination`, whole or not at all; then keep only its newest `keep` there.
        `without_lost`: also a workspace that has lost files that its ledger refers to; the summary names them."""
        refuse_remote_backup(destination)
        return make_backup(self._context, Path(destination), keep=keep, without_lost=without_lost)

    @classmethod
    def restore(cls, backup: Path | str, folder: Path | str) -> Workspace:
        """Make the workspace of a backup, or of the newest of a folder of backups, at `folder`, which must be new.
        Raises BackupError when a file is not the one that was backed up."""
        refuse_remote_backup(backup)
        refuse_remote(folder)
        layout = restore_backup(Path(backup), Path(folder))
        return cls(layout, Config.resolve(layout.config))

    def plan(
        self,
        *sources: str | Path,
        nodes: int = 1,
        cores: int | None = None,
        gpus: int = 0,
        images: Sequence[int] = (),
        night: int = 10_000,
        sample: int = 256,
        gpu_rate: float | None = None,
    ) -> ScanPlan:
        """What a scan would cost on a fleet of machines: stages measured here, time, storage and bottleneck by a model.

        nodes: machines; cores, gpus: of each, by default as many cores as this one has. images: further sizes of the
        lake. night: new images of one. sample: data to measure with. gpu_rate: images/s of one GPU, where it is known.
        Builds the bank where it has no version yet; otherwise leaves nothing behind.
        """
        fleet = Fleet(nodes, cores or len(os.sched_getaffinity(0)), gpus)
        addresses = _addresses(sources)
        return plan_scan(self._context, addresses, fleet, images=images, night=night, sample=sample, gpu_rate=gpu_rate)


def _addresses(sources: Sequence[str | Path], *others: str | Path) -> tuple[str, ...]:
    if not (sources or others):
        raise UsageError("name at least one source", hint="a folder, file, glob, tar, Parquet file or fsspec URL")
    return _texts(sources)


def _texts(sources: Sequence[str | Path]) -> tuple[str, ...]:
    return tuple(map(str, sources))


def _path(given: Path | str | None) -> Path | None:
    return None if given is None else Path(given)

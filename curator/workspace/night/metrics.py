"""The figures of the last scan as a Prometheus text file, for the textfile collector of the node exporter.

The file is replaced whole after every run, also after one that failed or found the workspace locked, so an alert on
`curator_scan_success == 0` or on the age of `curator_scan_last_success_timestamp_seconds` sees each of them. A night
is a batch: its figures are gauges of the last run; what is counted over all runs ends in `_total` and comes from the
ledger, so a lost file loses nothing.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from pathlib import Path

from curator.durable import durable
from curator.endings import Ending
from curator.errors import CuratorError
from curator.store import Database
from curator.version import VERSION
from curator.workspace.layout import Layout
from curator.workspace.logs import log
from curator.workspace.published import reading
from curator.workspace.scan.request import ScanSummary

Labels = Mapping[str, str]
STATUSES = ("done", "failed", "interrupted", "locked")


@dataclass(frozen=True, slots=True)
class LastScan:
    """How a scan ended, and after how many seconds. `summary` is that of one that was done."""

    ending: Ending
    seconds: float
    summary: ScanSummary | None = None
    tripped: Mapping[str, bool] = field(default_factory=dict)  # of each condition that was set, whether it holds

    @property
    def status(self) -> str:
        """One of STATUSES."""
        return "done" if self.summary is not None else self.ending if self.ending in STATUSES else "failed"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric with its samples: labels and value."""

    name: str
    meaning: str
    samples: Sequence[tuple[Labels, float]]

    def text(self) -> str:
        kind = "counter" if self.name.endswith("_total") else "gauge"
        lines = [f"# HELP {self.name} {self.meaning}", f"# TYPE {self.name} {kind}"]
        for labels, value in self.samples:
            inside = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
            lines.append(f"{self.name}{{{inside}}} {value!r}" if inside else f"{self.name} {value!r}")
        return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def write_metrics(path: Path, layout: Layout, last: LastScan, exit_codes: Mapping[Ending, int]) -> None:
    """Replace the file. A disk that refuses costs a warning: the night itself is done."""
    metrics = [*run_metrics(last, exit_codes), *ledger_metrics(layout)]
    text = "".join(metric.text() for metric in metrics if metric.samples)
    try:
        with durable(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
            temporary.chmod(0o644)  # the exporter is another user
    except OSError as fault:
        log.warning("%s: metrics were not written: %s", path, fault.strerror)


def run_metrics(last: LastScan, exit_codes: Mapping[Ending, int]) -> Iterable[Metric]:
    """What is known of every run, however it ended, and the figures of one that was done. The exit status is known of
    one that a shell sees the end of."""
    yield _gauge("info", "The program that ran.", 1, version=VERSION)
    yield _gauge("scan_success", "Whether the last scan was done, whatever its limits say.", last.status == "done")
    if exit_codes:
        yield _gauge("scan_exit_status", "Exit status of the last scan.", exit_codes[last.ending])
    states = [({"status": status}, float(status == last.status)) for status in STATUSES]
    yield Metric("curator_scan_status", "How the last scan ended.", states)
    yield _gauge("scan_last_run_timestamp_seconds", "When the last scan ended.", time.time())
    yield _gauge("scan_duration_seconds", "How long the last scan took.", last.seconds)
    conditions = [({"condition": text}, float(holds)) for text, holds in last.tripped.items()]
    yield Metric("curator_scan_condition_tripped", "Whether a condition that was set held.", conditions)
    if last.summary is not None:
        yield from night_metrics(last.summary)


def night_metrics(summary: ScanSummary) -> Iterable[Metric]:
    """The figures of a night."""
    data = {"image": summary.images, "duplicate": summary.duplicates, "reject": summary.rejects}
    yield _by("scan_data", "Data read by the last scan, by what became of them.", "outcome", data)
    rejects = [
        ({"stage": stage, "reason": reason}, float(count))
        for (stage, _, reason), count in ((key.partition("/"), n) for key, n in summary.reject_reasons.items())
    ]
    yield Metric("curator_scan_rejects", "Rejects of the last scan.", rejects)
    objects = {state: summary.objects(state) for state in ("new", "changed", "unchanged", "gone")}
    yield _by("scan_objects", "Objects of the last listing, by state.", "state", objects)
    yield _gauge("scan_unlisted_places", "Places that the last listing could not look into.", summary.unlisted)
    yield _gauge("scan_read_bytes", "Bytes read by the last scan.", summary.bytes_read)
    yield _gauge("scan_arrived_images", "Images that arrived with the last scan and have a score.", summary.new_scored)
    yield _gauge("scan_flagged_images", "Those of them that are flagged.", summary.new_flagged)
    yield _gauge("scan_near_duplicate_pairs", "Near-duplicate pairs found by the last scan.", summary.near_duplicates)
    yield _by("scan_stage_seconds", "Wall time of the stages of the last scan.", "stage", summary.stage_seconds)
    yield _gauge("lake_images", "Images in the lake that have a score.", summary.scored)
    yield _gauge("lake_flagged_images", "Images in the lake that are flagged.", summary.flagged)
    if (ruling := summary.ruled_by) is not None:
        names = {"bank": ruling.bank, "method": ruling.method_id, "policy": ruling.policy or "none"}
        yield _gauge("ruled_by_info", "The bank, method and policy by which the lake is judged.", 1, **names)
        changed = summary.ruled_before is not None
        yield _gauge("scan_ruling_changed", "Whether the last scan put another of them in force.", changed)


def ledger_metrics(layout: Layout) -> list[Metric]:
    """What the published ledger tells of all runs; nothing where it tells nothing."""
    try:
        with reading(layout) as database:
            return _over_all_runs(database)
    except CuratorError as fault:
        log.debug("no metrics over all runs: %s", fault)
        return []


def _over_all_runs(database: Database) -> list[Metric]:
    runs = database.rows("count_scans")
    ended = [row["last_finished_at"] for row in runs if row["status"] == "done"]
    last: list[tuple[Labels, float]] = [({}, moment.replace(tzinfo=UTC).timestamp()) for moment in ended]
    counts = [({"status": row["status"]}, float(row["runs"])) for row in runs]
    return [
        Metric("curator_scan_runs_total", "Scans that have ended, by how.", counts),
        Metric("curator_scan_last_success_timestamp_seconds", "When a scan was last done.", last),
    ]


def _gauge(name: str, meaning: str, value: float, **labels: str) -> Metric:
    return Metric(f"curator_{name}", meaning, [(labels, float(value))])


def _by(name: str, meaning: str, label: str, values: Mapping[str, float]) -> Metric:
    return Metric(f"curator_{name}", meaning, [({label: key}, float(value)) for key, value in values.items()])

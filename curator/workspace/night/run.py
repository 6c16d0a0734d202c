"""A night: one scan, judged by its limits, with its figures left for whoever watches, however it ends."""

from __future__ import annotations

import time
from dataclasses import replace

from curator.workspace.context import Context
from curator.workspace.logs import log_event
from curator.workspace.night.conditions import Limits, figures_of
from curator.workspace.night.metrics import Outcome, Status, write_metrics
from curator.workspace.outputs import metrics_path
from curator.workspace.scan.request import ScanRequest, ScanSummary, ScanWatcher
from curator.workspace.scan.run import run_scan

STATUS_BY_EXIT: dict[int, Status] = {5: "locked", 130: "interrupted"}


def run_night(context: Context, request: ScanRequest, watcher: ScanWatcher, *, limits: Limits) -> ScanSummary:
    """Scan, judge, and write the metrics file of `scan.metrics_file`, also when the scan fails."""
    path = metrics_path(context.layout, context.config.scan.metrics_file)
    started = time.perf_counter()
    try:
        summary = run_scan(context, request, watcher)
    except BaseException as fault:
        if path is not None:
            code = 130 if isinstance(fault, KeyboardInterrupt) else getattr(fault, "exit_code", 1)
            status = STATUS_BY_EXIT.get(code, "failed")
            write_metrics(path, context.layout, Outcome(status, code, time.perf_counter() - started))
        raise
    code, lines = limits.judge(summary)
    summary = replace(summary, exit_code=code, broken_limits=lines)
    log_event("scan_end", "the scan is done", **summary.as_json())
    if path is not None:
        figures = figures_of(summary)
        tripped = {condition.text: condition.holds(figures) for condition in limits.fail_on}
        write_metrics(path, context.layout, Outcome("done", code, summary.seconds, summary, tripped))
    return summary

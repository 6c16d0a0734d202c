"""A night: one scan, judged by its limits, with its figures left for whoever watches, however it ends."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace

from curator.endings import Ending, ending_of
from curator.workspace.context import Context
from curator.workspace.logs import log_event
from curator.workspace.night.conditions import Limits, figures_of
from curator.workspace.night.metrics import LastScan, write_metrics
from curator.workspace.outputs import metrics_path
from curator.workspace.scan.request import ScanRequest, ScanSummary, ScanWatcher
from curator.workspace.scan.run import run_scan


def run_night(
    context: Context, request: ScanRequest, watcher: ScanWatcher, *, limits: Limits, exit_codes: Mapping[Ending, int]
) -> ScanSummary:
    """Scan, judge, and write the metrics file of `scan.metrics_file`, also when the scan fails. exit_codes: what a
    shell sees of each ending, empty where none looks."""
    path = metrics_path(context.layout, context.config.scan.metrics_file)
    started = time.perf_counter()
    try:
        summary = run_scan(context, request, watcher)
    except BaseException as fault:
        if path is not None:
            last = LastScan(ending_of(fault), time.perf_counter() - started)
            write_metrics(path, context.layout, last, exit_codes)
        raise
    ending, lines = limits.judge(summary)
    summary = replace(summary, ending=ending, broken_limits=lines)
    log_event("scan_end", "the scan is done", **summary.as_json())
    if path is not None:
        figures = figures_of(summary)
        tripped = {condition.text: condition.holds(figures) for condition in limits.fail_on}
        write_metrics(path, context.layout, LastScan(ending, summary.seconds, summary, tripped), exit_codes)
    return summary

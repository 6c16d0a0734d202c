"""The threshold: what the reference scored; and a cut that was chosen by eye as a policy, as `calibrate` makes it."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from curator.app.guard import BadRequest
from curator.app.server import Said
from curator.policy import Rule
from curator.printable import text_fault
from curator.workspace.app.frame import LakeFrame, packed
from curator.workspace.calibrate.run import CalibrationRequest, run_calibration
from curator.workspace.context import Context
from curator.workspace.scan.request import SilentWatcher

LONGEST_NAME = 100
MANY_CUTS = "what rules has a cut of its own for classes or nights: here one cut is tried for all"


def scores_of(frame: LakeFrame) -> bytes:
    """What the page draws beside the images of the lake: the log-odds of the reference, sorted; the cut that rules."""
    cuts = frame.table["cut"].drop_null().unique()
    cut = float(np.median(cuts.to_numpy())) if len(cuts) else 0.0
    note = MANY_CUTS if len(cuts) > 1 else "" if len(cuts) else "nothing is flagged by what rules"
    return packed({"cut": cut, "note": note}, {"reference": frame.reference})


def save_policy(context: Context, frame: LakeFrame, said: Said) -> Mapping[str, object]:
    """Make a policy that keeps as much of the reference as the cut does; of what rules, it is in force at once.

    Raises BadRequest for a cut that keeps all of the reference or nothing, WorkspaceLocked while another run writes.
    """
    cut, name, reference = said.get("cut"), said.get("name"), frame.reference
    if not isinstance(cut, int | float) or not math.isfinite(cut):
        raise BadRequest(400, "the cut is a number")
    if name is not None and (not isinstance(name, str) or text_fault(name, longest=LONGEST_NAME) is not None):
        raise BadRequest(400, f"the name of a policy is a text of at most {LONGEST_NAME} characters")
    kept = 1 - np.searchsorted(reference, cut) / max(reference.size, 1)
    level = math.floor(kept * 1e6) / 1e6
    if not reference.size or not 0 < level < 1:
        raise BadRequest(400, "a policy needs a cut that flags some of the reference images, and keeps some")
    request = CalibrationRequest(Rule.chosen(keep=level), name=name or None)
    made = run_calibration(context, [], SilentWatcher(), request)
    return {"policy": made.policy, "cut": made.min_log_odds, "kept": made.kept_share, "rules": made.rules,
            "warning": made.warning}  # fmt: skip

"""Decides which scored images are flagged. A policy is a row: moving a threshold scores nothing again."""

from __future__ import annotations

from curator.policy.calibration import Calibration, calibrate
from curator.policy.policy import Policy, calibrated_policy
from curator.policy.rule import Rule

__all__ = ["Calibration", "Policy", "Rule", "calibrate", "calibrated_policy"]

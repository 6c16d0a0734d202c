"""The short form of `make soak`: a few small nights add up, and a fault in the accounts is found."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.patience import BRAKE_SECONDS
from tests.soak.__main__ import faults_of
from tests.soak.lake import LivingLake, Tally

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_a_few_nights_add_up(tmp_path):
    command = [sys.executable, "-m", "tests.soak", "--images", "1200", "--nights", "4", "--encoder", "fake"]
    done = subprocess.run(
        [*command, "--folder", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=BRAKE_SECONDS,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("accounts add up") == 4
    assert "accounts that do not add up: 0" in done.stdout


def test_accounts_that_do_not_add_up_are_found(workspace, tmp_path):
    lake = LivingLake(tmp_path / "lake", seed=3)
    tally = lake.night(1, 60)
    summary = workspace.scan(lake.folder).as_json()
    assert faults_of(workspace, summary, tally) == ()
    assert faults_of(workspace, summary, replace(tally, new=tally.new + 1)) != ()
    assert faults_of(workspace, summary, replace(tally, corrupt=tally.corrupt + 1)) != ()
    assert faults_of(workspace, summary | {"images": summary["images"] - 1}, tally) != ()
    assert faults_of(workspace, summary, replace(tally, deleted=1)) != ()
    assert isinstance(tally, Tally)

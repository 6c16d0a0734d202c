"""All hostile files, in a process of their own whose memory is measured."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from curator.decode import REASONS
from tests.patience import BRAKE_SECONDS

PROGRAM = """
import json, resource, sys, warnings
from pathlib import Path
warnings.simplefilter("error")
from curator.decode import DecodeFailure, DecodeOptions, prepare
from curator.decode.formats import plugins
from curator.types import Preprocess

plugins()
held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (held + (1 << 30), resource.RLIM_INFINITY))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
outcomes = {}
for file in sorted(Path(sys.argv[1]).iterdir()):
    try:
        pixels, facts = prepare(file.read_bytes(), Preprocess(64), DecodeOptions())
    except DecodeFailure as failure:
        outcomes[file.name] = failure.reason
    else:
        assert pixels.shape == (64, 64, 3)
        outcomes[file.name] = "decoded"
grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
heavy = sorted(set(sys.modules) & {"torch", "open_clip", "curator.engines", "faiss"})
print(json.dumps({"outcomes": outcomes, "grown": grown, "heavy": heavy}))
"""


@pytest.fixture(scope="module")
def report(shared_data):
    if sys.platform != "linux":
        pytest.skip("measures memory through /proc")
    command = [sys.executable, "-c", PROGRAM, str(shared_data / "hostile")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=BRAKE_SECONDS, check=True)
    return json.loads(done.stdout)


def of_kind(report, *kinds):
    return {name: what for name, what in report["outcomes"].items() if name.split("__")[0] in kinds}


def test_every_hostile_file_is_decoded_or_rejected(report, shared_data):
    assert len(report["outcomes"]) == len(list((shared_data / "hostile").iterdir()))
    assert set(report["outcomes"].values()) <= {"decoded", *REASONS}


def test_memory_stays_bounded(report):
    assert report["grown"] < 200 << 20


def test_decoding_needs_no_heavy_import(report):
    assert report["heavy"] == []


@pytest.mark.parametrize("kind", ["rotated", "cmyk", "sixteenbit", "alpha", "animated", "plain", "thin"])
def test_unusual_but_valid_files_are_decoded(report, kind):
    files = of_kind(report, kind)
    assert files
    assert set(files.values()) == {"decoded"}


def test_bad_files_are_rejected_for_a_reason(report):
    assert "decoded" not in of_kind(report, "loadfail", "empty", "text", "lfs-pointer").values()
    assert set(of_kind(report, "lfs-pointer").values()) == {"git_lfs_pointer"}
    assert set(of_kind(report, "text").values()) == {"text"}
    assert set(of_kind(report, "empty").values()) == {"empty"}
    assert set(of_kind(report, "unopenable").values()) <= {"corrupt", "too_many_pixels", "unsupported_format"}

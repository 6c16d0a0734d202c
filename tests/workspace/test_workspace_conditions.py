"""Conditions on a night: how they are written, what they compare, and which exit code comes of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from curator.endings import ending_of
from curator.errors import UsageError
from curator.store import ListingCounts
from curator.workspace import ScanSummary, Workspace
from curator.workspace.night.conditions import FIGURES, Condition, Limits, figures_of

LISTING = ListingCounts("/lake", 80, 60, 5, 15, 20, 800, 650, {}, unlisted=2)
NIGHT = ScanSummary(
    "r1", (LISTING, LISTING), data_read=200, images=100, duplicates=80, rejects=20, decoded=180, bytes_read=5000,
    reject_reasons={}, near_duplicates=3, scored=1000, flagged=50, new_scored=90, new_flagged=27, seconds=12.5,
)  # fmt: skip


def test_figures_are_those_of_the_summary():
    assert figures_of(NIGHT) == {
        "data": 200, "images": 100, "duplicates": 80, "rejects": 20, "reject_rate": 0.1,
        "flagged": 27, "flag_rate": 0.3, "lake_flagged": 50, "lake_flag_rate": 0.05, "near_duplicates": 3,
        "listed": 160, "new": 120, "changed": 10, "gone": 40, "gone_rate": 0.2, "unlisted": 4, "bytes": 5000,
        "seconds": 12.5,
    }  # fmt: skip
    assert figures_of(NIGHT).keys() == FIGURES.keys()


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("flag_rate>0.2", True),
        ("flag_rate > 0.3", False),
        ("flag_rate>=0.3", True),
        ("images<1", False),
        ("images<=100", True),
        ("gone>1_000", False),
        ("bytes>=5e3", True),
        ("seconds<1e-3", False),
    ],
)
def test_condition_holds_or_not(text, holds):
    assert Condition.parse(text).holds(figures_of(NIGHT)) is holds


@pytest.mark.parametrize(
    "text", ["", "flag_rate", "flag_rate>", ">0.2", "flag_rate=0.2", "flag_rate>nan", "flag_rate>inf",
             "flag_rate>1e999", "flag_rate>20%", "images<-1",
             "flag_rate>0.2 or images<1", "flag_rate>1.2.3", "__class__>1"],
)  # fmt: skip
def test_anything_else_is_refused(text):
    with pytest.raises(UsageError, match="`fail_on`") as caught:
        Condition.parse(text)
    assert ending_of(caught.value) == "usage"


def test_unknown_figure_is_named():
    with pytest.raises(UsageError, match="no figure is called 'flagrate'"):
        Condition.parse("flagrate>0.2")


@pytest.mark.parametrize("sign", [">", ">=", "<", "<="])
def test_no_condition_holds_on_a_rate_of_nothing(sign):
    quiet = replace(NIGHT, new_scored=0, new_flagged=0)
    assert not Condition.parse(f"flag_rate{sign}0.5").holds(figures_of(quiet))


@pytest.mark.parametrize(
    ("max_reject_rate", "fail_on", "ending", "lines"),
    [
        (None, (), "done", 0),
        (0.1, ("flag_rate>0.5",), "done", 0),  # at the rate itself nothing is broken
        (0.05, (), "rejects", 1),
        (None, ("flag_rate>0.2", "gone>10"), "condition", 2),
        (0.05, ("flag_rate>0.2",), "rejects", 2),  # rejects go first; both are said
    ],
)
def test_ending_of_a_night(max_reject_rate, fail_on, ending, lines):
    found, said = Limits.resolve(max_reject_rate=max_reject_rate, fail_on=fail_on).judge(NIGHT)
    assert (found, len(said)) == (ending, lines)


def night_of(reasons: dict[str, int], data: int) -> ScanSummary:
    rejects = sum(reasons.values())
    return replace(NIGHT, data_read=data, images=data - rejects, duplicates=0, rejects=rejects, reject_reasons=reasons)


@pytest.mark.parametrize(
    ("reasons", "data", "ending"),
    [
        ({"corrupt": 21, "truncated": 2}, 40, "rejects"),
        ({"corrupt": 20, "truncated": 20}, 40, "done"),  # at half nothing is broken, and two reasons are not one fault
        ({"too_large": 40}, 40, "rejects"),
        ({"too_large": 20}, 20, "rejects"),
        ({"too_large": 19}, 19, "done"),  # too few to say more than that these images are bad
        ({"corrupt": 1}, 1, "done"),
        ({"list/unreadable_folder": 40}, 40, "done"),  # of places, not of data
        ({}, 0, "done"),
    ],
)
def test_most_of_a_night_rejected_for_one_reason_is_no_success(reasons, data, ending):
    limits = Limits.resolve(max_reject_rate=None, fail_on=(), one_reason_rate=0.5)
    found, lines = limits.judge(night_of(reasons, data))
    assert (found, len(lines)) == (ending, int(ending != "done"))


def test_the_line_names_the_reason_the_share_and_what_to_do():
    limits = Limits.resolve(max_reject_rate=None, fail_on=(), one_reason_rate=0.5)
    _, (line,) = limits.judge(night_of({"too_large": 30, "corrupt": 1}, 40))
    assert line.startswith("30 of 40 data (75%) are rejected as too_large: see curator query rejects;")
    assert line.endswith("`max_reject_rate` 1 lets such a night pass")


@pytest.mark.parametrize("limits", [{"max_reject_rate": 1}, {"max_reject_rate": None, "one_reason_rate": 1.0}])
def test_a_rate_of_one_lets_every_night_pass(limits):
    assert Limits.resolve(fail_on=(), **limits).judge(night_of({"corrupt": 40}, 40)) == ("done", ())


def test_a_night_of_rejects_says_so_unless_rejects_are_what_it_reads(workspace, tmp_path):
    folder = tmp_path / "broken"
    folder.mkdir()
    for number in range(20):
        (folder / f"{number}.png").write_bytes(b"no picture %d" % number)
    first = workspace.scan(folder)
    assert (first.ending, first.rejects) == ("rejects", 20)
    assert workspace.scan(folder).ending == "done"  # nothing is read again
    assert workspace.scan(folder, retry_rejects=True).ending == "done"
    assert workspace.scan(folder, rehash=True, max_reject_rate=1).ending == "done"
    lenient = Workspace.open(workspace.layout.root, overrides={"scan.max_reject_rate": 1})
    assert lenient.scan(folder, rehash=True).ending == "done"


def test_line_says_what_held_and_by_how_much():
    _, (line,) = Limits.resolve(max_reject_rate=None, fail_on=["flag_rate > 0.2"]).judge(NIGHT)
    assert line == "`fail_on` flag_rate > 0.2: flag_rate is 0.3; the results are kept"


def test_help_of_scan_lists_every_figure(run_cli):
    import re

    words = set(re.findall(r"[a-z_]+", run_cli("scan", "--help").stdout.partition("Figures:")[2]))
    assert words >= FIGURES.keys()


def test_rates_of_a_scan_are_those_of_what_arrived_in_it(workspace, lake, pictures):
    first = workspace.scan(lake, fail_on=["flag_rate>=0"])
    assert first.ending == "condition" and first.new_scored == first.scored == 14
    second = workspace.scan(lake, fail_on=["flag_rate>=0", "images<1"])
    assert (second.new_scored, second.new_flagged, second.scored) == (0, 0, 14)
    assert second.broken_limits == ("`fail_on` images<1: images is 0; the results are kept",)
    (lake / "one-more.png").write_bytes(pictures["blue-02.png"] + b"another content")
    third = workspace.scan(lake)
    assert (third.new_scored, third.scored, third.ending) == (1, 15, "done")


def test_bad_condition_is_refused_before_any_work(workspace, lake):
    with pytest.raises(UsageError):
        workspace.scan(lake, fail_on=["flag_rate"])
    assert not workspace.layout.ledger.exists()

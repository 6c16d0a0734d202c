"""Faults of every kind, one or two of each, most of them among the slow tests; `make torture` makes as many as it can.

Every trial ends alike: the same command again leaves what an unbroken run leaves, `sql/checks` are silent, and no row
refers to a file that is missing or damaged.
"""

from __future__ import annotations

import random
import signal

import pytest

from tests.faults import clocks, damage, deaths, disks, moving_sources, rivals, workers
from tests.faults.catalogue import EXPERIMENTS
from tests.faults.laboratory import COMMANDS, Laboratory, Trial


def held(trial: Trial) -> None:
    if trial.skipped:
        pytest.skip(trial.skipped)
    assert trial.losses == [], f"{trial.kind}: {trial.what}"


@pytest.fixture
def rng(request) -> random.Random:
    """Each test has its own dice, and the same ones every time."""
    return random.Random(request.node.nodeid)


@pytest.mark.parametrize(
    ("command", "share"), [pytest.param("calibrate", 0.4, marks=pytest.mark.slow), ("publish", 0.9)]
)
def test_command_killed_and_run_again_equals_an_unbroken_one(command, share, lab):
    event = int(lab.unbroken(command).events * share)
    held(deaths.strike(lab, command, event, signal.SIGKILL))


@pytest.mark.slow
def test_scan_that_a_service_manager_stops_says_so_and_resumes(lab):
    held(deaths.strike(lab, "scan", lab.unbroken("scan").events // 2, signal.SIGTERM))


@pytest.mark.slow
@pytest.mark.parametrize("statement", ["insert into listing", "commit"])
def test_scan_stopped_while_duckdb_is_within_a_transaction_is_interrupted_not_failed(statement, lab):
    held(deaths.strike_within(lab, "scan", 0, signal.SIGINT, statement=statement))


@pytest.mark.torture
@pytest.mark.parametrize("command", COMMANDS)
def test_command_stopped_within_statements_all_over_is_interrupted_and_resumes(command, lab):
    events = lab.unbroken(command).events
    for event in sorted({1, 2, *range(5, events, max(events // 12, 1)), events - 1, events}):
        held(deaths.strike_within(lab, command, event, signal.SIGTERM))


@pytest.mark.torture
@pytest.mark.parametrize("command", COMMANDS)
def test_command_killed_at_events_all_over_equals_an_unbroken_one(command, lab):
    events = lab.unbroken(command).events
    for event in sorted({1, 2, *range(5, events, max(events // 12, 1)), events - 1, events}):
        held(deaths.strike(lab, command, event, signal.SIGKILL))


def test_full_disk_is_told_in_one_line_and_the_run_resumes_when_there_is_room(lab, rng):
    held(disks.fill_disk(lab, rng, command="scan", spare=600 << 10))


@pytest.mark.slow
def test_first_run_on_a_full_disk_leaves_no_half_ledger(lab, rng):
    held(disks.fill_disk(lab, rng, command="bank build", spare=8 << 10))


@pytest.mark.slow
def test_files_that_may_not_grow_are_as_a_full_disk(lab, rng):
    held(disks.limit_files(lab, rng, command="calibrate", limit=200 << 10))


@pytest.mark.slow
def test_on_a_read_only_disk_reading_goes_on(lab, rng):
    held(disks.freeze_disk(lab, rng, command="publish"))


@pytest.mark.slow
def test_what_is_newest_does_not_depend_on_the_clock(lab, rng):
    held(clocks.jump_between(lab, rng))


@pytest.mark.slow
def test_clock_that_jumps_within_a_run_changes_nothing(lab, rng):
    held(clocks.jump_within(lab, rng))


@pytest.mark.slow
@pytest.mark.parametrize("harm", ["changed"])
def test_lost_vector_file_is_named_and_its_images_are_embedded_again(harm, lab, rng):
    held(damage.vector_file(lab, rng, harm=harm))


@pytest.mark.slow
@pytest.mark.parametrize("experiment", [damage.index_file, damage.text_cache], ids=["index", "text"])
def test_damaged_cache_makes_itself_again(experiment, lab, rng):
    held(experiment(lab, rng, harm="changed"))


@pytest.mark.slow
def test_damaged_bank_scores_nothing_and_is_built_again(lab, rng):
    held(damage.bank_file(lab, rng))


@pytest.mark.slow
@pytest.mark.parametrize("harm", ["cut"])
def test_lost_snapshot_is_published_again(harm, lab, rng):
    held(damage.published(lab, rng, harm=harm))


@pytest.mark.slow
def test_damaged_ledger_never_takes_the_place_of_its_snapshot(lab, rng):
    held(damage.page_of_ledger(lab, rng, harm="changed"))


@pytest.mark.slow
def test_lost_ledger_is_never_made_anew_over_its_snapshot(lab, rng):
    held(damage.lost_ledger(lab, rng, harm="removed"))


@pytest.mark.slow
@pytest.mark.parametrize("folder", ["vectors", "banks/base", "vectors/*"])
def test_part_on_another_disk_is_backed_up_and_missed_when_it_is_gone(folder, lab, rng):
    held(damage.linked_folder(lab, rng, folder=folder))


@pytest.mark.slow
def test_damage_to_a_backup_does_not_pass_into_the_next(lab, rng):
    held(damage.rotten_backup(lab, rng))


@pytest.mark.slow
def test_damaged_log_of_a_killed_run_loses_nothing_that_a_scan_cannot_bring_back(lab, rng):
    held(damage.log_of_ledger(lab, rng, harm="garbled"))


def test_scans_started_together_do_not_meet(lab, rng):
    held(rivals.two_scans(lab, rng))


@pytest.mark.slow
def test_readers_see_one_whole_state_or_the_other(lab, rng):
    held(rivals.readers(lab, rng))


def test_analyst_keeps_the_state_that_was_opened(lab, rng):
    held(rivals.analyst(lab, rng))


@pytest.mark.parametrize(
    ("what", "at"),
    [
        ("tar replaced by rename", 13),
        pytest.param("file replaced", 0, marks=pytest.mark.slow),
        pytest.param("parquet rewritten", 18, marks=pytest.mark.slow),
        pytest.param("folder renamed", 0, marks=pytest.mark.slow),
    ],
)
def test_source_that_changes_while_it_is_read_is_told_truly_by_the_next_scan(what, at, lab, rng):
    held(moving_sources.change(lab, rng, what=what, at=at))


@pytest.mark.slow
def test_killed_decode_process_costs_no_image(lab, rng):
    held(workers.kill_decoders(lab, rng, number=signal.SIGKILL))


@pytest.mark.slow
def test_parent_without_memory_ends_with_one_line(lab, rng):
    held(workers.starve(lab, rng, command="score", megabytes=20))


@pytest.mark.torture
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_experiment_of_the_torture_loses_nothing(name, lab: Laboratory):
    trial = EXPERIMENTS[name](lab, random.Random(0))
    assert trial.losses == [], f"{trial.kind}: {trial.what}"

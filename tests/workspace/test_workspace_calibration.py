"""Policies and p-values in a workspace: SQL says what Python says, nights are judged once, a row decides."""

from __future__ import annotations

import io
import json
import math
import re
import shutil
import tarfile
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from curator.errors import UsageError
from curator.policy.conformal import p_values, sorted_scores
from curator.workspace import Workspace
from curator.workspace.scan.request import SilentWatcher
from tests.policy.benjamini_hochberg import benjamini_hochberg

COLOURS = {"red": (200, 40, 40), "green": (40, 180, 40), "blue": (40, 40, 200), "yellow": (210, 200, 40)}


def paint(folder: Path, colours: dict[str, int], *, seed: int, mark: str = "") -> Path:
    """Pictures of somewhat noisy colours, so many of each; every fifth a near copy, so that scores tie."""
    folder.mkdir(parents=True, exist_ok=True)
    draws = np.random.default_rng(seed)
    for name, count in colours.items():
        for number in range(count):
            if number % 5:
                colour = np.clip(np.array(COLOURS[name]) + draws.normal(0, 40, 3), 0, 255).astype(np.uint8)
            image = Image.new("RGB", (24, 24), tuple(int(value) for value in (colour if number else COLOURS[name])))
            colour = np.array(COLOURS[name]) if not number else colour
            buffer = io.BytesIO()
            image.save(buffer, "PNG", pnginfo=None)
            text = f"{name} {number} {seed} {mark}".encode()
            (folder / f"{name}-{number:03d}.png").write_bytes(buffer.getvalue() + text)  # its own content
    return folder


@pytest.fixture(scope="module")
def calibrated_once(tmp_path_factory, make_workspace):
    """A folder with reference images, a lake with a night of ID images, ID images that were held out, and a workspace
    that scanned the lake and was calibrated: as a copy, and where all of it was made, which is where it belongs."""
    folder = tmp_path_factory.mktemp("calibrated")
    paint(folder / "known", {"red": 45, "green": 30}, seed=1)
    paint(folder / "lake" / "monday", {"red": 20, "blue": 12}, seed=2)
    paint(folder / "held", {"red": 30, "green": 20}, seed=4)
    made = make_workspace(folder / "workspace")
    made.scan(folder / "lake")
    made.calibrate(folder / "known", alpha=0.1)
    return folder.rename(folder.with_name("calibrated-kept")), folder


@pytest.fixture
def places(calibrated_once):
    """Folders of pictures, as they were made; a test may change them, and does so where they are."""
    kept, folder = calibrated_once
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(kept, folder)
    return {"known": folder / "known", "monday": folder / "lake" / "monday", "held": folder / "held"}


@pytest.fixture
def calibrated(places):
    return Workspace.open(places["known"].parent / "workspace")


def rows(workspace: Workspace, sql: str, **parameters: object) -> list[dict[str, object]]:
    return workspace.sql(sql, parameters).to_pylist()


def flags(workspace: Workspace) -> dict[str, bool]:
    found = rows(workspace, "select image_id, flagged from report.scores")
    assert found and all(isinstance(row["flagged"], bool) for row in found)
    return {row["image_id"]: row["flagged"] for row in found}


REFERENCE = """
select score.log_odds, label.text as class
from calibration_score as score
join report.policies as policies on policies.calibration_id = score.calibration_id and policies.selected
left join policy_class as own on own.policy_id = policies.policy_id and own.id_label = score.id_label
left join label on label.bank_digest = policies.bank_digest and label.label_index = own.id_label
"""


def expected_p_values(workspace: Workspace) -> dict[str, float]:
    """What Python says of the images, class by class."""
    by_class: dict[object, list[float]] = {}
    for row in rows(workspace, REFERENCE):
        by_class.setdefault(row["class"], []).append(row["log_odds"])
    found = rows(workspace, "select image_id, class, log_odds from report.p_values")
    return {
        row["image_id"]: p_values(sorted_scores(np.array(by_class[row["class"]])), np.array([row["log_odds"]]))[0]
        for row in found
    }


@pytest.mark.parametrize("rule", [{"alpha": 0.1}, {"keep": 0.9}, {"alpha": 0.1, "by_class": True, "minimum": 20}])
def test_p_values_in_sql_are_those_of_python_to_the_bit_and_agree_with_the_flags(calibrated, rule):
    summary = calibrated.calibrate(**rule)
    assert summary.own_cuts == (2 if "by_class" in rule else 0)
    found = {row["image_id"]: row["p_value"] for row in rows(calibrated, "select * from report.p_values")}
    assert found == expected_p_values(calibrated) and len(found) == 32
    assert len(set(found.values())) > 5
    if "alpha" in rule:
        assert flags(calibrated) == {image_id: value <= 0.1 for image_id, value in found.items()}
    assert 0 < sum(flags(calibrated).values()) < 32


def test_every_view_and_count_flags_alike(calibrated):
    for rule in ({"alpha": 0.1}, {"fdr": 0.2}, {"fdr": 0.2, "by_class": True, "minimum": 20}, {"keep": 0.9}):
        summary = calibrated.calibrate(**rule)
        flagged = {image_id for image_id, flag in flags(calibrated).items() if flag}
        compared = rows(calibrated, "select image_id from report.compare where flagged")
        assert {row["image_id"] for row in compared} == flagged and len(flagged) == summary.flagged > 0
        again = calibrated.score()
        assert (again.scorings[0].flagged, again.scorings[0].policy) == (summary.flagged, summary.policy)
        assert rows(calibrated, "select count(*) as n from report.kept")[0]["n"] == 32 - summary.flagged


def test_another_rule_embeds_and_scores_nothing_and_rests_on_the_same_reference(calibrated):
    before = rows(calibrated, "select count(*) as n from score")
    first = calibrated.calibrate(alpha=0.05)
    second = calibrated.calibrate(fdr=0.1)
    assert first.calibration_id == second.calibration_id
    assert rows(calibrated, "select count(*) as n from score") == before
    (calibration,) = rows(calibrated, "select * from report.calibrations")
    assert calibration["image_count"] == first.reference_images == 75
    assert json.loads(calibration["sources"]) != []


def test_more_reference_images_are_another_version(calibrated, places):
    old = rows(calibrated, "select calibration_id from report.calibrations")
    assert calibrated.calibrate(places["held"], alpha=0.1).reference_images == 50
    assert calibrated.calibrate(alpha=0.1).reference_images == 125
    found = rows(calibrated, "select calibration_id, image_count from report.calibrations order by image_count")
    assert [row["image_count"] for row in found] == [50, 75, 125]
    assert old[0]["calibration_id"] in {row["calibration_id"] for row in found}


def benjamini_hochberg_of(workspace: Workspace, q: float) -> dict[str, bool]:
    """By the words of the paper, all images as one night."""
    found = rows(workspace, "select image_id, rank, reference_images from report.p_values")
    rejected = benjamini_hochberg([Fraction(row["rank"], row["reference_images"] + 1) for row in found], q)
    return {row["image_id"]: flag for row, flag in zip(found, rejected, strict=True)}


@pytest.mark.parametrize("by_class", [False, True])
def test_a_night_is_judged_by_benjamini_and_hochberg_when_it_is_scanned(calibrated, places, by_class):
    rule = {"by_class": True, "minimum": 20} if by_class else {}
    calibrated.calibrate(fdr=0.3, name="nightly", **rule)
    first = flags(calibrated)
    assert first == benjamini_hochberg_of(calibrated, 0.3) and any(first.values())
    lake = places["monday"].parent
    paint(lake / "tuesday", {"red": 45, "green": 30}, seed=1, mark="as the reference")
    calm = calibrated.scan(lake)
    assert (calm.policy, calm.new_flagged) == ("nightly", 0), "a night without discoveries flags nothing"
    paint(lake / "wednesday", {"yellow": 10, "blue": 10}, seed=10)
    busy = calibrated.scan(lake)
    assert busy.new_flagged > 0
    second = flags(calibrated)
    assert {image_id: second[image_id] for image_id in first} == first, "nights that were judged stay as they were"
    nights = rows(calibrated, "select night_run_id, min(images) as n from report.night_cuts group by all order by n")
    assert [row["n"] for row in nights] == [20, 32, 75]


def judgements(workspace: Workspace, image_ids: set[str]) -> dict[str, tuple[object, ...]]:
    """The flag and the cut of images wherever they are said: in the view of arrivals, and when one is explained."""
    found = {row["image_id"]: row for row in rows(workspace, "select image_id, flagged, cut from report.arrivals")}
    explained = {image_id: workspace.explain(image_id) for image_id in image_ids}
    return {
        image_id: (found[image_id]["flagged"], found[image_id]["cut"], explained[image_id].flagged)
        for image_id in image_ids
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    "rule",
    [
        pytest.param({"fdr": 0.3}, marks=pytest.mark.slow),
        {"fdr": 0.3, "by_class": True, "minimum": 20},
        pytest.param({"alpha": 0.1, "by_class": True, "minimum": 20}, marks=pytest.mark.slow),
    ],
)
def test_an_image_that_left_the_lake_is_judged_as_when_it_was_there(workspace, places, tmp_path, rule):
    """Two strangers come on a calm night, are moved on a busy one, which judges them from then on, and go with one."""
    workspace.calibrate(places["known"], **rule)
    calm = paint(tmp_path / "nights" / "calm", {"red": 45, "green": 30}, seed=1, mark="as the reference")
    lake = calm.parent
    paint(calm, {"blue": 2}, seed=40)
    workspace.scan(lake)
    blue = "select image_id from report.images where uri like '%/blue-%'"
    strangers = {row["image_id"] for row in rows(workspace, blue)}
    paint(lake / "busy", {"yellow": 10, "blue": 10}, seed=10)
    for path in calm.glob("blue-*"):
        path.rename(lake / "busy" / f"moved-{path.name}")
    workspace.scan(lake)
    yellow = rows(workspace, "select image_id from report.images where uri like '%yellow-000%'")
    leaving, flagged = {*strangers, yellow[0]["image_id"]}, flags(workspace)
    before = judgements(workspace, leaving)
    assert len(leaving) == 3 and all(flagged[image_id] for image_id in leaving)
    assert {image_id: judged[0] for image_id, judged in before.items()} == dict.fromkeys(leaving, True)
    for path in (*(lake / "busy").glob("moved-*"), lake / "busy" / "yellow-000.png"):
        path.unlink()
    workspace.scan(lake)
    assert not leaving & flags(workspace).keys(), "they have left"
    assert judgements(workspace, leaving) == before


class Interrupting(SilentWatcher):
    """Ctrl-C in the midst of the images, when the first shards have been committed."""

    def __init__(self) -> None:
        self.left = 20

    def advance(self, *, objects: int = 0, data: int = 0, byte_size: int = 0) -> None:
        self.left -= objects
        if self.left < 0:
            raise KeyboardInterrupt


@pytest.mark.slow
def test_a_night_that_was_interrupted_flags_what_it_would_have_flagged_at_once(places, tmp_path, make_workspace):
    from curator.errors import RunInterrupted

    lake = tmp_path / "big"
    for number in range(3):
        strangers = {"yellow": 6 * number, "blue": 4 * number, "red": 12}
        paint(lake / str(number), strangers, seed=20 + number)
    found = []
    for name in ("broken", "whole"):
        made = make_workspace(tmp_path / name)
        made = Workspace.open(made.layout.root, overrides={"scan.files_per_shard": 9})
        made.calibrate(places["known"], fdr=0.2)
        if name == "broken":
            with pytest.raises(RunInterrupted):
                made.scan(lake, watcher=Interrupting())
        made.scan(lake)
        (runs,) = rows(made, "select count(distinct first_run_id) as n from report.scores")
        assert runs["n"] == (2 if name == "broken" else 1)
        found.append((flags(made), rows(made, "select distinct images, min_log_odds from report.night_cuts")))
    assert found[0] == found[1] and any(found[0][0].values())


def test_a_policy_is_chosen_by_a_row_and_later_scans_go_by_it(calibrated, places):
    strict = flags(calibrated)
    calibrated.calibrate(keep=0.5)
    loose = flags(calibrated)
    assert strict != loose
    calibrated.use(policy="alpha-0.1")
    assert flags(calibrated) == strict
    paint(places["monday"].parent / "tuesday", {"red": 3}, seed=30)
    assert calibrated.scan(places["monday"].parent).policy == "alpha-0.1"
    calibrated.use(policy="default")
    assert calibrated.score().scorings[0].policy == "default"
    listed = rows(calibrated, "select policy_name, rule, selected, rules from report.policies order by policy_name")
    assert [(row["policy_name"], row["rule"]) for row in listed] == [
        ("alpha-0.1", "alpha"), ("default", "default"), ("keep-0.5", "keep"),
    ]  # fmt: skip
    assert [row["selected"] for row in listed] == [row["rules"] for row in listed] == [False, True, False]
    with pytest.raises(UsageError, match="no policy is called 'alhpa'"):
        calibrated.use(policy="alhpa")
    calibrated.use("base", "mcm")
    with pytest.raises(
        UsageError, match=r"keep-0.5 is of neglabel.* on bank base@v1, and not of mcm.* on base@v1"
    ) as no:
        calibrated.use(policy="keep-0.5")
    assert no.value.hint == "make one: curator calibrate --keep 0.5"


def test_a_night_rule_that_is_chosen_again_judges_the_nights_since(calibrated, places):
    calibrated.calibrate(fdr=0.3)
    calibrated.use(policy="alpha-0.1")
    paint(places["monday"].parent / "tuesday", {"blue": 20}, seed=31)
    calibrated.scan(places["monday"].parent)
    assert len(rows(calibrated, "select * from report.night_cuts")) == 1
    calibrated.use(policy="fdr-0.3")
    nights = rows(calibrated, "select images from report.night_cuts order by images")
    assert [row["images"] for row in nights] == [20, 32]


def test_a_reference_too_small_flags_nothing_and_says_so(calibrated):
    summary = calibrated.calibrate(alpha=0.01)
    assert (summary.min_log_odds, summary.min_id_score, summary.flagged) == (None, None, 0)
    assert summary.warning is not None and "use 99 or more" in summary.warning
    assert json.loads(json.dumps(summary.as_json(), allow_nan=False))["warning"] == summary.warning
    assert not any(flags(calibrated).values())
    (shown,) = rows(calibrated, "select min_log_odds, min_id_score from report.policies where selected")
    assert shown == {"min_log_odds": None, "min_id_score": None}


def test_calibrating_without_a_reference_needs_some_that_were_named_before(workspace, places):
    workspace.scan(places["monday"])
    with pytest.raises(UsageError, match="no reference scores"):
        workspace.calibrate(alpha=0.1)
    with pytest.raises(UsageError, match="nothing was calibrated"):
        workspace.check_calibration()


def test_a_check_counts_held_out_flags(calibrated, places):
    found = calibrated.check_calibration(places["held"], alphas=(0.1,))
    assert (found.held_out, found.left_out, found.reference_images) == ("named", 0, 75)
    policy, plain, *_ = found.rules
    assert policy.coverage == plain.coverage and plain.coverage.held_out == 50
    scores = "select log_odds from score join location using (image_id) where role = 'evaluation'"
    held = [row["log_odds"] for row in rows(calibrated, scores)]
    cut = rows(calibrated, "select min_log_odds from report.policies where selected")[0]["min_log_odds"]
    assert plain.coverage.flagged == sum(value < cut for value in held)
    assert len(flags(calibrated)) == 32, "held-out images are not of the lake"
    same = calibrated.check_calibration(places["held"], places["known"], alphas=(0.1,))
    assert same.left_out == 75 and same.rules == found.rules


def test_a_check_by_halves_is_the_same_each_time_and_needs_no_lock(calibrated):
    found = calibrated.check_calibration()
    assert found == calibrated.check_calibration() and found.held_out == "half"
    assert {rule.references + rule.coverage.held_out for rule in found.rules} == {75}
    assert any("cannot flag anything at 0.01" in warning for warning in found.warnings)
    assert rows(calibrated, "select * from main.run where command = 'calibrate check'") == []


def test_a_check_by_class_names_the_worst(calibrated, places):
    calibrated.calibrate(alpha=0.1, by_class=True, minimum=20)
    found = calibrated.check_calibration(places["held"], alphas=(0.1,))
    first, second = found.rules[0].worst
    assert {first.label, second.label} == {"red", "green"} and first.coverage.excess <= second.coverage.excess
    assert first.coverage.held_out + second.coverage.held_out == found.rules[0].coverage.held_out == 50
    assert first.references + second.references == 75


def test_strangers_for_held_out_images_trip_coverage_and_drift(calibrated, tmp_path, run_cli):
    strangers = paint(tmp_path / "strangers", {"blue": 40}, seed=50)
    root = calibrated.layout.root
    result = run_cli("calibrate", "check", "--reference", strangers, "--json", folder=root)
    found = json.loads(result.stdout)
    assert found["tripped"] == ["coverage", "drift"] and found["drift"]["statistic"] > 0.5
    for condition in ("coverage", "drift"):
        failed = run_cli("calibrate", "check", "--reference", strangers, "--fail-on", condition, folder=root, code=4)
        assert f"--fail-on {condition}" in failed.stderr and "warning:" in failed.stderr
    fine = run_cli("calibrate", "check", "--fail-on", "drift", "--fail-on", "coverage", folder=root)
    for option in ("--bank", "--method"):
        said = run_cli("calibrate", "check", option, "neglabel", folder=root, code=2).stderr
        assert "say what --reference is scored by" in said, "the policy in force would be checked, whatever is named"
    assert "random half" in fine.stdout


def test_the_commands_say_what_they_did(calibrated, places, run_cli):
    root = calibrated.layout.root
    assert "policy keep-0.95: flag below" in run_cli("calibrate", "--reference", places["known"], folder=root).stdout
    shown = run_cli("calibrate", "--fdr", "0.3", "--by-class", "--class-minimum", "20", folder=root).stdout
    assert "each night has its own cut; 2 classes have their own cuts" in shown
    listed = json.loads(run_cli("calibrate", "list", "--json", folder=root).stdout)
    assert [row["policy_name"] for row in listed if row["selected"]] == ["fdr-0.3-by-class"]
    assert (
        "policy alpha-0.1 now; before: policy fdr-0.3-by-class"
        in run_cli("calibrate", "use", "alpha-0.1", folder=root).stdout
    )
    assert run_cli("calibrate", "--alpha", "0.1", "--keep", "0.5", folder=root, code=2).stderr.count("two rules") == 1
    misplaced = run_cli("calibrate", "--alpha", "0.1", "check", folder=root, code=2)
    assert "options behind the command" in misplaced.stderr
    found = json.loads(run_cli("query", "p_values", "--json", folder=root).stdout)
    assert 0 < found[0]["p_value"] <= found[-1]["p_value"] and math.isfinite(found[0]["id_score"])


@pytest.mark.slow
def test_on_real_images_the_false_flag_rate_is_within_its_interval(tmp_path, shared_data):
    """One archive of small web photographs sets the threshold, the other is held out: 1500 images each."""
    labels = set()
    for number in (0, 1):
        with tarfile.open(shared_data / f"tiny64-wds-000{number}.tar") as archive:
            texts = (archive.extractfile(item) for item in archive if item.name.endswith(".cls.txt"))
            labels |= {text.read().decode().strip() for text in texts if text is not None}
    workspace = Workspace.create(tmp_path / "real", labels=sorted(labels))
    spec = workspace.layout.bank_spec("base")
    spec.write_text('name = "base"\n[id]\nlabels = "labels.txt"\n[negatives.wordnet]\ninclude = ["noun.shape"]\n')
    workspace.calibrate(shared_data / "tiny64-wds-0000.tar", alpha=0.05)
    found = workspace.check_calibration(shared_data / "tiny64-wds-0001.tar")
    assert [rule.wanted for rule in found.rules[1:]] == [0.01, 0.05, 0.1]
    assert all(rule.inside and rule.coverage.held_out == 1500 for rule in found.rules)
    assert found.tripped == frozenset() and found.warnings == ()
    halves = workspace.check_calibration()
    assert all(rule.inside for rule in halves.rules)
    strangers = workspace.check_calibration(shared_data / "imagenette-wds-0000.tar")
    assert strangers.tripped == {"coverage", "drift"}


def test_a_calibration_says_what_suits_the_encoder_and_what_fusion_gains_on_decided_images(calibrated, tmp_path):
    before = calibrated.calibrate(alpha=0.1).advice
    assert before.startswith("neglabel suits fake and ") and "when 10 images are decided OOD: curator app" in before
    rows = calibrated.sql("select image_id, uri from report.images where uri like '%/lake/%'").to_pylist()
    lines = [{"image_id": row["image_id"], "decision": "ood" if "blue" in row["uri"] else "id"} for row in rows]
    path = tmp_path / "decided.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert calibrated.reviews.import_from(path, reviewer="me").faults == ()
    after = calibrated.calibrate(alpha=0.1).advice
    assert re.search(
        r"fusion with the 10 nearest reference images is (no )?better.*: AUROC \d+\.\d instead of \d+\.\d "
        r"\([+-]\d+\.\d, 95 % within [+-]\d+\.\d and [+-]\d+\.\d\), 95 reference and reviewed ID images "
        r"against 12 reviewed OOD ones",
        after,
    )
    assert "fusion" not in calibrated.calibrate(alpha=0.1, method="knn").advice.partition("asked for")[2]


def test_a_rate_that_can_flag_nothing_says_so_wherever_the_policy_is_shown(workspace, places):
    """75 references and a night of 32: at 0.1 five have to score below all of them, and 319 would do for one. What is
    rejected is no image of the night."""
    (places["monday"] / "empty.png").write_bytes(b"")
    workspace.scan(places["monday"].parent)
    wanted = "of a night of 32 images nothing is flagged unless 5 or more score below every reference; use 319 or more"
    summary = workspace.calibrate(places["known"], fdr=0.1)
    assert wanted in str(summary.warning)
    warnings = workspace.check_calibration().warnings
    assert any(warning.startswith("policy fdr-0.1: 75") and wanted in warning for warning in warnings)
    found = [item for item in workspace.doctor() if item.subject == "calibration"]
    assert [item.state for item in found] == ["warning"]
    assert wanted in found[0].message
    assert wanted in workspace.report(pictures=False).data["decided_by"]["policy_warning"]
    workspace.calibrate(places["known"], alpha=0.2)
    assert [item for item in workspace.doctor() if item.subject == "calibration"] == []


def test_a_calibration_says_what_is_the_least_and_what_classes_lack(places, calibrated, run_cli):
    root = calibrated.layout.root
    assert "keeps at least " in run_cli("calibrate", "--fdr", 0.2, folder=root).stdout
    told = run_cli("calibrate", "--alpha", 0.05, "--by-class", folder=root).stdout
    summary = calibrated.calibrate(alpha=0.05, by_class=True)
    assert summary.own_cuts == 0 and summary.class_minimum == 99
    most, enough = summary.largest_class, summary.class_enough
    assert f"the largest class has {most} reference images, 99 are needed: --class-minimum {enough}\n" in told
    assert calibrated.calibrate(alpha=0.05, by_class=True, minimum=enough).own_cuts > 0
    assert "keeps at least" not in told
    assert run_cli("calibrate", "--keep", 0.5, "--by-class", folder=root).stdout.count("the largest class") == 0

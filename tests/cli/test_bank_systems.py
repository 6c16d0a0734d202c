"""The commands of the systems, run as a user runs them, with the embedded defaults."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result
from PIL import Image

from curator.cli.bank import ROLES
from curator.systems.registry import SYSTEMS as REGISTRY
from curator.workspace import Workspace
from tests.cases import rest_slow
from tests.conftest import SMALL_BANK

SYSTEMS = tuple(REGISTRY.names())
ASKING = ("ants", "mmood", "synood")  # among them every kind of generator
# So small that each takes a moment, with so few references that what learns from the lake has to be forced;
# what has two classes far apart would count most labels as too near.
SETTINGS: dict[str, tuple[str, ...]] = {
    "ants": ("-s", "max_cosine=1.0", "-s", "images=4", "--force"),
    "mmood": ("-s", "max_cosine=1.0", "-s", "total=6"),
    "synood": ("-s", "per_class=2", "-s", "projection_epochs=1", "-s", "tuning_epochs=1"),
    "eoe": ("-s", "max_cosine=1.0"),
    "adaneg": ("-s", "gap=0.1", "--force"),
    "tanl": ("-s", "negatives=20", "--force"),
    "interneg": ("-s", "per_class=2", "-s", "negatives=20"),
    "oodd": ("--force",),
    "negrefine": ("-s", "pairs=20"),
}
PLANNED = {
    "ants": {"describe-image": "describer", "look-alikes": "reasoner"},
    "mmood": {
        "near-outliers-image": "reasoner",
        "categorise": "reasoner",
        "sketch": "reasoner",
        "select": "reasoner",
        "elaborate-lake": "reasoner",
    },
    "synood": {"list-elements": "describer", "inpaint": "painter"},
    "eoe": {"near-outliers": "reasoner"},
    "adaneg": {},
    "tanl": {},
    "interneg": {},
    "oodd": {},
    "negrefine": {"is-proper-noun": "reasoner", "is-subcategory": "reasoner"},
}


@pytest.fixture(scope="module")
def scanned_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with twenty images of five colours, and eight of red and green as reference. Tests use copies."""
    root = tmp_path_factory.mktemp("systems")
    drawn = np.random.default_rng(0)
    for number in range(28):
        colour = ["red", "green", "blue", "yellow", "black"][number % (5 if number < 20 else 2)]
        image = Image.new("RGB", (32, 32), colour)
        image.paste(Image.fromarray(drawn.integers(0, 255, (8, 16, 3)).astype(np.uint8)), (number % 16, number % 24))
        path = root / ("lake" if number < 20 else f"known/{colour}") / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path)
    workspace = Workspace.create(root / "workspace", labels=["red", "green"], encoder="fake")
    workspace.layout.bank_spec("base").write_text(SMALL_BANK, encoding="utf-8")
    workspace.scan(root / "lake")
    workspace.calibrate(root / "known")
    return workspace.layout.root


@pytest.fixture
def folder(scanned_once: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(scanned_once, tmp_path / "workspace"))


@pytest.fixture
def bank(folder: Path, run_cli: Callable[..., Result]) -> Callable[..., Result]:
    def run(*arguments: str, before: tuple[str, ...] = (), code: int = 0) -> Result:
        return run_cli("-w", folder, *before, "bank", *arguments, code=code)

    return run


def versions(folder: Path) -> list[str]:
    rows = Workspace.open(folder).sql("select name || ' v' || version as name from bank order by all").to_pylist()
    return [row["name"] for row in rows if row["name"] != "base v1"]


def error_of(shown: Result) -> str:
    (line,) = [line for line in shown.stderr.splitlines() if line.startswith("curator: ")]
    assert "Traceback" not in shown.stderr and shown.stdout == ""
    return line


def test_settings_and_plans_of_every_command_are_tested_here():
    assert set(SYSTEMS) == SETTINGS.keys() == PLANNED.keys()


@pytest.mark.parametrize("system", SYSTEMS)
def test_dry_run_lists_the_calls_and_makes_nothing(bank, folder, system):
    rows = json.loads(bank(system, *SETTINGS[system], "--dry-run", "--json").stdout)
    assert {row["prompt"]: row["role"] for row in rows} == PLANNED[system]
    for row in rows:
        assert row["calls"] == row["to_make"] + row["answered"] > 0 and row["example"]
    if system == "mmood":  # that asks for most
        shown = bank(system, *SETTINGS[system], "--dry-run")
        assert f"{sum(row['to_make'] for row in rows)} calls would be made now" in shown.stderr
        assert all(row["prompt"] in shown.stdout for row in rows)
    assert versions(folder) == [] and not (folder / "banks" / f"{system}.toml").exists()


@pytest.mark.parametrize("system", rest_slow([*ASKING, *(name for name in SYSTEMS if name not in ASKING)], kept=3))
def test_json_is_the_whole_summary_and_the_text_its_main_points(bank, folder, system):
    made = json.loads(bank(system, *SETTINGS[system], "--json").stdout)
    assert made["bank"] == f"{system} v1" and made["system"] == made["method"] == system
    assert made["sent"] == sum(made["calls"].values()) and (made["sent"] > 0) == bool(PLANNED[system])
    assert made["negative_labels"] > 0 and made["id_labels"] == 2 and made["account"]
    shown = bank(system, *SETTINGS[system])
    pairs = dict(line.split(None, 1) for line in shown.stdout.splitlines())
    assert pairs["bank"] == f"{system} v1 ({made['bank_digest'][:12]})" and pairs["calls"].startswith("0 sent")
    assert len(shown.stdout.splitlines()) <= 10
    if system == "mmood":
        whole = bank(system, *SETTINGS[system], before=("-v",)).stdout
        assert all(name in whole for name in made["account"]), "-v has what every step counted"
    assert (
        "; ".join([f"curator bank show {system}", f"curator calibrate --bank {system} --method {system}"])
        in shown.stderr
    )
    assert f"; then curator use {system}\n" in shown.stderr, "calibrated before it rules"
    assert versions(folder) == [f"{system} v1"]


def test_what_the_lake_cannot_teach_for_sure_is_refused_before_any_call_with_the_way_on(bank, folder):
    said = error_of(bank("tanl", code=4))
    assert "8 reference images are too few" in said
    assert versions(folder) == []


BAD_SETTINGS = {
    "nosuch=3": "nosuch",
    "seed=-1": "seed",
    "seed=abc": "seed",
    "seed": "'seed' is no setting",
    "=3": "is no setting",
}


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_bad_setting_is_a_usage_error_that_names_it(bank, folder, system):
    for given, said in BAD_SETTINGS.items():
        assert said in error_of(bank(system, "-s", given, code=2))
    assert versions(folder) == []


@pytest.mark.parametrize("system", SYSTEMS)
def test_an_unknown_or_incomplete_generator_is_a_usage_error(bank, folder, system):
    """Whether or not the system would ask that role."""
    for role in ROLES:
        for address in ("oracle", "oracle:x", "endpoint", "diffusers", ""):
            for more in ((), ("--dry-run",)):
                line = error_of(bank(system, f"--{role}", address, *more, code=2))
                assert role in line and address.partition(":")[0] in line
    assert versions(folder) == []


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("ants", "--mode", "sideways"), 2, "'sideways' is not one of 'frozen', 'online'"),
        (("mmood", "--branch", "middle"), 2, "'middle' is not one of"),
        (("eoe", "--task", "fine-grained"), 2, "kind goes with the task fine-grained"),
        (("ants", "--max-calls", "-1"), 2, "--max-calls"),
        (("ants", "--max-calls", "0", "--force", "--reasoner", "endpoint:m"), 1, "the budget of 0 calls is spent"),
        (("ants", "base"), 2, "the spec of a mined bank"),
        (("ants", "../up"), 2, "bank '../up' is none (up to 64 letters, digits, dots, dashes and underscores)"),
        (("adaneg", "/tmp/up"), 2, "bank '/tmp/up' is none"),
        (("tanl", "tanl@v1"), 2, "bank 'tanl@v1' is none"),
        (("eoe", "--parent", "../../base"), 2, "bank '../../base' is none"),
        (("ants", "--parent", "nothing"), 1, "nothing"),
        (("ants", "--reference", "/no/such/folder"), 1, "/no/such/folder"),
        (("synood", "-s", "loss=code_msp"), 2, "loss"),
    ],
)
def test_exit_codes_tell_what_kind_of_fault_it_is(bank, folder, arguments, code, said):
    shown = bank(*arguments, code=code)
    assert said in shown.stderr and "Traceback" not in shown.stderr
    assert versions(folder) == [] and not (folder / "up.toml").exists()


def test_a_locked_workspace_is_exit_code_five(bank, folder):
    from curator.workspace.lock import hold_lock

    with hold_lock(Workspace.open(folder).layout.lock, command="scan", run_id="other"):
        assert "locked by run other" in error_of(bank("eoe", "--wait", "0.1", code=5))


def test_a_version_that_is_worse_is_refused_and_kept_with_force(bank, folder, monkeypatch):
    """The guard's figures are its own matter: see tests of the workspace. Here every later version is worse."""
    from curator.workspace.learn import run as learning
    from curator.workspace.learn.guard import GuardFigures, HeldOut, SideFigures

    def worse(world: Any, now: Any, previous: Any, method: str, judged: Any, *, previous_method: Any) -> GuardFigures:
        sides = (SideFigures(30, flagged, 0, 0, None) for flagged in (1, 9))
        return GuardFigures(now.digest, previous.digest, method, method, 0.0, *sides)

    bank("tanl", "-s", "negatives=20", "--force")
    monkeypatch.setattr(learning, "refuse_without_excess", lambda *given: None)
    monkeypatch.setattr(
        learning.HeldOut, "of", lambda *given: HeldOut(np.ones((1, 8)), np.ones(1, bool), 1, np.ones((1, 8)))
    )
    monkeypatch.setattr(learning, "guard_figures", worse)
    refused = error_of(bank("tanl", "-s", "negatives=10", code=4))
    assert "flags 9 of 30 ID images" in refused and "--force" in refused and versions(folder) == ["tanl v1"]
    forced = bank("tanl", "-s", "negatives=10", "--force")
    assert "kept because it was forced" in forced.stdout and versions(folder) == ["tanl v1", "tanl v2"]


def test_a_reference_is_taken_in_first(bank, scanned_once, tmp_path, run_cli):
    """Without ID images SynOOD has nothing to paint, and says what to give it."""
    bare = Workspace.create(tmp_path / "bare", labels=["red", "green"], encoder="fake")
    bare.layout.bank_spec("base").write_text(SMALL_BANK, encoding="utf-8")
    bare.scan(scanned_once.parent / "lake")
    arguments = ("-w", bare.layout.root, "bank", "synood", *SETTINGS["synood"])
    assert "give some with --reference" in error_of(run_cli(*arguments, code=1))
    made = json.loads(run_cli(*arguments, "--reference", scanned_once.parent / "known", "--json").stdout)
    assert made["account"]["selected"] == 4


def test_embedded_generators_take_nothing_of_a_budget(bank):
    ants = ("ants", *SETTINGS["ants"])
    said = bank(*ants, "--dry-run").stderr
    assert "6 calls would be made now, 6 of them by embedded generators, which are free" in said
    assert "--max-calls" not in said, "there is nothing to try out"
    assert json.loads(bank(*ants, "--max-calls", "0", "--json").stdout)["sent"] == 6


def test_a_plan_has_every_stage_and_hours_by_the_calls_that_were_made(bank, monkeypatch):
    for module in ("asking", "planning"):  # so that a budget ends within
        monkeypatch.setattr(f"curator.generators.{module}.is_free", lambda model: False)
    synood = ("synood", *SETTINGS["synood"])
    planned = ("--dry-run", "--json")
    first = {row["prompt"]: row for row in json.loads(bank(*synood, *planned).stdout)}
    assert (first["list-elements"]["to_make"], first["inpaint"]["to_make"]) == (4, 4)
    assert first["inpaint"]["hours"] is None
    said = bank(*synood, "--dry-run").stderr
    assert "8 calls would be made now" in said and "--max-calls 8 makes a few" in said
    bank(*synood, "--max-calls", "6", code=1)
    rest = {row["prompt"]: row for row in json.loads(bank(*synood, *planned).stdout)}
    assert (rest["list-elements"]["to_make"], rest["inpaint"]["to_make"], rest["inpaint"]["timed"]) == (0, 2, 2)
    assert rest["inpaint"]["hours"] == round(2 * rest["inpaint"]["seconds"] / 3600, 3) < 0.1
    shown = bank(*synood, "--dry-run")
    assert re.search(r"^\d+\.\d s, by 6 calls like them", shown.stderr, re.MULTILINE) and "hours" not in shown.stdout


def test_composites_are_pictures_of_the_lake_over_id_images(bank, folder):
    made = json.loads(bank("synood", *SETTINGS["synood"], "--painter", "composites", "--json").stdout)
    assert made["account"]["painted"]["answered"] > 0
    assert made["account"]["guides"] == {"zero-shot": made["account"]["painted"]["answered"]}
    for path in (folder / "generated").iterdir():
        with Image.open(path) as image:
            assert image.format == "JPEG"
    said = bank("audit", "synood").stderr
    assert "paintings were guided by the encoder (zero-shot)" in said

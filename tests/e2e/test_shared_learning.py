"""The systems on real images with the embedded defaults: each makes a bank, all are scored beside NegLabel and MCM."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from curator.cli import cli
from curator.workspace import Workspace

pytestmark = pytest.mark.slow

CLASSES = ("airplanes", "anchor", "barrel", "bass", "beaver", "binocular")
BANK = """\
name = "{name}"
[id]
labels = "labels.txt"
[negatives.wordnet]
include = ["noun.phenomenon"]
[mining]
method = "{method}"
"""
# Six unlike classes are far from one another, so by default most labels would count as too near to one of them.
SYSTEMS: dict[str, tuple[str, ...]] = {
    "ants": ("-s", "images=40", "-s", "max_cosine=1.0", "--force"),
    "mmood": ("-s", "total=24", "-s", "max_cosine=1.0"),
    "synood": ("-s", "per_class=4", "-s", "projection_epochs=1", "-s", "tuning_epochs=1"),
    "eoe": ("-s", "max_cosine=1.0"),
    "adaneg": ("--force",),
    "tanl": ("-s", "negatives=50", "--force"),
    "interneg": ("-s", "negatives=200", "--force"),
    "oodd": ("--force",),
    "negrefine": ("-s", "pairs=100", "-s", "nearest=2", "--force"),
}
CALLED = ("ants", "mmood", "synood", "eoe", "negrefine")
LAKE_IMAGES = 6 * len(CLASSES) + 2 * 60


def run(*arguments: str | Path) -> Result:
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture(scope="module")
def root(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`known`: 12 images of each of six classes; `lake`: 6 others of each, 60 scenes and 60 pieces of clothing; and a
    `workspace` in which every system has made its bank, from the command line."""
    root = tmp_path_factory.mktemp("shared")
    for name in CLASSES:
        images = sorted((shared_data / "objects-folder" / name).iterdir())
        for folder, part in (("known", images[:12]), ("lake/objects", images[12:18])):
            (root / folder / name).mkdir(parents=True)
            for path in part:
                shutil.copy(path, root / folder / name / path.name)
    for name in ("scenes", "clothing"):
        table = pq.read_table(shared_data / f"{name}.parquet")
        rows = list(range(0, table.num_rows, table.num_rows // 60))[:60]
        pq.write_table(table.take(rows), root / "lake" / f"{name}.parquet")
    Workspace.create(root / "workspace", labels=list(CLASSES), encoder="mini")
    for name, method in (("base", "neglabel"), ("csp", "csp")):
        (root / "workspace" / "banks" / f"{name}.toml").write_text(BANK.format(name=name, method=method))
    run("-w", root / "workspace", "scan", root / "lake", "--workers", "0")
    for system, settings in SYSTEMS.items():
        made = run("-w", root / "workspace", "bank", system, "--reference", root / "known", *settings, "--json")
        (root / f"{system}.json").write_text(made.stdout)
    return root


@pytest.fixture
def workspace(root: Path) -> Workspace:
    return Workspace.open(root / "workspace")


def summary_of(root: Path, system: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((root / f"{system}.json").read_text())
    return found


@pytest.mark.parametrize("system", SYSTEMS)
def test_each_system_makes_a_bank_that_scores_and_can_be_shown(root, system, tmp_path):
    made = summary_of(root, system)
    assert made["bank"] == f"{system} v1" and made["negative_labels"] > 0 and made["id_labels"] == len(CLASSES)
    assert (made["sent"] > 0) == (system in CALLED) and set(made["calls"]) <= {"answered", "rejected"}
    scored = json.loads(run("-w", root / "workspace", "score", "--bank", system, "--method", system, "--json").stdout)
    assert scored["scorings"][0]["scored"] == LAKE_IMAGES
    run("-w", root / "workspace", "bank", "show", system, "--html", tmp_path / "page.html")
    assert f"Bank {system} v1" in (tmp_path / "page.html").read_text()


@pytest.mark.parametrize("system", ["ants", "synood"])
def test_the_same_command_again_makes_no_call_and_no_version(root, system):
    again = json.loads(run("-w", root / "workspace", "bank", system, *SYSTEMS[system], "--json").stdout)
    assert (again["sent"], again["bank"]) == (0, f"{system} v1")
    assert again["bank_digest"] == summary_of(root, system)["bank_digest"]


def test_frozen_ants_repeats_to_the_bit_when_everything_is_asked_anew(root, workspace, tmp_path):
    other = Workspace.open(shutil.copytree(root / "workspace", tmp_path / "workspace"))
    with duckdb.connect(str(other.layout.ledger)) as ledger:
        for table in ("generator_call", "score"):
            ledger.execute(f"delete from {table}")
    made = json.loads(run("-w", other.layout.root, "bank", "ants", *SYSTEMS["ants"], "--json").stdout)
    first = summary_of(root, "ants")
    assert (made["bank_digest"], made["sent"]) == (first["bank_digest"], first["sent"]) and made["sent"] > 0
    scores = []
    for opened in (workspace, other):
        opened.score(bank="ants", method="ants")
        query = "select image_id, id_score, log_odds from score where bank_digest = $digest order by all"
        scores.append(opened.sql(query, {"digest": made["bank_digest"]}).to_pylist())
    assert scores[0] == scores[1] and len(scores[0]) == LAKE_IMAGES + 12 * len(CLASSES), "the reference is scored too"


def test_evaluate_shows_all_methods_on_the_same_vectors(root):
    """Each on the bank that it is for; the ID side are the reference images, as a small encoder sees them."""
    sets = [f"{name}={root / 'lake' / name}.parquet" for name in ("scenes", "clothing")]
    given = ("--id", root / "known", "--ood", sets[0], "--ood", sets[1], "--positive", "id", "--bootstrap", "50")
    rows = []
    for bank in ("base", "csp", *SYSTEMS):
        methods = ("mcm", "neglabel") if bank == "base" else (bank,)
        named = [word for method in methods for word in ("--method", method)]
        shown = run("-w", root / "workspace", "evaluate", *given, "--bank", bank, *named, "--json")
        rows += [row for row in json.loads(shown.stdout)["rows"] if row["ood"] in ("scenes", "clothing")]
    assert {row["method"] for row in rows} == {"mcm", "neglabel", "csp", *SYSTEMS}
    assert {(row["id_images"], row["ood_images"]) for row in rows} == {(12 * len(CLASSES), 60)}
    assert all(0.5 < row["auroc"] <= 1.0 for row in rows), {row["method"]: row["auroc"] for row in rows}


def test_sql_tells_which_call_gave_each_label_what_it_cost_and_how_methods_compare(root, workspace):
    for system in SYSTEMS:
        workspace.score(bank=system, method=system)
    given = workspace.sql(
        "select bank, count(*) as labels, count(distinct call_id) as calls, count(distinct concerns) as concerns "
        "from report.generated_labels where call_id is not null group by bank order by bank"
    ).to_pylist()
    assert [row["bank"] for row in given] == ["ants", "eoe", "mmood"]
    assert all(row["labels"] >= row["calls"] > 0 and row["concerns"] > 0 for row in given if row["bank"] != "mmood")
    calls = workspace.sql(
        "select role, model, count(*) as calls, sum(seconds) as seconds, sum(attempts) as attempts "
        "from report.generator_calls group by all order by all"
    ).to_pylist()
    assert {(row["role"], row["model"]) for row in calls} == {
        ("describer", "vocabulary"), ("reasoner", "wordnet"), ("painter", "features"),
    }  # fmt: skip
    assert sum(row["calls"] for row in calls) == sum(summary_of(root, system)["sent"] for system in SYSTEMS)
    compared = workspace.sql(
        "select bank_name, count(*) as images, min(id_score) as low, max(id_score) as high "
        "from report.compare where bank_name = regexp_extract(method_id, '^[a-z]+') group by all order by all"
    ).to_pylist()
    compared = [row for row in compared if row["bank_name"] in SYSTEMS]
    assert {row["bank_name"] for row in compared} == SYSTEMS.keys()
    assert {row["images"] for row in compared} == {LAKE_IMAGES} and all(row["low"] < row["high"] for row in compared)


def test_the_doctor_finds_nothing(root):
    shown = run("-w", root / "workspace", "doctor", "--check").stdout
    assert all(line.startswith("ok") for line in shown.splitlines() if "checks" in line)

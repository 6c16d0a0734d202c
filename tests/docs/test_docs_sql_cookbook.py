"""The SQL cookbook, each query run as it stands on one small lake that has something to say to almost all of them."""

from __future__ import annotations

import json
import re
import shutil
import tarfile
from pathlib import Path

import duckdb
import pytest
from PIL import Image

from curator.workspace import Workspace
from curator.workspace.learn.world import LedgerWorld
from tests.conftest import SMALL_BANK
from tests.generators.scripted import ScriptedGenerator

COOKBOOK = (Path(__file__).resolve().parents[2] / "docs" / "sql-cookbook.md").read_text(encoding="utf-8")
RECIPE = re.compile(r"^### ([^\n]+)\n\n([^\n]+(?:\n[^\n]+)*)\n\n```sql\n(.*?)^```", re.DOTALL | re.MULTILINE)
RECIPES = RECIPE.findall(COOKBOOK)
OFFSETS = {"red": 0, "green": 40, "blue": 80, "yellow": 120}


def paint(path: Path, colour: str, number: int) -> Path:
    """One colour with a corner of its own, so that no two have one content and groups spread over the cut."""
    image = Image.new("RGB", (64, 48), colour)
    image.paste((number * 37 % 256, 128, 90), (0, 0, 1 + number % 7 * 2, 24))
    image.putpixel((60, number % 48), (1, 2, OFFSETS[colour]))
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)
    return path


def first_night(lake: Path) -> None:
    """Two cameras, a copy in the folder of the other, an image that is cut short, and a tar with labels."""
    for number in range(12):
        for camera, colour in (("a", "red"), ("a", "blue"), ("b", "green")):
            paint(lake / f"camera-{camera}" / f"{colour}-{number}.png", colour, number)
    whole = (lake / "camera-a" / "red-0.png").read_bytes()
    (lake / "camera-b" / "copy.png").write_bytes(whole)
    (lake / "camera-b" / "cut.png").write_bytes(whole[: len(whole) // 2])
    pack(lake / "set.tar")


def pack(path: Path) -> None:
    with tarfile.open(path, "w") as archive:
        for number in range(20, 24):
            colour = ["red", "yellow"][number % 2]
            archive.add(paint(path.parent.parent / "loose" / f"{number}.png", colour, number), f"{number}.png")
            label = path.parent.parent / "loose" / f"{number}.cls"
            label.write_text(str(number % 2))
            archive.add(label, f"{number}.cls")


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Workspace:
    """Two nights, a reference, a bank that learnt with two scorings beside the first, figures, and two reviews."""
    root = tmp_path_factory.mktemp("cookbook")
    first_night(root / "lake")
    for number in range(30, 50):
        colour = ["red", "green"][number % 2]
        paint(root / "known" / colour / f"{number}.png", colour, number)
    workspace = Workspace.create(root / "workspace", labels=["red", "green"], encoder="fake")
    workspace.layout.bank_spec("base").write_text(SMALL_BANK, encoding="utf-8")
    (root / "lake" / "notes.txt").write_text("passed over")
    workspace.scan(root / "lake")
    workspace.calibrate(root / "known", keep=0.75)
    for number in range(60, 66):
        paint(root / "lake" / "camera-c" / f"{number}.png", "yellow", number)
    (root / "lake" / "camera-a" / "blue-3.png").unlink()
    workspace.scan(root / "lake")
    learn(workspace)
    workspace.score(bank="base", method=["mcm", "max_logit"])
    workspace.evaluate(
        positive="id",
        id_sources=[root / "known"],
        ood_sources={"blue": [root / "lake" / "camera-a" / "blue-*"]},
        replicates=20,
        same_format="drawn",
    )
    decide(workspace, root / "decisions.jsonl")
    return workspace


def learn(workspace: Workspace) -> None:
    """A bank of ANTS, by generators that answer from a script, and the lake scored under it."""
    names = {"red": ["rust", "brick"], "green": ["moss", "leaf"]}
    scripted = {
        "describer": ScriptedGenerator(
            lambda request: json.dumps({"description": f"a {request.pictures[0].image_id}"})
        ),
        "reasoner": ScriptedGenerator(lambda request: json.dumps({"labels": names[str(request.slots["label"])]})),
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LedgerWorld, "generator", lambda self, role: scripted[role])
        workspace.learn_bank("ants", "ants", settings={"max_cosine": 1.0}, force=True)
    workspace.score(bank="ants", method="ants")


def decide(workspace: Workspace, path: Path) -> None:
    ids = workspace.sql("select image_id from report.flagged order by log_odds")["image_id"].to_pylist()
    given = [{"image_id": ids[0], "decision": "ood"}, {"image_id": ids[-1], "decision": "id"}]
    path.write_text("".join(json.dumps(line) + "\n" for line in given), encoding="utf-8")
    assert workspace.reviews.import_from(path, reviewer="ann").recorded == 2


@pytest.mark.slow
def test_the_snapshot_reads_alike_under_any_name_in_a_client_of_its_own(site, tmp_path):
    path = shutil.copyfile(site.layout.snapshot, tmp_path / "copy of last night.duckdb")
    with duckdb.connect(path, read_only=True) as opened:
        views = opened.execute("select view_name from duckdb_views() where schema_name = 'report'").fetchall()
        rows = {view: sorted(map(repr, opened.execute(f"from report.{view}").fetchall())) for (view,) in views}
        form = opened.execute("select tags['storage_version'] from duckdb_databases() where not internal").fetchone()
    assert form == ("v1.3.0+",)
    assert len(rows) >= 29 and sum(map(bool, rows.values())) >= 25, "too few views have rows to compare"
    with duckdb.connect() as client:
        client.execute(f"attach '{path}' as \"a lake\" (read_only)")
        for view, found in rows.items():
            assert sorted(map(repr, client.execute(f'from "a lake".report.{view}').fetchall())) == found, view


def test_there_are_recipes_and_no_sql_but_theirs():
    assert len(RECIPES) >= 20 and len({question for question, _, _ in RECIPES}) == len(RECIPES)
    assert len(RECIPES) == COOKBOOK.count("```sql") == COOKBOOK.count("\n### ")
    assert len({" ".join(statement.split()) for _, _, statement in RECIPES}) == len(RECIPES)


@pytest.mark.parametrize(("question", "sentence", "statement"), RECIPES, ids=[question for question, _, _ in RECIPES])
def test_recipe_runs_and_has_the_columns_that_its_sentence_speaks_of(site, question, sentence, statement):
    found = site.sql(statement)
    spoken = set(re.findall(r"`([a-z_]+)`", sentence)) - {"id", "ood"}  # two decisions
    assert spoken and spoken <= set(found.column_names)
    assert found.num_rows > 0


def answer(site: Workspace, question: str) -> list[dict]:
    return site.sql(next(statement for asked, _, statement in RECIPES if asked == question)).to_pylist()


def test_answers_are_those_of_the_lake(site):
    flagged = site.sql("select count(*) as n from report.arrivals where flagged")["n"][0].as_py()
    nights = answer(site, "How many images are flagged each night, of how many?")
    assert sorted(night["scored"] for night in nights) == [6, 40], "both may have begun in one second"
    assert sum(night["flagged"] for night in nights) == flagged
    folders = {Path(row["folder"]).name: row for row in answer(site, "Which source folders have the most flags?")}
    assert folders["camera-c"]["flag_rate"] == 1 and folders["camera-b"]["flag_rate"] < 1
    assert [row["missing"] for row in answer(site, "Is everything accounted for?")] == [0]
    rejects = answer(site, "What was rejected, why, and where?")
    assert [(row["reason"], row["rejects"]) for row in rejects] == [("truncated", 1)]
    (copies,) = answer(site, "Which contents lie in the lake more than once, and where?")
    assert [Path(address).name for address in copies["addresses"]] == ["red-0.png", "copy.png"]
    assert [row["shared"] for row in answer(site, "Which folders hold copies of each other?")] == [1]
    shift = answer(site, "How does the mix of labels differ between the last two nights?")
    assert sum(row["now"] for row in shift) == pytest.approx(1, abs=0.01)
    assert sum(row["before"] for row in shift) == pytest.approx(1, abs=0.01)
    assert {row["decision"] for row in answer(site, "How often were the flags right?")} == {"id", "ood"}
    gone = {row["came"]: row["gone"] for row in answer(site, "What came and is gone again?")}
    assert gone == {40: 1, 6: 0}


def test_a_list_goes_into_a_file(site, run_cli, tmp_path):
    statement = tmp_path / "list.sql"
    statement.write_text(RECIPES[-1][2], encoding="utf-8")
    run_cli("sql", "-i", statement, "-o", tmp_path / "list.csv", folder=site.layout.root)
    lines = (tmp_path / "list.csv").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 1 + site.sql("select count(*) as n from report.flagged")["n"][0].as_py()

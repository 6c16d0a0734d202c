"""Models that run here behind the roles, from the command line: tiny ones, loaded by the very classes of real ones.

Their weights are random, so what they say is noise. Wherever noise is no answer it must end as a rejected row, and a
run of which nothing is left as one clear line.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from curator.demo import make_sample_lake
from curator.generators.asking import TRIES
from curator.workspace import Workspace
from tests.conftest import SMALL_BANK
from tests.generators import tiny_chat_models, tiny_diffusion

pytestmark = pytest.mark.slow

ID_LABELS = ["cat", "horse", "cup of coffee"]
SMALL = {"size": 64, "steps": 4, "passes": 2, "per_class": 2, "projection_epochs": 1, "tuning_epochs": 1}
SYNOOD = tuple(word for name, value in SMALL.items() for word in ("-s", f"{name}={value}"))
PAINTINGS = SMALL["per_class"] * len(ID_LABELS)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    with tiny_diffusion.one_thread():
        yield


@pytest.fixture(scope="module")
def scanned_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace that has scanned scikit-image's photographs and knows which of them are ID. Tests work on copies,
    whose text cache knows the vocabulary already."""
    pytest.importorskip("skimage")
    root = tmp_path_factory.mktemp("models")
    sample = make_sample_lake(root)
    workspace = Workspace.create(root / "workspace", labels=ID_LABELS, encoder="mini")
    workspace.layout.bank_spec("base").write_text(SMALL_BANK, encoding="utf-8")
    workspace.scan(sample.lake / "camera-1")
    workspace.calibrate(sample.reference)
    workspace.learn_bank("ants", "ants", settings={"images": 1}, force=True)
    return workspace.layout.root


@pytest.fixture(scope="module")
def painted_once(scanned_once: Path, models: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, with what SynOOD made of it in one go: pictures one by one, so that they are the same to the byte."""
    root = shutil.copytree(scanned_once, tmp_path_factory.mktemp("painted") / "workspace")
    overrides = {"generators.painter": models["inpaint"], "generators.guide": "zero-shot"}
    overrides |= {"generators.painter_batch_size": 1}
    Workspace.open(root, overrides=overrides).learn_bank("synood", "synood", settings=SMALL)
    return Path(root)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Addresses of a model that sees and talks, one that paints over and one that paints from a text."""
    root = tmp_path_factory.mktemp("folders")
    return {
        "chat": f"transformers:{tiny_chat_models.qwen_folder(root / 'chat', '2.5')}",
        "inpaint": f"diffusers:{tiny_diffusion.pipeline_folder(root / 'inpaint')}",
        "draw": f"diffusers:{tiny_diffusion.pipeline_folder(root / 'draw', inpainting=False)}",
    }


@pytest.fixture
def folder(scanned_once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the workspace. One request at a time, so that pictures are the same to the byte."""
    monkeypatch.setenv("CURATOR_GENERATORS_BATCH_SIZE", "1")
    monkeypatch.setenv("CURATOR_GENERATORS_PAINTER_BATCH_SIZE", "1")
    monkeypatch.setenv("CURATOR_GENERATORS_GUIDE", "zero-shot")
    monkeypatch.setenv("CURATOR_GENERATORS_MAX_NEW_TOKENS", "24")
    return Path(shutil.copytree(scanned_once, tmp_path / "workspace"))


@pytest.fixture
def learn(folder: Path, run_cli: Callable[..., Result]) -> Callable[..., Any]:
    """`curator bank …` on the copy: the summary, or with a code other than 0 the line that says what is wrong."""

    def run(*arguments: str, code: int | None = 0, on: Path | None = None) -> Any:
        shown = run_cli("-w", on or folder, "bank", *arguments, "--json", code=code)
        assert "Traceback" not in shown.stderr
        if shown.exit_code == 0:
            return json.loads(shown.stdout)
        (line,) = [line for line in shown.stderr.splitlines() if line.startswith("curator: ")]
        assert shown.stdout == "" and shown.stderr.endswith(f"{line}\n")
        return line

    return run


def sql(folder: Path, query: str) -> list[dict[str, Any]]:
    return Workspace.open(folder).sql(query).to_pylist()


def healthy(folder: Path) -> bool:
    return all(result.healthy for result in Workspace.open(folder).check())


def calls_of(folder: Path, model: str) -> list[dict[str, Any]]:
    return sql(folder, f"select * from report.generator_calls where model = '{model}'")


def first_calls(folder: Path, model: str, role: str) -> list[dict[str, Any]]:
    """Without those that show the model its reply again."""
    rows = [row for row in calls_of(folder, model) if row["role"] == role]
    return [row for row in rows if json.loads(row["inputs"])["correction"] is None]


# ANTS


def test_ants_with_models_that_talk_noise_ends_as_it_should(learn, folder, models):
    arguments = ("ants", "--describer", models["chat"], "--reasoner", models["chat"], "-s", "images=2")
    arguments += ("-s", "class_count=2", "--force")  # so few photographs hold nothing to learn from for sure
    ended = learn(*arguments, code=None)
    described, asked = (first_calls(folder, models["chat"], role) for role in ("describer", "reasoner"))
    assert len(described) == len(asked) == 2
    rows = calls_of(folder, models["chat"])
    assert {row["status"] for row in rows} <= {"answered", "rejected"} and len(rows) <= TRIES * 4
    assert all(row["output"] and row["fault"] for row in rows if row["status"] == "rejected")
    assert all(len(row["revision"]) == 16 for row in rows)
    if isinstance(ended, str):
        assert ended.startswith("curator: ants: no negative label is left")
    else:
        assert ended["account"]["described"]["asked"] == ended["account"]["asked"]["asked"] == 2 and ended["sent"]
    again = learn(*arguments, "--max-calls", "0", code=None)
    assert again == ended if isinstance(ended, str) else again["bank_digest"] == ended["bank_digest"]
    assert len(calls_of(folder, models["chat"])) == len(rows) and healthy(folder)


# MM-OOD


def test_mmood_with_models_that_talk_noise_is_one_clear_line(learn, folder, models):
    chat = ("--describer", models["chat"], "--reasoner", models["chat"], "--painter", models["draw"])
    arguments = ("mmood", "--branch", "mix", *chat, "-s", "size=64", "-s", "steps=2", "-s", "near_per_class=2")
    ended = learn(*arguments, code=None)
    calls = first_calls(folder, models["chat"], "reasoner")
    asked = {name: [call for call in calls if call["prompt"] == name] for name in ("near-outliers-image", "categorise")}
    assert len(asked["near-outliers-image"]) == len(ID_LABELS) and len(asked["categorise"]) == 1
    assert all(json.loads(call["inputs"])["pictures"] for call in asked["near-outliers-image"])
    assert asked["categorise"][0]["status"] == "rejected"
    if isinstance(ended, str):
        assert ended.startswith("curator: mmood: nothing is left: of ")
        assert sql(folder, "select name from bank where name = 'mmood'") == []
    assert healthy(folder)


def test_mmood_keeps_the_pictures_that_it_draws_and_shows_them(learn, folder, models, run_cli, tmp_path):
    arguments = ("mmood", "--branch", "mix", "--painter", models["draw"], "-s", "size=64", "-s", "steps=2")
    arguments += ("-s", "max_cosine=1.0")  # look-alikes are nearer to three unlike classes than those to each other
    made = learn(*arguments)
    drawn = sql(folder, "select * from report.generator_calls where role = 'painter'")
    assert len(drawn) == made["account"]["calls"]["draw"]["answered"] > 0
    assert_kept(folder, drawn)
    assert_shown(run_cli, folder, "mmood", tmp_path / "page.html", len(drawn))
    again = learn(*arguments)
    assert (again["sent"], again["bank_digest"]) == (0, made["bank_digest"]) and healthy(folder)


# SynOOD


def test_synood_keeps_what_it_paints_as_rows_and_files_and_shows_it(painted_once, run_cli, tmp_path):
    painted = sql(painted_once, "select * from generator_call where role = 'painter'")
    assert len(painted) == PAINTINGS
    assert_kept(painted_once, painted)
    for row in painted:
        facts, inputs = json.loads(row["facts"]), json.loads(row["inputs"])
        assert len(facts["losses"]) == SMALL["passes"] and facts["guide"] == "zero-shot"
        assert (facts["width"], facts["height"]) == (64, 64) and "+" in row["revision"]
        assert len(inputs["pictures"]) == 1 and inputs["slots"]["context"]
    assert_shown(run_cli, painted_once, "synood", tmp_path / "page.html", PAINTINGS)
    assert healthy(painted_once)


def test_a_bank_of_painted_pictures_scores_and_is_made_again_without_a_call(learn, painted_once, models, run_cli):
    before = sql(painted_once, "select * from bank where name = 'synood'")
    again = learn("synood", "--painter", models["inpaint"], *SYNOOD, on=painted_once)
    assert (again["sent"], again["bank_digest"], again["bank"]) == (0, before[0]["bank_digest"], "synood v1")
    scored = run_cli("-w", painted_once, "score", "--bank", "synood", "--method", "synood", "--json")
    assert json.loads(scored.stdout)["scorings"][0]["scored"] == 10


def test_synood_cut_off_by_a_budget_and_gone_on_with_gives_the_same_bank(learn, folder, models, painted_once):
    synood = ("synood", "--painter", models["inpaint"], *SYNOOD)
    cut = learn(*synood, "--max-calls", "2", code=1)  # the embedded describer takes none of them
    assert cut.startswith("curator: the budget of 2 calls is spent: ")
    assert len(pictures(folder)) == 2
    rest = learn(*synood)
    whole = sql(painted_once, "select bank_digest from bank where name = 'synood'")
    assert rest["bank_digest"] == whole[0]["bank_digest"] and rest["sent"] == PAINTINGS - 2
    assert pictures(folder) == pictures(painted_once)


def test_synood_with_a_describer_that_talks_noise_ends_as_it_should(learn, folder, models):
    ended = learn("synood", "--describer", models["chat"], "--painter", models["inpaint"], *SYNOOD, code=None)
    described = first_calls(folder, models["chat"], "describer")
    assert len(described) == PAINTINGS
    if isinstance(ended, str):
        assert ended.startswith("curator: synood: nothing is left: of ")
        assert sql(folder, "select name from bank where name = 'synood'") == []
    assert healthy(folder)


# What must not pass


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("ants", "--describer", "transformers:./nowhere"), "there is no folder"),
        (("synood", "--painter", "diffusers:./nowhere"), "there is no folder"),
        (("ants", "--describer", "{inpaint}"), "diffusers"),
        (("synood", "--painter", "diffusers:{chat_folder}"), "there is no model_index.json"),
        (("mmood", "--branch", "far", "--painter", "{inpaint}", "-s", "max_cosine=1.0"), "a model for inpainting"),
        (("synood", "--painter", "{inpaint}", "-s", "size=63"), "inpaint: size is 63"),
    ],
)
def test_a_model_that_cannot_do_it_is_one_clear_line(learn, folder, models, arguments, said):
    names = {**models, "chat_folder": models["chat"].partition(":")[2]}
    line = learn(*(word.format(**names) for word in arguments), code=None)
    assert said in line
    assert sql(folder, "select name from bank where name not in ('base', 'ants')") == [] and healthy(folder)


def pictures(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "generated").glob("*.jpg")}


def assert_kept(folder: Path, painted: list[dict[str, Any]]) -> None:
    """Each call's picture lies in `generated/` under the name in its row, and there is no other."""
    kept = pictures(folder)
    assert {row["artefact"] for row in painted} == kept.keys()
    assert all(data.startswith(b"\xff\xd8") for data in kept.values())


def assert_shown(run_cli: Callable[..., Result], folder: Path, name: str, page: Path, count: int) -> None:
    run_cli("bank", "show", name, "--html", page, folder=folder)
    text = page.read_text()
    assert text.count('src="data:image/jpeg;base64,') == count and f"Made for it ({count})" in text
    assert "diffusers:" in text

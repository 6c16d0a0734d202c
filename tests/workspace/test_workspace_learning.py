"""Banks that systems make, on a real ledger: calls are rows, versions are guarded, nothing depends on order."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from curator.banks.storage import load_bank
from curator.errors import BankError, BankRefused, BudgetSpent, ConfigError, RunInterrupted, UsageError
from curator.workspace import Workspace
from curator.workspace.app.banks import show_version
from curator.workspace.learn.guard import HeldOut, guard_figures
from curator.workspace.learn.world import LedgerWorld
from curator.workspace.published import reading
from tests.cases import rest_slow
from tests.conftest import SMALL_BANK
from tests.generators.scripted import ScriptedGenerator

COLOURS = {"red": "red", "green": "green", "blue": "ood", "yellow": "ood", "black": "ood"}


def picture(colour: str, number: int) -> bytes:
    """One colour with a pattern of its own, so that no two nearly coincide."""
    image = Image.new("RGB", (32, 32), colour)
    for bit in range(8):
        if number >> bit & 1:
            image.paste(
                (number * 37 % 256, bit * 30, 128), (bit % 4 * 8, bit // 4 * 16, bit % 4 * 8 + 4, bit // 4 * 16 + 8)
            )
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def lakes(tmp_path_factory) -> Path:
    """`lake`: 60 pictures of five colours; `known`: 48 others, red and green, in folders of their class."""
    root = tmp_path_factory.mktemp("lakes")
    for number in range(60):
        colour = list(COLOURS)[number % 5]
        path = root / "lake" / f"{colour}-{number:03d}.png"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(picture(colour, number))
    for number in range(100, 148):
        path = root / "known" / ["red", "green"][number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture(path.parent.name, number))
    return root


@pytest.fixture(scope="module")
def scanned_once(lakes) -> Path:
    """A workspace that has scanned the lake and calibrated on what is known. Tests work on copies of it."""
    workspace = Workspace.create(lakes / "workspace", labels=["red", "green"], encoder="fake")
    workspace.layout.bank_spec("base").write_text(SMALL_BANK, encoding="utf-8")
    workspace.scan(lakes / "lake")
    workspace.calibrate(lakes / "known")
    return workspace.layout.root


@pytest.fixture(autouse=True)
def unjudged_by_the_lake(monkeypatch) -> None:
    """Half of sixty pictures are too few to judge a bank by, and more cost every test: see test_workspace_excess."""
    monkeypatch.setattr("curator.workspace.learn.run.refuse_without_judges", lambda *given: None)


@pytest.fixture
def scanned(tmp_path, scanned_once) -> Workspace:
    return Workspace.open(shutil.copytree(scanned_once, tmp_path / "workspace"))


@pytest.fixture
def scripted(monkeypatch) -> Callable[..., dict[str, ScriptedGenerator]]:
    """Put scripted generators behind the roles."""

    def install(**scripts) -> dict[str, ScriptedGenerator]:
        made = {role: ScriptedGenerator(script, model=f"scripted-{role}") for role, script in scripts.items()}
        monkeypatch.setattr(LedgerWorld, "generator", lambda self, role: made[role])
        return made

    return install


def described(request) -> str:
    return json.dumps({"description": f"a wall of number {request.pictures[0].image_id[:4]}"})


def imagined(request) -> str:
    names = {"red": ["rust", "brick"], "green": ["moss", "leaf"]}
    return json.dumps({"labels": names[str(request.slots["label"])]})


def ants(**settings) -> dict:
    return {"system": "ants", "name": "ants", "settings": {"max_cosine": 1.0, **settings}}


def healthy(workspace: Workspace) -> bool:
    return all(result.healthy for result in workspace.check())


def test_ants_makes_a_bank_that_scores_with_the_evidence_of_every_label(scanned, scripted):
    made = scripted(describer=described, reasoner=imagined)
    summary = scanned.learn_bank(**ants())
    assert summary.bank == "ants v1" and summary.sent == len(made["describer"].asked) + len(made["reasoner"].asked)
    rows = scanned.sql("select * from report.generated_labels order by label_index").to_pylist()
    assert len(rows) == summary.negative_labels
    assert {row["source"] for row in rows} == {"ants:ens", "ants:vsnl"}
    assert all(row["model"].startswith("scripted-") and row["output"] and row["concerns"] for row in rows)
    assert {row["label"] for row in rows if row["source"] == "ants:vsnl"} == {"rust", "brick", "moss", "leaf"}
    scoring = scanned.score(bank="ants", method=["ants", "ants:variant=ens", "neglabel"])
    assert [item.scored for item in scoring.scorings] == [60, 60, 60]
    assert healthy(scanned)


def test_the_negative_images_are_those_that_do_not_belong(scanned, scripted):
    made = scripted(describer=described, reasoner=imagined)
    scanned.learn_bank(**ants())
    asked = {request.pictures[0].image_id for request in made["describer"].asked}
    uris = scanned.sql("select image_id, uri from report.images").to_pylist()
    colours = {Path(row["uri"]).name.split("-")[0] for row in uris if row["image_id"] in asked}
    assert asked and colours <= {"blue", "yellow", "black"}


def test_the_same_again_sends_nothing_and_gives_the_same_version(scanned, scripted):
    made = scripted(describer=described, reasoner=imagined)
    first = scanned.learn_bank(**ants())
    again = scanned.learn_bank(**ants())
    assert again.sent == 0 and again.bank_digest == first.bank_digest and again.bank == "ants v1"
    assert len(made["describer"].asked) + len(made["reasoner"].asked) == first.sent


@pytest.mark.slow
def test_frozen_ants_does_not_depend_on_how_the_images_came(tmp_path, make_workspace, lakes, scripted):
    scripted(describer=described, reasoner=imagined)
    banks, scores = [], []
    parts = [str(lakes / "lake" / f"{colour}-*.png") for colour in COLOURS]
    for number, sources in enumerate(([lakes / "lake"], reversed(parts))):
        workspace = make_workspace(tmp_path / f"w{number}")
        for source in sources:
            workspace.scan(source)
        workspace.calibrate(lakes / "known")
        banks.append(workspace.learn_bank(**ants()).bank_digest)
        workspace.use("ants", "ants")
        scores.append(workspace.sql("select image_id, id_score from report.scores order by image_id").to_pylist())
    assert banks[0] == banks[1] and scores[0] == scores[1] and len(scores[0]) == 60


def test_a_spent_budget_loses_nothing_and_the_same_command_goes_on(scanned, scripted):
    made = scripted(describer=described, reasoner=imagined)
    with pytest.raises(BudgetSpent):
        scanned.learn_bank(**ants(), max_calls=3)
    assert scanned.sql("select count(*) as n from report.generator_calls").to_pylist() == [{"n": 3}]
    summary = scanned.learn_bank(**ants())
    total = len(made["describer"].asked) + len(made["reasoner"].asked)
    assert total == 3 + summary.sent
    assert scanned.sql("select count(*) as n from report.generator_calls").to_pylist() == [{"n": total}]
    assert healthy(scanned)


def test_an_interruption_speaks_of_answers_and_not_of_shards(scanned, scripted):
    def stop(request):
        raise KeyboardInterrupt

    scripted(describer=described, reasoner=stop)
    with pytest.raises(RunInterrupted, match="was interrupted; what was answered is kept"):
        scanned.learn_bank(**ants())
    assert scanned.sql("select count(*) as calls from report.generator_calls").to_pylist()[0]["calls"] > 0


def test_a_plan_counts_the_calls_and_writes_nothing(scanned, scripted):
    made = scripted(describer=described, reasoner=imagined)
    plan = {item.prompt: item for item in scanned.plan_bank(**ants())}
    assert not made["describer"].asked and plan["describe-image"].to_make > 0
    assert plan["look-alikes"].calls == 2
    assert scanned.sql("select count(*) as n from report.generator_calls").to_pylist() == [{"n": 0}]
    summary = scanned.learn_bank(**ants())
    assert summary.sent == sum(item.to_make for item in plan.values())
    assert sum(item.to_make for item in scanned.plan_bank(**ants())) == 0


def test_a_dead_describer_leaves_a_bank_of_look_alikes_and_says_so(scanned, scripted):
    scripted(describer=lambda request: TimeoutError("no answer in 120 s"), reasoner=imagined)
    summary = scanned.learn_bank(**ants())
    assert summary.calls["failed"] > 0 and summary.facts["ens_weight"] == 0.0
    assert summary.account["ens"] == 0 and summary.account["vsnl"] == 4
    faults = scanned.sql("select distinct fault from report.generator_calls where status = 'failed'").to_pylist()
    assert faults == [{"fault": "no answer in 120 s"}]
    assert scanned.score(bank="ants", method="ants").scorings[0].scored == 60


def test_names_of_id_labels_never_become_negatives_and_are_counted(scanned, scripted):
    def says_names(request):
        return json.dumps({"description": f"a {request.slots['label']} thing"})

    def repeats(request):
        return json.dumps({"labels": ["Red", "reds", "crimson", "brick"]})

    scripted(describer=says_names, reasoner=repeats)
    summary = scanned.learn_bank(**ants())
    rows = scanned.sql("select label from report.generated_labels").to_pylist()
    assert [row["label"] for row in rows] == ["brick"]  # crimson is a synonym of red, or a kind of it
    assert summary.account["sentences"]["naming_a_class"] > 0


def test_a_version_that_flags_more_held_out_id_images_is_refused_unless_forced(scanned, scripted):
    scripted(describer=described, reasoner=imagined)
    scanned.learn_bank(**ants())

    def near(request):
        return json.dumps({"labels": [f"{request.slots['label']} wall {n}" for n in range(9)]})

    scripted(describer=described, reasoner=near)
    worse = ants(seed=1)
    with pytest.raises(BankError, match="not kept: it flags ") as caught:
        scanned.learn_bank(**worse)
    assert "`force`" in (caught.value.hint or "")
    assert scanned.banks().num_rows == 2, "base and the first version"
    forced = scanned.learn_bank(**worse, force=True)
    assert forced.bank == "ants v2" and forced.sent == 0 and forced.guard is not None
    assert forced.guard["now"]["id_flagged"] > forced.guard["before"]["id_flagged"] and forced.guard["forced"]
    said = f"kept though refused: flags {forced.guard['now']['id_flagged']} of 48 held-out ID images, ants v1 "
    assert str(scanned.show_bank("ants")[0]["guard"]).startswith(said) and said in scanned.bank_page("ants")
    digest = scanned.show_bank("ants")[0]["bank_digest"]
    assert show_version(scanned.layout, f"ants@{digest}", "")["guard"].startswith(said), "on the app's page of banks"
    assert scanned.show_bank("ants@v1")[0]["guard"].startswith("flags ") and "guard" not in scanned.show_bank("base")[0]
    judged = scanned.sql("select version, previous_bank, previous_version, forced from report.bank_guard order by all")
    assert [tuple(row.values()) for row in judged.to_pylist()] == [(1, "base", 1, False), (2, "ants", 1, True)]
    assert scanned.sql("select forced from bank_guard order by all").to_pylist() == [
        {"forced": False},
        {"forced": True},
    ]


def test_a_version_that_was_never_calibrated_is_held_to_a_cut_that_some_id_images_lie_below(scanned, scripted):
    scripted(describer=described, reasoner=imagined)
    scanned.learn_bank(**ants())
    assert len(scanned.plan_bank("ants", settings={"max_cosine": 1.0})) == 2
    second = scanned.learn_bank("ants", settings={"max_cosine": 1.0, "names": 3, "seed": 3}, force=True)
    assert second.guard is not None and second.bank == "ants v2"
    assert second.guard["before"]["id_flagged"] == 2, "5 % of 48, rounded down: a default cut flags none"
    assert second.guard["parent"]["previous_digest"] == scanned.show_bank("base")[0]["bank_digest"]
    scanned.calibrate(keep=0.9, bank="ants", method="ants")
    used = scanned.use("ants")
    assert "weight=" in used.ruled_by.method_id and used.method == "ants", "each version says its weight itself"


def test_the_guard_judges_each_image_at_the_cut_of_its_class(scanned):
    """Two banks as the ledger counts them, by the scores and the cuts that it has of the reference images."""
    summary = scanned.calibrate(alpha=0.1, by_class=True, minimum=20)
    other = SMALL_BANK.replace('"base"', '"other"').replace("noun.motive", "noun.relation")
    scanned.layout.bank_spec("other").write_text(other, encoding="utf-8")
    scanned.score(bank="other")
    count = (
        "select count(*) filter (where score.log_odds < own.min_log_odds) as by_class, "
        "count(*) filter (where score.log_odds < $common) as common, count(*) as images "
        "from calibration_score as reference join score using (image_id) join bank using (bank_digest) "
        "join policy_class as own on own.id_label = reference.id_label "
        "where bank.name = $bank and score.method_id like 'neglabel%' and own.policy_id = $policy_id "
        "and reference.calibration_id = $calibration_id"
    )
    facts = {"policy_id": summary.policy_id, "calibration_id": summary.calibration_id, "common": summary.min_log_odds}
    before, now = (scanned.sql(count, {**facts, "bank": name}).to_pylist()[0] for name in ("base", "other"))
    with reading(scanned.layout) as database:
        context = scanned._context
        encoder_id = context.encoder_id(database)
        previous, bank = (context.find_bank(database, name, encoder_id=encoder_id) for name in ("base", "other"))
        world = LedgerWorld(context, database, previous)
        judged = HeldOut.of(world, (), None)
        assert judged is not None
        figures = guard_figures(world, bank, previous, "neglabel", judged)
    assert figures.now.id_count == before["images"] == now["images"] == 48
    assert (figures.before.id_flagged, figures.now.id_flagged) == (before["by_class"], now["by_class"])
    assert figures.verdict and now["common"] < before["common"], "at the one cut of all classes it would have passed"


def test_embedded_generators_see_so_many_id_images_of_a_class_however_many_there_are(scanned, monkeypatch):
    monkeypatch.setattr("curator.workspace.learn.world.SURROUNDING_OF_CLASS", 5)
    with reading(scanned.layout) as database:
        context = scanned._context
        parent = context.find_bank(database, "base", encoder_id=context.encoder_id(database))
        world = LedgerWorld(context, database, parent)
        labels = world.surroundings.id_image_labels()
        vectors = world.surroundings.id_image_vectors()
        assert len(world.id_images) == 48 and world.reference_images == world.id_images
        assert [image.id_label for image in world.id_images].count(0) == 24, "by the folders that they came in"
    assert sorted(labels.tolist()) == [0] * 5 + [1] * 5 and vectors.shape == (10, parent.vectors.shape[1])


def test_the_spec_is_written_once_and_bank_build_and_make_know_it(scanned, scripted):
    made = scripted(describer=described, reasoner=imagined)
    path = scanned.layout.bank_spec("ants")
    scanned.learn_bank(**ants())
    assert "# images = 2000" in path.read_text(), "written by the first run, every setting with its default"
    path.write_text('name = "ants"\n[ants]\nmax_cosine = 1.0\n', encoding="utf-8")
    bank = scanned.build_bank("ants")
    assert {label.source for label in bank.labels if label.role == "negative"} == {"ants:ens", "ants:vsnl"}
    assert "banks/.stamps/base.built" in scanned.bank_dependencies("ants")
    assert made["reasoner"].asked


def test_the_page_of_a_bank_is_one_file_with_everything(scanned, scripted, run_cli, tmp_path):
    scripted(describer=described, reasoner=imagined)
    scanned.learn_bank(**ants())
    page = tmp_path / "ants.html"
    run_cli("bank", "show", "ants", "--html", page, folder=scanned.layout.root)
    text = page.read_text()
    assert "ants:vsnl (4)" in text and "brick" in text and "ens_weight" in text


@pytest.mark.parametrize(
    ("asked", "error", "said"),
    [
        ({"name": "base"}, UsageError, "mined bank"),
        ({"settings": {"imags": 3}}, ConfigError, "images"),
        ({"parent": "nothing"}, BankError, "nothing"),
    ],
)
def test_what_cannot_be_is_said_before_any_call(scanned, scripted, asked, error, said):
    made = scripted(describer=described, reasoner=imagined)
    with pytest.raises(error, match=said):
        scanned.learn_bank(**ants() | asked)
    assert not made["describer"].asked


def test_an_unknown_generator_is_refused_before_any_work(scanned):
    with pytest.raises(UsageError, match="oracle"):
        Workspace.open(scanned.layout.root, overrides={"generators.reasoner": "oracle"})


def test_an_empty_lake_is_said(workspace):
    with pytest.raises(UsageError, match="holds no images"):
        workspace.learn_bank(**ants())


# Streams


def online(system: str = "ants", **settings) -> dict:
    small = {"batch": 16, "cache_size": 4, "first_class_batch": 2, "class_interval": 1, "max_cosine": 1.0}
    own = small if system == "ants" else {"batch": 16}
    return {"system": system, "name": system, "settings": {"mode": "online", **own, **settings}}


def passing(workspace: Workspace, system: str) -> dict[str, float]:
    rows = workspace.sql(
        f"select image_id, id_score from score where method_id like '{system}-online(%' order by image_id"
    ).to_pylist()
    return {row["image_id"]: row["id_score"] for row in rows}


def test_online_ants_repeats_for_the_same_order_and_says_how_far_another_moves_it(scanned, scripted, tmp_path):
    scripted(describer=described, reasoner=imagined)
    other = Workspace.open(shutil.copytree(scanned.layout.root, tmp_path / "copy"))
    summaries = [workspace.learn_bank(**online(orders=1)) for workspace in (scanned, other)]
    assert summaries[0].bank_digest == summaries[1].bank_digest
    assert passing(scanned, "ants") == passing(other, "ants") and len(passing(scanned, "ants")) == 60
    told = summaries[0].online or {}
    assert told["method_id"].startswith("ants-online(batch=16,stream=") and told["images"] == 60
    (moved,) = told["other_orders"]
    assert moved["largest_change"] > 0 and 0 <= moved["changed_side"] <= 1
    assert healthy(scanned)


def test_a_lake_too_small_for_online_ants_is_said_before_anything_is_asked(scanned, scripted):
    scripted(describer=described, reasoner=imagined)
    with pytest.raises(BankError, match=r"60 images are too few for mode online: .* more than 200 .* batch 10 of 16"):
        scanned.learn_bank(**online(cache_size=200, first_class_batch=10))
    assert scanned.learn_bank(**online(cache_size=200)).sent > 0, "look-alikes alone are enough"


def test_online_scores_stand_beside_the_frozen_ones_in_sql_and_are_stored_once(scanned, scripted):
    scripted(describer=described, reasoner=imagined)
    scanned.learn_bank(**online())
    again = scanned.learn_bank(**online())
    assert again.sent == 0
    scanned.score(bank="ants", method="ants")
    methods = scanned.sql("select distinct method_id from report.compare where bank_name = 'ants'").to_pylist()
    assert {row["method_id"].split("(")[0] for row in methods} == {"ants", "ants-online"}
    assert len(passing(scanned, "ants")) == 60 and healthy(scanned)


@pytest.mark.parametrize(
    ("system", "settings"), rest_slow([("adaneg", {"gap": 0.1}), ("tanl", {"negatives": 20}), ("oodd", {})])
)
def test_systems_without_generators_learn_from_images_alone(scanned, system, settings):
    frozen = scanned.learn_bank(system, system, settings=settings)
    assert frozen.sent == 0 and frozen.bank == f"{system} v1"
    assert scanned.learn_bank(system, system, settings=settings).bank_digest == frozen.bank_digest
    assert scanned.score(bank=system, method=system).scorings[0].scored == 60
    streamed = scanned.learn_bank(system, f"{system}2", settings={**settings, "mode": "online", "batch": 16})
    assert len(passing(scanned, system)) == 60 and streamed.online is not None
    assert healthy(scanned)


def test_interneg_chooses_against_reference_images_and_retrieves_for_images_of_the_lake(scanned):
    given = {"negatives": 20, "per_class": 3, "threshold": 0.9}
    static = scanned.learn_bank("interneg", "interneg", settings=given, force=True)
    assert static.sent == 0 and static.negative_labels == 20 and static.account["passed"] >= 20
    dynamic = {**given, "dynamic": True}
    frozen = scanned.learn_bank("interneg", "interneg", settings=dynamic, force=True)
    assert frozen.negative_labels == 20 + frozen.account["retrieved"] > 20
    assert scanned.score(bank="interneg", method="interneg").scorings[0].scored == 60
    online = scanned.learn_bank("interneg", "other", settings={**dynamic, "mode": "online", "batch": 16}, force=True)
    assert online.online is not None and online.online["images"] == 60
    judged = scanned.learn_bank("interneg", "judged", settings={"negatives": 20}, force=True)
    assert judged.account["images"] == 28 and judged.guard["now"]["id_count"] == 20
    with pytest.raises(ConfigError, match="dynamic"):
        scanned.learn_bank("interneg", "third", settings={**given, "mode": "online"})
    assert healthy(scanned)


def test_negrefine_filters_a_bank_by_what_the_reasoner_says_and_joins_labels_in_pairs(scanned):
    made = scanned.learn_bank("negrefine", "negrefine", settings={"pairs": 50, "nearest": 2}, force=True)
    base = next(row for row in scanned.banks().to_pylist() if row["name"] == "base")
    dropped = sum(made.account["dropped"].values())
    assert made.negative_labels == base["negative_count"] - dropped and made.account["unanswered"] == 0
    assert made.account["pairs_kept"] == 50 and made.account["pair_images"] >= 60
    scorings = scanned.score(bank="negrefine", method=["negrefine", "negrefine:alpha=0"]).scorings
    assert [item.scored for item in scorings] == [60, 60] and "alpha=2" in scorings[0].method_id
    again = scanned.learn_bank("negrefine", "negrefine", settings={"pairs": 50, "nearest": 2}, force=True)
    assert again.sent == 0 and again.bank_digest == made.bank_digest
    assert healthy(scanned)


def test_a_mined_bank_is_refined_when_it_is_built_and_not_by_a_scan(scanned, monkeypatch):
    spec = SMALL_BANK.replace('name = "base"', 'name = "fine"') + 'refine = true\nkeep_labels = ["square"]\n'
    spec += '[[negatives.lists]]\nwords = ["circle of friends"]\n'
    scanned.layout.bank_spec("fine").write_text(spec)
    with pytest.raises(BankError, match="a reasoner has to be asked"):
        scanned.score(bank="fine", method="neglabel")
    words = ("triangle", "square", "circle")

    def says(request):
        return json.dumps({"verdict": "yes" if str(request.slots["label"]).startswith(words) else "no"})

    reasoner = ScriptedGenerator(says, model="r:1")
    monkeypatch.setattr(LedgerWorld, "generator", lambda self, role: reasoner)
    made = scanned.build_bank("fine")
    texts = [label.text for label in made.labels]
    dropped = made.lineage["dropped"]["refined_proper_noun"]
    assert dropped and all(word.startswith(words) for word in dropped)
    assert not set(dropped) & set(texts) and "square" not in dropped and texts[-1] == "circle of friends"
    assert scanned.build_bank("fine").digest == made.digest
    gone = {row["rule"]: row for row in scanned.audit_bank("fine").left_out.to_pylist()}
    assert gone["refined_proper_noun"]["restore"] == "mining.refine = false"
    assert gone["refined_proper_noun"]["words"] == len(dropped)
    assert scanned.score(bank="fine", method="neglabel").scorings[0].scored == 60
    assert healthy(scanned)


def test_adaneg_scores_by_task_and_by_sample(scanned):
    scanned.learn_bank("adaneg", "adaneg", settings={"gap": 0.1})
    scorings = scanned.score(bank="adaneg", method=["adaneg", "adaneg:mode=sample"]).scorings
    assert [item.scored for item in scorings] == [60, 60]


def test_tanl_chooses_from_the_whole_corpus_of_its_parent(scanned):
    summary = scanned.learn_bank("tanl", "tanl", settings={"negatives": 5})
    assert summary.negative_labels == 5
    mined = scanned.banks().to_pylist()
    base = next(row for row in mined if row["name"] == "base")
    assert summary.account["candidates"] > base["negative_count"]


# Two models, and images of the lake


def pictured(request) -> str:
    """What either model of MM-OOD says: drafts that are colours of the lake, then labels that are all new."""
    name = request.prompt.name
    if name == "categorise":
        return json.dumps({"groups": [{"name": "colours", "members": list(request.slots["classes"])}]})
    if name == "sketch":
        return json.dumps({"labels": ["blue", "yellow", "red"]})
    if name == "select":
        return json.dumps({"labels": list(request.slots["labels"])[:2]})
    return json.dumps({"labels": [f"{request.digest[:6]} {place}" for place in range(4)]})


def test_a_bank_of_which_the_limit_left_next_to_nothing_is_refused_unless_forced(scanned, scripted):
    scripted(reasoner=lambda request: json.dumps({"labels": [f"{request.slots['label']} toy {n}" for n in range(15)]}))
    settings = {"branch": "near", "max_cosine": 1.0}
    whole = scanned.learn_bank("mmood", "mmood", settings=settings, force=True)
    bank = load_bank(scanned.layout.bank_versions("mmood") / whole.bank_digest)
    near = np.sort((bank.negative_vectors @ bank.id_vectors.T).max(axis=1))
    limit = {**settings, "max_cosine": float((near[0] + near[1]) / 2)}
    with pytest.raises(
        BankRefused, match=r"too little is left to judge by: only 1 of 30 labels was kept: .*29 lie too"
    ):
        scanned.learn_bank("mmood", "mmood", settings=limit)
    forced = scanned.learn_bank("mmood", "mmood", settings=limit, force=True)
    assert len(near) == 24 and forced.negative_labels == 1 and "`-s max_cosine=" in forced.labels_note
    assert whole.labels_note == ""


def test_a_bank_says_where_one_sentence_was_most_of_what_was_said(scanned, scripted):
    """Which is no reason to refuse it: a lake may hold one kind of thing, and look-alikes are beside it."""
    same = json.dumps({"description": "a picture of number one"})
    scripted(describer=lambda request: same, reasoner=imagined)
    made = scanned.learn_bank(**ants(), force=True)
    assert made.labels_note == "10 of 10 answers are the same, 'a picture of number one'" and made.negative_labels > 1


SETTINGS = {"ants": {}, "mmood": {"branch": "near"}, "eoe": {"task": "near"}}


@pytest.mark.parametrize("system", ["ants", *(pytest.param(name, marks=pytest.mark.slow) for name in ("mmood", "eoe"))])
def test_a_bank_that_was_learnt_is_proposed_for_and_keeps_what_its_method_goes_by(scanned, scripted, system, tmp_path):
    scripted(describer=described, reasoner=lambda request: imagined(request) if "label" in request.slots else "{}")
    scanned.learn_bank(system, system, settings={"max_cosine": 1.0, **SETTINGS[system]}, force=True)
    scanned.calibrate(bank=system, method=system, keep=0.5)
    scanned.use(system)
    rows = scanned.sql(
        "select image_id, group_id from report.scores join report.group_members using (image_id) where flagged"
    ).to_pylist()
    path = tmp_path / "decided.jsonl"
    path.write_text("".join(json.dumps({**row, "decision": "id"}) + "\n" for row in rows), encoding="utf-8")
    assert scanned.reviews.import_from(path, reviewer="ann").faults == ()
    found = scanned.reviews.propose(system, build=True)
    assert found.method_id.startswith(f"{system}(") and found.built and found.proposed
    tables = [scanned.show_bank(name, limit=100)[1].to_pylist() for name in (system, f"{system}-reviewed")]
    old, new = ({row["text"]: row["source"] for row in rows if row["role"] == "negative"} for rows in tables)
    assert new.items() < old.items(), "fewer labels, of the sources that they had"
    scanned.use(f"{system}-reviewed")
    assert Workspace.open(scanned.layout.root).config.scan.method.startswith(system)
    assert scanned.reviews.propose("base").method_id.startswith("neglabel("), "a mined bank is judged as it suits it"
    assert healthy(scanned)


def test_the_turns_of_a_long_conversation_are_kept_as_they_grow_and_found_again(scanned, scripted, monkeypatch):
    def say(request):
        return json.dumps({"labels": [f"label {len(request.history)}", f"other {len(request.history)}"]})

    monkeypatch.setattr("curator.workspace.stored.calls.PORTION", 1)  # each call by itself
    made = scripted(reasoner=say)
    settings = {"task": "far", "total": 24, "per_turn": 2, "max_cosine": 1.0}
    first = scanned.learn_bank("eoe", "eoe", settings=settings)
    inputs = [row["inputs"] for row in scanned.sql("select inputs from report.generator_calls").to_pylist()]
    assert len(inputs) == len(made["reasoner"].asked) == 12
    sizes = {len(json.loads(text)["history"]): len(text) for text in inputs}
    assert sizes.keys() == set(range(12)) and sizes[11] < 5_000
    again = scanned.learn_bank("eoe", "again", settings=settings)
    assert first.sent == 12 and again.sent == 0 and again.negative_labels == first.negative_labels == 24


@pytest.mark.parametrize("eyes", ["reasoner", "endpoint:eyes"])
def test_a_viewer_of_its_own_gets_the_turns_with_images_and_is_the_reasoner_by_default(scanned, scripted, eyes):
    made = scripted(reasoner=pictured, viewer=pictured, painter=pictured)
    made["painter"].model = "features"
    workspace = Workspace.open(scanned.layout.root, overrides={"generators.viewer": eyes})
    settings = {"max_cosine": 1.0, "total": 8, "representatives": 2}
    summary = workspace.learn_bank("mmood", "mmood", settings=settings)
    rows = workspace.sql("select role, model, prompt, inputs from report.generator_calls").to_pylist()
    seen = {row["prompt"] for row in rows if json.loads(row["inputs"])["pictures"]}
    viewer = "reasoner" if eyes == "reasoner" else "viewer"
    assert seen == {"near-outliers-image", "elaborate-lake"} and made["painter"].asked == []
    assert {row["role"] for row in rows if row["prompt"] in seen} == {viewer}
    assert {row["role"] for row in rows if row["prompt"] not in seen} == {"reasoner"}
    assert made[viewer].asked and (viewer == "reasoner") == (made["viewer"].asked == [])
    shown = [request for request in made[viewer].asked if request.prompt.name == "elaborate-lake"]
    uris = {row["image_id"]: row["uri"] for row in workspace.sql("select image_id, uri from report.images").to_pylist()}
    colours = {request.slots["label"]: Path(uris[request.pictures[0].image_id]).name.split("-")[0] for request in shown}
    assert colours == {"blue": "blue", "yellow": "yellow"}, "the nearest of the lake, and none of an ID class"
    assert summary.negative_labels == 8 and healthy(workspace)

"""MM-OOD: the conversation's structure stage by stage, sizes of the branches, and what goes on when calls do not."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curator.errors import BankError, ConfigError
from curator.methods.kernels.farthest import farthest_points
from curator.systems.mmood import far
from curator.systems.mmood.far import OTHERS
from curator.systems.mmood.learn import learn_mmood
from curator.systems.mmood.session import FAR, NEAR, round_robin
from curator.systems.mmood.settings import MmoodSettings
from curator.systems.world import IdImage

IDS = ("zebra", "moped", "brambling")
GROUPS = {"beasts": ["Zebra", "brambling", "unicorn"], "machines": ["moped", "zebra"]}


class Model:
    """Answers every stage, but for the stages given, which get something else."""

    def __init__(self, **other):
        self.other = other

    def __call__(self, role, request):
        name = request.prompt.name
        if name in self.other:
            found = self.other[name]
            return found(request) if callable(found) else found
        if name == "categorise":
            return GROUPS
        if name == "draw":
            return f"{request.slots['label']}.jpg".encode()
        if name == "select":
            return [request.slots["labels"][-1]]
        about = request.slots.get("label") or request.slots.get("group") or "more"
        count = request.slots["count"]
        return [f"{about[:5]} {name} {len(request.history)} {place}" for place in range(count)]


@pytest.fixture
def learn(scripted, world_of, monkeypatch):
    """Runs MM-OOD; returns what was learnt and what was asked. images: names by label, by default two of each."""

    def run(
        model=None, *, images=None, ids=IDS, farthest=lambda labels, count: list(labels)[:count], tokens=None,
        painter="diffusers:scripted", lake=None, seen=None, **options,
    ):  # fmt: skip
        asking, world = scripted(model or Model(), tokens=tokens, painter=painter), world_of(*ids)
        world.lake = lake or {}
        if seen is not None:
            seen.append(asking)
        shown = {text: [f"img-{text}", f"img2-{text}"] for text in ids} if images is None else images
        world.id_images = tuple(
            IdImage(name, ids.index(text), 100, 100 - place)
            for text, names in shown.items()
            for place, name in enumerate(names)
        )
        monkeypatch.setattr(far, "farthest_labels", lambda world, labels, count: farthest(labels, count))
        return learn_mmood(world, asking, MmoodSettings(**options)), asking

    return run


def of(learned, source):
    return [proposal for proposal in learned.negatives if proposal.source == source]


def test_near_shows_an_image_of_each_class_in_a_fresh_conversation(learn):
    learned, asking = learn(branch="near")
    assert asking.stages == [("near-outliers-image", 3)]
    for text, request in zip(IDS, asking.requests, strict=True):
        assert request.slots == {"label": text, "count": 12} and request.history == ()
        assert [picture.image_id for picture in request.pictures] == [f"img-{text}"]
    assert len(learned.negatives) == 36 == learned.account["labels_effective"]
    assert [proposal.concerns for proposal in learned.negatives[:4]] == ["zebra", "moped", "brambling", "zebra"]
    assert learned.used_images == {"img-zebra", "img-moped", "img-brambling"}
    assert learned.facts == {"mix": "labels", "near_weight": 0.5}


def test_a_class_without_an_image_is_asked_about_in_words_and_counted(learn):
    learned, asking = learn(branch="near", images={"zebra": ["img-zebra"]})
    assert [request.prompt.name for request in asking.requests] == [
        "near-outliers-image",
        "near-outliers",
        "near-outliers",
    ]
    assert learned.account["classes_without_image"] == 2 and learned.used_images == {"img-zebra"}


def test_far_takes_every_group_through_every_stage_together(learn):
    learned, asking = learn(branch="far", groups=2, total=12, sketch=3, include_sketch=False)
    assert [(role, *stage) for (role, _), stage in zip(asking.batches, asking.stages, strict=True)] == [
        ("reasoner", "categorise", 1),
        ("reasoner", "sketch", 2),
        ("reasoner", "select", 2),
        ("painter", "draw", 2),
        ("viewer", "elaborate", 2),
    ]
    assert asking.requests[0].slots == {"classes": IDS, "count": 2}
    sketches, elaborations = asking.requests[1:3], asking.requests[-2:]
    assert [request.slots["classes"] for request in sketches] == [("zebra", "brambling"), ("moped",)]
    assert all(request.slots["classes"] == IDS and request.slots["count"] == 10 for request in elaborations)
    assert len(learned.negatives) == 12 and {proposal.source for proposal in learned.negatives} == {FAR}
    assert [entry["label"] for entry in learned.pictures] == [request.slots["label"] for request in elaborations]
    assert [entry["group"] for entry in learned.pictures] == ["beasts", "machines"]
    assert all(entry["artefact"] and entry["call_id"] for entry in learned.pictures)
    assert learned.used_images == frozenset()


def test_a_picture_stands_only_in_the_turn_that_introduces_it(learn):
    model = Model(
        **{"elaborate": lambda request: ["o1"], "elaborate-more": lambda request: [f"m{len(request.history)}"]}
    )
    _, asking = learn(model, branch="far", groups=1, total=4)
    said = [request for request in asking.requests if request.prompt.name != "draw"]
    assert [request.prompt.name for request in said] == [
        *("categorise", "sketch", "sketch", "select", "select", "elaborate", "elaborate"),
        "elaborate-more",
    ]
    last = said[-1]
    assert [turn.request.prompt.name for turn in last.history] == ["sketch", "select", "elaborate"]
    assert [len(message.pictures) for message in last.messages()] == [0, 0, 0, 0, 1, 0, 0]
    assert {role for role, requests in asking.batches if requests[0].prompt.name.startswith("elaborate")} == {"viewer"}


def test_elaboration_ends_at_its_goal_or_with_the_last_round(learn):
    slow = {"elaborate": lambda request: ["o1"], "elaborate-more": lambda request: [f"m{len(request.history)}"]}
    learned, asking = learn(Model(categorise={"all": list(IDS)}, **slow), branch="far", total=3)
    assert [stage for stage, _ in asking.stages].count("elaborate-more") == 2
    assert learned.account["groups"][0]["turns"] == 3 and len(learned.negatives) == 3
    slowly = {"branch": "far", "total": 100, "include_sketch": False}
    learned, asking = learn(Model(categorise={"all": list(IDS)}, **slow), **slowly, rounds=7)
    assert len(learned.negatives) == 7  # one a round
    learned, asking = learn(Model(categorise={"all": list(IDS)}, **slow), **slowly)
    assert len(learned.negatives) == 5  # twice the two turns that a hundred labels take, and one
    repeating = {"elaborate": ["o1"], "elaborate-more": ["O1"]}
    learned, asking = learn(Model(categorise={"all": list(IDS)}, **repeating), branch="far", total=100)
    assert [stage for stage, _ in asking.stages].count("elaborate-more") == 1


def test_a_class_belongs_to_one_group_and_those_in_none_make_their_own(learn):
    learned, _ = learn(Model(categorise={"beasts": ["ZEBRA", "zebra"]}), branch="far", groups=3)
    assert [(group["name"], group["classes"]) for group in learned.account["groups"]] == [("beasts", 1), (OTHERS, 2)]
    assert learned.account["classes_in_no_group"] == 2
    learned, _ = learn(Model(categorise="rejected"), branch="far")
    assert [(group["name"], group["classes"]) for group in learned.account["groups"]] == [(OTHERS, 3)]


def test_no_more_groups_are_made_than_were_asked_for_but_one(learn):
    learned, _ = learn(Model(categorise={text: [text] for text in IDS}), branch="far", groups=1)
    assert [group["name"] for group in learned.account["groups"]] == ["zebra", OTHERS]


def test_what_is_painted_is_a_member_of_the_cleaned_list(learn):
    asked = []

    def farthest(labels, count):
        asked.append((tuple(labels), count))
        return list(labels)[-count:]

    model = Model(categorise={"all": list(IDS)}, sketch=["Zebra", "Kite", "anvil", "gable"], select=["zebra", "kite"])
    learned, asking = learn(model, branch="far", representatives=2, farthest=farthest)
    select = next(request for request in asking.requests if request.prompt.name == "select")
    assert select.slots["labels"] == ("kite", "anvil", "gable")  # the ID class is not offered
    assert asked == [(("anvil", "gable"), 1)]
    assert [entry["label"] for entry in learned.pictures] == ["kite", "gable"]
    assert learned.account["select_fallbacks"] == 1
    told = [request for request in asking.requests if request.prompt.name == "elaborate"]
    assert [request.slots["label"] for request in told] == ["kite", "gable"]
    assert [len(request.pictures) for request in told] == [1, 1], "a model may know one picture a conversation"


def test_a_choice_of_one_is_not_asked_for(learn):
    learned, asking = learn(Model(categorise={"all": list(IDS)}, sketch=["kite"]), branch="far")
    assert "select" not in [stage for stage, _ in asking.stages]
    assert [entry["label"] for entry in learned.pictures] == ["kite"]


def test_a_label_is_painted_once_with_a_seed_of_its_own(learn):
    _, first = learn(Model(sketch=["kite", "anvil"], select=["kite"]), branch="far")
    draws = [request for request in first.requests if request.prompt.name == "draw"]
    assert [request.slots["label"] for request in draws] == ["kite"]
    assert draws[0].settings == {"steps": 50, "guidance": 7.5, "width": 512, "height": 512}
    _, second = learn(
        Model(sketch=["kite", "anvil"], select=lambda request: request.slots["labels"][:2]),
        branch="far",
        representatives=1,
        groups=1,
    )
    assert draws[0].seed in [request.seed for request in second.requests if request.prompt.name == "draw"]
    _, other = learn(Model(sketch=["kite", "anvil"], select=["kite"]), branch="far", seed=1)
    assert draws[0].seed not in [request.seed for request in other.requests]


def test_drafts_fill_up_what_elaboration_left(learn):
    model = Model(**{"sketch": ["kite", "anvil"], "elaborate": ["o1", "o2"], "elaborate-more": "failed"})
    learned, _ = learn(Model(categorise={"all": list(IDS)}, **model.other), branch="far", total=3)
    assert [proposal.text for proposal in learned.negatives] == ["o1", "o2", "kite"]


@pytest.mark.parametrize(("total", "near", "far"), [(12, 6, 6), (7, 4, 3), (None, 18, 18)])
def test_mixing_labels_takes_half_of_each_branch(learn, total, near, far):
    learned, _ = learn(total=total)
    assert (len(of(learned, NEAR)), len(of(learned, FAR))) == (near, far)
    assert [proposal.source for proposal in learned.negatives] == [NEAR] * near + [FAR] * far
    assert learned.facts["mix"] == "labels"
    assert learned.account["labels_nominal"] == near + far


def test_mixing_scores_takes_both_branches_whole(learn):
    learned, _ = learn(mix="scores", near_weight=0.25)
    assert (len(of(learned, NEAR)), len(of(learned, FAR))) == (36, 36)
    assert learned.facts == {"mix": "scores", "near_weight": 0.25}


def test_scores_are_not_mixed_where_a_branch_is_empty(learn):
    dead = {"sketch": "failed", "categorise": "failed"}
    learned, _ = learn(Model(**dead), mix="scores")
    assert len(of(learned, NEAR)) == 36 and learned.facts["mix"] == "labels"
    assert learned.account["calls"]["sketch"] == {"asked": 1, "answered": 0, "rejected": 0, "failed": 1}


def test_a_label_of_both_branches_is_near(learn):
    same = {"near-outliers-image": ["kite", "anvil"], "sketch": ["Kite", "gable"], "elaborate": ["ANVIL", "barrow"]}
    learned, _ = learn(Model(**same, **{"elaborate-more": "failed"}))
    assert [proposal.text for proposal in of(learned, NEAR)] == ["kite", "anvil"]
    assert [proposal.text for proposal in of(learned, FAR)] == ["barrow", "gable"]


def test_a_draft_without_a_picture_is_gone_on_from_in_words_and_counted(learn):
    model = Model(draw=lambda request: "failed" if request.slots["label"].startswith("beast") else b"x.jpg")
    learned, asking = learn(model, branch="far", groups=2, sketch=4, total=200, include_sketch=False)
    assert [group["shown"] != [] for group in learned.account["groups"]] == [False, True]
    assert [group["gained"] for group in learned.account["groups"]] == [100, 100]
    assert learned.account["without_picture"] == 1
    told = [(role, request) for role, requests in asking.batches for request in requests]
    words = [(role, request.prompt.name) for role, request in told if role == "reasoner"][-2:]
    assert words == [("reasoner", "elaborate-words"), ("reasoner", "far-outliers-more")]


MANY = tuple(f"class {number:03d}" for number in range(300))


def obliging(request):
    """Groups, names and labels as they are asked for, each new."""
    name = request.prompt.name
    if name == "assign-groups":
        groups = request.slots["groups"]
        return {group: request.slots["classes"][place :: len(groups)] for place, group in enumerate(groups)}
    if name == "draw":
        return f"{request.slots['label']}.jpg".encode()
    digest = request.digest[:8]
    return [f"{name[:9]} {digest} {place}" for place in range(request.slots["count"])]


def test_hundreds_of_classes_give_as_many_labels_as_are_wanted_within_what_a_model_holds(learn):
    """At 3,000 tokens, no list of classes is whole, and no turn asks for more than 50."""
    learned, asking = learn(lambda role, request: obliging(request), ids=MANY, images={}, branch="far", tokens=3000)
    assert len(of(learned, FAR)) == 12 * 300
    said = [request for request in asking.requests if request.prompt.name != "draw"]
    assert max(request.slots.get("count", 0) for request in said) <= 50
    assert max(request.tokens for request in said) <= 3000
    chunks = [request.slots["classes"] for request in said if request.prompt.name == "assign-groups"]
    assert {len(chunk) for chunk in chunks} == {50} and {text for chunk in chunks for text in chunk} == set(MANY)
    assert [group["classes"] for group in learned.account["groups"]] == [30] * 10
    assert max(len(message.pictures) for request in said for message in request.messages()) == 1
    assert sum(group["turns_forgotten"] for group in learned.account["groups"]) > 0


def test_classes_that_the_first_round_left_out_are_asked_about_once_more(learn):
    rounds = []

    def model(role, request):
        if request.prompt.name != "assign-groups":
            return obliging(request)
        rounds.append(request.slots["classes"])
        return {"one": request.slots["classes"][: len(rounds) * 20], "a new one": request.slots["classes"][-1:]}

    learned, _ = learn(model, ids=MANY[:60], images={}, branch="far", groups=1, total=10, tokens=9000)
    assert [len(chunk) for chunk in rounds] == [50, 10, 30]
    assert learned.account["classes_in_no_group"] == 0


def test_without_a_painter_images_of_the_lake_near_the_drafts_are_shown(learn):
    """One that lies nearer to an ID label is passed over; a draft that has no other gives way to one that has."""
    drafts = ["kite", "anvil", "gable"]
    lake = {"id-kite": ("zebra", "kite"), "far-anvil": ("anvil",), "far-gable": ("gable",)}
    model = Model(categorise={"all": list(IDS)}, sketch=drafts, select=["kite", "anvil"])
    learned, asking = learn(model, branch="far", representatives=2, painter="features", lake=lake)
    assert "painter" not in {role for role, _ in asking.batches}
    told = [request for request in asking.requests if request.prompt.name == "elaborate-lake"]
    assert [(request.slots["label"], request.pictures[0].image_id) for request in told] == [
        ("anvil", "far-anvil"),
        ("gable", "far-gable"),
    ]
    assert learned.used_images == {"far-anvil", "far-gable"}, "they judge the bank no more"
    assert learned.pictures == () and learned.account["without_picture"] == 0
    assert len(learned.negatives) == 36
    learned, asking = learn(model, branch="far", representatives=2, painter="features", lake={})
    assert learned.account["without_picture"] == 2 and "elaborate-words" in [name for name, _ in asking.stages]


def test_another_template_than_the_id_labels_have_is_refused_before_anything_is_asked(learn):
    with pytest.raises(ConfigError, match=r"mmood.template is 'nice', but the ID labels of bank base have 'a photo of"):
        learn(lambda role, request: pytest.fail("asked"), template="nice")
    learned, _ = learn(branch="near", template="a photo of a {}.")
    assert learned.negatives[0].prompt.startswith("a photo of a zebra near-outliers-image")


def test_a_dead_model_is_an_error(learn):
    with pytest.raises(BankError, match="0 were answered"):
        learn(lambda role, request: "failed")


@pytest.mark.parametrize("painter", ["features", "diffusers:m"])
def test_a_plan_counts_what_will_be_asked_at_least(learn, painter):
    """As many requests as are made of a model that does as it is told."""
    shape = {"ids": MANY, "images": {}, "branch": "far", "tokens": 9000, "painter": painter, "include_sketch": False}
    planned = []

    def dead(role, request):
        return "failed"

    with pytest.raises(BankError):
        learn(dead, **shape, seen=planned)
    lake = {f"lake-{number}": ("kite",) for number in range(3)} if painter == "features" else {}
    _, asking = learn(lambda role, request: obliging(request), **shape, lake=lake)
    expected = Counter(request.prompt.name for _, request in planned[0].expected)
    expected += Counter(request.prompt.name for request in planned[0].requests)
    made = Counter(request.prompt.name for request in asking.requests)
    assert expected["assign-groups"] == made["assign-groups"] == 6
    assert expected["sketch"] == made["sketch"] == expected["select"] == made["select"] == 10
    assert expected["draw"] == made["draw"] == (0 if painter == "features" else 30)
    assert sum(count for name, count in expected.items() if name.startswith("elaborate")) == 12 * 300 / 50


@settings(deadline=None)
@given(st.lists(st.integers(0, 5), max_size=5))
def test_round_robin_loses_nothing_and_keeps_the_order_of_each_list(lengths):
    mixed = round_robin([[(row, place) for place in range(length)] for row, length in enumerate(lengths)])
    assert mixed == sorted(mixed, key=lambda item: (item[1], item[0]))
    assert len(set(mixed)) == len(mixed) == sum(lengths)


def test_the_farthest_points_are_far_from_the_id_labels_and_from_one_another():
    angles = np.radians([10.0, 170.0, 175.0, 90.0])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    ids = np.array([[1.0, 0.0]], dtype=np.float32)
    assert farthest_points(vectors, ids, 2).tolist() == [2, 3]
    assert sorted(farthest_points(vectors, ids, 9).tolist()) == [0, 1, 2, 3]
    assert farthest_points(vectors[:0], ids, 2).tolist() == []


@pytest.mark.parametrize(("classes", "groups"), [(1, 1), (10, 1), (11, 2), (100, 10), (1000, 10)])
def test_the_number_of_groups_grows_with_the_classes_up_to_ten(classes, groups):
    assert MmoodSettings().group_count(classes) == groups
    assert MmoodSettings().label_count(classes) == 12 * classes


@pytest.mark.parametrize(
    ("table", "named"),
    [({"brnch": "near"}, "did you mean mmood.branch"), ({"near_weight": 1.5}, "near_weight"), ({"mix": "both"}, "mix")],
)
def test_settings_name_what_is_wrong(table, named):
    with pytest.raises(ConfigError, match=named):
        MmoodSettings.resolve(table)

"""Which images of a lake are learnt from: no more than calibrated p-values say are OOD."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from curator.errors import BankRefused
from curator.metrics import auroc
from curator.systems.eoe.settings import EoeSettings
from curator.systems.interneg.settings import InterNegSettings
from curator.systems.synood.settings import SynoodSettings
from curator.systems.world import IdImage
from curator.workspace.learn.excess import find_excess, learnt_from, refuse_without_excess
from curator.workspace.learn.guard import (
    GuardFigures,
    HeldOut,
    SideFigures,
    leave_judges,
    most_lost,
    refuse_if_worse,
    refuse_without_judges,
    why_unjudged,
)


def names(count: int, start: int = 0) -> list[str]:
    """Ids whose halves alternate."""
    return [f"{number:032x}" for number in range(start, start + count)]


class MadeWorld:
    """Images on a line: the score of an image is its first coordinate, what it looks like its other two."""

    def __init__(self, lake, reference, decisions=None):
        self.lake = dict(zip(names(len(lake)), np.array(lake, dtype=np.float32), strict=True))
        self.known = dict(zip(names(len(reference), 10_000), np.array(reference, dtype=np.float32), strict=True))
        self.decisions = decisions or {}
        self.reference_images = tuple(IdImage(name, 0, 1, 1) for name in self.known)
        self.parent = SimpleNamespace(name="base")

    @property
    def base_scorer(self):
        return SimpleNamespace(score=lambda vectors: [SimpleNamespace(log_odds=vectors[:, 0].astype(float))])

    def sample_ids(self, most):
        return sorted(self.lake)[: most or None]

    def lake_vectors(self, image_ids):
        return np.array([self.lake[name] for name in image_ids], dtype=np.float32).reshape(len(image_ids), 3)

    def reference_vectors(self, image_ids):
        return np.array([self.known[name] for name in image_ids], dtype=np.float32).reshape(len(image_ids), 3)


def images(scores, look=(1.0, 0.0)):
    return [(score, *look) for score in scores]


REFERENCE = images(np.linspace(0, 10, 200))
ID = images(np.linspace(0, 10, 300))
OOD = images(np.linspace(-3, -1, 100), look=(0.0, 1.0))


def test_a_lake_of_id_images_is_refused_with_its_figures():
    world = MadeWorld(ID, REFERENCE)
    found = find_excess(world, 0)
    assert found.share.share < 0.01 and not found.share.clear
    with pytest.raises(BankRefused, match=r"tanl: \d+ of 300 images of the lake score as 5.0% of ID images") as caught:
        refuse_without_excess(world, found, "tanl")
    assert "`force`" in (caught.value.hint or "")


def test_too_few_references_are_said_with_what_to_run():
    world = MadeWorld(ID, REFERENCE[:18])
    with pytest.raises(BankRefused, match="18 reference images are too few") as caught:
        refuse_without_excess(world, find_excess(world, 0), "ants")
    assert "curator calibrate --reference" in (caught.value.hint or "")


def test_no_more_images_are_taken_than_there_are_and_half_of_the_lake_is_left_to_judge():
    world = MadeWorld([*ID, *OOD], REFERENCE)
    found = find_excess(world, 0)
    refuse_without_excess(world, found, "tanl")
    assert found.share.low > 0.2 and found.share.share == pytest.approx(0.25, abs=0.01)
    assert all(map(learnt_from, (*found.suspects.ood, *found.suspects.kept)))
    assert not any(map(learnt_from, found.judging)) and len(found.judging) == round(found.share.share * 200)
    assert len(found.suspects.ood) == round(found.share.share * 200)
    true = set(names(400)[300:])
    assert set(found.suspects.ood[:50]) <= true and not true & set(found.suspects.kept)
    assert set(found.judging[:50]) <= true


def test_of_all_below_the_cut_those_that_look_least_like_the_reference_are_taken_whatever_they_score():
    """The ID images here score lowest of all."""
    odd = images(np.linspace(-9, -8, 10))
    world = MadeWorld([*ID, *odd, *OOD], REFERENCE)
    taken = find_excess(world, 0).suspects.ood
    assert set(taken[:50]) <= set(names(410)[310:])


def test_what_is_found_does_not_depend_on_how_many_vectors_are_held_at_a_time(monkeypatch):
    draws = np.random.default_rng(0)
    lake = [(score, *draws.normal(size=2)) for score in np.linspace(-3, 10, 200)]
    known = [(score, *draws.normal(size=2)) for score in np.linspace(0, 10, 100)]
    found = []
    for rows in (1000, 7):
        monkeypatch.setattr("curator.workspace.learn.excess.ROWS", rows)
        found.append(find_excess(MadeWorld(lake, known), 0))
    assert found[0] == found[1] and len(found[0].suspects.ood) > 10


def test_decided_images_are_known_and_not_counted_as_chance():
    decided = dict.fromkeys(names(400)[300:310], False) | dict.fromkeys(names(4), True)
    world = MadeWorld([*ID, *OOD], REFERENCE[:18], decided)
    found = find_excess(world, 0)
    assert (found.share.known, found.share.fewest, found.share.images) == (10, 10, 396)
    assert found.share.clear and set(found.suspects.ood) == {name for name in names(400)[300:310] if learnt_from(name)}
    assert not set(decided) & {*found.judging, *found.suspects.kept}


# The guard


def side(**figures) -> SideFigures:
    return SideFigures(**{"id_count": 40, "id_flagged": 2, "ood_count": 5, "ood_flagged": 4, "auroc": 0.9} | figures)


@pytest.mark.parametrize(
    ("now", "lost", "said"),
    [
        ({}, 0.01, None),
        (
            {},
            0.0101,
            "its AUROC against 30 images of the lake that look OOD is 0.6100, before 0.6000",
        ),
        ({"id_flagged": 3}, 0.0, "it flags 3 of 40 ID images, before 2"),
        ({"ood_flagged": 3}, 0.0, "it flags 3 of 5 OOD images, before 4"),
        ({"auroc": 0.894}, 0.0, "its AUROC is 0.8940, before 0.9000"),
    ],
)
def test_one_rule_judges_by_id_by_decided_and_by_undecided_images(now, lost, said):
    old, new = side(lake_auroc=0.6), side(lake_auroc=0.61, **now)
    figures = GuardFigures("b" * 32, "a" * 32, "tanl()", "neglabel()", 0.0, old, new, 30, lost)
    if said is None:
        assert figures.verdict is None
        return refuse_if_worse(figures, "tanl", "parent base")
    assert (figures.verdict or "").startswith(said)
    with pytest.raises(BankRefused, match="parent base, aaaaaaaaaaaa"):
        refuse_if_worse(figures, "tanl", "parent base")
    return None


@pytest.mark.parametrize(
    ("now", "unsure", "hint"),
    [
        (
            {"lake_auroc": 0.61},
            "that is no loss, but with so few images the loss may be",
            "so that more of them judge it",
        ),
        ({"lake_auroc": 0.59}, ": the loss may be", "or change its settings"),
        ({"lake_auroc": 0.61, "id_flagged": 3}, "flags 3 of 40", "or change its settings"),
    ],
)
def test_a_bank_that_too_few_images_judge_is_not_called_worse(now, unsure, hint):
    old, new = side(lake_auroc=0.6), side(**now)
    figures = GuardFigures("b" * 32, "a" * 32, "tanl()", "neglabel()", 0.0, old, new, 11, 0.035)
    with pytest.raises(BankRefused, match=unsure) as refused:
        refuse_if_worse(figures, "tanl", "parent base")
    assert hint in (refused.value.hint or "")


@pytest.mark.parametrize(
    ("parent", "said"),
    [
        ({"most_lost": 0.0}, None),
        ({"now": side(lake_auroc=0.6, id_flagged=9)}, None),  # flags are for the bank before
        ({"most_lost": 0.012}, "beside the parent its AUROC against 30 images"),
        ({"now": side(auroc=0.894, lake_auroc=0.6)}, "beside the parent its AUROC is 0.8940, before 0.9000"),
        ({"half_count": 464, "half_lost": 0.1}, "beside the parent its AUROC against all 464"),
    ],
)
def test_a_later_version_is_compared_with_the_parent_by_auroc_alone(parent, said):
    same = side(lake_auroc=0.6)
    facts = {"bank_digest": "b" * 32, "method_id": "ants()", "previous_method_id": "ants()", "min_log_odds": 0.0}
    facts |= {"before": same, "now": same, "lake_count": 30, "most_lost": 0.0}
    beside = GuardFigures(**{**facts, "previous_digest": "c" * 32, **parent})
    figures = GuardFigures(**facts, previous_digest="a" * 32, parent=beside)
    assert figures.own_verdict is None and figures.said("before").endswith("; the parent 0.6000")
    assert (figures.verdict or "").startswith(said or "") and (figures.verdict is None) == (said is None)
    if said:
        with pytest.raises(BankRefused, match=r"\(the parent, cccccccccccc\)"):
            refuse_if_worse(figures, "ants", "the version before")


@pytest.mark.parametrize(("lost", "kept"), [(-0.01, True), (0.0, True), (0.0018, True), (0.0022, False)])
def test_a_bank_that_loses_against_the_whole_half_is_refused_however_well_it_tells_what_is_far(lost, kept):
    old, new = side(lake_auroc=0.6), side(lake_auroc=0.9)
    figures = GuardFigures("b" * 32, "a" * 32, "tanl()", "neglabel()", 0.0, old, new, 30, -0.2, False, 464, lost)
    assert (figures.verdict is None) == kept
    if not kept:
        assert figures.verdict == (
            "its AUROC against all 464 images of the half of the lake that it was not learnt from, whatever they look "
            "like, is 0.220 points less, more than 0.216"
        )


@pytest.mark.parametrize(
    ("looking", "half", "lost", "kept"),
    [
        (0, 300, 1 / 301, True),  # what one image makes is chance
        (0, 300, 1 / 299, False),
        (1000, 10_000, 0.0005, True),  # half a point of a tenth that looks OOD
        (1000, 10_000, 0.00051, False),
        (5000, 10_000, 0.0025, True),
        (5000, 10_000, 0.0026, False),
    ],
)
def test_how_much_may_be_lost_against_the_whole_half_is_as_of_decided_images_in_its_share_of_ood(
    looking, half, lost, kept
):
    old, new = side(lake_auroc=0.6), side(lake_auroc=0.6)
    counted = {"lake_count": looking, "half_count": half, "half_lost": lost, "most_lost": 0.0}
    for system in ("adaneg", "negrefine", "mmood"):
        figures = GuardFigures("b" * 32, "a" * 32, system, "neglabel()", 0.0, old, new, **counted)
        assert (figures.verdict is None) == kept


@pytest.mark.parametrize(("ood", "lake", "enough"), [(9, False, False), (10, False, True), (0, True, True)])
def test_a_bank_that_no_ood_image_can_speak_for_is_refused(ood, lake, enough):
    rows = np.zeros((12, 3), dtype=np.float32)
    judged = HeldOut(np.zeros((30 + ood, 3), dtype=np.float32), np.arange(30 + ood) < 30, 30, rows if lake else None)
    for case in (judged,) if enough else (judged, None):
        if enough:
            refuse_without_judges(case, "tanl")
            continue
        with pytest.raises(BankRefused, match="fewer than 10 images of the lake look OOD"):
            refuse_without_judges(case, "tanl")


def test_the_most_that_is_lost_is_delongs_bound():
    """Against a bootstrap of the images, with a bank that is better, one that is worse, and the same one."""
    draws = np.random.default_rng(5)
    inside, outside = draws.normal(1, 1, 300), draws.normal(0, 1, 60)
    for noise, shift in ((0.5, 0.6), (0.5, -0.4)):
        other = inside + shift + draws.normal(0, noise, 300), outside + draws.normal(0, noise, 60)
        found = []
        for _ in range(1000):
            rows, columns = draws.integers(0, 300, 300), draws.integers(0, 60, 60)
            found.append(auroc(inside[rows], outside[columns]) - auroc(other[0][rows], other[1][columns]))
        bound = most_lost((inside, other[0]), (outside, other[1]))
        assert bound == pytest.approx(np.quantile(found, 0.95), abs=0.008)
    assert most_lost((inside, inside), (outside, outside)) == 0.0


def test_a_bank_that_no_ood_image_could_judge_says_so():
    few, enough = SideFigures(30, 1, 9, 4, 0.9), SideFigures(30, 1, 10, 4, 0.9)
    seen = SideFigures(30, 1, 0, 0, None, lake_auroc=0.9)
    for side, unjudged in ((few, True), (enough, False), (seen, False)):
        said = GuardFigures("a", "b", "eoe", "neglabel", 0.0, side, side).said("parent base")
        assert ("too few OOD images to judge it by" in said) is unjudged


@pytest.mark.parametrize(
    ("used", "said"),
    [
        (60, "60 of 60 ID images took part in making it, and 20 others must judge it: `-s per_class=20` leaves 20, or"),
        (0, "20 ID images must judge it, and 60 are known: name more by `--reference`"),
    ],
)
def test_what_no_image_judges_says_how_many_took_part_and_what_leaves_some(used, said):
    sizes = {0: 36, 1: 24}  # at 21 of each 15 and 3 are left, at 20 16 and 4
    images = [IdImage(f"{label}-{n}", label, 1, 1) for label, size in sizes.items() for n in range(size)]
    world = SimpleNamespace(id_images=tuple(images))
    assert why_unjudged(world, {image.image_id for image in images[:used]}, "per_class").startswith(
        f"not compared: {said}"
    )
    few = SimpleNamespace(id_images=tuple(images[:8]))
    assert why_unjudged(few, {image.image_id for image in images}, "per_class") == (
        "not compared: 8 of 8 ID images took part in making it, and 20 others must judge it: name more by `--reference`"
    )


@pytest.mark.parametrize(
    ("settings", "given", "taken"),
    [
        (SynoodSettings(), (), 20),  # at 21 of each 15 and 3 are left, at 20 16 and 4
        (SynoodSettings(), ("per_class",), 50),
        (InterNegSettings(), (), 16),  # leaves enough
        (InterNegSettings(per_class=30), (), 20),
    ],
)
def test_by_default_a_system_leaves_enough_id_images_to_judge_its_bank(settings, given, taken, caplog):
    sizes = {0: 36, 1: 24}
    images = [IdImage(f"{label}-{n}", label, 1, 1) for label, size in sizes.items() for n in range(size)]
    found = leave_judges(SimpleNamespace(id_images=tuple(images)), settings, given)
    assert found == replace(settings, per_class=taken)
    said = f"per_class is {taken}, not {settings.per_class}, so that 20 of 60 ID images judge the bank"
    assert (said in caplog.text) is (found != settings)


def test_where_no_number_leaves_enough_to_judge_a_bank_all_take_part():
    few = SimpleNamespace(id_images=tuple(IdImage(f"{n}", n % 4, 1, 1) for n in range(22)))
    assert leave_judges(few, SynoodSettings(), ()) == SynoodSettings()
    assert leave_judges(few, EoeSettings(), ()) == EoeSettings()  # takes no image

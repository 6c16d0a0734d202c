"""`curator bank propose`: from decisions to a bank that judges as the reviewers do, or a refusal that says why."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from curator.banks.spec import read_spec
from curator.banks.wordnet import load_wordnet
from curator.errors import BankError, ConfigError, UsageError
from curator.generators.embedded.nouns import Vocabulary
from curator.workspace import Workspace
from curator.workspace.learn.guard import SideFigures
from curator.workspace.review.evidence import Judged, LabelEdit, ranked
from curator.workspace.review.propose import Sided, shortfall

WORDS = ("blue whale", "red squirrel", "red wolf", "sea horse", "white pepper")


@pytest.fixture
def few_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """A vocabulary of a few words in place of 6,700, which take seconds."""
    lemmas = {word.text: word for word in load_wordnet().lemmas("noun")}
    small = partial(Vocabulary, words=tuple(lemmas[text] for text in WORDS))
    monkeypatch.setattr("curator.workspace.review.evidence.Vocabulary", small)


@pytest.fixture
def decide_colours(workspace: Workspace, decide, images):
    """Decide groups by colour."""

    def act(**decisions: str) -> None:
        groups = {row["image_id"]: row["group_id"] for row in workspace.sql("from report.group_members").to_pylist()}
        lines = [
            {"image_id": image_id, "group_id": groups[image_id], "decision": decisions[name.partition("-")[0]]}
            for name, image_id in images.items()
            if name.partition("-")[0] in decisions
        ]
        assert decide(*lines).faults == ()

    return act


def flags(workspace: Workspace) -> dict[str, bool]:
    rows = workspace.sql("select uri, flagged from report.scores").to_pylist()
    return {Path(row["uri"]).stem.partition("-")[0]: row["flagged"] for row in rows}


def test_reviewed_proposed_built_scored_and_the_flag_is_gone(workspace, decide_colours, run_cli):
    """The whole loop by commands: yellow belongs after all."""
    assert flags(workspace) == {"red": False, "green": False, "blue": True, "yellow": True, "magenta": False}
    decide_colours(yellow="id", blue="ood", red="id")
    folder = workspace.layout.root
    shown = run_cli("bank", "propose", folder=folder).stdout
    assert "yellow" in shown and "the proposal makes nothing worse" in shown
    assert "before: flags 2 of 4 ID images and 2 of 2 OOD images" in shown
    assert "after: flags 0 of 4 ID images and 2 of 2 OOD images" in shown
    assert not workspace.layout.bank_spec("base-reviewed").exists(), "nothing is written unless it is asked for"
    found = json.loads(run_cli("bank", "propose", "--build", "--json", folder=folder).stdout)
    (label,) = [item for item in found["candidates"] if not item["outcome"]]
    assert (label["action"], label["label"], label["witnesses"], label["decided"], len(label["images"])) == (
        "remove", "yellow", 1, 2, 2,
    )  # fmt: skip
    assert found["verdict"] is None and found["built"].startswith("base-reviewed@")
    run_cli("use", "base-reviewed", "neglabel:group_count=1", folder=folder)
    assert flags(workspace) == {"red": False, "green": False, "blue": True, "yellow": False, "magenta": False}
    before, after = (workspace.show_bank(name, limit=1000)[1]["text"].to_pylist() for name in ("base", "base-reviewed"))
    assert [text for text in before if text != "yellow"] == after
    again = json.loads(run_cli("bank", "propose", "--json", folder=folder).stdout)
    assert {**again, "written": None, "built": None} == {**found, "written": None, "built": None}, "the same each time"
    assert all(result.healthy for result in workspace.check())


def test_what_is_ood_but_kept_asks_for_the_nearest_words_that_the_rules_allow(workspace, decide_colours, few_words):
    decide_colours(magenta="ood", red="id")
    found = workspace.reviews.propose(write=True)
    outcomes = {item.label: item.outcome for item in found.candidates}
    assert outcomes["red squirrel"] == "refused: too near" and outcomes["red wolf"] == "refused: too near"
    assert {item.label for item in found.proposed} <= {"blue whale", "white pepper", "sea horse"}
    assert "blue whale" in outcomes and outcomes["blue whale"] == ""
    assert found.after.auroc > found.before.auroc - 1e-12 and found.after.id_flagged == found.before.id_flagged
    spec = read_spec(workspace.layout.bank_spec("base-reviewed"))
    assert spec.banks == (found.parent,) and spec.id.bank == found.parent
    assert [source.words for source in spec.sources if hasattr(source, "words")] == [
        tuple(sorted(item.label for item in found.proposed))
    ]


def test_a_label_noted_as_wrong_is_removed_and_id_labels_never(workspace, decide, images):
    decide(
        {"image_id": images["red-0"], "decision": "id", "wrong_label": "Yellow"},
        {"image_id": images["green-1"], "decision": "id", "wrong_label": "red"},
        {"image_id": images["green-6"], "decision": "id", "wrong_label": "tram"},
    )
    found = workspace.reviews.propose()
    assert {item.label: item.outcome for item in found.candidates} == {
        "yellow": "",
        "red": "it is an ID label: change those in the spec",
        "tram": "the bank has no such label",
    }
    assert found.verdict is None and 'remove_labels = ["yellow"]' in found.spec


def test_a_label_that_flags_more_rightly_than_wrongly_stays(workspace, decide, images):
    """Of two alike pictures one is decided ID and one OOD: taking the label out would lose the other."""
    decide(
        {"image_id": images["yellow-3"], "decision": "id"},
        {"image_id": images["yellow-8"], "decision": "ood"},
    )
    found = workspace.reviews.propose()
    assert [item.outcome for item in found.candidates if item.label == "yellow"] == [
        "flags 0 of 1 OOD images, before 1"
    ]
    assert found.proposed == () and found.spec is None
    with pytest.raises(BankError, match="nothing to write"):
        workspace.reviews.propose(write=True)


def test_a_proposal_that_worsens_is_not_written(workspace, decide_colours, monkeypatch):
    decide_colours(yellow="id", red="id")
    worse = SideFigures(4, 3, 0, 0, None)
    verdict = SideFigures.verdict
    monkeypatch.setattr(SideFigures, "verdict", lambda after, before: verdict(worse, before))
    assert workspace.reviews.propose().verdict == "it flags 3 of 4 ID images, before 2"
    with pytest.raises(BankError, match="not written: it flags 3 of 4 ID images, before 2"):
        workspace.reviews.propose(build=True)
    assert not workspace.layout.bank_spec("base-reviewed").exists()


def test_a_spec_that_is_there_is_not_overwritten_and_bad_requests_are_clear(workspace, decide_colours):
    with pytest.raises(UsageError, match="no image is decided ID or OOD"):
        workspace.reviews.propose()
    decide_colours(yellow="id")
    with pytest.raises(BankError, match="no bank version other"):
        workspace.reviews.propose("other")
    with pytest.raises(UsageError, match="is there already"):
        workspace.reviews.propose(name="base", write=True)
    assert "yellow" in workspace.layout.bank_spec("base").read_text()


def test_a_label_to_remove_that_no_source_has_is_an_error(workspace):
    path = workspace.layout.bank_spec("base")
    path.write_text(path.read_text() + '\n[mining]\nremove_labels = ["yelow"]\n')
    with pytest.raises(ConfigError, match="remove_labels names 'yelow', which no source has"):
        workspace.build_bank()


def test_removing_a_label_changes_the_digest_and_naming_none_does_not(workspace):
    path = workspace.layout.bank_spec("base")
    first = workspace.build_bank()
    text = path.read_text()
    path.write_text(text + "\n[mining]\nfraction = 0.15\n")
    assert workspace.build_bank().digest == first.digest
    path.write_text(text + '\n[mining]\nremove_labels = ["Yellow"]\n')
    removed = workspace.build_bank()
    assert removed.digest != first.digest and removed.lineage["dropped"]["removed"] == ["yellow"]
    assert [label.text for label in removed.labels if label.text == "yellow"] == []


# The rules on their own


def test_the_halves_are_given_by_hashes_and_need_enough_witnesses(workspace, decide_colours, monkeypatch):
    decide_colours(yellow="id", blue="ood", red="id", green="id", magenta="id")
    assert workspace.reviews.propose().held_out is False
    monkeypatch.setattr("curator.workspace.review.propose.FEWEST", 2)
    found = workspace.reviews.propose()
    assert found.held_out is True
    even = [name for name, images in groups_of(workspace).items() if int(name[-1], 16) % 2 == 0 for _ in range(images)]
    if found.before is not None:
        assert found.before.id_count + found.before.ood_count == 10 - len(even)
    evidence = {image for item in found.candidates for image in item.images}
    assert evidence <= images_of(workspace, set(even))


def groups_of(workspace: Workspace) -> dict[str, int]:
    rows = workspace.sql("select group_id, count(*) as n from report.group_members group by all").to_pylist()
    return {row["group_id"]: row["n"] for row in rows}


def images_of(workspace: Workspace, groups: set[str]) -> set[str]:
    rows = workspace.sql("select group_id, image_id from report.group_members").to_pylist()
    return {row["image_id"] for row in rows if row["group_id"] in groups}


@pytest.mark.parametrize(
    ("after", "verdict"),
    [
        (SideFigures(10, 2, 5, 4, 0.9), None),
        (SideFigures(10, 3, 5, 5, 0.99), "it flags 3 of 10 ID images, before 2"),
        (SideFigures(10, 0, 5, 3, 0.99), "it flags 3 of 5 OOD images, before 4"),
        (SideFigures(10, 2, 5, 4, 0.8949), "its AUROC is 0.8949, before 0.9000"),
        (SideFigures(10, 2, 5, 4, 0.8951), None),
    ],
)
def test_what_counts_as_worse(after, verdict):
    assert after.verdict(SideFigures(10, 2, 5, 4, 0.9)) == verdict


def test_figures_are_counts_below_the_cut_on_either_side():
    vector = np.ones(4, dtype=np.float32) / 2
    judged = [Judged("a" * 32, "a" * 32, True, 0.0, vector), Judged("b" * 32, "b" * 32, False, 0.0, vector)]
    sides = Sided.of(judged, np.zeros((2, 4), dtype=np.float32))
    scores = np.array([3.0, 0.5, -1.0, 1.5])  # reference, reference, decided ID, decided OOD
    assert SideFigures.of(scores, sides.is_id, 1.0) == SideFigures(3, 2, 1, 0, pytest.approx(1 / 3))
    assert shortfall(scores, sides.is_id, 1.0) == pytest.approx(0.5 + 2.0 + 0.5)


def test_candidates_with_more_witnesses_go_first_and_equals_by_text():
    found = [LabelEdit("remove", text, "", witnesses=count) for text, count in (("b", 1), ("c", 3), ("a", 1))]
    assert [item.label for item in ranked([*found, replace(found[1], label="z", outcome="no")])] == ["c", "a", "b", "z"]

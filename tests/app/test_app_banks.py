"""Banks in the app: what a version holds, two side by side, and one proposed from decisions; and long work apart."""

from __future__ import annotations

import json
import os
import signal
import time
from contextlib import suppress
from dataclasses import replace

import pytest

from curator.app.guard import BadRequest
from curator.errors import CuratorError, WorkspaceError
from curator.store import Database
from curator.workspace import Workspace
from curator.workspace.app import apart, banks
from curator.workspace.app.apart import WorkProcess
from curator.workspace.app.work import STOPPED, LongWork
from tests.app.serving import decision, serving
from tests.app.test_app_browser import browser, ready, saved, until
from tests.patience import BRAKE_SECONDS

STATUS = "document.querySelector('#banks [role=status]').textContent"


# The server's answers about work as they are for what the guard refuses.
REFUSED = """
(() => {
  const figures = { id_count: 4, id_flagged: 2, ood_count: 0, ood_flagged: 0, auroc: null };
  const result = { candidates: [], advice: "", before: figures, after: { ...figures, id_flagged: 3 }, held_out: false,
    reviewed: 1, reference: 0, method: "neglabel", built: null, spec: null, ...window.refused };
  const work = { number: 99, name: "propose a bank", state: "done", said: "", note: "", seconds: 1, result };
  const real = window.fetch;
  window.fetch = async (path, ...more) => (/^(work|propose)$/.test(path) ? Response.json(work) : real(path, ...more));
})()
"""


@pytest.fixture
def with_another(workspace: Workspace) -> Workspace:
    """With a second version, that lacks yellow, under which the lake is scored."""
    spec = workspace.layout.bank_spec("base")
    spec.with_stem("plain").write_text(
        spec.read_text(encoding="utf-8").replace('"base"', '"plain"').replace('["yellow"]', '["azure"]'),
        encoding="utf-8",
    )
    workspace.score(bank="plain")
    return workspace


def finished(server) -> dict:
    """The piece of work when it has ended."""
    ends = time.monotonic() + BRAKE_SECONDS
    while (state := server.shown("work"))["state"] == "under way":
        assert time.monotonic() < ends, state
        time.sleep(0.05)
    return state


def test_a_version_is_shown_by_source_and_by_what_its_labels_decide(workspace):
    with serving(workspace) as server:
        (version,) = server.shown("banks")["versions"]
        assert (version["name"], version["rules"], version["method"]) == ("base", True, "neglabel:group_count=1")
        bank = version["address"]
        status, found = server.ask("bank", {"bank": bank, "text": ""})
        assert status == 200
        sources = {(row["role"], row["source"]): row for row in found["sources"]}
        assert sum(row["labels"] for row in sources.values()) == version["id_count"] + version["negative_count"]
        assert sum(row["images"] for row in sources.values()) == 10, "every image is decided once"
        flagged = workspace.sql("select top_negative, count(*) as n from report.flagged group by 1").to_pylist()
        decided = {row["text"]: row["images"] for row in found["labels"] if row["role"] == "negative" and row["images"]}
        assert decided == {row["top_negative"]: row["n"] for row in flagged} and decided
        images = [row["images"] for row in found["labels"]]
        assert images == sorted(images, reverse=True)
        _, some = server.ask("bank", {"bank": bank, "text": "YELL"})
        assert [row["text"] for row in some["labels"]] == ["yellow"] and some["found"] == 1
        yellow = {"bank": bank, "role": "negative", "label": "yellow"}
        _, shown = server.ask("decided", yellow)
        names = {card["top_negative"] for card in server.ask("cards", shown)[1]["cards"]}
        assert len(shown["numbers"]) == decided["yellow"] and names == {"yellow"}
        for path, said, expected in (
            ("bank", {"bank": "base@none"}, 404),
            ("bank", {"bank": 3}, 400),
            ("bank", {"bank": "x" * 501}, 400),
            ("decided", {**yellow, "label": ""}, 400),
            ("compare", {"old": bank, "new": bank, "equal": "yes"}, 400),
            ("propose", {}, 400),
        ):
            assert server.ask(path, said)[0] == expected, (path, said)


def test_two_versions_are_compared_with_the_images_whose_flag_changes(with_another, monkeypatch):
    with serving(with_another) as server:
        versions = {row["name"]: row for row in server.shown("banks")["versions"]}
        old, new = versions["base"]["address"], versions["plain"]["address"]
        status, found = server.ask("compare", {"old": old, "new": new})
        assert status == 200 and found["note"] is None and found["images"] == 10
        assert [(row["change"], row["label"]) for row in found["changes"]] == [
            ("removed", "yellow"),
            ("added", "azure"),
        ]
        diff = with_another.diff_banks(old, new)
        assert len(found["changed"]["kept"]["numbers"]) == diff.flags.newly_kept > 0
        assert len(found["changed"]["flagged"]["numbers"]) == diff.flags.newly_flagged
        assert found["changed"]["kept"]["labels"] == [["yellow", diff.flags.newly_kept]]
        # Held to one cut, what one flags and the other keeps is what log-odds say.
        monkeypatch.setattr(apart, "LARGE_BYTES", 0)  # as of a large snapshot: by a process of its own
        _, held = server.ask("compare", {"old": old, "new": new, "equal": True})
        assert held["equal"] and held["cut"] is not None
        rows = with_another.sql("select image_id, bank_name, flagged, log_odds from report.compare").to_pylist()
        under = {name: {row["image_id"]: row for row in rows if row["bank_name"] == name} for name in versions}
        kept = {
            image
            for image, row in under["base"].items()
            if row["flagged"] and under["plain"][image]["log_odds"] >= held["cut"]
        }
        _, cards = server.ask("cards", {"numbers": held["changed"]["kept"]["numbers"]})
        assert {card["image_id"] for card in cards["cards"]} == kept


def test_many_labels_that_went_hide_none_that_came(with_another, monkeypatch):
    spec = with_another.layout.bank_spec("plain")
    text = spec.read_text(encoding="utf-8").replace('"plain"', '"few"').replace('["noun.shape"]', '["noun.time"]')
    spec.with_stem("few").write_text(text.replace('["azure"]', '["azure", "beige"]'), encoding="utf-8")
    with_another.score(bank="few")
    monkeypatch.setattr(banks, "MOST_CHANGES", 1)
    with serving(with_another) as server:
        versions = {row["name"]: row["address"] for row in server.shown("banks")["versions"]}
        _, found = server.ask("compare", {"old": versions["plain"], "new": versions["few"]})
        went, came = (found["counts"][change]["negative"] for change in ("removed", "added"))
        assert went > 1 and came > 1
        assert [row["change"] for row in found["changes"]] == ["removed", "added"], "one of each kind"


@pytest.mark.parametrize(
    ("made_by", "configured", "expected"),
    [
        ("id", "neglabel:group_count=1", "neglabel:group_count=1"),
        ("id", "ants", "neglabel"),
        ("id", "mcm", "mcm"),
        ("ants", "neglabel:temperature=0.5", "ants"),
        ("ants", "ants:group_size=7", "ants:group_size=7"),
        ("synood", "neglabel:temperature=0.5", "synood:temperature=0.5"),
        ("tanl", "ants", "tanl"),
    ],
)
def test_a_bank_is_scored_by_the_method_that_suits_it(with_another, monkeypatch, made_by, configured, expected):
    asked: list[list[str]] = []
    real = banks.run_scoring
    monkeypatch.setattr(
        banks,
        "run_scoring",
        lambda *given, **more: asked.append(more["methods"]) or real(*given, **more, where="false"),
    )
    with Database.open(with_another.layout.snapshot) as database:
        database.execute(f"update bank set spec = '{json.dumps({made_by: {}})}' where name = 'plain'")
    config = replace(with_another.config, scan=replace(with_another.config.scan, method=configured))
    found = banks.list_versions(with_another.layout, config)["versions"]
    (version,) = (row for row in found if row["name"] == "plain")
    assert version["suited"] == expected and "spec" not in version
    with suppress(CuratorError):  # no image meets the condition, so nothing is scored
        banks.score(with_another.layout, config, version["address"])
    assert asked == [[expected]]


@pytest.mark.slow
def test_a_proposal_is_made_apart_judged_built_and_shown_in_the_grid(workspace, tmp_path):
    async def steps(address: str) -> None:
        async with browser.browsing() as page:
            await ready(page, address)
            assert not any("banks" in url for url in page.requests), "a view is loaded when it is opened"
            await page.press("v")
            await until(page, "document.querySelectorAll('#banks table').length === 2")
            await page.run("document.querySelector('#banks form:nth-of-type(2) button').focus()")
            await page.press("Enter")
            await until(page, f"{STATUS}.startsWith('Not done: propose a bank: no image is decided')")
            assert "run `curator" not in await page.run(STATUS), "who reads this has the app open"
            await page.press("Escape")
            # What is yellow belongs: the word yellow is to go.
            await page.run("document.querySelector('#grid').focus()")
            await page.press("i")
            await until(page, saved(1))
            await page.run("document.querySelector('#banks form:nth-of-type(2) button').focus()")
            await page.press("Enter")
            await until(page, f"{STATUS}.startsWith('Done: propose a bank')")
            assert await page.run("document.querySelector('#banks .verdict').textContent") == (
                "The proposal makes nothing worse."
            )
            show = "[...document.querySelectorAll('#banks button')].find(b => b.ariaLabel?.endsWith('remove yellow'))"
            await page.run(f"{show}.focus()")
            await page.press("Enter")
            await until(page, "document.getElementById('found').textContent === 'Evidence to remove “yellow”'")
            await until(page, "document.getElementById('count').textContent.startsWith('1 groups')")
            await page.run(
                "[...document.querySelectorAll('#banks button')].find(b => b.textContent.startsWith('Build')).click()"
            )
            await until(page, f"{STATUS}.startsWith('Done: build what is proposed')")
            await until(page, "document.querySelectorAll('#banks select')[0].options.length === 2")
            # What is refused is said in a line, and cannot be built.
            refused = {"parent": "base@1", "name": "worse", "verdict": "it flags 3 of 4 ID images, before 2"}
            await page.run(f"window.refused = {json.dumps(refused)}")
            await page.run(REFUSED)
            await page.run("document.querySelector('#banks form:nth-of-type(2) button').click()")
            verdict = "document.querySelector('#banks .verdict.refused')?.textContent"
            await until(page, f"{verdict} === 'Refused: it flags 3 of 4 ID images, before 2.'")
            assert not await page.run(
                "[...document.querySelectorAll('#banks button')].some(b => /^Build/.test(b.textContent))"
            )
            names = await page.run(
                "[...document.querySelectorAll('#banks button, #banks input, #banks select')].map("
                "e => e.textContent + (e.ariaLabel ?? '') + (e.labels?.[0]?.textContent ?? ''))"
            )
            assert all(name.strip() for name in names)
            await page.look(width=390, height=844, dark=True)
            assert await page.run("document.documentElement.scrollWidth <= 390"), "fits a phone"
            await page.press("v")
            assert await page.run("document.getElementById('banks').hidden")
            assert page.said == []

    with serving(workspace) as server:
        first = server.cards()[0]
        assert first["top_negative"] == "yellow"
        browser.browse(steps(server.address))
    banks = {row["name"]: row for row in workspace.banks().to_pylist()}
    assert banks["base-reviewed"]["negative_count"] == banks["base"]["negative_count"] - 1


@pytest.mark.slow
def test_the_lake_is_scored_under_another_version_and_a_refusal_is_one_line(workspace):
    with serving(workspace) as server:
        bank = server.shown("banks")["versions"][0]["address"]
        magenta = next(card for card in server.cards(sort="score") if "magenta" in card["uri"])
        server.decide(decision(magenta, "ood"))
        assert server.ask("propose", {"parent": "base@v9"})[0] == 200
        assert finished(server)["said"] == "no bank version base@v9 (see `curator bank list`)"
        assert server.ask("score", {"bank": bank})[1]["state"] == "under way"
        state = finished(server)
        assert state["state"] == "done" and state["number"] == 2
        assert [(row["rescored"], row["scored"]) for row in state["result"]["scorings"]] == [(0, 10)]


def test_long_work_is_done_one_piece_at_a_time_and_can_be_stopped():
    work = LongWork()
    assert work.state()["state"] == "none" and work.stop()["state"] == "none"
    work.begin("sleep", time.sleep, BRAKE_SECONDS)
    with pytest.raises(BadRequest, match="“sleep” is under way") as refused:
        work.begin("sleep again", time.sleep, 0)
    assert refused.value.status == 409
    state = work.stop()
    assert (state["state"], state["said"]) == ("failed", STOPPED)
    assert work.begin("again", time.sleep, BRAKE_SECONDS)["number"] == 2
    work.stop()


def fall(how: str) -> None:
    """Work that ends as it should not."""
    if how == "error":
        raise KeyError("a layer")
    if how == "leave":
        os._exit(3)
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize(
    ("how", "said"),
    [("error", "KeyError: 'a layer'"), ("leave", "was ended (exit code 3)"), ("kill", "is there memory enough?")],
)
def test_what_ended_the_process_is_said_and_memory_only_where_the_system_killed_it(how, said):
    process = WorkProcess(fall, [how])
    with pytest.raises(WorkspaceError) as raised:
        process.outcome()
    process.end()
    assert said in str(raised.value) and ("memory" in str(raised.value)) == (how == "kill")

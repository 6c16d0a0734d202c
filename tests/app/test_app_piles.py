"""Flags decided pile by pile, by the keyboard: one cluster, or what is in sight of it, after the other."""

from __future__ import annotations

import itertools

from curator.workspace.app import desk
from tests.app.serving import serving
from tests.app.test_app_browser import browser, choose, click, ready, saved, selected, until
from tests.bench.morning import path_of

NOTE = "document.getElementById('pile').textContent"


@browser.needs_browser
def test_flags_are_decided_pile_by_pile_and_what_was_let_go_of_is_the_next_pile(workspace, tmp_path):
    async def steps(address: str) -> None:
        async with browser.browsing() as page:
            await ready(page, address)
            await until(page, "document.getElementById('filters').elements.cluster.length === 2")
            await page.look(width=390, height=844)
            await page.press("r")
            assert await page.run("document.getElementById('one').hidden"), "on a phone nothing lies over the pile"
            await page.look()
            await until(page, f"{NOTE}.startsWith('2 to decide. This pile has 2 of ')")
            assert await page.run(selected(2)), "ten images make one cluster, of which two groups are flagged"
            await page.press(" ")
            await click(page, 1)  # lets go of one, and of none beside it
            assert await page.run(selected(0))
            await click(page, 1)
            assert await page.run(selected(1))
            await page.press("o")
            await until(page, f"{NOTE}.startsWith('1 to decide. This pile has 1 of ')")
            assert await page.run(selected(1)), "what was let go of"
            await page.press("i")
            await until(page, f"{NOTE} === 'All flags that are shown here are decided.'")
            await page.press("z")
            await until(page, f"{NOTE}.startsWith('1 to decide.')")
            await page.press("u")
            await until(page, saved(2))
            await choose(page, "flagged", "")
            await until(page, "document.getElementById('pile').hidden")
            assert page.said == []

    assert workspace.sql("select group_id from report.flag_groups").num_rows == 2
    with serving(workspace) as server:
        server.desk.look_around()
        browser.browse(steps(server.address))
    found = workspace.sql("select decision from report.reviews order by decision")["decision"].to_pylist()
    assert set(found) == {"ood", "unsure"}


@browser.needs_browser
def test_piles_wait_for_the_clusters_and_open_then(workspace, tmp_path):
    async def steps(server) -> None:
        async with browser.browsing() as page:
            await ready(page, server.address)
            await page.press("r")
            assert await page.run(NOTE) == "Grouping what looks alike …"
            assert await page.run(selected(0)), "nothing is preselected that has only its letters in common"
            server.desk.look_around()
            await until(page, f"{NOTE}.startsWith('2 to decide. This pile has 2 of “')")
            assert await page.run("document.querySelector('#filters').elements.sort.value") == "cluster"
            assert page.said == []

    with serving(workspace) as server:
        browser.browse(steps(server))


@browser.needs_browser
def test_without_flags_none_is_called_decided(workspace, scanned, tmp_path):
    async def steps(server) -> None:
        async with browser.browsing() as page:
            await ready(page, server.address)
            await choose(page, "sort", "score")
            await choose(page, "reviewed", "decided")
            await choose(page, "saved", "")
            await page.press("s")
            await page.type("uri like '%red%'")
            await page.press("Enter")
            await page.press("Escape")
            await page.press("r")
            await until(page, f"{NOTE} === 'No flag that is not decided is shown here.'")
            await page.run("document.querySelector('#filters [type=reset]').click()")
            workspace.calibrate(str(scanned / "lake" / "yellow-*.png"), keep=0.99)
            assert server.desk.follow()
            server.desk.look_around()
            await until(page, "document.getElementById('count').textContent.endsWith('in the lake 0 of 10 images')")
            await page.press("r")
            await until(page, f"{NOTE} === 'No image is flagged.'")
            assert page.said == []

    with serving(workspace) as server:
        server.desk.look_around()
        browser.browse(steps(server))


@browser.needs_browser
def test_without_clusters_a_pile_has_one_name(workspace, tmp_path, monkeypatch):
    monkeypatch.setattr(desk, "make_landscape", lambda *given: None)

    async def steps(address: str) -> None:
        async with browser.browsing() as page:
            await ready(page, address)
            await page.press("r")
            await until(page, f"{NOTE}.startsWith('2 to decide. This pile has 1: ')")
            names = "[...document.querySelectorAll('.cell:not([hidden]) .name')].map(one => one.textContent)"
            assert len(set(await page.run(names))) == 2, "unlike things are no pile"
            assert page.said == []

    with serving(workspace) as server:
        server.desk.look_around()
        assert server.shown("state")["grouping"] is False
        browser.browse(steps(server.address))


def test_the_arrows_of_a_morning_lead_where_they_should():
    moves = {"ArrowLeft": -1, "ArrowRight": 1, "ArrowUp": -7, "ArrowDown": 7}
    for start, end in itertools.product(range(30), repeat=2):
        path = path_of(start, end, 7)
        assert start + sum(moves[key] for key in path) == end
        assert len(path) <= 7

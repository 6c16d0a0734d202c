"""A page that follows: what a person was at stays as it was, whatever a new snapshot or a lost connection brings."""

from __future__ import annotations

import json

from tests.app.serving import serving
from tests.app.test_app_browser import browser, choose, click, eager, followed, ready, saved, until

pytestmark = browser.needs_browser
MESSAGE = "document.getElementById('message')"


def test_a_note_and_a_wrong_label_outlast_a_new_snapshot_as_does_the_place_in_the_grid(
    workspace, decide, images, tmp_path
):
    async def steps(server, cards) -> None:
        async with browser.browsing() as page:
            await eager(page)
            await ready(page, server.address)
            await click(page, 2)
            await page.press("w")
            await page.press("e")
            await page.type("half a")
            (other,) = [name for name, image_id in images.items() if image_id == cards[0]["image_id"]]
            decide({"image_id": images[other], "decision": "ood"}, reviewer="bob")
            assert server.desk.follow()
            await followed(page)
            assert await page.run("document.getElementById('count').textContent.startsWith('4 groups')")
            await until(page, "!document.querySelector('.cell[aria-label^=loading]:not([hidden])')")
            assert await page.run("document.activeElement.id") == "note"
            await page.type(" note")
            assert await page.run("document.getElementById('note').value") == "half a note"
            marked = "document.querySelector('#labels [aria-pressed=true]')?.textContent"
            assert await page.run(marked) == cards[2]["top_negative"]
            active = await page.run("document.querySelector('.cell.active img').src")
            assert active.endswith(cards[2]["image_id"]), "wherever it is now"
            assert await page.run("document.getElementById('one-address').textContent") == cards[2]["uri"]
            await page.press("Enter")
            await page.press("o")
            await until(page, saved(1))
            assert await page.run("document.getElementById('note').value") == ""
            assert page.said == []

    with serving(workspace) as server:
        cards = server.cards()
        browser.browse(steps(server, cards))
    rows = workspace.sql("select image_id, note, wrong_label from report.reviews where reviewer = 'ann'").to_pylist()
    assert rows == [{"image_id": cards[2]["image_id"], "note": "half a note", "wrong_label": cards[2]["top_negative"]}]


def test_what_is_said_of_the_last_act_stays_and_what_is_said_of_the_connection_goes_when_it_is_back(
    workspace, decide, images, tmp_path
):
    async def steps(server) -> None:
        async with browser.browsing() as page:
            await eager(page)
            await ready(page, server.address)
            await page.press("s")
            await page.type("nonsense")
            await page.press("Enter")
            await until(page, f"{MESSAGE}.textContent.includes('nonsense')")
            said = await page.run(f"{MESSAGE}.textContent")
            token, server.guard.token = server.guard.token, "another"
            await until(page, f"{MESSAGE}.textContent.includes('Not followed: ')")
            assert (await page.run(f"{MESSAGE}.textContent")).startswith(said)
            server.guard.token = token
            await until(page, f"{MESSAGE}.textContent === {json.dumps(said)}")
            await page.run("document.querySelector('#filters').elements.where.value = ''")
            await choose(page, "sort", "score")
            await until(page, f"{MESSAGE}.hidden")

    with serving(workspace) as server:
        browser.browse(steps(server))

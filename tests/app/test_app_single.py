"""The dialog of one image decides what it shows; what a plain click selects goes with the arrows."""

from __future__ import annotations

import asyncio

from tests.app.serving import serving
from tests.app.test_app_browser import browser, centre, click, eager, followed, mouse, ready, saved, selected, until

pytestmark = browser.needs_browser
SELECTED = "[...document.querySelectorAll('.cell[aria-selected=\"true\"]')].map(cell => Number(cell.ariaPosInSet))"


async def select_all(page) -> None:
    await page.call("Input.dispatchKeyEvent", type="keyDown", key="a", code="KeyA", modifiers=2)


def explained(card) -> str:
    address = f"document.querySelector('#single .address')?.textContent === '{card['uri']}'"
    return f"{address} && document.querySelector('#single-facts h3') !== null"


def decided(workspace, cards) -> list[str | None]:
    found = {row["image_id"]: row["decision"] for row in workspace.sql("select * from report.reviews").to_pylist()}
    return [found.get(card["image_id"]) for card in cards]


def test_a_decision_in_the_dialog_is_about_the_image_that_it_shows_whatever_is_selected(workspace, tmp_path):
    async def steps(address: str, cards) -> None:
        async with browser.browsing() as page:
            await ready(page, address)
            await click(page, 0)
            x, y = await centre(page, 0)
            for kind in ("mousePressed", "mouseReleased"):
                await mouse(page, kind, x, y, clickCount=2)
            await until(page, explained(cards[0]))
            await page.press("ArrowRight")
            await until(page, explained(cards[1]))
            assert await page.run(SELECTED) == [2], "what a plain click selected goes along"
            await page.press("o")
            await until(page, explained(cards[2]))
            await page.press("Escape")
            assert await page.run(selected(0))
            await select_all(page)
            await page.press("Enter")
            await until(page, explained(cards[2]))
            await page.press("u")
            await until(page, explained(cards[3]))
            await page.press("z")
            await until(page, explained(cards[2]))
            await page.press("u")
            await until(page, saved(2))
            assert await page.run(SELECTED) == [1, 2, 4, 5], "what is selected stays, but for what is decided"
            await page.press("ArrowRight")
            await until(page, explained(cards[4]))
            await page.press("b")
            await until(page, saved(3))
            await until(page, explained(cards[4]))  # the last one stays
            assert page.said == []

    with serving(workspace) as server:
        cards = server.cards()
        browser.browse(steps(server.address, cards))
    assert decided(workspace, cards) == [None, "ood", "unsure", None, "bad_image"]
    assert workspace.sql("select * from report.reviews").num_rows == 3, "and nothing else"


def test_what_a_plain_click_selects_goes_with_the_arrows_and_what_was_selected_on_purpose_stays(workspace, tmp_path):
    async def steps(address: str) -> None:
        async with browser.browsing() as page:
            await ready(page, address)
            await click(page, 0)
            await page.press("ArrowRight")
            await page.press("ArrowRight")
            assert await page.run(SELECTED) == [3]
            await page.press("b")
            await click(page, 4, modifiers=2)
            await page.press("ArrowLeft")
            await page.press("ArrowLeft")
            assert await page.run(SELECTED) == [5]
            await page.press("o")
            await click(page, 1)
            await click(page, 3, modifiers=2)
            assert await page.run(SELECTED) == [2, 4], "one beside another"
            await page.press("ArrowLeft")
            assert await page.run(SELECTED) == [2, 4]
            await page.press("Escape")
            await until(page, saved(2))
            assert page.said == []

    with serving(workspace) as server:
        cards = server.cards()
        browser.browse(steps(server.address))
    assert decided(workspace, cards) == [None, None, "bad_image", None, "ood"]


def test_the_dialog_has_the_buttons_and_says_what_is_decided_beside_the_picture_on_a_phone_too(workspace, tmp_path):
    state = "document.getElementById('single-state').textContent"
    covered = """(() => {
      const picture = document.getElementById('single-picture');
      const box = picture.getBoundingClientRect();
      const at = [[box.left + 9, box.top + 9], [box.right - 9, box.top + 9], [box.left + 9, box.bottom - 9]];
      return at.filter(([x, y]) => document.elementFromPoint(x, y) !== picture).length;
    })()"""

    async def press(page, key: str) -> None:
        box = f"document.querySelector('#single-decide [data-key={key}]').getBoundingClientRect()"
        x, y = await page.run(f"(b => [b.x + b.width / 2, b.y + b.height / 2])({box})")
        for kind in ("mousePressed", "mouseReleased"):
            await mouse(page, kind, x, y)
        await page.settle()

    async def steps(address: str, cards) -> None:
        async with browser.browsing() as page:
            await ready(page, address)
            await page.look(width=400, height=800)
            await page.run("document.getElementById('grid').focus()")
            await page.press("Enter")
            await until(page, explained(cards[0]))
            keys = "[...document.querySelectorAll('#PLACE [data-key]')].map(button => button.textContent)"
            assert await page.run(keys.replace("PLACE", "single-decide")) == await page.run(
                keys.replace("PLACE", "decide")
            )
            assert await page.run("document.querySelector('#single-decide [data-key=z]').disabled")
            assert await page.run("document.activeElement.id") == "single-before", "a second Enter decides nothing"
            for key, text in (("i", "ID"), ("b", "bad image"), ("z", "Not decided")):
                await press(page, key)
                if key != "z":
                    await page.press("ArrowLeft")
                    text = f"Decided: {text}"
                await until(page, f"{state} === {text!r}")
                assert await page.run(covered) == 0
                if key == "i":
                    await page.press("ArrowRight")
                    assert await page.run(state) == "Not decided"
            await until(page, saved(1))
            assert await page.run("document.querySelectorAll('[id=undo]').length") == 1
            assert page.said == []

    with serving(workspace) as server:
        cards = server.cards()
        browser.browse(steps(server.address, cards))
    assert decided(workspace, cards) == ["id", None, None, None, None]


def test_what_the_dialog_shows_is_decided_though_a_new_snapshot_takes_it_out_of_the_grid(workspace, decide, tmp_path):
    async def steps(server, cards) -> None:
        async with browser.browsing() as page:
            await eager(page)
            await ready(page, server.address)
            await page.press("ArrowRight")
            await page.press("Enter")
            await until(page, explained(cards[1]))
            decide({"image_id": cards[1]["image_id"], "decision": "ood"}, reviewer="bob")
            assert server.desk.follow()
            await followed(page)
            assert await page.run("document.getElementById('count').textContent.startsWith('4 groups')")
            assert await page.run("document.getElementById('single-state').textContent") == "Decided: OOD"
            await page.press("i")
            await until(page, saved(1))
            await until(page, f"!({explained(cards[1])})")
            assert page.said == []

    with serving(workspace) as server:
        cards = server.cards()
        browser.browse(steps(server, cards))
    rows = workspace.sql("select image_id, decision from report.reviews where reviewer = 'ann'").to_pylist()
    assert rows == [{"image_id": cards[1]["image_id"], "decision": "id"}]


def test_what_is_decided_in_the_dialog_leaves_its_pile(workspace, tmp_path):
    async def steps(address: str) -> None:
        async with browser.browsing() as page:
            await ready(page, address)
            await until(page, "document.getElementById('filters').elements.cluster.length === 2")
            await page.press("r")
            await until(page, selected(2))
            await page.press("Enter")
            await page.press("o")
            await page.press("Escape")
            assert await page.run(selected(1))
            await page.press("u")
            await until(page, saved(2))
            assert await page.run("document.getElementById('pile').textContent.startsWith('All flags')")
            assert page.said == []

    with serving(workspace) as server:
        server.desk.look_around()
        browser.browse(steps(server.address))
    found = workspace.sql("select decision from report.reviews order by decision")["decision"].to_pylist()
    assert found == ["ood", "unsure"]


def test_the_next_image_is_asked_about_ahead_and_none_is_asked_about_twice(workspace, tmp_path):
    asked: list[int] = []

    async def asked_about(count: int) -> None:
        for _ in range(600):
            if len(asked) >= count:
                return
            await asyncio.sleep(0.05)

    async def steps(address: str, cards) -> None:
        numbers = [card["number"] for card in cards]
        async with browser.browsing() as page:
            await ready(page, address)
            await click(page, 0)
            await page.press("Enter")
            await until(page, explained(cards[0]))
            await asked_about(2)
            await page.press("ArrowRight")
            await until(page, explained(cards[1]))
            await asked_about(3)
            await page.press("ArrowLeft")
            await until(page, explained(cards[0]))
            assert asked == [*numbers[:3], numbers[0]]
            assert page.said == []

    with serving(workspace) as server:
        cards = server.cards()
        look = server.desk.asked["single"]
        server.desk.asked |= {"single": lambda said: (asked.append(said["number"]), look(said))[1]}
        browser.browse(steps(server.address, cards))

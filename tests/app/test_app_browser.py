"""The app in a real browser: keys, mouse, filters, undo, what it says, and how it looks."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import sys
from pathlib import Path

from PIL import Image

from tests.app.serving import serving

SPEC = importlib.util.spec_from_file_location(
    "curator_browser_for_the_app", Path(__file__).parents[1] / "report" / "browser.py"
)
assert SPEC is not None and SPEC.loader is not None
browser = importlib.util.module_from_spec(SPEC)
sys.modules[SPEC.name] = browser
SPEC.loader.exec_module(browser)

pytestmark = browser.needs_browser

SIGNS = """[...document.querySelectorAll('.cell:not([hidden])')].map(cell => {
  const sign = getComputedStyle(cell.querySelector('.caption'), '::before');
  const isSeen = sign.content !== 'none' && parseFloat(sign.width) > 4
    && sign.backgroundColor !== getComputedStyle(cell).backgroundColor;
  return [cell.dataset.flag === '1', isSeen, cell.ariaSelected === 'true', cell.querySelector('.score').textContent];
})"""


async def until(page, condition: str) -> None:
    """Wait until an expression holds in the page."""
    for _ in range(600):
        if await page.run(condition):
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"never: {condition}; shown: {await page.run('document.body.innerText')}; said: {page.said}")


async def ready(page, address: str) -> None:
    await page.look()
    await page.open(address)
    await until(page, "document.documentElement.dataset.ready === 'yes'")
    await until(page, "[...document.querySelectorAll('.cell img')].filter(i => i.naturalWidth > 0).length >= 5")


async def eager(page) -> None:
    """Look for a new snapshot every 30 ms, not every three seconds."""
    await page.call("Page.enable")
    source = (
        "{ const set = window.setTimeout; window.setTimeout = (act, wait) => set(act, wait === 3000 ? 30 : wait); }"
    )
    await page.call("Page.addScriptToEvaluateOnNewDocument", source=source)


async def followed(page) -> None:
    """Until the page has looked for a snapshot and has shown what there is: only then it looks again."""
    looks = lambda: sum(url.endswith("/state") for url in page.requests)  # noqa: E731
    await page.settle()  # what it has asked for until now is known
    before = looks()
    while looks() < before + 2:
        await page.settle()
        await asyncio.sleep(0.02)


async def mouse(page, kind: str, x: float, y: float, **more) -> None:
    buttons = {"button": "left", "buttons": 1, "clickCount": 1} if kind != "mouseMoved" else {"buttons": 1}
    await page.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **{**buttons, **more})


async def click(page, index: int, *, modifiers: int = 0) -> None:
    """Click the image at a place of the order. modifiers: 8 is Shift, 2 is Control."""
    x, y = await centre(page, index)
    for kind in ("mousePressed", "mouseReleased"):
        await mouse(page, kind, x, y, modifiers=modifiers)
    await page.settle()


async def centre(page, index: int) -> tuple[float, float]:
    box = await page.run(
        f"(b => [b.x + b.width / 2, b.y + b.height / 2])"
        f"(document.querySelector('.cell[aria-posinset=\"{index + 1}\"]').getBoundingClientRect())"
    )
    return box[0], box[1]


async def drag(page, points) -> None:
    await mouse(page, "mousePressed", *points[0])
    for point in points[1:]:
        await mouse(page, "mouseMoved", *point)
    await mouse(page, "mouseReleased", *points[-1])
    await page.settle()


async def choose(page, name: str, value: str) -> None:
    """Choose in the form of filters."""
    said = json.dumps(value)
    await page.run(
        f"(f => {{ if (f.type === 'checkbox') f.checked = {said} !== ''; else f.value = {said};"
        "f.dispatchEvent(new Event('change', {bubbles: true})); })"
        f"(document.querySelector('#filters').elements[{json.dumps(name)}])"
    )


async def opened(page, server) -> None:
    """The map of all images, all of which are shown."""
    await ready(page, server.address)
    server.desk.look_around()
    await until(page, "document.querySelector('#filters').elements.cluster.options.length > 1")
    await choose(page, "groups", "")
    await choose(page, "sort", "score")
    await until(page, "document.getElementById('count').textContent.startsWith('10 images')")
    await page.press("m")
    await until(page, "document.getElementById('map').dataset.drawn !== undefined")


def selected(count: int) -> str:
    said = f"{count} selected" if count else "Nothing selected"
    return f"document.getElementById('selected').textContent === '{said}'"


def saved(count: int) -> str:
    return f"document.getElementById('saved').textContent === 'All {count} saved'"


def test_groups_are_decided_by_keys_and_by_buttons(workspace, tmp_path):
    async def steps(address: str) -> None:
        async with browser.browsing() as page:
            await ready(page, address)
            assert await page.run("document.activeElement.id") == "grid"
            said = await page.run("document.getElementById('ruling').innerText")
            assert said == f"Ruled by {workspace.in_force().said}" and said.startswith("Ruled by bank base@v1, method ")
            await page.press("o")
            await page.press("w")  # the nearest negative of the second is wrong
            await until(page, "document.getElementById('one-state').textContent.startsWith('Wrong label: ')")
            await page.press("i")
            await page.press("b")
            await page.press("z")
            await until(page, saved(2))
            await page.press("ArrowRight")
            # By keyboard alone, without the shortcuts: focus the button, press Enter.
            await page.run("document.querySelector('[data-key=u]').focus()")
            await page.press("Enter")
            await until(page, saved(3))
            # Typing a note is no shortcut.
            await page.run("document.getElementById('note').focus()")
            await page.press("o")
            await page.type(" it is <b>sky</b>")
            await page.press("Escape")
            await page.press("o")
            await until(page, saved(4))
            await page.look(width=390, height=844)
            assert await page.run("document.documentElement.scrollWidth <= 390"), "fits a phone"
            await page.look(dark=True)
            await page.picture(tmp_path / "page.png")
            names = await page.run(
                "[...document.querySelectorAll('button, input, select, textarea')].map("
                "e => e.textContent + (e.ariaLabel ?? '') + (e.labels?.[0]?.textContent ?? ''))"
            )
            assert all(name.strip() for name in names)
            options = await page.run("[...document.querySelectorAll('[role=option]')].map(e => e.ariaLabel)")
            assert all("flagged OOD" in name or "kept as ID" in name for name in options if name)
            assert page.said == []
            own = address.rpartition("/")[0].rpartition("/")[0]
            assert {url for url in page.requests if not url.startswith((own, "about:"))} == set()

    with serving(workspace) as server:
        cards = server.cards()
        browser.browse(steps(server.address))
    found = {row["image_id"]: row for row in workspace.sql("select * from report.reviews").to_pylist()}
    said = [found.get(card["image_id"], {}).get("decision") for card in cards]
    assert said == ["ood", "id", None, "unsure", "ood"], "undo went back to the third"
    assert {row["wrong_label"] for row in found.values()} == {None, cards[1]["top_negative"]}
    assert {row["note"] for row in found.values()} == {None, "o it is <b>sky</b>"}


def test_images_are_selected_by_click_shift_drag_and_lasso_and_decided_at_once(workspace, tmp_path):
    async def steps(address: str) -> None:
        async with browser.browsing() as page:
            await ready(page, address)
            await choose(page, "groups", "")
            await choose(page, "sort", "score")
            await until(page, "document.querySelector('[aria-setsize=\"10\"]') !== null")
            await click(page, 1)
            assert await page.run(selected(1))
            await click(page, 4, modifiers=8)
            assert await page.run(selected(4))
            await click(page, 0, modifiers=2)
            assert await page.run(selected(5))
            seen = await page.run(SIGNS)
            assert {(flag, sign) for flag, sign, _, _ in seen} == {(True, True), (False, False)}, "more than a colour"
            assert {flag for flag, _, is_selected, _ in seen if is_selected} == {True, False}, "selected ones, too"
            facts = await page.run("document.getElementById('one-facts').innerText.split('\\n')")
            assert seen[0][3] == facts[facts.index("id_score") + 1]
            await page.press("Escape")
            assert await page.run(selected(0))
            first, third = await centre(page, 0), await centre(page, 2)
            await drag(page, [first, ((first[0] + third[0]) / 2, first[1] + 4), (third[0], third[1] + 9)])
            assert await page.run(selected(3))
            await page.press("l")
            x, y = await centre(page, 1)
            around = [(x - 30, y - 30), (x + 30, y - 30), (x + 30, y + 30), (x - 30, y + 30), (x - 30, y - 25)]
            await drag(page, around)
            assert await page.run(selected(1))
            await page.press("l")
            await page.press("g")
            assert await page.run(selected(2)), "the two that look alike"
            await page.press("o")
            await until(page, saved(1))
            await page.call("Input.dispatchKeyEvent", type="keyDown", key="a", code="KeyA", modifiers=2)
            assert await page.run(selected(10))
            await page.press("u")
            await page.press("z")
            await until(page, saved(1))
            await choose(page, "reviewed", "ood")
            await until(page, "document.querySelector('[aria-setsize=\"2\"]') !== null")
            await choose(page, "reviewed", "")
            await page.press("s")
            await page.type("uri like '%blue%'")
            await page.press("Enter")
            await until(page, "document.getElementById('count').textContent.startsWith('2 images')")
            await page.press("n")
            await page.run("document.querySelector('#filters').elements.where.value = 'nonsense'")
            await page.run("document.querySelector('#filters').requestSubmit()")
            await until(page, "document.getElementById('message').textContent.includes('nonsense')")
            await page.run("document.getElementById('grid').focus()")
            await page.press("?")
            assert await page.run("document.getElementById('help').open")
            assert page.said == ["Failed to load resource: the server responded with a status of 400 (Bad Request)"]

    with serving(workspace) as server:
        browser.browse(steps(server.address))
    counted = workspace.sql("select decision, count(*) as n from report.reviews group by all").to_pylist()
    assert counted == [{"decision": "ood", "n": 2}], "what was undone for ten images is as it was before"


def test_no_key_is_lost_that_is_pressed_faster_than_the_disk_writes(workspace, tmp_path, monkeypatch):
    import time

    from curator.review.journal import DecisionJournal

    append = DecisionJournal.append
    monkeypatch.setattr(DecisionJournal, "append", lambda *given: (time.sleep(0.2), append(*given))[1])
    pressed = "oiub" * 7 + "oi"

    async def steps(address: str) -> None:
        async with browser.browsing() as page:
            await ready(page, address)
            await page.run(
                f"(async () => {{ for (const key of '{pressed}') {{"
                "document.getElementById('grid').dispatchEvent(new KeyboardEvent('keydown', {key, bubbles: true}));"
                "await new Promise(done => setTimeout(done, 30)); } })()"
            )
            await until(page, saved(30))
            assert page.said == []

    with serving(workspace) as server:
        browser.browse(steps(server.address))
        assert server.desk.decisions.taken_down == 30
    rows = workspace.sql("select decision from review order by review_number")["decision"].to_pylist()
    names = {"o": "ood", "i": "id", "u": "unsure", "b": "bad_image"}
    assert rows == [names[key] for key in pressed]


def test_a_decision_that_is_not_saved_is_said_and_sent_again(workspace, tmp_path):
    async def steps(server) -> None:
        async with browser.browsing() as page:
            await ready(page, server.address)
            await page.run("document.getElementById('note').value = 'so \\ud83d'")
            await page.run("document.querySelector('[data-key=o]').click()")
            refused = r"Not saved: note is no UTF-8 text: 'so \ud83d'"
            await until(page, f"document.getElementById('message').textContent === String.raw`{refused}`")
            await until(page, "document.querySelector('.cell').dataset.decision === '0'")  # as it was
            token, server.guard.token = server.guard.token, "another"  # as after a restart of the server
            await page.press("o")
            await until(page, "document.getElementById('message').textContent.includes('wrong address')")
            server.guard.token = token
            await until(page, saved(1))
            await until(page, "document.getElementById('message').hidden")

    with serving(workspace) as server:
        browser.browse(steps(server))
    assert workspace.sql("select count(*) as n from review")["n"].to_pylist() == [1]


def test_what_waits_when_the_server_ends_is_sent_by_the_page_of_the_next_one(workspace, scanned, tmp_path):
    lake = tmp_path / "more"
    lake.mkdir()
    for number, colour in enumerate(("orange", "cyan", "white", "gray", "brown", "pink", "olive", "navy")):
        Image.new("RGB", (40, 30), colour).save(lake / f"{number}.png")
    message = "document.getElementById('message').textContent"

    async def steps(stack: contextlib.ExitStack) -> None:
        server = stack.enter_context(serving(workspace))
        async with browser.browsing() as page:
            await ready(page, server.address)
            await until(page, "performance.getEntriesByType('resource').some(one => one.name.endsWith('/ids'))")
            cards.extend(server.cards())
            stack.close()
            await page.press("u")
            await page.press("o")
            await page.press("b")
            await page.press("z")
            await until(page, f"{message}.includes('Started again with --port {server.port}, its page sends them')")
            workspace.scan(scanned / "lake", lake)  # images have other numbers from now on
            following = stack.enter_context(serving(workspace, port=server.port))
            await until(
                page, f"{message}.includes('wrong address') && {message}.endsWith(': they are sent from there')"
            )
            assert await page.run("document.getElementById('saved').textContent") == "4 on their way"
            await page.open(following.address)
            await until(page, saved(2))
            assert await page.run("Object.keys(localStorage).filter(k => !localStorage[k].includes('taken'))") == []
            await page.press("z")
            await until(page, saved(1))
            assert [line for line in page.said if "Failed to load" not in line] == []

    cards: list[dict] = []
    with contextlib.ExitStack() as stack:
        browser.browse(steps(stack))
    found = workspace.sql("select image_id, decision from review order by review_number").to_pylist()
    said = [(row["image_id"], row["decision"]) for row in found if row["decision"] != "withdrawn"]
    assert said == [
        (cards[0]["image_id"], "unsure"),
        (cards[1]["image_id"], "ood"),
        (cards[2]["image_id"], "bad_image"),
    ]
    held = workspace.sql("select image_id, decision from report.reviews").to_pylist()
    assert [(row["image_id"], row["decision"]) for row in held] == [(cards[0]["image_id"], "unsure")]


def test_a_page_that_is_loaded_again_shows_the_same_and_can_undo(workspace, tmp_path):
    shown = (
        "JSON.stringify([document.getElementById('count').textContent, document.getElementById('found').textContent,"
        " document.getElementById('one-address').textContent, document.querySelector('#cut-counts li').textContent,"
        " ['filters', 'one', 'map', 'threshold', 'banks', 'nights'].filter(id => !document.getElementById(id).hidden),"
        " [...document.querySelector('#filters').elements].filter(f => f.name).map(f => [f.value, f.checked]),"
        " document.getElementById('undo').disabled, document.getElementById('words').value])"
    )

    async def again(page) -> None:
        before = await page.run(shown)
        await page.reload()
        await until(page, "document.documentElement.dataset.ready === 'yes'")
        await until(page, f"{shown} === {json.dumps(before)}")

    async def steps(server) -> None:
        server.desk.look_around()
        async with browser.browsing() as page:
            await ready(page, server.address)
            await page.press("o")
            await until(page, saved(1))
            await again(page)
            for name, value in (("groups", ""), ("sort", "name"), ("descending", "yes"), ("dark", "")):
                await choose(page, name, value)
            night = workspace.sql("select distinct first_run_id as run from report.scores")["run"].to_pylist()[0]
            await choose(page, "night", night)
            await until(page, "document.querySelector('#filters').elements.cluster.length === 2")
            await choose(page, "cluster", "0")
            await until(page, "document.getElementById('count').textContent.startsWith('10 images')")
            await page.press("ArrowRight")
            await page.press("p")
            await page.press("t")
            await page.run("document.getElementById('cut').focus()")
            await page.press("ArrowRight")
            await page.press("m")
            await again(page)
            await page.press("/")
            await page.type("blue")
            await page.press("Enter")
            await until(page, "document.getElementById('found').textContent === 'Nearest to “blue”'")
            await page.run("document.getElementById('grid').focus()")
            await page.press("f")
            await page.press("h")
            await again(page)
            await page.press("z")
            await until(page, "document.getElementById('undo').disabled")
            await page.run("document.querySelector('#filters [type=reset]').click()")
            await page.press("r")
            await until(page, "document.getElementById('pile').textContent.startsWith('2 to decide.')")
            await again(page)
            await until(page, "document.getElementById('pile').textContent.startsWith('2 to decide.')")
            assert await page.run(selected(2))
            assert page.said == []

    with serving(workspace) as server:
        browser.browse(steps(server))
    held = workspace.sql("select decision from report.reviews where decision <> 'withdrawn'")
    assert held.num_rows == 0, "what was decided before is taken back"


def test_a_page_follows_a_new_snapshot(workspace, decide, images, tmp_path):
    async def steps(server) -> None:
        async with browser.browsing() as page:
            await ready(page, server.address)
            said = await page.run("document.getElementById('count').textContent")
            assert said == "5 groups, 2 flagged; in the lake 4 of 10 images"
            await page.press("ArrowRight")
            decide({"image_id": images["blue-2"], "decision": "ood"}, reviewer="bob")
            assert server.desk.follow()
            await choose(page, "sort", "score")
            await choose(page, "reviewed", "ood")
            await until(page, "document.getElementById('count').textContent.startsWith('1 groups')")
            assert page.said == []

    with serving(workspace) as server:
        browser.browse(steps(server))


def test_what_is_searched_for_by_words_by_an_image_and_by_a_selection_is_shown(call, workspace, scanned, tmp_path):
    words = "document.getElementById('words').value"

    async def steps(address: str) -> None:
        async with browser.browsing() as page:
            await ready(page, address)
            await choose(page, "groups", "")
            await page.press("/")
            await page.type("blue")
            await page.press("Enter")
            await until(page, "document.getElementById('found').textContent === 'Nearest to “blue”'")
            assert await page.run(words) == "blue"
            await until(page, "document.getElementById('count').textContent.startsWith('10 images')")
            await until(page, "document.getElementById('one-address').textContent.includes('/blue-')")
            node = await page.call("Runtime.evaluate", expression="document.getElementById('file')")
            await page.call(
                "DOM.setFileInputFiles",
                files=[str(scanned / "lake" / "magenta-4.png")], objectId=node["result"]["objectId"],
            )  # fmt: skip
            await until(page, "document.getElementById('found').textContent === 'Nearest to the image magenta-4.png'")
            assert await page.run(words) == "", "it was not found by words"
            await until(page, "document.getElementById('one-address').textContent.includes('/magenta-4')")
            await page.run("document.getElementById('grid').focus()")
            await choose(page, "sort", "score")
            await until(page, "document.getElementById('one-address').textContent.includes('/yellow-')")
            await page.press("k")
            await until(page, "document.getElementById('found').textContent === 'Nearest to an image'")
            await until(page, "document.getElementById('one-address').textContent.includes('/yellow-')")
            await page.press("/")
            await page.type("blue")
            await page.press("Enter")
            await until(page, "document.getElementById('found').textContent === 'Nearest to “blue”'")
            await page.run("document.querySelector('#filters [type=reset]').click()")
            await until(page, "document.getElementById('found').hidden")
            assert await page.run(words) == ""
            assert page.said == []

    with serving(workspace) as server:
        browser.browse(steps(server.address))
        for said in ({}, {"text": " "}, {"text": "\ud83d"}, {"numbers": [99]}, {"text": "cat", "count": 0}):
            assert server.ask("search", said)[0] == 400, said
        sent = {"Content_Type": "application/octet-stream", "X_Curator_Token": server.token}
        status, said, _ = call(f"{server.address}search", data=b"GIF87a", **sent)
        assert status == 400 and b"this is no image" in said


def test_the_cut_is_dragged_and_saved_as_a_policy(workspace, scanned, tmp_path):
    workspace.calibrate(str(scanned / "lake" / "red-*.png"), str(scanned / "lake" / "green-*.png"), keep=0.5)
    before = workspace.in_force()

    def flagged(count: int) -> str:
        return f"document.getElementById('count').textContent.includes(', {count} flagged')"

    async def steps(server) -> None:
        async with browser.browsing() as page:
            await eager(page)
            await ready(page, server.address)
            await choose(page, "groups", "")
            await choose(page, "sort", "score")
            await until(page, "document.getElementById('count').textContent.startsWith('10 images')")
            ruled = await page.run("document.getElementById('count').textContent")
            await page.press("t")
            left, top, width = await page.run(
                "(b => [b.left, b.top, b.width])(document.getElementById('histogram').getBoundingClientRect())"
            )
            at = await page.run("(b => b.left + b.width / 2)(document.getElementById('cut').getBoundingClientRect())")
            await drag(page, [(at, top + 20), (left + width * 0.5, top + 20), (left + width, top + 20)])
            await until(page, flagged(9))
            assert await page.run("document.querySelectorAll('.cell[data-flag=\"1\"]').length") == 9
            await choose(page, "flagged", "no")
            await until(page, "document.getElementById('count').textContent.startsWith('1 images, 0 flagged')")
            await choose(page, "flagged", "")
            await page.run("document.getElementById('cut-reset').click()")
            await until(page, f"document.getElementById('count').textContent === {json.dumps(ruled)}")
            await page.run("document.getElementById('cut').focus()")
            for _ in range(3):
                await page.press("ArrowRight")
            said = await page.run("document.getElementById('cut-counts').textContent")
            assert "reference images flagged" in said and "false flags to expect" in said
            await page.run("document.getElementById('cut-name').value = 'by eye'")
            await page.run("document.getElementById('cut-save').requestSubmit()")
            await until(page, "document.getElementById('message').textContent.startsWith('Policy by eye is saved')")
            assert server.desk.follow()
            await until(page, "document.getElementById('ruling').textContent.endsWith('policy by eye')")
            await followed(page)
            said = await page.run("document.getElementById('message').textContent")
            assert said.startswith("Policy by eye is saved"), "it stays until something else is done"
            await choose(page, "descending", "yes")
            await until(page, "document.getElementById('message').hidden")
            assert page.said == []

    with serving(workspace) as server:
        browser.browse(steps(server))
        for cut in (-1e9, 1e9, "much", None):
            assert server.ask("policy", {"cut": cut})[0] == 400
    now = workspace.in_force()
    assert now.policy == "by eye" and now.scoring == before.scoring and now.calibrated.startswith("--keep 0.")


def test_a_cut_that_nobody_moved_is_the_one_that_rules_now(workspace, scanned, tmp_path):
    counted = "document.getElementById('count').textContent"
    said = "document.querySelector('#cut-counts li').textContent"

    async def steps(server) -> None:
        async with browser.browsing() as page:
            await ready(page, server.address)
            for keep in (0.3, 0.9):  # elsewhere, the threshold being closed, and open
                workspace.calibrate(str(scanned / "lake" / "*.png"), keep=keep)
                assert server.desk.follow()
                flagged = workspace.sql("select count(*) as n from report.flagged")["n"].to_pylist()[0]
                await until(page, f"{counted}.endsWith('in the lake {flagged} of 10 images')")
                if keep == 0.3:
                    before = await page.run(counted)
                    await page.press("t")
                    assert await page.run(counted) == before
                assert (await page.run(said)).endswith(", as it rules")
            # What somebody moved stays a trial.
            await page.run("document.getElementById('cut').focus()")
            await page.press("ArrowRight")
            tried = (await page.run(said)).partition(";")[0]
            workspace.calibrate(str(scanned / "lake" / "*.png"), keep=0.5)
            assert server.desk.follow()
            await until(page, f"{said} !== {json.dumps(await page.run(said))}")
            assert (await page.run(said)).startswith(f"{tried}; ")
            await page.run("document.getElementById('cut').focus()")
            for key, end in (("Home", "min"), ("End", "max"), ("Home", "min")):
                await page.press(key)
                slider = "document.getElementById('cut')"
                assert await page.run(f"{slider}.ariaValueNow === {slider}.ariaValue{end.title()}"), key
            await page.run("document.getElementById('cut-reset').click()")
            await until(page, f"{said}.endsWith(', as it rules')")
            assert page.said == []

    with serving(workspace) as server:
        browser.browse(steps(server))


def test_one_image_is_explained_with_what_is_near_it_and_what_became_of_it(workspace, decide, images, tmp_path):
    decide({"image_id": images["yellow-3"], "decision": "unsure", "note": "so <i>bright</i>"})

    async def steps(address: str) -> None:
        async with browser.browsing() as page:
            await ready(page, address)
            await choose(page, "groups", "")
            await choose(page, "sort", "score")
            await until(page, "document.getElementById('one-address').textContent.includes('/yellow-3')")
            await page.press("Enter")
            await until(page, "document.getElementById('single-facts').innerText.includes('Labels near it')")
            said = await page.run("document.getElementById('single-facts').innerText")
            for part in ("decided by the label 'yellow'", "would", "base@v1", "default", "so <i>bright</i>", "there"):
                assert part in said, part
            await until(page, "document.querySelectorAll('#single .pictures img').length >= 8")
            await page.press("ArrowRight")
            await until(page, "document.getElementById('single-facts').innerText.includes('/yellow-8')")
            await page.press("o")
            await until(page, saved(1))
            await until(page, "document.getElementById('single-facts').innerText.includes('/blue-2')")
            await page.look(width=390, height=844, dark=True)
            assert await page.run("document.getElementById('single').scrollWidth <= 390")
            await page.press("Escape")
            assert page.said == []

    with serving(workspace) as server:
        browser.browse(steps(server.address))
        for said in ({}, {"number": 99}, {"number": -1}, {"number": "0"}, {"number": True}):
            assert server.ask("single", said)[0] == 404, said


def test_the_map_selects_in_the_grid_and_shows_what_is_under_the_pointer(workspace, tmp_path):
    async def steps(server) -> None:
        async with browser.browsing() as page:
            await opened(page, server)
            box = "(b => [b.left, b.top, b.width, b.height])(document.getElementById('plane').getBoundingClientRect())"
            left, top, width, height = await page.run(box)
            corners = [(left + 4, top + 4), (left + width - 4, top + 4), (left + width - 4, top + height - 4)]
            await drag(page, [*corners, (left + 4, top + height - 4), (left + 4, top + 20)])
            assert await page.run(selected(10)), "a lasso around all"
            dots = (
                "(() => { const c = document.getElementById('plane'); const d = c.getContext('2d')"
                ".getImageData(0, 0, c.width, c.height).data; for (let i = 3; i < d.length; i += 4) if (d[i] === 255)"
                " return [(i >> 2) % c.width, Math.floor((i >> 2) / c.width)]; })()"
            )
            await page.press("Escape")
            for colour in ("flag", "name", "cluster", "night", "review", "score"):
                await page.run(
                    f"(f => {{ f.value = '{colour}'; f.dispatchEvent(new Event('change')); }})"
                    "(document.getElementById('colour'))"
                )
                await page.settle()
                assert await page.run("document.getElementById('map-legend').textContent.length > 1"), colour
            x, y = await page.run(dots)
            await mouse(page, "mouseMoved", left + x + 1, top + y + 1, buttons=0)
            await until(page, "document.getElementById('hover-picture').naturalWidth > 0")
            await page.run("document.getElementById('plane').focus()")
            for key in ("+", "+", "ArrowRight", "-"):
                await page.press(key)
            assert await page.run("document.getElementById('size').value") == "128", "the keys are the map's"
            assert page.said == []

    with serving(workspace) as server:
        browser.browse(steps(server))


def test_a_selection_is_tagged_saved_copied_and_exported_by_keys(workspace, tmp_path):
    shown: list[str] = []

    async def enter(page, field: str, text: str) -> None:
        await page.run(f"document.getElementById({json.dumps(field)}).select()")
        await page.type(text)
        await page.press("Enter")

    async def steps(address: str) -> None:
        async with browser.browsing() as page:
            await ready(page, address)
            await page.press(" ")
            await page.press("x")
            await until(page, "document.getElementById('leave').open && document.activeElement.id === 'leave-tag-name'")
            assert await page.run("document.getElementById('leave-title').textContent") == "1 selected image"
            await enter(page, "leave-tag-name", "to <b>print</b>")
            tagged = (
                "[...document.querySelectorAll('.cell .tags')].filter(e => e.textContent === 'to <b>print</b>').length"
            )
            await until(page, f"{tagged} === 1")
            await enter(page, "leave-name", "mine")
            await until(page, "document.getElementById('leave-said').textContent.startsWith('Saved: choose mine')")
            await enter(page, "leave-name", "mine")
            await until(page, "document.getElementById('leave-said').textContent === 'a query is called mine already'")
            await page.run("document.querySelector('#leave-copy button').focus()")
            await page.press("Enter")
            await until(page, "document.getElementById('leave-sql').value.includes('from chosen')")
            shown.append(await page.run("document.getElementById('leave-sql').value"))
            await page.run("document.getElementById('leave-format').value = 'csv'")
            await enter(page, "leave-to", "mine")
            await until(page, "document.getElementById('leave-said').textContent.startsWith('Exported: 1 image is in')")
            await page.picture(tmp_path / "leave.png")
            await page.look(width=390, height=844, dark=True)
            assert await page.run("document.documentElement.scrollWidth <= 390"), "fits a phone"
            assert await page.run("(d => d.scrollWidth <= d.clientWidth)(document.getElementById('leave'))")
            await page.picture(tmp_path / "leave-narrow.png")
            await page.press("Escape")
            assert await page.run("document.activeElement.id") == "grid"
            await choose(page, "saved", "mine")
            await until(page, "document.querySelectorAll('.cell:not([hidden])').length === 1")
            await choose(page, "saved", "")
            await choose(page, "near_duplicate", "yes")
            await until(page, "document.querySelectorAll('.cell:not([hidden])').length === 5")
            await page.press("z")
            await until(page, f"{tagged} === 0")
            assert [line for line in page.said if "409" not in line] == [], "that of the name that is taken"

    with serving(workspace) as server:
        browser.browse(steps(server.address))
    assert workspace.sql(shown[0])["image_id"].to_pylist() == workspace.query("mine")["image_id"].to_pylist()
    assert list((workspace.layout.exports / "mine").glob("*.csv"))

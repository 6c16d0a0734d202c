"""The review page in a real browser: keys, buttons, undo, what it says, and how it looks."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import sys
from pathlib import Path

SPEC = importlib.util.spec_from_file_location(
    "curator_browser_for_reviews", Path(__file__).parents[1] / "report" / "browser.py"
)
assert SPEC is not None and SPEC.loader is not None
browser = importlib.util.module_from_spec(SPEC)
sys.modules[SPEC.name] = browser
SPEC.loader.exec_module(browser)

SERVER = importlib.util.spec_from_file_location(
    "curator_review_serving", Path(__file__).with_name("test_review_server.py")
)
assert SERVER is not None and SERVER.loader is not None
server_tests = importlib.util.module_from_spec(SERVER)
SERVER.loader.exec_module(server_tests)

pytestmark = browser.needs_browser


async def until(page, condition: str) -> None:
    """Wait until an expression holds in the page."""
    for _ in range(600):
        if await page.run(condition):
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"never: {condition}; shown: {await page.run('document.body.innerText')}; said: {page.said}")


async def at(page, place: int) -> None:
    await until(page, f"document.getElementById('progress').textContent.startsWith('{place} of 5')")


def test_groups_are_decided_by_keys_and_by_buttons(workspace, tmp_path):
    async def steps(address: str) -> None:
        async with browser.browsing(tmp_path / "browser") as page:
            await page.open(address)
            await at(page, 1)
            await until(page, "document.getElementById('picture').naturalWidth > 0")
            said = await page.run("document.getElementById('ruling').innerText")
            assert said == f"Ruled by {workspace.in_force()}" and said.startswith("Ruled by bank base@v1, method ")
            await page.press("o")
            await at(page, 2)
            await page.press("w")  # the nearest negative of this one is wrong
            await until(page, "document.getElementById('state').textContent.startsWith('Wrong label: ')")
            await page.press("i")
            await at(page, 3)
            await page.press("b")
            await at(page, 4)
            await page.press("z")  # back to the third, which is open again
            await at(page, 3)
            await until(page, "document.getElementById('state').textContent === ''")
            await page.press("ArrowLeft")
            await at(page, 2)
            await until(page, "document.querySelector('[data-decision=id]').ariaPressed === 'true'")
            for _ in range(2):
                await page.press("ArrowRight")
            await at(page, 4)
            # By keyboard alone, without the shortcuts: focus the button, press Enter.
            await page.run("document.querySelector('[data-decision=unsure]').focus()")
            await page.press("Enter")
            await at(page, 5)
            # Typing a note is no shortcut.
            await page.run("document.getElementById('note').focus()")
            await page.press("o")
            await page.type(" it is <b>sky</b>")
            await at(page, 5)
            await page.run("document.querySelector('[data-decision=ood]').click()")
            await until(page, "document.getElementById('state').textContent === 'Decided: OOD'")
            await page.look(width=360, height=740)
            assert await page.run("document.documentElement.scrollWidth <= 360"), "fits a phone"
            await page.look(dark=True)
            await page.picture(tmp_path / "page.png")
            names = await page.run(
                "[...document.querySelectorAll('button, input')].map(e => e.textContent || e.labels[0].textContent)"
            )
            assert all(name.strip() for name in names)
            assert await page.run("[...document.images].every(i => i.alt)")
            assert page.said == []
            own = address.rpartition("/")[0].rpartition("/")[0]
            assert {url for url in page.requests if not url.startswith((own, "about:"))} == set()

    with server_tests.serving(workspace) as server:
        browser.browse(steps(server.address))
        items = server.desk.items()["items"]
    assert [item.get("decision") for item in items] == ["ood", "id", None, "unsure", "ood"]
    rows = workspace.sql("select decision, wrong_label, note from report.reviews").to_pylist()
    assert len(rows) == 4 and {row["wrong_label"] for row in rows} == {None, items[1]["top_negative"]}
    assert {row["note"] for row in rows} == {None, "o it is <b>sky</b>"}


def test_a_decision_that_is_not_saved_is_said_and_the_page_stays(workspace, tmp_path):
    async def steps(server) -> None:
        async with browser.browsing(tmp_path / "browser") as page:
            await page.open(server.address)
            await at(page, 1)
            await page.run("document.getElementById('note').value = 'so \\ud83d'")
            await page.run("document.querySelector('[data-decision=ood]').click()")
            refused = r"Not saved: note is no UTF-8 text: 'so \ud83d'"
            await until(page, f"document.getElementById('message').textContent === String.raw`{refused}`")
            server.token = "another"  # as after a restart of the server
            await page.press("o")
            await until(page, "document.getElementById('message').textContent.includes('wrong address')")
            await at(page, 1)
            assert "wrong address" in json.dumps(await page.run("document.getElementById('message').textContent"))

    with server_tests.serving(workspace) as server:
        browser.browse(steps(server))
    assert workspace.sql("select count(*) as n from review")["n"].to_pylist() == [0]

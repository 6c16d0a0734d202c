"""The app for everybody: a name for all that can be used, the focus never lost, and room in every view on a phone."""

from __future__ import annotations

import pytest
from PIL import Image

from tests.app.serving import serving
from tests.app.test_app_browser import browser, ready, until
from tests.review.conftest import call

USED = {"button", "checkbox", "combobox", "image", "img", "listbox", "menuitem", "option", "searchbox", "slider",
        "spinbutton", "textbox", "application", "dialog", "toolbar"}  # fmt: skip
VIEWS = {"m": "map", "t": "threshold", "v": "banks", "h": "nights"}
FOCUS = """(() => {
  const here = document.activeElement;
  const style = getComputedStyle(here.matches('[type=file]') ? here.parentElement : here);
  const name = here === document.body ? 'BODY' : here.id || here.name || here.textContent.trim();
  return [name, style.outlineStyle, style.outlineWidth];
})()"""

BEGUN = """(dialog => [dialog.scrollTop, document.activeElement.lastChild.textContent.trim()])(
  document.querySelector('dialog[open]'))"""


# What can be used, and whose edge stands out from the page by less than 3 : 1 (WCAG 2.2, 1.4.11).
FAINT = """(() => {
  const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const linear = (value) => value <= 10 ? value / 3294.6 : ((value / 255 + 0.055) / 1.055) ** 2.4;
  const light = ([red, green, blue]) => 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
  const back = numbers(getComputedStyle(document.body).backgroundColor).slice(0, 3);
  const isFaint = (used) => {
    const { borderTopStyle, borderTopColor } = getComputedStyle(used);
    const [red, green, blue, share = 1] = numbers(borderTopColor);
    const edge = light([red, green, blue].map((value, place) => share * value + (1 - share) * back[place]));
    const ratio = (Math.max(edge, light(back)) + 0.05) / (Math.min(edge, light(back)) + 0.05);
    return borderTopStyle !== 'none' && ratio < 3;
  };
  const written = 'input:not([type=checkbox], [type=range], [type=file])';
  const used = document.querySelectorAll(`button, select, textarea, .button, ${written}`);
  const seen = [...used].filter((one) => one.checkVisibility());
  return seen.length > 10 ? seen.filter(isFaint).map((one) => one.id || one.textContent) : ['nothing is seen'];
})()"""


async def nameless(page) -> list[str]:
    """What a screen reader would announce by its role alone."""
    nodes = (await page.call("Accessibility.getFullAXTree"))["nodes"]
    seen = [node for node in nodes if not node.get("ignored") and node.get("role", {}).get("value") in USED]
    assert len(seen) > 10
    found = [node for node in seen if not node.get("name", {}).get("value")]
    told = [await page.call("DOM.describeNode", backendNodeId=node["backendDOMNodeId"]) for node in found]
    return [f"{one['node']['nodeName']} {one['node'].get('attributes')}" for one in told]


@pytest.fixture
def elsewhere(workspace, tmp_path):
    """Its reference lies in a folder that is no part of the lake."""
    folder = tmp_path / "reference"
    folder.mkdir()
    for number in range(6):
        picture = Image.new("RGB", (40, 30), ("red", "green")[number % 2])
        picture.putpixel((number, 3), (9, 9, 9))
        picture.save(folder / f"{number}.png")
    workspace.calibrate(folder, keep=0.5)
    return workspace


@browser.needs_browser
def test_every_view_has_names_room_on_a_phone_and_a_focus_that_is_seen(elsewhere, tmp_path):
    async def steps(address: str) -> None:
        async with browser.browsing() as page:
            await ready(page, address)
            await page.call("Accessibility.enable")
            assert await nameless(page) == []
            for key, view in VIEWS.items():
                await page.press(key)
                await until(page, f"!document.getElementById('{view}').hidden")
                assert await nameless(page) == [], view
                for dark in (False, True):
                    await page.look(width=390, height=844, dark=dark)
                    assert await page.run("document.documentElement.scrollWidth") <= 390, view
                    await page.look(dark=dark)
                    assert await page.run(FAINT) == [], view
                await page.look()
                await page.press(key)
            for width in (1200, 390):
                await page.look(width=width)
                await page.run("document.getElementById('grid').focus()")
                await page.press("?")
                assert await page.run(BEGUN) == [0, "Close"], "the keys begin with the title and the first of them"
                await page.press("Escape")
            await page.look()
            await page.press("Enter")
            await until(page, "document.querySelectorAll('#single-facts img').length > 8")
            assert await nameless(page) == []
            await until(page, "[...document.querySelectorAll('#single-facts img')].every(i => i.naturalWidth > 0)")
            facts = await page.run("document.getElementById('single-facts').innerText")
            assert "Nearest ID reference images" in facts and "would keep it" in facts
            await page.look(width=390, height=844)
            assert await page.run("document.documentElement.scrollWidth") <= 390
            assert await page.run("document.getElementById('single').scrollWidth") <= 390
            await page.look()
            await page.press("Escape")
            visited = []
            for _ in range(80):
                await page.press("Tab")
                name, style, width = await page.run(FOCUS)
                assert name == "BODY" or (style != "none" and width != "0px"), f"the focus is not seen: {name}"
                if visited and name == visited[0]:
                    break
                visited.append(name)
            assert {"grid", "words", "show-map", "undo", "note"} - {"undo"} <= set(visited), (
                "all is reached, none traps"
            )
            assert page.said == []

    with serving(elsewhere) as server:
        server.desk.look_around()
        browser.browse(steps(server.address))


def test_reference_images_of_another_folder_have_their_pictures(elsewhere):
    with serving(elsewhere) as server:
        status, found = server.ask("single", {"number": server.cards()[0]["number"]})
        assert status == 200 and len(found["reference"]) >= 5
        for image in found["reference"]:
            status, body, _ = call(f"{server.address}thumbnails/{image['image_id']}")
            assert status == 200 and body[8:12] == b"WEBP"

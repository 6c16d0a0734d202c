"""The page of a night in a real Chromium: no complaint in its console, filters, map and galleries by keyboard, light,
dark, and as wide as a telephone."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from PIL import Image

from curator.report.night_page import NightView, night_page
from tests.report.browser import CUT_OFF, PAPER, needs_browser, visit_page
from tests.report.nights import data, points, usual_page, view

pytestmark = needs_browser
COUNT = "document.getElementById('filter-count').textContent"
POINT = "document.getElementById('map-point').textContent"
FOCUS = "document.activeElement.closest('figure')?.querySelector('.address').textContent"
SHOWN = "document.querySelectorAll('[data-gallery] > figure:not([hidden])').length"


@pytest.fixture
def visit(tmp_path):
    """Open the page of a night and do the steps."""

    def run(steps, shown=None):
        path = tmp_path / "night.html"
        path.write_text(night_page(shown) if shown else usual_page(), encoding="utf-8")
        visit_page(path, steps)

    return run


def test_filters_narrow_the_map_and_the_galleries(visit):
    async def steps(page):
        assert await page.run(COUNT) == "12 of 12 images, 6 of them flagged; 6 of 6 pictures in the galleries"
        ruling = await page.run("document.getElementById('ruled-by').innerText")
        assert ruling.startswith("Ruled by bank ") and ", method " in ruling and ", policy " in ruling
        await page.run("document.getElementById('label-filter').focus()")
        await page.type("RAI")
        assert await page.run(COUNT) == "4 of 12 images, 2 of them flagged; 0 of 6 pictures in the galleries"
        await page.run("document.querySelector('#filters [type=reset]').focus()")
        await page.press("Enter")
        assert (await page.run(COUNT)).startswith("12 of 12 images")
        await page.run("document.getElementById('cluster-filter').focus()")
        await page.press("f")
        assert await page.run(COUNT) == "3 of 12 images, 3 of them flagged; 3 of 6 pictures in the galleries"
        await page.run("document.getElementById('low-filter').focus()")
        await page.type("-7.5")
        assert await page.run(COUNT) == "2 of 12 images, 2 of them flagged; 2 of 6 pictures in the galleries"
        assert await page.run(SHOWN) == 2

    visit(steps)


def test_the_map_is_walked_by_keyboard_and_told_to_a_pointer(visit):
    async def steps(page):
        await page.run("document.getElementById('map-canvas').focus()")
        await page.press("ArrowRight")
        assert (await page.run(POINT)).startswith("1 of 6: /lake/fog-0.png: rain, flagged, nearest ID label dog")
        for _ in range(9):
            await page.press("ArrowRight")
        assert (await page.run(POINT)).startswith("6 of 6: /lake/fog-5.png")
        await page.press("ArrowLeft")
        assert (await page.run(POINT)).startswith("5 of 6")
        assert await page.run("document.activeElement.id") == "map-canvas"
        await page.press("Escape")
        assert await page.run("document.activeElement.id") == ""
        x, y = await page.run(
            "(() => { const f = canvas.getBoundingClientRect(), [x, y] = spot(11, size());"
            " return [f.left + x * f.width / canvas.width, f.top + y * f.height / canvas.height]; })()"
        )
        await page.run(f"point({{clientX: {x}, clientY: {y}}})")
        assert (await page.run(POINT)).startswith("fog, kept, nearest ID label cat, log-odds 2.000")

    visit(steps)


def test_a_flagged_point_shows_its_picture_and_a_click_opens_it(visit):
    async def steps(page):
        at = "(() => { const f = canvas.getBoundingClientRect(), [x, y] = spot(0, size());"
        x, y = await page.run(f"{at} return [f.left + x / devicePixelRatio, f.top + y / devicePixelRatio]; }})()")
        where = f"clientX: {x}, clientY: {y}"
        await page.run(f"canvas.dispatchEvent(new PointerEvent('pointermove', {{{where}}}))")
        assert await page.run("document.querySelector('#map-point img').alt") == "/lake/fog-0.png"
        await page.run(f"canvas.dispatchEvent(new MouseEvent('click', {{{where}}}))")
        assert await page.run("document.querySelector('dialog[open] img').alt") == "/lake/fog-0.png"

    visit(steps)


def test_the_map_draws_what_the_filters_let_through(visit):
    painted = (
        "(() => { const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext('2d');"
        " copy.drawImage(canvas, 0, 0); const d = copy.getImageData(0, 0, canvas.width, canvas.height).data;"
        " let n = 0; for (let i = 3; i < d.length; i += 4) n += d[i] > 0; return n; })()"
    )

    async def steps(page):
        everything = await page.run(painted)
        await page.run("document.getElementById('flagged-filter').click()")
        await page.settle()
        flagged = await page.run(painted)
        await page.run("document.getElementById('label-filter').focus()")
        await page.type("no such label")
        assert everything > flagged > 0 and await page.run(painted) == 0

    visit(steps)


def test_galleries_are_walked_and_opened_by_keyboard(visit):
    async def steps(page):
        await page.run("document.querySelector('#certain button').focus()")
        assert await page.run(FOCUS) == "/lake/fog-0.png"
        await page.press("ArrowRight")
        assert await page.run(FOCUS) == "/lake/fog-1.png"
        await page.press("End")
        assert await page.run(FOCUS) == "/lake/fog-2.png"
        await page.press("Home")
        await page.press("Enter")
        assert await page.run("document.querySelector('dialog').open && document.querySelector('dialog img').alt") == (
            "/lake/fog-0.png"
        )
        await page.run("document.querySelector('dialog summary').focus()")
        await page.press("Enter")
        assert await page.run("document.querySelector('dialog details').open"), "how the label was made"
        assert await page.run("document.querySelector('dialog details p').checkVisibility()")
        await page.press("Escape")
        assert not await page.run("document.querySelector('dialog').open")
        assert await page.run(FOCUS) == "/lake/fog-0.png", "the focus comes back"
        await page.press("Enter")
        await page.run("document.querySelector('dialog form button').focus()")
        await page.press("Enter")
        assert not await page.run("document.querySelector('dialog').open")

    visit(steps)


def test_the_page_is_light_or_dark_and_fits_a_telephone(visit, tmp_path):
    def brightness(name):
        with Image.open(io.BytesIO((tmp_path / name).read_bytes())) as shot:
            return float(np.asarray(shot.convert("L")).mean())

    async def steps(page):
        await page.picture(tmp_path / "light.png")
        light = await page.run("getComputedStyle(document.querySelector('.chart text')).fill")
        await page.look(dark=True)
        await page.picture(tmp_path / "dark.png")
        assert await page.run("getComputedStyle(document.querySelector('.chart text')).fill") != light
        await page.look(width=360, height=740)
        assert await page.run("document.documentElement.scrollWidth") <= 360
        await page.picture(tmp_path / "phone.png")
        await page.look(width=390, height=844)
        top = "document.querySelector('[data-gallery]').getBoundingClientRect().top + scrollY"
        assert await page.run(top) < 3 * 844

    visit(steps)
    assert brightness("light.png") > 200 and brightness("dark.png") < 60


def test_no_text_of_a_card_is_cut_off(visit):
    texts = "[...document.querySelectorAll('figcaption, .making p')]"
    cut = f"{texts}.filter(one => one.scrollWidth > one.clientWidth).length"

    async def steps(page):
        await page.run("document.querySelectorAll('details').forEach(one => one.open = true)")
        for width in (1200, 390):
            await page.look(width=width)
            assert await page.run(cut) == 0

    visit(steps, view(text="wordnet:noun.communication" * 2))


def test_on_paper_no_column_is_cut_off(visit):
    async def steps(page):
        await page.run("document.querySelectorAll('details').forEach(one => one.open = true)")
        await page.look_printed(width=PAPER)
        assert await page.run("document.querySelectorAll('table').length") > 3
        assert await page.run(CUT_OFF) == []

    visit(steps, view(text="wordnet:noun.communication" * 2))


def test_payloads_run_nothing(visit):
    payload = "</script><img src=x onerror=\"document.title='run'\"><svg onload=\"document.title='run'\">"

    async def steps(page):
        await page.run("document.querySelector('#certain button').click()")
        assert await page.run("document.title") == "curator: night of 2026-11-26"
        assert payload in await page.run("document.querySelector('dialog').textContent")

    visit(steps, view(text=payload))


def test_a_night_without_images_complains_of_nothing(visit):
    nothing = data(flags=0)

    async def steps(page):
        assert await page.run("document.querySelectorAll('figure').length") == 0

    visit(steps, NightView(nothing, points(0, flagged=0)))


@pytest.mark.slow
def test_a_hundred_thousand_images_are_drawn_and_filtered_at_once(visit):
    async def steps(page):
        milliseconds = "(() => { const start = performance.now(); filter(); return performance.now() - start; })()"
        print(json.dumps({"load": await page.run("performance.now()"), "filter": await page.run(milliseconds)}))
        assert (await page.run(COUNT)).startswith("100,000 of 100,000 images, 8,000 of them flagged")
        assert await page.run("map.walked.places.length") == 2000

    visit(steps, NightView(data(), points(100_000, flagged=8000), view().thumbnails))

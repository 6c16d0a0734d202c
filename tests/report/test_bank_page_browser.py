"""The page of a bank in a real Chromium: columns sort, labels are found, and no script but its own runs."""

from __future__ import annotations

import json

import pytest

from curator.report.bank_page import MOST_OPEN, PagePicture, bank_page
from tests.report.browser import CUT_OFF, PAPER, needs_browser, visit_page
from tests.report.nights import picture

pytestmark = needs_browser
FACTS = {"name": "ants", "version": 2, "bank_digest": "d" * 32}
ROWS = (("Zebra", 2, 0.25), ("ape", 10, -0.5), ("émeu", 9, 0.031), ("bee", 0, 0.5))
DOUBTS = [{"label": "bee", "reason": "synonym", "cosine": None}, {"label": "bee", "reason": "near", "cosine": 0.9}]


def labels(source="ants:ens", rows=ROWS):
    names = ("text", "flags", "nearest_id_cosine")
    return [
        {**dict(zip(names, row, strict=True)), "role": "negative", "source": source, "nearest_id": "cat"}
        for row in rows
    ]


@pytest.fixture
def visit(tmp_path):
    """Open a bank's page and do the steps."""

    def run(steps, page=None):
        path = tmp_path / "bank.html"
        path.write_text(page or bank_page(FACTS, labels(), [], DOUBTS), encoding="utf-8")
        visit_page(path, steps)

    return run


async def column(page, place, table="details.labels table"):
    return await page.run(
        f"[...document.querySelectorAll('{table} tbody tr')].map(row => row.cells[{place}].textContent)"
    )


async def sort(page, place, table="details.labels table"):
    """By keyboard, and how the column says that it is sorted."""
    await page.run(f"document.querySelectorAll('{table} th button')[{place}].focus()")
    await page.press("Enter")
    return await page.run(f"[...document.querySelectorAll('{table} th')].map(head => head.getAttribute('aria-sort'))")


def test_a_column_sorts_its_table_up_and_down_numbers_as_numbers(visit):
    async def steps(page):
        assert await column(page, 0) == ["Zebra", "ape", "émeu", "bee"], "as the bank has them, before"
        assert await sort(page, 1) == [None, "ascending", None, None]
        assert await column(page, 1) == ["0", "2", "9", "10"]
        assert await column(page, 0) == ["bee", "Zebra", "émeu", "ape"], "rows move whole"
        assert await sort(page, 1) == [None, "descending", None, None]
        assert await column(page, 1) == ["10", "9", "2", "0"]
        assert await sort(page, 3) == [None, None, None, "ascending"]
        assert await column(page, 3) == ["-0.500", "0.031", "0.250", "0.500"]
        await sort(page, 0)
        assert await column(page, 0) == ["ape", "bee", "émeu", "Zebra"]

    visit(steps)


def test_tables_sort_apart_and_what_is_empty_comes_last_both_ways(visit):
    async def steps(page):
        await page.run(
            "[...document.querySelectorAll('table')].find(one => one.textContent.includes('synonym')).id = 'doubts'"
        )
        for _ in range(2):
            await sort(page, 5, "#doubts")
            assert await column(page, 5, "#doubts") == ["0.900", ""]
        assert await column(page, 0) == ["Zebra", "ape", "émeu", "bee"]

    visit(steps)


def test_labels_are_found_in_every_section_and_those_without_any_close(visit):
    many = labels("wordnet", [(f"word {number}", 0, 0.1) for number in range(MOST_OPEN)])
    page_of_many = bank_page(FACTS, [*labels(), *many], [])
    shown = "[...document.querySelectorAll('details.labels tbody tr')].filter(row => row.checkVisibility()).length"
    opened = "[...document.querySelectorAll('details.labels')].map(part => part.open)"

    async def steps(page):
        assert await page.run(opened) == [False, False], "a large bank is folded"
        await page.run("document.querySelector('input[type=search]').focus()")
        await page.type("BE")
        assert await page.run(opened) == [True, False]
        assert await page.run(shown) == 1, "bee"
        await page.run("document.querySelector('input').select()")
        await page.type("word 49")
        assert await page.run(opened) == [False, True]
        assert await page.run(shown) == 11

    visit(steps, page_of_many)


def test_a_script_that_is_not_the_pages_own_is_refused_and_so_is_one_that_was_changed(tmp_path):
    """Were a text ever to become markup, the policy would still hold: held against a page that was tampered with."""
    page = bank_page(FACTS, labels(), [PagePicture("moon", picture(), {})])
    strange = "<script>document.title = 'run'</script><img src=x onerror=\"document.title = 'run'\">"
    tampered = {
        "another": page.replace("</main>", f"{strange}</main>"),
        "changed": page.replace('"use strict";', '"use strict";document.title = "run";'),
    }
    for name, text in tampered.items():
        assert text != page
        path = tmp_path / name / "bank.html"
        path.parent.mkdir()
        path.write_text(text, encoding="utf-8")
        said = []

        async def steps(tab, said=said):
            assert await tab.run("document.title") == "Bank ants v2"
            said += tab.said
            tab.said.clear()
            tab.requests[:] = [url for url in tab.requests if not url.endswith("/x")]

        visit_page(path, steps)
        assert any("Content Security Policy" in line for line in said), json.dumps(said)


def test_the_page_fits_a_telephone_and_its_head_can_be_read(visit):
    async def steps(page):
        await page.look(dark=True, width=390, height=800)
        assert await page.run("document.documentElement.scrollWidth") <= 390
        assert await page.run("document.querySelector('.facts').getBoundingClientRect().right") <= 390

    visit(steps)


def test_on_paper_no_column_is_cut_off_and_nothing_asks_for_a_click(visit):
    told = {"model": "openai:gpt-large-vision", "prompt": "describe-image", "output": "a photo of something, " * 20}
    named = [{**label, "concerns": f"/lake/folder-of-a-night/{label['text']}.jpg", **told} for label in labels()]

    async def steps(page):
        await page.look_printed(width=PAPER)
        assert await page.run("document.querySelectorAll('details.labels table').length") > 0
        assert await page.run(CUT_OFF) == []
        arrows = "getComputedStyle(document.querySelector('th button'), '::after').content"
        assert await page.run(arrows) == "none"
        assert not await page.run("[...document.querySelectorAll('input')].some(one => one.checkVisibility())")

    visit(steps, bank_page(FACTS, named, [], DOUBTS))

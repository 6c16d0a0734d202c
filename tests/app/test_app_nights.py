"""Nights in the app: flag rate, drift and rejects, a chart that keys move in, and a night's images in the grid."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from PIL import Image

from curator.report.statistics import stability_index
from curator.workspace import Workspace
from curator.workspace.app.nights import MOST_NIGHTS, show_nights
from tests.app.serving import serving, unpacked
from tests.app.test_app_browser import browser, ready, until


@pytest.fixture
def three_nights(workspace: Workspace, tmp_path) -> Workspace:
    """A night of yellow images that are all flagged, with a file that is no image; and one of such a file alone."""
    folder = tmp_path / "later"
    folder.mkdir()
    for number in range(3):
        Image.new("RGB", (40, 30), (255, 255, number)).save(folder / f"{number}.png")
    (folder / "broken.png").write_bytes(b"no image")
    workspace.scan(folder)
    (tmp_path / "last").mkdir()
    (tmp_path / "last" / "broken.png").write_bytes(b"none either")
    workspace.scan(tmp_path / "last")
    return workspace


def test_nights_have_flag_rate_drift_and_rejects_as_the_views_have_them(three_nights):
    with serving(three_nights) as server:
        status, found = server.ask("nights", {})
        assert status == 200 and found["all"] == 3
        assert server.ask("nights", {"skip": -1})[0] == server.ask("nights", {"skip": "1"})[0] == 400
        frame, layout = server.desk._frame, three_nights.layout
        many = replace(frame, nights=[*frame.nights[:1] * 5000, *frame.nights])
        shown = show_nights(layout, many, {})
        assert len(shown["nights"]) == MOST_NIGHTS and shown["all"] == 5003, "thousands of nights are bounded"
        last = show_nights(layout, many, {"skip": 5000})["nights"]
        assert [night["run"] for night in last] == [night["run"] for night in found["nights"]]
    views = three_nights.sql(
        "select run_id, images, flagged, flag_rate, data_read, rejects from report.night "
        "join run using (run_id) order by run_number"
    ).to_pylist()
    for night, row in zip(found["nights"], views, strict=True):
        assert (night["run"], night["images"], night["flagged"]) == (row["run_id"], row["images"], row["flagged"])
        assert night["rate"] == row["flag_rate"] and night["reject_rate"] == row["rejects"] / row["data_read"]
        assert night["images"] == 0 or night["low"] <= night["rate"] <= night["high"]
    first, second, empty = found["nights"]
    assert (second["flagged"], second["rejects"]) == (3, 1) and (empty["rate"], empty["reject_rate"]) == (None, 1)
    scores = [
        three_nights.sql("select log_odds from report.scores where first_run_id = $run", {"run": night["run"]})[
            "log_odds"
        ]
        for night in (first, second)
    ]
    assert second["drift"] == pytest.approx(stability_index(*(column.to_numpy() for column in scores))[0])
    assert first["drift"] == 0 and empty["drift"] is None and found["baseline"].startswith("the first night, ")
    three_nights.pin_baseline(second["run"])
    with serving(three_nights) as server:
        _, pinned = server.ask("nights", {})
    assert pinned["baseline"].startswith("the pinned night, ") and pinned["nights"][1]["drift"] == 0


def test_a_night_is_chosen_by_key_by_click_and_in_the_table(three_nights, tmp_path):
    async def steps(address: str) -> None:
        async with browser.browsing() as page:
            await ready(page, address)
            await page.press("h")
            await until(page, "document.querySelectorAll('#history .line').length === 3")
            await page.run("document.getElementById('history').focus()")
            value = "document.getElementById('history').getAttribute('aria-valuetext')"
            await page.press("End")
            assert "0 of 0 images flagged (none)" in await page.run(value)
            await page.press("Enter")
            await until(page, "document.getElementById('message').textContent.includes('no image is in the lake')")
            await page.press("ArrowLeft")
            assert "3 of 3 images flagged (100.0 %)" in await page.run(value)
            assert "1 of 4 read were rejects" in await page.run(value)
            await page.press("Enter")
            await until(page, "document.querySelectorAll('.cell:not([hidden])').length === 1")  # they look alike
            run = await page.run("document.querySelector('#filters').elements.night.value")
            box = await page.run(
                "(b => [b.x, b.y, b.width])(document.getElementById('history').getBoundingClientRect())"
            )
            for kind in ("mousePressed", "mouseReleased"):
                await page.call(
                    "Input.dispatchMouseEvent",
                    type=kind,
                    x=box[0] + box[2] / 6,
                    y=box[1] + 40,
                    button="left",
                    clickCount=1,
                )
            await until(page, "document.querySelectorAll('.cell:not([hidden])').length === 5")
            assert await page.run("document.querySelector('#filters').elements.night.value") != run
            await page.run("document.querySelector('#nights summary').focus()")
            await page.press("Enter")
            await until(page, "document.querySelectorAll('#nights tr').length === 4")
            await page.run(f"document.querySelector('#nights td button[title=\"{run}\"]').click()")
            await until(page, "document.querySelectorAll('.cell:not([hidden])').length === 1")
            await page.look(width=390, height=844, dark=True)
            assert await page.run("document.documentElement.scrollWidth <= 390"), "fits a phone"
            assert page.said == []

    with serving(three_nights) as server:
        browser.browse(steps(server.address))


def test_nights_of_one_date_are_told_apart_everywhere(three_nights, call):
    at = datetime(2026, 3, 1, 4, 5, 6)
    for times, expected in (
        ((at, at + timedelta(days=1), at + timedelta(days=2)), ["2026-03-01", "2026-03-02", "2026-03-03"]),
        (
            (at, at + timedelta(seconds=1), at + timedelta(minutes=2)),
            ["2026-03-01 04:05:06", "2026-03-01 04:05:07", "2026-03-01 04:07"],
        ),
        (
            (at, at + timedelta(microseconds=5), at + timedelta(days=1)),
            ["2026-03-01 04:05:06.000000", "2026-03-01 04:05:06.000005", "2026-03-02"],
        ),
    ):
        with serving(three_nights) as server:
            frame = server.desk._frame
            nights = [
                {**row, "started_at": time, "night": time.date()}
                for row, time in zip(frame.nights, reversed(times), strict=True)
            ]
            server.desk._frame = replace(frame, nights=nights)
            assert [night["night"] for night in server.ask("nights", {})[1]["nights"]] == expected
            shown = [row["run_id"] for row in nights if row["run_id"] in frame.texts["first_run_id"].known]
            names = [
                name
                for run, name in zip((row["run_id"] for row in nights[::-1]), expected, strict=True)
                if run in shown
            ]
            assert unpacked(call(f"{server.address}columns")[1])["nights"] == names, "the legend of the map"
            assert [name for _, name, _ in server.shown("facets")["night"]] == names[::-1], "the filter"


def test_texts_fit_where_there_is_little_room(three_nights, tmp_path):
    cut_off = """
    [...document.querySelectorAll('#history text')].filter(one => {
      const box = one.getBoundingClientRect(), around = one.ownerSVGElement.getBoundingClientRect();
      return box.left < around.left - 1 || box.right > around.right + 1;
    }).map(one => one.textContent)
    """
    whole = "(e => e.clientWidth > 0 && e.scrollWidth <= e.clientWidth && getComputedStyle(e).whiteSpace !== 'nowrap')"

    async def steps(address: str) -> None:
        async with browser.browsing() as page:
            await ready(page, address)
            for width in (1200, 800, 740, 390):
                await page.look(width=width, height=800)
                assert await page.run(f"{whole}(document.getElementById('ruling'))"), width
                await page.press("h")
                await until(page, "document.querySelectorAll('#history .line').length === 3")
                await page.settle()
                assert await page.run(cut_off) == [], width
                options = "document.querySelector('#filters').elements.night.options"
                assert await page.run(f"new Set([...{options}].map(one => one.text)).size") == 3
                await page.press("t")
                assert await page.run("document.getElementById('cut-name').clientWidth") > 130, width
                await page.press("t")
            assert page.said == []

    three_nights.calibrate(str(tmp_path / "later" / "0.png"), str(tmp_path / "later" / "1.png"), keep=0.5)
    with serving(three_nights) as server:
        browser.browse(steps(server.address))

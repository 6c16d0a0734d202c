"""The map in a real browser: by WebGL and without, of all images and of a selection, by UMAP; and what ships for it."""

from __future__ import annotations

import io
import os
import re
import tomllib
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from curator.vectors.collections import unit
from curator.workspace.app import projecting, projections
from curator.workspace.app.projecting import ImageProjection
from tests.app import computing
from tests.app.serving import serving
from tests.app.test_app_browser import browser, choose, click, drag, opened, selected, until
from tests.app.vendor import FOLDER, MOST_BYTES, faults, pinned

RED = (185, 28, 28)  # what is flagged
# A machine whose graphics processor draws: what computes WebGL here is named like one.
WITH_GPU = """
const asked = WebGL2RenderingContext.prototype.getParameter;
WebGL2RenderingContext.prototype.getParameter = function (name) {
  return name === 0x9246 ? 'a GPU' : asked.call(this, name);
};
"""
KINDS = {
    "webgl": (browser.WEBGL, WITH_GPU),
    "canvas": (browser.NO_WEBGL, ""),
    "canvas, for WebGL is computed": (browser.WEBGL, ""),
}
DRIVER = re.compile(r"GL Driver Message|GPU stall")  # what a browser says of pictures that are taken of a page


async def box_of(page) -> tuple[float, float, float, float]:
    return await page.run(
        "(b => [b.left, b.top, b.width, b.height])(document.getElementById('plane').getBoundingClientRect())"
    )


async def seen(page, path: Path) -> np.ndarray:
    """The pixels of the map, (h, w, 3)."""
    await page.settle()
    left, top, width, height = (round(value) for value in await box_of(page))
    with Image.open(io.BytesIO(await page.picture(path))) as image:
        return np.asarray(image.convert("RGB"))[top : top + height, left : left + width]


def count(pixels: np.ndarray, colour: tuple[int, int, int]) -> int:
    return int((np.abs(pixels.astype(int) - colour).max(axis=2) < 12).sum())


def right_end(pixels: np.ndarray) -> bool:
    """Whether a dot lies at (1, 0)."""
    height, width = pixels.shape[:2]
    x, y = round(width / 2 + 0.95 * min(width, height) / 2), height // 2
    around = pixels[y - 4 : y + 5, x - 4 : x + 5]
    return bool((around != pixels[2, 2]).any())


async def around_all(page) -> None:
    left, top, width, height = await box_of(page)
    right, low = left + width - 4, top + height - 4
    await drag(page, [(left + 4, top + 4), (right, top + 4), (right, low), (left + 4, low), (left + 4, top + 20)])


def pick(name: str, value: str) -> str:
    return f"(f => {{ f.value = '{value}'; f.dispatchEvent(new Event('change')); }})(document.getElementById('{name}'))"


@pytest.mark.parametrize("kind", KINDS)
def test_the_map_is_drawn_in_colours_follows_the_cut_and_leaves_faint_what_filters_leave_out(kind, workspace, tmp_path):
    flags, script = KINDS[kind]

    async def steps(server) -> None:
        async with browser.browsing(flags) as page:
            await page.call("Page.enable")
            await page.call("Page.addScriptToEvaluateOnNewDocument", source=script)
            await opened(page, server)
            assert await page.run("document.getElementById('map').dataset.drawn") == kind.partition(",")[0]
            await page.run(pick("colour", "flag"))
            await page.press("t")
            await page.run("document.getElementById('cut').focus()")
            before = count(await seen(page, tmp_path / "before.png"), RED)
            await page.run(
                "for (let turn = 0; turn < 20; turn += 1) document.getElementById('cut').dispatchEvent("
                "new KeyboardEvent('keydown', {key: 'PageUp', bubbles: true}))"
            )
            await until(page, "document.getElementById('count').textContent.includes(', 9 flagged')")
            after = count(await seen(page, tmp_path / "after.png"), RED)
            assert after > before, "more dots are red"
            await page.run("document.getElementById('cut-reset').click()")
            await page.run("document.getElementById('plane').focus()")
            for key in ("+", "-"):
                await page.press(key)
            assert count(await seen(page, tmp_path / "again.png"), RED) == before
            await choose(
                page, "name", await page.run("document.getElementById('filters').elements.name.options[1].value")
            )
            await until(page, "!document.getElementById('count').textContent.startsWith('10 images')")
            shown = await page.run("Number.parseInt(document.getElementById('count').textContent)")
            await around_all(page)
            assert await page.run(selected(shown)), "what is faint is not selected"
            assert count(await seen(page, tmp_path / "faint.png"), RED) < before or before == 0
            await page.run("document.getElementById('show-threshold').click()")
            await page.look(width=390, height=844, dark=True)
            assert await page.run("document.documentElement.scrollWidth <= 390")
            assert await page.run("document.getElementById('plane').clientHeight >= 60"), "the map has room on a phone"
            assert [said for said in page.said if not DRIVER.search(said)] == []

    with serving(workspace) as server:
        browser.browse(steps(server))


def test_a_selection_has_a_map_of_its_own_and_the_way_back(call, workspace, tmp_path, monkeypatch):
    monkeypatch.setattr(projections, "find_spec", lambda name: None)

    async def steps(server) -> None:
        async with browser.browsing() as page:
            await opened(page, server)
            await until(page, "document.querySelector('#projection [value=umap]').disabled")
            said = "UMAP needs the package 'umap-learn', which is not installed: pip install 'ood-curator[map]'"
            assert await page.run("document.getElementById('map-missing').textContent") == said
            assert await page.run("document.getElementById('map-selected').disabled")
            await page.run("document.getElementById('grid').scrollIntoView()")
            await page.press("m")
            await click(page, 1)
            await click(page, 4, modifiers=8)
            await page.press("m")
            await page.run("document.getElementById('map-selected').focus()")
            await page.press("Enter")
            await until(page, "document.getElementById('map-all').textContent === 'Back from 4 to all images'")
            assert await page.run(selected(0))
            await page.settle()
            await around_all(page)
            assert await page.run(selected(4)), "nothing else lies there"
            await page.press("Escape")
            await page.run("document.getElementById('map-all').click()")
            await until(page, "document.getElementById('map-all').hidden")
            assert await page.run(selected(4)), "what the map was of"
            await around_all(page)
            assert await page.run(selected(10))
            await page.look(width=390, height=844, dark=True)
            assert await page.run("document.documentElement.scrollWidth <= 390")
            assert page.said == []

    with serving(workspace) as server:
        browser.browse(steps(server))
        assert server.ask("project", {"kind": "umap"}) == (400, {"error": projections.missing()})
        for name, status in {"three.core.js": 200, "pinned.toml": 404, "..%2fapp.js": 404, "none.js": 404}.items():
            assert call(f"{server.address}vendor/{name}")[0] == status, name


@pytest.mark.slow
def test_umap_is_computed_in_the_background_cancelled_and_kept(workspace, tmp_path, monkeypatch):
    monkeypatch.setattr(projections, "missing", lambda: "")
    monkeypatch.setattr(projections, "compute", computing.stalled)

    async def steps(server) -> None:
        async with browser.browsing() as page:
            await opened(page, server)
            right = right_end(await seen(page, tmp_path / "axes.png"))
            await page.run(pick("projection", "umap"))
            await until(page, "document.getElementById('map-state').textContent === 'UMAP: finding neighbours …'")
            await until(page, "document.getElementById('map-share').value === 0.25")
            assert server.ask("project", {"kind": "umap"})[0] == 409, "one at a time"
            assert right_end(await seen(page, tmp_path / "doing.png")) == right, "the map is there meanwhile"
            await page.run("document.getElementById('map-cancel').focus()")
            await page.press("Enter")
            await until(page, "document.getElementById('map-state').textContent === 'UMAP was cancelled'")
            assert await page.run("document.getElementById('projection').value") == "pca"
            for work, said in (
                (computing.failed, "ValueError: too strange"),
                (computing.ended, "its process was ended"),
            ):
                monkeypatch.setattr(projections, "compute", work)
                await page.run(pick("projection", "umap"))
                await until(page, f"document.getElementById('map-state').textContent.includes('{said}')")
            monkeypatch.setattr(projections, "compute", computing.circle)
            await page.run(pick("projection", "umap"))
            await until(page, "!document.getElementById('map-again').hidden")
            assert await page.run("document.getElementById('map-state').textContent") == ""
            assert right_end(await seen(page, tmp_path / "circle.png")) and not right, "where the circle begins"
            await around_all(page)
            assert await page.run(selected(10))
            await page.run("document.getElementById('map-selected').click()")
            await until(page, "document.getElementById('map-all').textContent === 'Back from 10 to all images'")
            await until(page, "!document.getElementById('map-again').hidden")
            assert [said for said in page.said if "409" not in said] == []

    with serving(workspace) as server:
        browser.browse(steps(server))
        first = server.ask("projection", {"kind": "umap"})[1]
    assert len(list(workspace.layout.projections.iterdir())) == 2, "of all images, and of the selection"
    with serving(workspace) as server:
        again = server.ask("projection", {"kind": "umap"})[1]
        assert again["made"] and again["later"] == 0
        np.testing.assert_array_equal(again["x"], first["x"])
        assert not server.ask("projection", {"kind": "umap", "numbers": [0, 1, 2, 3]})[1]["made"]
        for said in ({}, {"kind": "tsne"}, {"kind": "pca", "numbers": [99]}, {"kind": "pca", "numbers": "all"}):
            assert server.ask("projection", said)[0] == 400, said


def test_images_that_came_after_umap_lie_among_their_nearest(workspace, monkeypatch):
    with serving(workspace) as server:
        frame, collection = server.desk._lake()
        ids = frame.table["image_id"].to_pylist()
        vectors = collection.vectors_at(collection.places_of(ids))
        known = ImageProjection(ids[:-1], np.arange(18, dtype=np.float32).reshape(9, 2), np.zeros(9, bool))
        monkeypatch.setattr(projecting, "NEIGHBOURS", 2)
        found = projecting.placed_among(projections.stored_of(collection), known, ids[-1:])
        cosines = unit(vectors[:-1]) @ unit(vectors[-1:])[0]
        near = np.argsort(-cosines, kind="stable")[:2]
        wanted = np.average(known.places[near], axis=0, weights=np.maximum(cosines[near], 1e-6))
        assert found.image_ids == ids and found.later.tolist() == [False] * 9 + [True]
        np.testing.assert_allclose(found.places[-1], wanted, rtol=1e-4)
        (workspace.layout.projections).mkdir(parents=True)
        known.write(server.desk._projections._path(frame, {"kind": "umap"}))
        for _ in range(2):
            said = server.ask("projection", {"kind": "umap"})[1]
            assert said["made"] and said["later"] == 1 and not np.isnan(said["x"]).any()


def test_a_projection_that_is_damaged_counts_as_none_and_the_oldest_leave_first(workspace):
    kept = projections.Projections(workspace.layout, most_bytes=3000)
    for number in range(4):
        path = workspace.layout.projections / f"umap-{number}.safetensors"
        ImageProjection(["0" * 32] * 40, np.zeros((40, 2), np.float32), np.zeros(40, bool)).write(path)
        os.utime(path, (number, number))
    size = path.stat().st_size
    kept._trim()
    left = sorted(path.name for path in workspace.layout.projections.iterdir())
    assert left == [f"umap-{number}.safetensors" for number in range(4 - 3000 // size, 4)]
    path.write_bytes(path.read_bytes()[:-50])
    assert ImageProjection.read(path) is None and ImageProjection.read(path.with_name("none")) is None


@pytest.mark.slow
@pytest.mark.skipif(find_spec("umap") is None, reason="the extra `map` is not installed: pip install umap-learn")
def test_umap_lays_images_that_are_alike_together_and_is_the_same_each_time():
    random = np.random.default_rng(7)
    owners = np.repeat(np.arange(4), 60)
    vectors = unit(
        (random.standard_normal((4, 64))[owners] + 0.4 * random.standard_normal((240, 64))).astype(np.float32)
    )
    shares: list[float] = []
    places = projecting.umap_of(vectors, lambda text, share: shares.append(share))
    distances = np.linalg.norm(places[:, None] - places[None], axis=2) + 1e9 * np.eye(240)
    assert (owners[distances.argmin(axis=1)] == owners).mean() > 0.98
    assert shares[-1] == 1.0 and shares == sorted(shares)
    np.testing.assert_array_equal(places, projecting.umap_of(vectors, lambda text, share: None))


def test_the_library_of_the_map_is_what_is_pinned_with_its_licence_and_small():
    assert faults() == []
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) <= MOST_BYTES
    for package, facts in pinned().items():
        texts = [(FOLDER / name).read_text(encoding="utf-8") for name in facts["files"]]
        assert any("MIT License" in text for text in texts) and facts["licence"] == "MIT", package
        assert any(f"'{facts['version'].split('.')[1]}'" in text for text in texts), "the version that it says it is"
    project = tomllib.loads((FOLDER.parents[2] / "pyproject.toml").read_text(encoding="utf-8"))
    assert "vendor/*" in project["tool"]["setuptools"]["package-data"]["curator.app"]
    assert "curator/app/vendor/LICENSE" in project["project"]["license-files"]


def test_a_library_that_was_changed_or_added_to_is_named(tmp_path):
    for path in FOLDER.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "more.js").touch()
    with (tmp_path / "three.core.js").open("ab") as file:
        file.write(b" ")
    changed, added = faults(tmp_path)
    assert changed.startswith("three.core.js of three ") and added == "more.js is not pinned"

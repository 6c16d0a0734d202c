"""A workspace in a notebook: it shows itself, images stand beside their scores, and charts are matplotlib's."""

from __future__ import annotations

import subprocess
import sys

import duckdb
import matplotlib as mpl
import pandas as pd
import polars as pl
import pytest
from matplotlib.axes import Axes

import curator
from curator.errors import MissingExtra, UsageError
from curator.workspace.look.images import ImageTable
from tests.report.test_report_page import Reader

mpl.use("Agg")


@pytest.fixture(scope="module")
def scanned(first_night_once):
    """A workspace that has scanned a lake; nothing here writes to it."""
    return curator.open(first_night_once[0])


@pytest.fixture
def close_figures():
    yield
    from matplotlib import pyplot

    pyplot.close("all")


def test_the_public_names_are_those_of_a_user():
    said = "import curator; print(*dir(curator)); print(curator.Workspace.__name__)"
    done = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["CuratorError Workspace __version__ create open", "Workspace"]
    assert sorted(curator.__all__) == dir(curator)
    with pytest.raises(AttributeError, match="no attribute 'scan'"):
        _ = curator.scan


def test_a_workspace_shows_what_rules_and_what_is_in_it(scanned, tmp_path):
    assert repr(scanned) == f"Workspace({str(scanned.layout.root)!r})"
    shown = Reader(scanned._repr_html_()).texts
    assert str(scanned.in_force()) in shown
    assert shown[shown.index("images") + 1] == "14" and "flagged" in shown
    new = curator.create(tmp_path / "new", labels=["red", "green"], encoder="fake")
    assert "nothing yet: nothing was scanned" in Reader(new._repr_html_()).texts


def test_images_stand_beside_their_scores(scanned):
    found = scanned.images("kept", limit=4)
    assert isinstance(found, ImageTable) and len(found) == len(found.pictures) == 4
    assert all(picture.data for picture in found.pictures)
    reader = Reader(found._repr_html_())
    assert [image["alt"] for image in reader.all_of("img")] == found["uri"]
    assert all(image["src"].startswith("data:image/webp;base64,") for image in reader.all_of("img"))
    assert repr(found).splitlines()[0] == "ImageTable, 4 rows" and found["uri"][0] in repr(found)


def test_pictures_are_found_by_id_or_address_for_any_rows(scanned):
    by_id = scanned.images("select image_id, id_score from report.scores order by id_score, image_id limit 2")
    by_uri = scanned.images(scanned.sql("select uri from report.scores order by id_score, image_id limit 2"))
    assert [one.data for one in by_id.pictures] == [one.data for one in by_uri.pictures]
    assert "image_id" not in by_id._repr_html_().partition("<tbody>")[0]
    nowhere = scanned.images("select '/not/there.png' as uri")
    assert nowhere.pictures[0].data is None and "no picture" in nowhere._repr_html_()
    with pytest.raises(UsageError, match="the rows name no images"):
        scanned.images("select count(*) as images from report.scores")


def test_rows_go_on_to_pandas_polars_and_duckdb(scanned, monkeypatch):
    found = scanned.images("select uri, id_score from report.scores order by uri")
    rows = list(found)
    assert found.to_pandas().to_dict("records") == rows == found.to_polars().to_dicts()
    assert pl.DataFrame(found).to_dicts() == rows and isinstance(found.to_pandas(), pd.DataFrame)
    assert duckdb.sql("select count(*) from found").fetchall() == [(len(rows),)]
    for name in ("pandas", "polars"):
        monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(MissingExtra, match=f"needs the package '{name}', which is not installed") as fault:
            getattr(found, f"to_{name}")()
        assert fault.value.hint == f"pip install {name}"


def test_charts_are_axes_of_matplotlib(scanned, close_figures):
    rates, scores, placed = scanned.plot.rates(), scanned.plot.scores(), scanned.plot.map()
    assert all(isinstance(axes, Axes) for axes in (rates, scores, placed))
    assert rates.get_ylabel() == "flagged, %" and scores.get_xlabel().startswith("log-odds")
    kept, flagged = (len(one.get_offsets()) for one in placed.collections)
    assert (kept, flagged) == (14 - scanned.query("flagged", limit=99).num_rows, 14 - kept)
    assert scanned.plot.scores(ax=rates) is rates, "on axes that are there"
    with pytest.raises(UsageError, match="no scan of the night"):
        scanned.plot.rates("1999-01-01")


def test_an_explanation_shows_itself(scanned):
    found = scanned.explain(scanned.query("kept", limit=1)["uri"][0].as_py(), thumbnail=True)
    assert repr(found).startswith(f"Explanation\n  uri             {found.uri}\n  judged          kept; ")
    reader = Reader(found._repr_html_())
    assert found.uri in reader.texts and len(reader.all_of("img")) == 1
    assert len(reader.all_of("style")) == 1 and not reader.all_of("script")

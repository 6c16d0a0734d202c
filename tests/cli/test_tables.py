"""Tables on a terminal: they fit its width, and say what they leave out."""

from __future__ import annotations

from datetime import datetime

import pyarrow as pa
import pytest

from curator.cli.terminal.tables import cells_wide, in_the_middle, table_text
from curator.methods.spec import short_forms

DEFAULT = "neglabel(group_count=100,remainder=drop,scale=30,seed=0,temperature=1)"
OTHER = "neglabel(group_count=100,remainder=drop,scale=30,seed=0,temperature=0.5)"
ROWS = pa.table(
    {
        "uri": [f"/data/lake/2026/incoming/from-the-north/{number:04d}.jpg" for number in range(12)],
        "image_id": [f"{number:032x}" for number in range(12)],
        "id_score": [number / 12 for number in range(12)],
        "method_id": [OTHER] * 12,
        "first_seen": [datetime(2026, 1, 2, 3, 4, 5)] * 12,
        "top_negative": ["a lodging house by the sea"] * 12,
        "copies": [1] * 12,
    }
)


@pytest.mark.parametrize("look", ["fitted", "chosen", "blocks"])
@pytest.mark.parametrize("width", [40, 80, 100, 200])
@pytest.mark.parametrize("records", [1, 12])
def test_no_line_is_longer_than_the_terminal(width, records, look):
    lines = table_text(ROWS.slice(0, records), width, look).splitlines()
    assert max(map(cells_wide, lines)) <= max(width, 48), "names and 20 columns of text are the least"


def test_columns_that_say_least_are_left_out_and_that_is_said():
    text = table_text(ROWS, 100, "chosen")
    heading = text.splitlines()[0].split()
    assert heading == ["uri", "id_score", "method_id", "copies"]
    assert text.endswith("(4 of 7 columns; all of them: --wide, or -x for a record a block)\n")
    assert "neglabel:temperature=0.5" in text and "remainder" not in text


def test_what_fits_is_shown_whole():
    text = table_text(ROWS.select(["uri", "id_score", "image_id"]), 100, "chosen")
    assert text.splitlines()[2].split() == ["/data/lake/2026/incoming/from-the-north/0000.jpg", "0", "0" * 12]
    assert "columns" not in text


def test_a_record_a_block_and_wide_show_every_column_uncut():
    for look in ("blocks", "wide"):
        text = table_text(ROWS, 120, look)
        assert text.count(OTHER) == 12 and text.count(f"{11:032x}") == 1
    assert len(table_text(ROWS, 80, "wide").splitlines()) == 14
    assert table_text(ROWS, 40, "fitted").startswith("─── 1 ──")


def test_prose_goes_on_in_lines_below():
    text = table_text(pa.table({"view": ["flagged"], "holds": ["word " * 40]}), 60, "chosen")
    assert text.count("word") == 40 and max(map(len, text.splitlines())) <= 60


def test_no_rows_and_wide_signs():
    assert table_text(ROWS.slice(0, 0), 80, "chosen").endswith("(no rows)\n")
    lines = table_text(pa.table({"label": ["犬と猫", "dog"], "n": [1, 22]}), 80, "chosen").splitlines()
    assert [cells_wide(line) for line in lines] == [10, 10, 10, 10]
    assert in_the_middle("/data/lake/incoming/0001.jpg", 16) == "/dat…ng/0001.jpg"


def test_methods_read_as_people_write_them():
    vim = "vim(origin=zero,reference=3b0f831d2810,residual_weight=133.67,scale=30)"
    assert short_forms([DEFAULT, OTHER, vim, "gone(a=1)"]) == {
        DEFAULT: "neglabel", OTHER: "neglabel:temperature=0.5", vim: "vim", "gone(a=1)": "gone(a=1)",
    }  # fmt: skip
    other_scale = DEFAULT.replace("scale=30", "scale=50")
    assert short_forms([DEFAULT, other_scale]) == {DEFAULT: DEFAULT, other_scale: other_scale}

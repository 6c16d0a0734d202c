"""Names of any kind survive every format: line breaks, quotes, other scripts, bytes that are not UTF-8."""

from __future__ import annotations

import csv
import io
import json
import os
from datetime import date, datetime
from pathlib import Path, PurePosixPath

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from curator.export import links
from curator.export.links import clean, link_places
from curator.export.parts import Options
from curator.export.rows import SCHEMA, json_line
from curator.export.tables import CSV, FILES, JSONL, PARQUET

text = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=40)
hostile = st.sampled_from(
    [
        "a\nb.png",
        'say "x", y.png',
        "\u202egnp.exe",
        "=1+1.png",
        "日本.png",
        "\\xff.png",
        "..",
        ".hidden",
        "a/b.png",
        " ",
        "é",
    ]
)
names = text | hostile
FACTS = {
    "night": date(2026, 1, 31), "flagged": True, "id_score": 0.25, "log_odds": -1.5, "name": "cap", "top_id": "cat",
    "top_id_cosine": 0.5, "top_negative": "lens cap", "top_negative_cosine": 0.25, "copies": 1, "width": 4, "height": 3,
    "format": "PNG", "byte_size": 10, "first_seen": datetime(2026, 1, 31, 2), "bank_name": "base", "bank_version": 1,
    "method_id": "neglabel", "policy_name": "default", "kind": "file",
}  # fmt: skip


def row_of(number: int, name: str) -> dict[str, object]:
    uri = f"/lake/{name}"
    image_id = f"{number:032x}"
    return dict.fromkeys(SCHEMA.names) | FACTS | {
        "image_id": image_id, "uri": uri, "object_uri": uri, "source_label": name, "group_id": image_id
    }  # fmt: skip


def table_of(given_names: list[str]) -> pa.Table:
    return pa.Table.from_pylist([row_of(number, name) for number, name in enumerate(given_names)], schema=SCHEMA)


def written(form, rows: pa.Table, folder: Path) -> list[Path]:
    options = Options(name="all")
    return [folder / name for part in form.cut(rows, options) for name in form.write(part, folder, options).files]


@settings(max_examples=40, deadline=None)
@given(st.lists(names, min_size=1, max_size=6))
def test_tables_give_every_name_back(tmp_path_factory, given_names):
    rows, folder = table_of(given_names), tmp_path_factory.mktemp("tables")
    expected = [(f"/lake/{name}", name) for name in given_names]
    (path,) = written(PARQUET, rows, folder)
    assert path.parent.name == "night=2026-01-31"
    found = pq.read_table(path, partitioning=None)
    assert list(zip(found["uri"].to_pylist(), found["source_label"].to_pylist(), strict=True)) == expected
    (path,) = written(CSV, rows, folder)
    cells = list(csv.DictReader(io.StringIO(path.read_bytes().decode(), newline="")))
    assert [(cell["uri"], cell["source_label"]) for cell in cells] == expected
    (path,) = written(JSONL, rows, folder)
    lines = [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1]]
    assert [(line["uri"], line["source_label"]) for line in lines] == expected
    assert lines[0]["first_seen"] == "2026-01-31T02:00:00"
    (path,) = written(FILES, rows, folder)
    listed = [line.decode() for line in path.read_bytes().split(b"\n")[:-1]]
    assert [json.loads(line) if line.startswith('"') else line for line in listed] == [uri for uri, _ in expected]
    assert all(line == uri or uri.splitlines() != [uri] for line, (uri, _) in zip(listed, expected, strict=True))


@given(st.lists(names, min_size=1, max_size=12), st.booleans())
def test_links_have_a_path_each_inside_of_the_folder_that_a_file_system_takes(given_names, by_label):
    rows = [row_of(number, name) for number, name in enumerate(given_names)]
    for row, name in zip(rows, given_names, strict=True):
        row["name"] = name
    places = link_places(rows, by_label=by_label)
    assert len({links._key(place) for place in places}) == len(places)
    for place in places:
        parts = place.split("/")
        assert len(parts) == 1 + by_label
        assert not any(part in ("", ".", "..") or part.startswith(".") or "\0" in part for part in parts)
        assert all(len(os.fsencode(part)) <= 255 for part in parts)
    assert places == link_places(rows, by_label=by_label)


def test_a_name_that_nobody_shares_stays_as_it_is():
    rows = [row_of(0, "a/cat.png"), row_of(1, "b/Cat.png"), row_of(2, "line\nbreak.png"), row_of(3, "c/cat.png")]
    first, second, third, fourth = link_places(rows, by_label=False)
    assert third == "line\nbreak.png"
    assert [first, second, fourth] == [f"cat-{0:032x}.png", f"Cat-{1:032x}.png", f"cat-{3:032x}.png"]


def test_a_name_that_is_already_what_a_collision_would_get_is_not_taken_from_it():
    taken = f"cat-{0:032x}.png"
    rows = [row_of(0, "a/cat.png"), row_of(1, "b/cat.png"), row_of(2, taken)]
    places = link_places(rows, by_label=False)
    assert places[2] == taken and len(set(places)) == 3


def test_members_of_containers_get_the_name_of_the_member_and_a_suffix():
    tar = row_of(0, "s.tar#in/0001.png") | {"kind": "tar", "member": "in/0001.png"}
    parquet = row_of(1, "rows.parquet#17") | {"kind": "parquet", "member": "17"}
    bare = row_of(2, "noext")
    assert link_places([tar, parquet, bare], by_label=False) == ["0001.png", "rows.parquet-17.png", "noext.png"]
    escape = row_of(3, "s.tar#x") | {"kind": "tar", "member": "../../etc/passwd"}
    assert link_places([escape], by_label=False) == ["passwd.png"]


@given(names)
def test_a_clean_name_is_one_component(name):
    found = clean(name)
    assert PurePosixPath(found).name == found and not found.startswith(".")


def test_parquet_carries_the_version_of_its_schema_and_nights_are_folders(tmp_path):
    rows = table_of(["a.png", "b.png"])
    nights = pa.array([date(2026, 1, 31), date(2026, 2, 1)], pa.date32())
    rows = rows.set_column(2, SCHEMA.field("night"), nights)
    paths = written(PARQUET, rows, tmp_path)
    assert [path.parent.name for path in paths] == ["night=2026-01-31", "night=2026-02-01"]
    head = pq.read_schema(paths[0])
    assert json.loads(head.metadata[b"curator"]) == {"export_schema": 2}
    assert head.names == [name for name in SCHEMA.names if name != "night"]
    assert pq.ParquetFile(paths[0]).metadata.row_group(0).column(0).compression == "ZSTD"


def test_what_json_has_no_number_for_is_null():
    line = json_line({"score": float("nan"), "bounds": [float("-inf"), 1.5], "deep": {"rate": float("inf")}})
    assert line == b'{"score": null, "bounds": [null, 1.5], "deep": {"rate": null}}\n'

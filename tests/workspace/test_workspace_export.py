"""Exports of a real lake in every format: complete, verified, resumable, and never over what is not their own."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import tarfile
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from curator.errors import OutputError, UsageError
from curator.export.journal import FOLDER
from curator.lake import content_id
from curator.workspace import Workspace
from tests import interpreter
from tests.patience import BRAKE_SECONDS

NAMES = ['say "x".png', "line\nbreak.png", "日本.png", "=1+1.png", os.fsdecode(b"caf\xe9.png")]
FOLDERS = ("webdataset", "symlinks", "fiftyone", "huggingface")


def picture(number: int, suffix: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (24, 24), (20 * number % 256, 255 - 9 * number, 70)).save(buffer, suffix)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Workspace:
    """A workspace that scanned files of difficult names, a tar with two members of one name, and a Parquet file."""
    folder = tmp_path_factory.mktemp("site")
    lake = folder / "lake"
    (lake / "twin").mkdir(parents=True)
    for number, name in enumerate(NAMES):
        (lake / name).write_bytes(picture(number))
    (lake / "twin" / NAMES[0]).write_bytes(picture(10))
    with tarfile.open(lake / "shard.tar", "w") as tar:
        for number in (11, 12):
            info = tarfile.TarInfo(f"part{number}/same.jpg")
            info.size = len(data := picture(number, "JPEG"))
            tar.addfile(info, io.BytesIO(data))
    pq.write_table(pa.table({"image": [picture(13), picture(14)], "label": ["a", "b"]}), lake / "rows.parquet")
    made = Workspace.create(folder / "workspace", labels=["red", "green"], encoder="fake")
    text = 'name = "base"\n[id]\nlabels = "labels.txt"\n[negatives.wordnet]\ninclude = ["noun.shape"]\n'
    made.layout.bank_spec("base").write_text(text)
    made.layout.queries.mkdir(exist_ok=True)
    (made.layout.queries / "own.sql").write_text(
        "-- name: everything\n-- All of it.\nselect image_id from report.scores order by image_id;\n\n"
        "-- name: by_address\n-- Some.\nselect uri, 1 as x from report.scores order by uri desc limit $limit;\n\n"
        "-- name: numbers\n-- No images.\nselect 1 as x;\n"
    )
    made.scan(lake)
    return made


@pytest.fixture(scope="module")
def images(site) -> list[str]:
    found = site.sql("select image_id from report.scores order by image_id")["image_id"].to_pylist()
    assert len(found) == 10
    return found


def export(site: Workspace, to: Path | str, form: str, images: str = "everything", **more):
    return site.export(images, to=to, format=form, **more)


def files_in(folder: Path) -> dict[str, bytes]:
    """Every file and link of an export but its journal."""
    return {
        os.fsencode(path.relative_to(folder)).decode(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and FOLDER not in path.parts
    }


def test_parquet_is_read_by_duckdb_as_one_table_with_nights(site, images, tmp_path):
    summary = export(site, tmp_path / "out", "parquet")
    assert (summary.images, summary.missing, summary.files) == (10, 0, 1)
    with duckdb.connect() as database:
        rows = database.execute(
            "select image_id, night, id_score "
            f"from read_parquet('{tmp_path}/out/**/*.parquet', hive_partitioning = true)"
        ).fetchall()
    expected = site.sql("select image_id, cast(first_seen as date) as night, id_score from report.scores")
    assert sorted(rows) == sorted(tuple(row.values()) for row in expected.to_pylist())


def test_flagged_and_kept_are_all_there_are_the_lowest_score_first(site, images, tmp_path):
    lines = []
    for name in ("flagged", "kept"):
        export(site, tmp_path / name, "jsonl", name)
        found = [json.loads(line) for line in (tmp_path / name / f"{name}.jsonl").read_text().splitlines()]
        assert [row["log_odds"] for row in found] == sorted(row["log_odds"] for row in found)
        assert all(row["flagged"] is (name == "flagged") for row in found)
        lines += found
    assert sorted(row["image_id"] for row in lines) == images


def test_a_condition_a_limit_and_a_query_choose_the_images(site, images, tmp_path):
    export(site, tmp_path / "a", "jsonl", where=f"image_id <= '{images[4]}'", limit=3)
    rows = [json.loads(line) for line in (tmp_path / "a" / "everything.jsonl").read_text().splitlines()]
    assert [row["image_id"] for row in rows] == images[:3]
    export(site, tmp_path / "b", "files", "by_address", parameters={"limit": 2})
    expected = site.sql("select uri from report.scores order by uri desc limit 2")["uri"].to_pylist()
    assert (tmp_path / "b" / "by_address.txt").read_text().splitlines() == expected
    with pytest.raises(UsageError, match="finds no images"):
        export(site, tmp_path / "c", "csv", "numbers")
    with pytest.raises(UsageError, match="no query is called"):
        export(site, tmp_path / "c", "csv", "nothing")
    with pytest.raises(Exception, match="`where`"):
        export(site, tmp_path / "c", "csv", where="no_such_column = 1")
    assert not (tmp_path / "c").exists()


def test_webdataset_tars_hold_each_image_with_its_facts_and_no_more_than_they_may(site, images, tmp_path):
    export(site, tmp_path / "out", "webdataset", tar_bytes=300)
    tars = sorted((tmp_path / "out").glob("everything-*.tar"))
    assert len(tars) > 2 and tars[0].name == "everything-000000.tar"
    found = []
    for path in tars:
        with tarfile.open(path) as tar:
            members = [(member.name, tar.extractfile(member).read()) for member in tar]
        assert len(members) == 2 or sum(len(data) for name, data in members if not name.endswith(".json")) <= 300
        for (name, data), (beside, facts) in zip(members[::2], members[1::2], strict=True):
            key = name.partition(".")[0]
            assert beside == f"{key}.json" and content_id(data) == key == json.loads(facts)["image_id"]
            assert Image.open(io.BytesIO(data)).size == (24, 24) and "id_score" in json.loads(facts)
            found.append(key)
    assert found == images


def test_symlinks_lead_to_files_and_members_of_containers_are_files(site, images, tmp_path):
    export(site, tmp_path / "out", "symlinks")
    placed = [path for path in (tmp_path / "out").rglob("*") if not path.is_dir() and FOLDER not in path.parts]
    assert sorted(content_id(path.read_bytes()) for path in placed) == images
    linked = [path for path in placed if path.is_symlink()]
    assert len(linked) == 6 and all(path.resolve().is_relative_to(site.layout.root.parent / "lake") for path in linked)
    labels = set(site.sql("select if(flagged, name, top_id) as l from report.scores")["l"].to_pylist())
    assert {path.parent.name for path in placed} == labels
    export(site, tmp_path / "flat", "symlinks", by_label=False)
    names = {path.name for path in (tmp_path / "flat").iterdir()} - {FOLDER}
    assert len(names) == 10 and {"line\nbreak.png", "日本.png", "=1+1.png", "caf\\xe9.png"} <= names


def test_fiftyone_folder_has_a_label_and_a_picture_for_each_id(site, images, tmp_path):
    """As `FiftyOneImageClassificationDataset` is documented: data/<id>.<ext>, labels.json with classes and labels."""
    export(site, tmp_path / "out", "fiftyone")
    document = json.loads((tmp_path / "out" / "labels.json").read_text(encoding="utf-8"))
    assert document.keys() == {"classes", "labels"}
    pictures = {path.stem: path for path in (tmp_path / "out" / "data").iterdir()}
    assert sorted(document["labels"]) == sorted(pictures) == images
    assert {target["label"] for target in document["labels"].values()} == set(document["classes"])
    assert all(target["attributes"]["image_id"] == key for key, target in document["labels"].items())


def test_huggingface_folder_has_metadata_with_a_file_name_for_each_image(site, images, tmp_path):
    """As `imagefolder` is documented: metadata.jsonl at the top, file_name relative to it, an image at each."""
    export(site, tmp_path / "out", "huggingface")
    lines = [json.loads(line) for line in (tmp_path / "out" / "metadata.jsonl").read_text("utf-8").split("\n")[:-1]]
    assert [line["image_id"] for line in lines] == images
    for line in lines:
        path = tmp_path / "out" / line["file_name"]
        assert content_id(path.read_bytes()) == line["image_id"] and path.suffix in (".png", ".jpg")
        assert all(value is None or isinstance(value, str | int | float | bool) for value in line.values())
    assert len({tuple(line) for line in lines}) == 1, "every line has the same keys"


def test_one_of_each_group_is_the_image_that_leads_it(site, tmp_path):
    export(site, tmp_path / "out", "jsonl", one_of_each_group=True)
    rows = [json.loads(line) for line in (tmp_path / "out" / "everything.jsonl").read_text().splitlines()]
    assert len({row["group_id"] for row in rows}) == len(rows)
    expected = site.sql("select group_id, image_id from report.groups").to_pylist()
    assert sorted((row["group_id"], row["image_id"]) for row in rows) == sorted(tuple(r.values()) for r in expected)


# Exports as the command line does and kills itself at the n-th file that is flushed or renamed.
EXPORT_AND_DIE = """
import os, signal, sys
from pathlib import Path
from curator.workspace import Workspace
events = 0
def counted(function):
    def wrapper(*args, **kwargs):
        global events
        events -= 1
        if events == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*args, **kwargs)
    return wrapper
os.fsync = counted(os.fsync)
Path.replace = counted(Path.replace)
import curator.export.folders as folders, curator.export.links as links
folders.PART_ROWS = links.PART_ROWS = 3
for event in map(int, sys.argv[4].split(",")):
    events = event
    pid = os.fork()
    if pid == 0:
        to, form = f"{sys.argv[2]}-{event}", sys.argv[3]
        Workspace.open(sys.argv[1]).export("everything", to=to, format=form, tar_bytes=300)
        os._exit(0)
    print(event, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


KILLS = [
    ("huggingface", [5, 14, 21], 2),
    ("huggingface", [*range(1, 14), 17, 21, 26, 33], 9),
    ("webdataset", [*range(1, 14), 17, 21], 9),
]


@pytest.mark.slow
@pytest.mark.parametrize(("form", "events", "least"), KILLS)
def test_an_export_killed_anywhere_goes_on_and_is_what_an_unbroken_one_is(
    site, images, tmp_path, monkeypatch, form, events, least
):
    monkeypatch.setattr("curator.export.folders.PART_ROWS", 3)
    export(site, tmp_path / "whole", form, tar_bytes=300)
    command = [*interpreter.command(), "-c", EXPORT_AND_DIE, str(site.layout.root), str(tmp_path / "out"), form]
    done = subprocess.run(
        [*command, ",".join(map(str, events))], capture_output=True, text=True, timeout=BRAKE_SECONDS, check=True
    )
    codes = dict(map(int, line.split()) for line in done.stdout.splitlines())
    killed = [event for event in events if codes[event] == -signal.SIGKILL]
    assert len(killed) >= least and set(codes.values()) <= {0, -signal.SIGKILL}
    resumed = 0
    for event in killed:
        folder = tmp_path / f"out-{event}"
        resumed += export(site, folder, form, tar_bytes=300).parts_kept
        assert files_in(folder) == files_in(tmp_path / "whole")
        assert not [path for path in folder.rglob(".*.tmp")]
    assert resumed > 0, "finished parts are not made again"


def test_a_resumed_export_keeps_the_rows_and_the_parts_that_it_has(site, tmp_path, monkeypatch):
    from curator.export import folders

    monkeypatch.setattr(folders, "PART_ROWS", 3)
    written = []

    def stop(part, folder, options):
        if len(written) == 2:
            raise OSError(28, "No space left on device")
        written.append(part.place)
        return folders._write_into(folders._huggingface_place)(part, folder, options)

    from curator.export import run

    broken = type(run.FORMATS["huggingface"])(folders._slices, stop, folders._huggingface_metadata)
    with monkeypatch.context() as patch:
        patch.setitem(run.FORMATS, "huggingface", broken)
        with pytest.raises(OutputError, match="No space left") as caught:
            export(site, tmp_path / "out", "huggingface")
    assert "goes on" in caught.value.hint
    before = {path: path.stat().st_ino for path in (tmp_path / "out" / "images").rglob("*.*")}
    assert len(before) == 6 and not (tmp_path / "out" / "metadata.jsonl").exists()
    summary = export(site, tmp_path / "out", "huggingface")
    assert (summary.parts_kept, summary.parts, summary.images) == (2, 4, 10)
    assert all(path.stat().st_ino == number for path, number in before.items())


def test_what_is_not_its_own_is_never_written_over(site, tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.tex").write_text("x")
    for replace in ("nothing", "update", "overwrite"):
        with pytest.raises(UsageError, match="is not empty, and no export wrote it"):
            export(site, mine, "csv", replace=replace)
    with pytest.raises(UsageError, match="is a file"):
        export(site, mine / "thesis.tex", "csv")
    assert [path.name for path in mine.iterdir()] == ["thesis.tex"]
    export(site, tmp_path / "out", "csv")
    with pytest.raises(UsageError, match="is finished") as caught:
        export(site, tmp_path / "out", "csv")
    assert "`update`" in caught.value.hint
    for replace in ("nothing", "update"):
        with pytest.raises(UsageError, match="something else"):
            export(site, tmp_path / "out", "jsonl", replace=replace)
    (tmp_path / "out" / "notes.txt").write_text("mine")
    export(site, tmp_path / "out", "jsonl", replace="overwrite")
    assert sorted(files_in(tmp_path / "out")) == ["everything.jsonl", "notes.txt"]


def test_names_in_a_journal_do_not_lead_out_of_the_folder(site, tmp_path):
    export(site, tmp_path / "out", "csv")
    (tmp_path / "precious").write_text("x")
    with (tmp_path / "out" / FOLDER / "parts.jsonl").open("a") as file:
        for name in ("../precious", str(tmp_path / "precious")):
            file.write(json.dumps({"place": "", "digest": "", "files": [name], "missing": []}) + "\n")
    export(site, tmp_path / "out", "jsonl", replace="overwrite")
    assert (tmp_path / "precious").exists() and not (tmp_path / "out" / "everything.csv").exists()


@pytest.mark.parametrize("form", FOLDERS)
def test_images_that_are_gone_or_changed_are_missing_and_found_again_by_an_update(site, images, tmp_path, form):
    """In a copy of the lake and the workspace at their places: the ledger has absolute addresses."""
    lake = site.layout.root.parent / "lake"
    gone, changed = lake / "日本.png", lake / "=1+1.png"
    kept = {path: path.read_bytes() for path in (gone, changed)}
    gone.unlink()
    changed.write_bytes(picture(99))
    try:
        summary = export(site, tmp_path / "out", form, tar_bytes=300)
        told = [json.loads(line) for line in (tmp_path / "out" / "missing.jsonl").read_text("utf-8").splitlines()]
    finally:
        for path, data in kept.items():
            path.write_bytes(data)
    assert (summary.images, summary.missing) == (8, 2)
    assert {Path(row["uri"]).name for row in told} == {gone.name, changed.name}
    assert {row["reason"].rpartition(": ")[2] for row in told if row["uri"].endswith(changed.name)} == {
        "its content has changed"
    }
    again = export(site, tmp_path / "out", form, tar_bytes=300, replace="update")
    assert (again.images, again.missing) == (10, 0) and not (tmp_path / "out" / "missing.jsonl").exists()
    export(site, tmp_path / "whole", form, tar_bytes=300)
    assert files_in(tmp_path / "out") == files_in(tmp_path / "whole")
    shutil.rmtree(tmp_path / "out")


def test_an_update_keeps_what_is_the_same_and_removes_what_left(site, tmp_path, monkeypatch):
    monkeypatch.setattr("curator.export.folders.PART_ROWS", 2)
    query = site.layout.queries / "moving.sql"
    text = "-- name: moving\n-- Some.\nselect image_id from report.scores order by image_id limit {};\n"
    try:
        query.write_text(text.format(7))
        export(site, tmp_path / "out", "huggingface", "moving")
        query.write_text(text.format(4))
        summary = export(site, tmp_path / "out", "huggingface", "moving", replace="update")
        export(site, tmp_path / "new", "huggingface", "moving")
    finally:
        query.unlink()
    assert (summary.parts_kept, summary.parts) == (2, 2)
    assert files_in(tmp_path / "out") == files_in(tmp_path / "new")
    assert len(files_in(tmp_path / "out")) == 5


def test_two_exports_into_one_folder_at_a_time_are_refused(site, tmp_path):
    from curator.export.journal import Journal

    with Journal(tmp_path / "out").held(), pytest.raises(UsageError, match="is being exported to now"):
        export(site, tmp_path / "out", "csv")


def test_the_command_says_what_it_wrote(site, tmp_path, run_cli):
    out = tmp_path / "out"
    shown = run_cli("export", "everything", "--to", out, "--format", "csv", folder=site.layout.root).output
    assert "10 images in 1 new file, csv" in shown
    arguments = ("export", "by_address", "--to", tmp_path / "b", "--format", "files", "-p", "limit=3", "--json")
    assert json.loads(run_cli(*arguments, folder=site.layout.root).stdout)["images"] == 3
    both = ("export", "kept", "--to", out, "--format", "csv", "--update", "--overwrite")
    assert "two things" in run_cli(*both, folder=site.layout.root, code=2).stderr
    assert (
        "curator: " in run_cli("export", "kept", "--to", out, "--format", "csv", folder=site.layout.root, code=2).stderr
    )

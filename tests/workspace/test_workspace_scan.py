"""The night scan: what is read, what is not, and that every datum is accounted for."""

from __future__ import annotations

import gc
import io
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from curator.errors import SourceError, UsageError, WorkspaceError
from curator.types import Reject
from curator.workspace import Workspace
from curator.workspace.scan.run import rest_left_alone

ACCOUNTING = "select * from report.accounting"


def accounting(workspace: Workspace) -> dict[str, int]:
    return workspace.sql(ACCOUNTING).to_pylist()[0]


def healthy(workspace: Workspace) -> bool:
    return all(result.healthy for result in workspace.check())


@pytest.fixture
def scanned(own_night):
    return own_night[0]


@pytest.fixture
def own_lake(own_night):
    return own_night[1]


@pytest.mark.usefixtures("real_ledgers", "real_publishing", "real_parquet")
def test_scan_accounts_for_every_datum(workspace, lake):
    summary = workspace.scan(lake)
    assert (summary.images, summary.duplicates, summary.rejects) == (14, 4, 3)
    assert summary.data_read == 21
    assert accounting(workspace) == {"objects": 17, "data": 21, "images": 14, "duplicates": 4, "rejects": 3}
    assert summary.listings[0].ignored == {".txt": 1}
    assert healthy(workspace)


def test_rejects_say_where_and_why(scanned):
    rows = scanned.query("rejects").to_pylist()
    assert {(row["uri"].rpartition("/")[2], row["stage"], row["reason"]) for row in rows} == {
        ("x-empty.jpg", "decode", "empty"),
        ("x-truncated.png", "decode", "truncated"),
        ("z-shard.tar#0004.jpg", "decode", "text"),
    }


def test_tar_members_keep_key_offset_and_label(scanned, own_lake):
    rows = scanned.sql(
        "select member, byte_offset, byte_size, source_label from report.locations "
        "where object_uri like '%z-shard.tar' order by member"
    ).to_pylist()
    assert [row["member"] for row in rows] == ["0000.png", "0001.png", "0002.png", "0003.jpg", "0004.jpg"]
    assert [row["source_label"] for row in rows] == ["0", "1", "2", "3", "4"]
    data = (own_lake / "z-shard.tar").read_bytes()
    first = rows[0]
    assert data[first["byte_offset"] :][: first["byte_size"]] == (own_lake / "red-00.png").read_bytes()


def test_second_scan_decodes_nothing_and_loads_no_encoder(scanned, own_lake, monkeypatch):
    monkeypatch.setattr("curator.workspace.context.load_encoder", lambda options: pytest.fail("an encoder was loaded"))
    monkeypatch.setattr("curator.lake.read.read_shard", lambda *_, **__: pytest.fail("something was read"))
    summary = Workspace.open(scanned.layout.root).scan(own_lake)
    assert (summary.data_read, summary.decoded) == (0, 0)
    assert summary.listings[0].objects_unchanged == 17
    assert healthy(scanned)


def test_replaced_file_alone_is_scanned_again(scanned, own_lake):
    buffer = io.BytesIO()
    Image.new("RGB", (40, 30), "orange").save(buffer, "PNG")
    (own_lake / "red-00.png").write_bytes(buffer.getvalue())
    summary = scanned.scan(own_lake)
    assert (summary.data_read, summary.images, summary.decoded) == (1, 1, 1)
    assert summary.listings[0].objects_changed == 1
    rows = scanned.sql("select image_id from report.locations where uri like '%/red-00.png'").to_pylist()
    assert len(rows) == 1
    assert healthy(scanned)


def test_touched_file_is_read_but_not_decoded(scanned, own_lake):
    os.utime(own_lake / "red-00.png", ns=(1, 1))
    summary = scanned.scan(own_lake)
    assert (summary.data_read, summary.duplicates, summary.decoded) == (1, 1, 0)
    assert healthy(scanned)


def test_rehash_finds_new_bytes_behind_the_same_size_and_time(scanned, own_lake):
    path = own_lake / "x-empty.jpg"
    other = own_lake / "red-00.png"
    before = other.stat()
    data = bytearray(other.read_bytes())
    data[-1] ^= 1  # the last byte of the closing chunk's checksum
    other.write_bytes(bytes(data))
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert scanned.scan(own_lake).data_read == 0  # of these files no change time is known
    summary = scanned.scan(own_lake, rehash=True)
    assert summary.data_read == 21
    assert path.exists()
    assert scanned.sql("select count(*) as n from report.locations where uri like '%/red-00.png'").to_pylist() == [
        {"n": 1}
    ]
    assert healthy(scanned)


def ways_to_replace(path: Path, data: bytes) -> Iterator[None]:
    """In place, and by another file under its name."""
    before = path.stat()
    for target in (path, path.with_name("new.txt")):
        target.write_bytes(data)
        os.utime(target, ns=(before.st_atime_ns, before.st_mtime_ns))
        target.replace(path)
        yield
        data = data[:-1] + bytes([data[-1] ^ 1])


def test_a_replacement_of_the_same_size_and_time_is_found_by_its_change_time(workspace, lake):
    def of_lake() -> list[str]:
        rows = workspace.sql("select image_id from report.locations where uri like '%/red-00.png'").to_pylist()
        return [row["image_id"] for row in rows]

    workspace.scan(lake)
    seen = of_lake()
    data = (lake / "red-00.png").read_bytes()
    for _ in ways_to_replace(lake / "red-00.png", data[:-1] + bytes([data[-1] ^ 3])):
        summary = workspace.scan(lake)
        assert (summary.data_read, summary.listings[0].objects_changed, summary.decoded) == (1, 1, 1)
        assert len(of_lake()) == 1 and of_lake()[0] not in seen
        seen += of_lake()
        assert workspace.scan(lake).data_read == 0 and healthy(workspace)


def test_other_rights_another_link_and_a_copy_cost_the_reading_and_are_no_new_image(workspace, lake, tmp_path):
    workspace.scan(lake)
    before = workspace.sql("select uri, image_id, run_id from report.locations order by uri").to_pylist()
    (lake / "red-00.png").chmod(0o600)
    (tmp_path / "link").hardlink_to(lake / "green-01.png")
    copy = shutil.copy2(lake / "blue-02.png", tmp_path / "copy")
    Path(copy).replace(lake / "blue-02.png")
    blind = Workspace.open(workspace.layout.root, overrides={"scan.change_times": False})
    assert blind.scan(lake).data_read == 0
    summary = workspace.scan(lake)
    assert (summary.data_read, summary.duplicates, summary.decoded, summary.new_scored) == (3, 3, 0, 0)
    assert workspace.sql("select uri, image_id, run_id from report.locations order by uri").to_pylist() == before
    assert workspace.scan(lake).data_read == 0 and healthy(workspace)


def test_without_change_times_size_and_time_are_compared(workspace, lake):
    blind = Workspace.open(workspace.layout.root, overrides={"scan.change_times": False})
    blind.scan(lake)
    (lake / "red-00.png").chmod(0o600)
    assert blind.scan(lake).data_read == 0
    os.utime(lake / "green-01.png", ns=(1, 1))
    os.utime(lake / "blue-02.png", ns=(-1, -10_000_000_000))
    assert blind.scan(lake).data_read == 2
    (lake / "blue-02.png").chmod(0o600)
    assert blind.scan(lake).data_read == 0


def test_gone_file_leaves_the_views_and_comes_back(scanned, own_lake, tmp_path):
    shutil.move(own_lake / "green-01.png", tmp_path / "aside.png")
    shutil.move(own_lake / "z-shard.tar", tmp_path / "aside.tar")
    summary = scanned.scan(own_lake)
    assert summary.listings[0].objects_gone == 2
    assert accounting(scanned)["images"] == 12
    assert healthy(scanned)
    shutil.move(tmp_path / "aside.png", own_lake / "green-01.png")
    shutil.move(tmp_path / "aside.tar", own_lake / "z-shard.tar")
    summary = scanned.scan(own_lake)
    assert summary.decoded == 1  # of the text in the tar, which was no image before either
    assert accounting(scanned)["images"] == 14
    assert healthy(scanned)


def test_a_lake_of_which_nothing_is_left_is_told_of_in_a_line(scanned, own_lake, tmp_path, caplog):
    shutil.move(own_lake, tmp_path / "aside")
    own_lake.mkdir()  # as the folder of a disk that is not mounted
    gone = scanned.scan(own_lake).listings[0].objects_gone
    assert f"all {gone} objects that were there are gone; if they should not be" in caplog.text
    caplog.clear()
    assert scanned.scan(own_lake).listings[0].objects_gone == 0
    own_lake.rmdir()
    shutil.move(tmp_path / "aside", own_lake)
    (counts,) = scanned.scan(own_lake).listings
    assert counts.objects_new == counts.objects_back == gone
    assert "are gone" not in caplog.text


def test_a_source_that_is_named_as_gone_leaves_the_lake_until_it_is_scanned_again(scanned, own_lake, tmp_path, caplog):
    before = accounting(scanned)["images"]
    shutil.move(own_lake, tmp_path / "aside")
    (told,) = scanned.preview(gone=[own_lake])
    assert accounting(scanned)["images"] == before, "a preview writes nothing"
    summary = scanned.scan(gone=[own_lake])
    (counts,) = summary.listings
    assert counts == told and counts.source == str(own_lake) and counts.objects_listed == 0 < counts.objects_gone
    assert accounting(scanned)["images"] == summary.scored == 0
    assert healthy(scanned) and "see that it is mounted" not in caplog.text
    assert scanned.scan(gone=[own_lake]).listings[0].objects_gone == 0, "a scan that was killed is said again"
    assert f"{own_lake}: nothing of it is in the lake" in caplog.text
    shutil.move(tmp_path / "aside", own_lake)
    assert scanned.scan(own_lake).listings[0].objects_back == counts.objects_gone
    assert accounting(scanned)["images"] == before


def test_what_a_glob_or_a_file_brought_is_gone_alone(scanned, own_lake):
    first, second = scanned.scan(gone=[own_lake / "red-*.png", own_lake / "z-shard.tar"]).listings
    assert first.objects_gone == sum(path.name.startswith("red-") for path in own_lake.iterdir())
    assert second.objects_gone == 1
    (again,) = scanned.scan(own_lake).listings
    assert again.objects_back == first.objects_gone + 1 and again.objects_new == again.objects_back


def test_what_a_neighbour_of_a_gone_source_could_not_list_stays(scanned, own_lake):
    for folder in (own_lake, neighbour := own_lake.with_name(f"{own_lake.name}-2")):
        folder.mkdir(exist_ok=True)
        os.mkfifo(folder / "pipe.jpg")
        scanned.scan(folder)
    scanned.scan(gone=[own_lake])
    found = scanned.sql("select uri from report.rejects where stage = 'list'")["uri"].to_pylist()
    shutil.rmtree(neighbour)
    assert found == [f"{neighbour}/pipe.jpg"]


def test_a_source_cannot_be_scanned_and_gone_at_once(scanned, own_lake):
    with pytest.raises(UsageError, match="is to be scanned and gone"):
        scanned.scan(own_lake, gone=[f"{own_lake}/"])
    with pytest.raises(UsageError, match="name at least one source"):
        scanned.scan()
    for address in ("", "/", "/..", "file:///", "s3://"):
        with pytest.raises(SourceError, match="is no source that can be gone"):
            scanned.scan(gone=[address])


def test_labels_that_were_changed_since_the_bank_was_built_are_told_of(scanned, own_lake, caplog):
    labels = scanned.layout.root / "labels.txt"
    before = labels.read_text()
    labels.write_text(f"# the same\n{before}")
    scanned.scan(own_lake)
    assert "labels.txt" not in caplog.text
    labels.write_text(f"{before}zebra\n")
    scanned.scan(own_lake)
    told = "labels.txt has changed since bank base was built"
    assert f"{told}: `curator bank build base` takes it up" in caplog.text
    assert told in [item.message for item in scanned.doctor() if item.state == "warning"]
    caplog.clear()
    labels.unlink()
    scanned.scan(own_lake)
    assert "labels.txt" not in caplog.text, "what is not there is no other list"
    labels.write_text(f"{before}zebra\n")
    scanned.build_bank("base")
    scanned.scan(own_lake)
    assert "has changed" not in caplog.text


def test_scan_of_a_part_says_nothing_of_the_rest(scanned, own_lake):
    summary = scanned.scan(own_lake / "red-*.png")
    assert summary.listings[0].objects_gone == 0
    (own_lake / "red-00.png").unlink()
    assert scanned.scan(own_lake / "green-*.png").listings[0].objects_gone == 0
    assert scanned.scan(own_lake / "red-*.png").listings[0].objects_gone == 1
    assert healthy(scanned)


def test_moved_file_costs_nothing(scanned, own_lake):
    (own_lake / "blue-02.png").rename(own_lake / "renamed.png")
    summary = scanned.scan(own_lake)
    assert (summary.data_read, summary.decoded, summary.duplicates) == (1, 0, 1)
    assert healthy(scanned)


def test_retry_rejects_reads_rejects_again_and_only_them(scanned, own_lake):
    summary = scanned.scan(own_lake, retry_rejects=True)
    assert summary.data_read == 7  # two loose rejects, and the five data of the tar that holds the third
    assert [summary.objects(state) for state in ("changed", "retried", "unchanged")] == [0, 3, 17]
    assert accounting(scanned) == {"objects": 17, "data": 21, "images": 14, "duplicates": 4, "rejects": 3}
    assert healthy(scanned)


def test_object_that_could_not_be_read_is_tried_again_by_itself(workspace, lake, monkeypatch):
    from curator.engines import chunks

    def failing(shard, **wanted):
        for item in read_shard(shard, **wanted):
            unlucky = item.uri.endswith("red-00.png")
            yield Reject(item.uri, item.object_uri, "read", "read_failed", "503") if unlucky else item

    read_shard = chunks.read_shard
    monkeypatch.setattr(chunks, "read_shard", failing)
    assert workspace.scan(lake).rejects == 4
    monkeypatch.setattr(chunks, "read_shard", read_shard)
    summary = workspace.scan(lake)
    assert (summary.data_read, summary.rejects) == (1, 0)
    assert accounting(workspace)["rejects"] == 3
    assert healthy(workspace)


def test_sources_that_overlap_count_once(workspace, lake):
    summary = workspace.scan(lake, lake / "red-00.png", lake)
    assert summary.images == 14
    assert accounting(workspace)["objects"] == 17
    assert healthy(workspace)


def test_preview_reads_and_writes_nothing(workspace, lake):
    counts = workspace.preview(lake)[0]
    assert (counts.objects_listed, counts.objects_new, counts.objects_unchanged) == (17, 17, 0)
    assert counts.bytes_to_read == counts.bytes_listed > 0
    assert not workspace.layout.ledger.exists()
    with pytest.raises(WorkspaceError, match="nothing was scanned yet"):
        workspace.sql("select 1")


def test_preview_after_a_scan_says_unchanged(scanned, own_lake):
    (own_lake / "red-00.png").unlink()
    counts = scanned.preview(own_lake)[0]
    assert (counts.objects_unchanged, counts.objects_gone, counts.bytes_to_read) == (16, 1, 0)


def test_flags_follow_the_colours_that_are_known(scanned):
    flagged = {row["uri"].rpartition("/")[2] for row in scanned.sql("select uri from report.flagged").to_pylist()}
    kept = {row["uri"].rpartition("/")[2] for row in scanned.sql("select uri from report.kept").to_pylist()}
    assert {"red-00.png", "green-01.png"} <= kept
    assert {"blue-02.png", "blue-06.png"} <= flagged
    top = scanned.sql("select distinct top_id from report.kept where uri like '%/red-%'").to_pylist()
    assert top == [{"top_id": "red"}]


def test_calibration_keeps_the_wanted_share_of_the_reference(scanned, own_lake, tmp_path):
    reference = tmp_path / "reference"
    reference.mkdir()
    for name in ("red-00.png", "green-01.png", "red-04.png", "green-05.png", "blue-02.png"):
        shutil.copy(own_lake / name, reference / name)
    summary = scanned.calibrate(reference, keep=0.8)
    assert summary.reference_images == 5
    assert summary.kept_share == 0.8
    assert "few" in (summary.warning or "")
    policy = scanned.sql("select policy_name, policy_provenance from report.selection").to_pylist()[0]
    assert policy["policy_name"] == "keep-0.8"
    assert str(reference) in policy["policy_provenance"]
    assert accounting(scanned)["objects"] == 17, "reference images are no part of the lake"
    assert healthy(scanned)
    assert "policy keep-0.8" in scanned.scan(own_lake).policy_note


def test_rescoring_embeds_nothing_and_keeps_the_old_scores(scanned, monkeypatch):
    monkeypatch.setattr("curator.workspace.context.load_encoder", lambda options: pytest.fail("an encoder was loaded"))
    before = scanned.sql("select * from report.selection").to_pylist()
    summary = Workspace.open(scanned.layout.root).score(method="neglabel:group_count=1")
    (scoring,) = summary.scorings
    assert scoring.rescored == 14
    methods = scanned.sql("select method_id, count(*) as n from score group by 1 order by 1").to_pylist()
    assert [row["n"] for row in methods] == [14, 14]
    assert scanned.sql("select * from report.selection").to_pylist() == before, "a score changes nothing of what rules"
    assert healthy(scanned)


def test_method_without_a_natural_cut_flags_nothing_and_says_so(scanned):
    (summary,) = scanned.score(method="mcm").scorings
    assert summary.policy == "none"
    assert "nothing is flagged" in summary.policy_note
    assert summary.flagged == 0
    assert healthy(scanned)


def test_rescoring_equals_scoring_in_the_scan_bit_for_bit(scanned, own_lake, tmp_path):
    other = Workspace.create(tmp_path / "other", labels=["red", "green"], encoder="fake")
    shutil.copy(scanned.layout.bank_spec("base"), other.layout.bank_spec("base"))
    Workspace.open(other.layout.root, overrides={"scan.method": "mcm"}).scan(own_lake)
    other.score(method="neglabel")
    query = (
        "select image_id, id_score, log_odds, id_cosine, negative_cosine from score "
        "where method_id like 'neglabel%' order by image_id"
    )
    assert other.sql(query).equals(scanned.sql(query))


def test_new_bank_version_rescores_at_the_next_scan(scanned, own_lake):
    spec = scanned.layout.bank_spec("base")
    spec.write_text(spec.read_text().replace("noun.shape", "noun.time"))
    scanned.build_bank()
    summary = scanned.scan(own_lake)
    assert summary.bank == "base@v2"
    assert (summary.rescored, summary.decoded) == (14, 0)
    assert [row["version"] for row in scanned.banks().to_pylist()] == [2, 1]
    assert healthy(scanned)


def test_near_duplicates_are_pairs_each_once(scanned):
    rows = scanned.sql("select uri, neighbour_uri, cosine from report.near_duplicates").to_pylist()
    pairs = {tuple(sorted((row["uri"], row["neighbour_uri"]))) for row in rows}
    assert len(pairs) == len(rows) > 0
    assert all(row["cosine"] >= 0.98 for row in rows)
    assert any("red-00" in a and "red-04" in b for a, b in pairs)


def test_the_pairs_of_a_night_are_those_of_the_lake_alone(workspace, lake, tmp_path):
    shutil.copytree(lake, tmp_path / "known", ignore=shutil.ignore_patterns("x-*", "blue*"))
    (tmp_path / "few").mkdir()
    shutil.copy(lake / "red-00.png", tmp_path / "few")
    workspace.calibrate(tmp_path / "known")
    assert workspace.scan(tmp_path / "few").near_duplicates == 0
    summary = workspace.scan(lake)
    pairs = workspace.sql("from report.near_duplicates where run_id = $run", {"run": summary.run_id}).num_rows
    assert summary.near_duplicates == pairs > 0


def test_a_source_of_which_every_datum_fails_is_named_beside_others(workspace, lake, tmp_path, caplog):
    broken = tmp_path / "broken"
    broken.mkdir()
    for number in range(3):
        (broken / f"{number}.png").write_bytes(b"no picture %d" % number)
    workspace.scan(lake, broken)
    told = [record.getMessage() for record in caplog.records if "are rejects" in record.getMessage()]
    assert told == [f"{broken}: all 3 data read of it are rejects: see curator query rejects"]


def test_search_by_text_image_and_label(scanned, own_lake):
    assert "red-" in scanned.search(text="red", k=3).to_pylist()[0]["uri"]
    assert scanned.search(label="green", k=1).to_pylist()[0]["uri"].rpartition("/")[2].startswith("green-")
    assert "/blue-" in scanned.search(image="blue-02.png", k=1).to_pylist()[0]["uri"]
    labels = scanned.search(image=own_lake / "red-00.png", k=2, among="labels").to_pylist()
    assert labels[0]["label"] == "red"
    with pytest.raises(UsageError, match="exactly one"):
        scanned.search(text="red", label="red")
    for nothing in ({"text": ""}, {"text": " \t"}, {"image": ""}, {"label": ""}):
        with pytest.raises(UsageError, match=f"the {next(iter(nothing))} to search by is empty"):
            scanned.search(**nothing)
    with pytest.raises(UsageError, match="neither in the lake nor a file"):
        scanned.search(image="no-such.png")


def test_search_leaves_gone_images_out(scanned, own_lake):
    for path in own_lake.glob("red-*.png"):
        path.unlink()
    (own_lake / "z-shard.tar").unlink()
    scanned.scan(own_lake)
    (scanned.layout.root / "x").mkdir()
    found = scanned.search(text="red", k=20).to_pylist()
    assert found
    # A content that also lies elsewhere is still there: the duplicate of the first red picture.
    assert [row["uri"].rpartition("/")[2] for row in found if "red" in row["uri"]] == []


def test_snapshot_stays_readable_while_the_next_scan_writes(scanned, own_lake):
    from curator.store import Database

    with Database.open_reader(scanned.layout.snapshot) as analyst:
        before = analyst.arrow("select count(*) as n from report.images").to_pylist()
        buffer = io.BytesIO()
        Image.new("RGB", (8, 8), "orange").save(buffer, "PNG")
        (own_lake / "orange.png").write_bytes(buffer.getvalue())
        scanned.scan(own_lake)
        assert analyst.arrow("select count(*) as n from report.images").to_pylist() == before
    assert scanned.sql("select count(*) as n from report.images").to_pylist() == [{"n": before[0]["n"] + 1}]


def test_collector_leaves_alone_what_was_there_before_and_only_so_long():
    frozen = gc.get_freeze_count()  # by the run of the tests
    gc.unfreeze()
    try:
        with rest_left_alone():
            assert gc.get_freeze_count() > 0
        assert gc.get_freeze_count() == 0
        gc.freeze()
        with rest_left_alone():
            pass
        assert gc.get_freeze_count() > 0  # the caller's choice holds
    finally:
        gc.freeze() if frozen else gc.unfreeze()


def test_failed_run_says_so_in_its_row(workspace, tmp_path):
    from curator.errors import SourceError

    with pytest.raises(SourceError):
        workspace.scan(tmp_path / "no-such-folder")
    workspace.layout.bank_spec("base").write_text('name = "base"\n[id]\nlabels = "missing.txt"\n[mining]\n')
    with pytest.raises(Exception, match=r"missing\.txt"):
        workspace.scan(tmp_path)
    runs = workspace.sql("select command, status, error from run").to_pylist()
    assert runs[0]["status"] == "failed"
    assert "missing.txt" in runs[0]["error"]


def test_changed_encoder_embeds_everything_again_and_keeps_the_old_vectors(scanned, own_lake):
    other = Workspace.open(scanned.layout.root, overrides={"encoder.address": "fake:24"})
    summary = other.scan(own_lake)
    assert summary.images == 14
    assert healthy(scanned)
    counts = scanned.sql("select encoder_id, count(*) as n from vector group by 1 order by 1").to_pylist()
    assert [row["n"] for row in counts] == [14, 14]
    back = Workspace.open(scanned.layout.root).scan(own_lake)
    assert (back.images, back.decoded) == (0, 3), "known contents are not decoded; the three rejects are tried again"
    assert healthy(scanned)

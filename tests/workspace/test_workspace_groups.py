"""Groups of near-duplicates: named once, whatever order, night, policy or crash; every image of the lake is in one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from curator.vectors import partition
from curator.workspace import Workspace

CONFIG = "[near_duplicates]\nmin_cosine = 0.9995\n[groups]\nmin_cosine = 0.999\n"


def camera(folder: Path, hue: tuple[int, int, int], numbers: range, *, name: str = "frame") -> None:
    """Frames that differ by a mark: contents of their own, vectors nearly the same."""
    folder.mkdir(exist_ok=True)
    for number in numbers:
        image = Image.new("RGB", (32, 32), hue)
        image.putpixel((number % 32, number // 32), (9, 9, 9))
        image.save(folder / f"{name}-{number:04d}.png")


@pytest.fixture
def site(tmp_path, make_workspace) -> Workspace:
    made = make_workspace(tmp_path / "site")
    text = made.layout.config.read_text()
    made.layout.config.write_text(text.partition("[near_duplicates]")[0] + CONFIG)
    return Workspace.open(made.layout.root)


def groups_of(workspace: Workspace) -> dict[str, frozenset[str]]:
    """The names of the images of each group with several, by group id."""
    rows = workspace.sql("select group_id, uri from report.group_members").to_pylist()
    found: dict[str, set[str]] = {}
    for row in rows:
        found.setdefault(row["group_id"], set()).add(Path(row["uri"]).name)
    return {group: frozenset(names) for group, names in found.items() if len(names) > 1}


def is_healthy(workspace: Workspace) -> bool:
    return [check.name for check in workspace.check() if not check.healthy] == []


def test_frames_of_one_camera_are_one_group_and_keep_its_name_as_more_come(site, tmp_path):
    lake = tmp_path / "lake"
    camera(lake, (200, 30, 30), range(20), name="red")
    camera(lake, (30, 30, 200), range(5), name="blue")
    site.scan(lake)
    first = groups_of(site)
    assert sorted(map(len, first.values())) == [5, 20]
    large = "select group_id, image_id, uri from report.groups where images > 1 order by group_id"
    representatives = site.sql(large).to_pylist()
    assert all(row["group_id"] == row["image_id"] for row in representatives)
    camera(lake, (200, 30, 30), range(20, 45), name="red")
    site.scan(lake)
    later = groups_of(site)
    assert later.keys() == first.keys() and all(first[group] <= later[group] for group in first)
    assert sorted(map(len, later.values())) == [5, 45]
    assert site.sql(large).to_pylist() == representatives
    nights = site.sql("select images, nights from report.groups where images = 45").to_pylist()
    assert nights == [{"images": 45, "nights": 1}] and is_healthy(site)


def test_an_image_that_was_alone_gives_its_name_to_the_group_that_comes(site, tmp_path):
    lake = tmp_path / "lake"
    camera(lake, (200, 30, 30), range(1))
    site.scan(lake)
    alone = site.sql("select group_id, image_id, images from report.groups").to_pylist()
    assert alone == [{"group_id": alone[0]["image_id"], "image_id": alone[0]["image_id"], "images": 1}]
    camera(lake, (200, 30, 30), range(1, 30))
    site.scan(lake)
    assert {group: len(names) for group, names in groups_of(site).items()} == {alone[0]["group_id"]: 30}
    assert is_healthy(site)


def test_groups_do_not_depend_on_names_order_and_cuts_of_a_night(site, make_workspace, tmp_path):
    lake, other = tmp_path / "lake", tmp_path / "other"
    rng = np.random.default_rng(3)
    for folder in (lake, other):
        folder.mkdir()
    for number in range(40):  # colours that drift, so that who leads matters
        image = Image.new("RGB", (16, 16), (200, 4 * number, 30))
        image.save(lake / f"{number:03d}.png")
        (other / f"{rng.integers(10**6):06d}-{number:03d}.png").write_bytes((lake / f"{number:03d}.png").read_bytes())
    site.scan(lake)
    second = make_workspace(tmp_path / "second")
    second.layout.config.write_text(site.layout.config.read_text())
    Workspace.open(second.layout.root, overrides={"scan.files_per_shard": 7}).scan(other)
    renamed = {group: frozenset(name.partition("-")[2] for name in names) for group, names in groups_of(second).items()}
    assert groups_of(site) == renamed and len(renamed) > 2


def test_groups_of_flagged_images_show_a_flagged_one_and_others_stay_as_a_policy_changes(site, tmp_path):
    lake = tmp_path / "lake"
    camera(lake, (200, 30, 30), range(6), name="red")
    camera(lake, (40, 40, 250), range(9), name="blue")
    site.scan(lake)
    members = site.sql("select group_id, image_id from report.group_members order by all")
    ranked = site.sql("select image_id, log_odds from report.scores order by log_odds, image_id").to_pylist()
    seen = set()
    for cut in (4, 15):
        policy = site.sql("select policy_id from report.selection").to_pylist()[0]["policy_id"]
        with_cut(site, policy, ranked[cut - 1]["log_odds"] + 1e-9)
        rows = site.sql("select * from report.flag_groups order by mean_log_odds, group_id").to_pylist()
        flagged = {row["image_id"] for row in site.sql("select image_id from report.flagged").to_pylist()}
        assert sum(row["flagged"] for row in rows) == len(flagged) >= cut
        assert {row["image_id"] for row in rows} <= flagged
        assert len(rows) == len({row["group_id"] for row in rows}) and all(r["flagged"] <= r["images"] for r in rows)
        for row in rows:
            assert row["image_id"] == row["group_id"] or row["group_id"] not in flagged
        seen.add(tuple((row["group_id"], row["flagged"]) for row in rows))
        assert site.sql("select group_id, image_id from report.group_members order by all") == members
    assert len(seen) > 1, "the cuts were different ones"


def with_cut(workspace: Workspace, policy_id: str, cut: float) -> None:
    """Move a threshold in the ledger, as an analyst's own tool might, and publish."""
    from curator.store import Database

    with Database.open(workspace.layout.ledger) as database:
        database.execute("update policy set min_log_odds = $cut where policy_id = $id", {"cut": cut, "id": policy_id})
    workspace.publish()


def test_a_representative_that_has_gone_is_stood_in_for_and_the_group_keeps_its_name(site, tmp_path):
    lake = tmp_path / "lake"
    camera(lake, (200, 30, 30), range(6))
    site.scan(lake)
    (group,) = groups_of(site)
    leader = site.sql("select uri from report.groups").to_pylist()[0]["uri"]
    Path(leader).unlink()
    camera(lake, (200, 30, 30), range(6, 8))
    site.scan(lake)
    rows = site.sql("select group_id, image_id, uri, images from report.groups").to_pylist()
    assert [(row["group_id"], row["images"]) for row in rows] == [(group, 7)]
    assert rows[0]["image_id"] != group and rows[0]["uri"] != leader and is_healthy(site)


def test_a_ledger_from_before_groups_gets_them_at_its_next_scan(site, tmp_path):
    lake = tmp_path / "lake"
    camera(lake, (200, 30, 30), range(8))
    site.scan(lake)
    expected = groups_of(site)
    from curator.store import Database

    with Database.open(site.layout.ledger) as database:
        database.execute("delete from group_member")
    assert site.scan(lake).data_read == 0
    assert groups_of(site) == expected and len(expected) == 1


def test_a_scan_of_nothing_new_writes_no_group(site, tmp_path):
    lake = tmp_path / "lake"
    camera(lake, (200, 30, 30), range(8))
    site.scan(lake)
    before = site.sql("select * from group_member order by all")
    site.scan(lake)
    assert site.sql("select * from group_member order by all") == before


def test_queries_show_groups(site, tmp_path, run_cli):
    lake = tmp_path / "lake"
    camera(lake, (200, 30, 30), range(4), name="red")
    camera(lake, (40, 40, 250), range(3), name="blue")
    site.scan(lake)
    rows = site.query("groups").to_pylist()
    assert [row["images"] for row in rows] == [4, 3]
    assert "flagged" in run_cli("query", "flag_groups", folder=site.layout.root).output


@pytest.mark.slow
def test_a_partitioned_lake_has_the_same_pairs_and_groups_also_where_the_partition_was_damaged(
    site, make_workspace, tmp_path, monkeypatch, caplog
):
    lake, other = tmp_path / "lake", make_workspace(tmp_path / "other")
    other.layout.config.write_text(site.layout.config.read_text())
    other = Workspace.open(other.layout.root)
    for night in (range(20), range(20, 30)):
        camera(lake, (200, 30, 30), night, name="red")
        site.scan(lake)
        for path in (other.layout.root / "index").glob("*/images.near/*.rows.npy"):
            path.write_bytes(path.read_bytes()[:-1] + b"?")
        with monkeypatch.context() as patch:
            patch.setattr(partition, "MIN_VECTORS", 1)
            other.scan(lake)
    assert "is damaged" in caplog.text
    pairs = "select image_id, neighbour_id, cosine from near_duplicate order by all"
    assert other.sql(pairs).equals(site.sql(pairs)) and other.sql(pairs).num_rows
    assert groups_of(other) == groups_of(site)

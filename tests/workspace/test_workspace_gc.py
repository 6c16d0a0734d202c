"""Garbage collection removes what nobody refers to, and never anything else."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curator.errors import WorkspaceError, WorkspaceLocked
from curator.store.generated import record_calls, record_origin
from curator.workspace import Workspace
from curator.workspace.lock import hold_lock
from curator.workspace.session import writing
from curator.workspace.stored.calls import LedgerCalls

OLD = time.time() - 86_400


def files_of(root: Path) -> dict[str, str]:
    """Every file with the hash of its bytes, but for those that opening the ledger touches."""
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*")
        if path.is_file() and path.name not in (".lock", "ledger.duckdb")
    }


def plant(root: Path, name: str, *, age: bool = True) -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(random.Random(name).randbytes(100))
    if age:
        for touched in (path, path.parent):
            os.utime(touched, (OLD, OLD))
    return path


@pytest.fixture(scope="module")
def learnt(tmp_path_factory, make_workspace) -> Path:
    """A workspace with a scan, the index of its images, and what painters made."""
    from PIL import Image

    root = tmp_path_factory.mktemp("gc")
    workspace = make_workspace(root / "workspace")
    (root / "lake").mkdir()
    for number, colour in enumerate(("red", "green", "blue", "yellow")):
        image = Image.new("RGB", (20, 20), colour)
        image.putpixel((number, 0), (1, 2, 3))
        image.save(root / "lake" / f"{colour}.png")
    workspace.scan(root / "lake")
    workspace.build_indexes()
    keep_painting(workspace, b"a picture", shown=False)
    keep_painting(workspace, b"a picture that a bank shows", shown=True)
    return workspace.layout.root


def keep_painting(workspace: Workspace, data: bytes, *, shown: bool) -> None:
    """A painter's call with its file, as learning a bank leaves them."""
    with writing(workspace._context, "bank mmood", {}) as ledger:
        name = LedgerCalls(ledger, workspace.layout.generated).keep_artefact(data, ".png")
        text = dict.fromkeys(("model", "revision", "prompt", "prompt_digest"), "x")
        facts = {"inputs": "{}", "facts": "{}", "output": None, "answer": None, "fault": None, "artefact": name}
        numbers = {"prompt_version": 1, "seed": 0, "attempts": 1, "seconds": 0.1}
        call = {"call_id": name, "role": "painter", "status": "answered", **text, **facts, **numbers}
        record_calls(ledger, [call])
        if shown:
            digest = ledger.database.rows("list_banks")[0]["bank_digest"]
            picture = {"bank_digest": digest, "picture_number": 0, "call_id": name, "artefact": name, "label": "x"}
            record_origin(ledger, evidence=[], pictures=[picture], guard=[])


@pytest.fixture
def copy(learnt, tmp_path) -> Workspace:
    shutil.copytree(learnt, tmp_path / "copy")
    return Workspace.open(tmp_path / "copy")


# What may lie about in a workspace, of each kind: a name, and the kind it counts as; None: it must stay.
ORPHANS = {
    "vectors/fake-{encoder}/{hex}.safetensors": "vectors",
    "vectors/another-encoder/{hex}.safetensors": "vectors",
    "vectors/fake-{encoder}/.{hex}.safetensors.{temporary}.tmp": "temporary",
    ".ledger.duckdb.{temporary}.tmp": "temporary",
    "published/.curator.duckdb.{temporary}.tmp": "temporary",
    "banks/base/.building-{hex}/labels.parquet": "temporary",
    "ledger.duckdb.tmp/duckdb_temp_{hex}": "temporary",
    "tmp/{hex}": "temporary",
    ".ledger.duckdb.{temporary}.tmp.wal": "temporary",
    "generated/{hex}.png": "generated",
    "generated/.{hex}.png.{temporary}.tmp": "temporary",
    "cache/text/{encoder}{encoder}/{hex}.safetensors": "texts",
    "cache/resaved/another-encoder/{hex}.safetensors": "resaved",
    "index/fake-{encoder}/images-ivf_pq/index.faiss": "indexes",
    "index/another/images-flat/index.faiss": "indexes",
    "exports/{temporary}/kept.csv": "exports",
    "exports/flagged-{hex}/kept.csv": None,
    "banks/own-{hex}.toml": None,
    "queries/{hex}.sql": None,
    "{hex}.tmp": None,
    "notes/{hex}.safetensors": None,
    ".git/objects/.x.{temporary}.tmp": None,
    "banks/base/{hex}/bank.json": None,
}


def test_an_export_in_the_workspace_is_left_alone_while_it_is_written(workspace, lake):
    workspace.scan(lake)
    half = plant(workspace.layout.root, f"out/.kept.csv.{'0' * 16}.tmp")
    plant(workspace.layout.root, "out/.curator-export/rows.arrow")
    sent = plant(workspace.layout.root, "exports/0123/kept.csv", age=False)
    assert workspace.collect_garbage(remove=True).files == 0
    assert half.exists() and sent.exists()


@pytest.mark.slow
@settings(
    max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(st.lists(st.tuples(st.sampled_from(sorted(ORPHANS)), st.integers(0, 2**32 - 1)), max_size=12, unique=True))
def test_whatever_lies_about_only_the_unreferenced_goes(learnt, tmp_path, planted):
    root = Path(tempfile.mkdtemp(dir=tmp_path))
    shutil.copytree(learnt, root, dirs_exist_ok=True)
    before, kinds = files_of(root), {}
    for pattern, seed in planted:
        digits = f"{random.Random(seed).getrandbits(128):032x}"
        name = pattern.format(hex=digits, temporary=digits[:16], encoder="f02ee6824998")
        plant(root, name)
        kinds[name] = ORPHANS[pattern]
    expected = before | {name: text for name, text in files_of(root).items() if kinds.get(name, "x") is None}
    workspace = Workspace.open(root)

    found = workspace.collect_garbage()
    counts = {kind.name: kind.files for kind in found.kinds}
    assert counts == {name: sum(kind == name for kind in kinds.values()) for name in counts}
    assert found.byte_size == 100 * found.files
    assert set(kinds) <= {str(path.relative_to(root)) for path in root.rglob("*")}, "a dry run removes nothing"

    assert workspace.collect_garbage(remove=True).files == found.files
    assert files_of(root) == expected
    assert workspace.collect_garbage(remove=True).files == 0
    assert [item.message for item in workspace.doctor(check=True) if item.state == "failed"] == []


def test_everything_that_rows_refer_to_is_there_to_begin_with(learnt):
    assert list((learnt / "generated").iterdir()), "a test of painted files needs some"
    assert list((learnt / "index").rglob("index.faiss"))
    assert list((learnt / "cache" / "text").rglob("*.safetensors"))


def test_what_a_search_may_be_writing_now_is_left_alone(copy):
    young = [
        plant(copy.layout.root, name, age=False)
        for name in (f"index/other/images-flat/.index.faiss.{'a' * 16}.tmp", f"cache/text/b/.x.{'a' * 16}.tmp")
    ]
    assert copy.collect_garbage(remove=True).files == 0
    assert all(path.is_file() for path in young)


def test_index_of_a_recipe_that_is_no_longer_configured_goes(copy):
    for path in [*copy.layout.root.glob("index/*/*/*"), *copy.layout.root.glob("index/*/*")]:
        os.utime(path, (OLD, OLD))
    assert copy.collect_garbage().files == 0
    other = Workspace.open(copy.layout.root, overrides={"index.images": "hnsw"})
    (kind,) = [kind for kind in other.collect_garbage(remove=True).kinds if kind.files]
    assert kind.name == "indexes"
    assert [path.name for path in copy.layout.root.glob("index/*/*")] == ["labels-flat"]


def test_without_a_ledger_nothing_is_touched(copy):
    copy.layout.ledger.unlink()
    before = files_of(copy.layout.root)
    with pytest.raises(WorkspaceError, match="is missing, though"):
        copy.collect_garbage(remove=True)
    assert files_of(copy.layout.root) == before


def test_waits_for_no_run_and_disturbs_none(copy):
    orphan = plant(copy.layout.root, f"vectors/x/{'c' * 32}.safetensors")
    with (
        hold_lock(copy.layout.lock, command="scan", run_id="other"),
        pytest.raises(WorkspaceLocked),
    ):
        copy.collect_garbage(remove=True)
    assert orphan.is_file()


def test_link_out_of_the_workspace_is_removed_and_not_followed(copy, tmp_path):
    outside = plant(tmp_path, "outside/precious.safetensors")
    folder = copy.layout.vectors("fake-link")
    folder.mkdir(parents=True)
    (folder / f"{'d' * 32}.safetensors").symlink_to(outside)
    assert copy.collect_garbage(remove=True).files == 1
    assert outside.is_file()


def test_command_says_first_and_deletes_when_told(copy, run_cli):
    import json

    orphan = plant(copy.layout.root, f"generated/{'e' * 32}.png")
    root = copy.layout.root
    said = run_cli("gc", folder=root).stdout
    assert "1 painted files that no call refers to: 100 B" in said and "curator gc --delete" in said
    assert orphan.is_file()
    found = json.loads(run_cli("gc", "--delete", "--json", folder=root).stdout)
    assert (found["removed"], found["files"], found["byte_size"]) == (True, 1, 100)
    assert not orphan.exists()
    assert run_cli("gc", folder=root).stdout == "nothing to delete\n"

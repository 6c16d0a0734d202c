"""What models are shown of a workspace: the bytes of images wherever they lie, and what comes of those not there."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from curator.errors import SourceError
from curator.methods import MethodSpec
from curator.store import Database
from curator.workspace import Workspace
from curator.workspace.learn.world import LedgerWorld
from curator.workspace.published import reading
from tests.conftest import SMALL_BANK
from tests.generators import fault_server, tiny_chat_models, tiny_diffusion

# Every image is described, whatever it scores.
ALL = {"threshold": "share", "eta": 1.0, "gamma": 1.0, "duplicate_cosine": 1.0, "max_cosine": 1.0}
ANTS = {"system": "ants", "name": "ants", "settings": ALL}


def patterned(number: int, colour: str = "blue") -> bytes:
    """One colour with a pattern of its own."""
    image = Image.new("RGB", (32, 32), colour)
    patches = np.random.default_rng(number).integers(0, 255, (2, 4, 3)).astype(np.uint8)
    image.paste(Image.fromarray(patches).resize((16, 8), Image.Resampling.NEAREST), (number % 3 * 8, 12))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


CONTENTS = {
    kind: [patterned(10 * place + number, ["blue", "yellow", "black"][number]) for number in range(3)]
    for place, kind in enumerate(("file", "tar", "parquet"), 1)
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`lake` with three images in a folder, three in a tar and three in a Parquet file; `known` with four others, of ID
    classes; and a `workspace` that has taken both in. Tests work on copies of it."""
    root = tmp_path_factory.mktemp("pictures")
    lake, known = root / "lake", root / "known"
    lake.mkdir()
    for number, data in enumerate(CONTENTS["file"]):
        (lake / f"{number}.png").write_bytes(data)
    with tarfile.open(lake / "shard.tar", "w") as archive:
        for number, data in enumerate(CONTENTS["tar"]):
            info = tarfile.TarInfo(f"{number}.png")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    rows = [{"image": {"bytes": data, "path": f"{number}.png"}} for number, data in enumerate(CONTENTS["parquet"])]
    pq.write_table(pa.Table.from_pylist(rows), lake / "rows.parquet")
    for number, colour in enumerate(["red", "green"] * 2):
        (known / colour).mkdir(parents=True, exist_ok=True)
        (known / colour / f"{number}.png").write_bytes(patterned(200 + number, colour))
    workspace = Workspace.create(root / "workspace", labels=["red", "green"], encoder="fake")
    workspace.layout.bank_spec("base").write_text(SMALL_BANK, encoding="utf-8")
    workspace.scan(lake)
    workspace.calibrate(known)
    return root


@pytest.fixture(autouse=True)
def sources(root: Path) -> Iterator[Path]:
    """The lake, put back as it was when a test is done with it."""
    paths = [path for path in root.rglob("*") if path.is_file() and path.parts[len(root.parts)] in ("lake", "known")]
    before = {path: path.read_bytes() for path in paths}
    yield root / "lake"
    for path, data in before.items():
        path.write_bytes(data)


@pytest.fixture(scope="module")
def world(root: Path) -> Iterator[LedgerWorld]:
    """Around the base bank of the workspace; it only reads."""
    workspace = Workspace.open(root / "workspace")
    with reading(workspace.layout) as database:
        context = workspace._context
        parent = context.find_bank(database, "base", encoder_id=context.encoder_id(database))
        assert parent is not None
        yield LedgerWorld(context, database, parent)


def load(world: LedgerWorld, data: bytes) -> bytes:
    image_id = id_of(world, data)
    return world.picture(image_id, world.lake_vectors([image_id])[0]).load()


def id_of(world: LedgerWorld, data: bytes) -> str:
    (found,) = [name for name in world.arrival_order if hashlib.sha256(data).hexdigest().startswith(name)]
    return found


@pytest.mark.parametrize("kind", CONTENTS)
def test_a_picture_gives_the_bytes_of_its_image_wherever_it_lies(world, kind):
    assert [load(world, data) for data in CONTENTS[kind]] == CONTENTS[kind]


def test_the_places_of_all_pictures_are_found_at_once(world, monkeypatch):
    world = LedgerWorld(world.context, world.database, world.parent)  # which knows no place yet
    asked = []
    rows = Database.rows
    monkeypatch.setattr(Database, "rows", lambda self, name, **more: asked.append(name) or rows(self, name, **more))
    data = [content for contents in CONTENTS.values() for content in contents]
    ids = [id_of(world, content) for content in data]
    made = [world.picture(image_id, vector) for image_id, vector in zip(ids, world.lake_vectors(ids), strict=True)]
    asked.clear()
    assert [picture.load() for picture in made * 2] == data * 2
    assert asked == ["list_image_places"]
    (known,) = world.id_images[:1]
    assert world.picture(known.image_id, world.reference_vectors([known.image_id])[0]).load(), "one made later is found"


SOURCES = {"file": "0.png", "tar": "shard.tar", "parquet": "rows.parquet"}


@pytest.mark.parametrize("kind", SOURCES)
def test_an_image_whose_source_has_vanished_says_where_it_was(world, kind, sources):
    (sources / SOURCES[kind]).unlink()
    with pytest.raises(SourceError, match=SOURCES[kind]):
        load(world, CONTENTS[kind][0])


def overwrite(path: Path, old: bytes) -> None:
    """Other bytes, as many as before, in the place of an image."""
    whole = path.read_bytes()
    assert whole.count(old) == 1
    path.write_bytes(whole.replace(old, old[:-20] + bytes(20)))


@pytest.mark.parametrize("kind", ["file", "tar"])
def test_an_image_whose_content_was_changed_is_not_shown(world, kind, sources):
    overwrite(sources / SOURCES[kind], CONTENTS[kind][0])
    with pytest.raises(SourceError, match="its content has changed") as caught:
        load(world, CONTENTS[kind][0])
    assert SOURCES[kind] in str(caught.value)


def test_a_parquet_file_written_anew_is_not_taken_for_the_old_one(world, sources):
    rows = [{"image": {"bytes": patterned(90 + number), "path": "new"}} for number in range(3)]
    pq.write_table(pa.Table.from_pylist(rows), sources / "rows.parquet")
    with pytest.raises(SourceError, match="its content has changed"):
        load(world, CONTENTS["parquet"][0])


# Runs over sources that are not what they were


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A service that describes every image in its own words, and names what looks like a class."""

    def script(number: int, received: Any) -> Any:
        if received.images:
            digest = hashlib.sha256(received.images[0].encode()).hexdigest()[:6]
            return fault_server.answer(json.dumps({"description": f"a wall of number {digest}"}))
        names = {"red": ["rust", "brick"], "green": ["moss", "leaf"]}
        return fault_server.answer(json.dumps({"labels": names[received.said.split('"')[1]]}))

    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-of-pictures")
    with fault_server.running() as server:
        server.script = script
        yield server


@pytest.fixture
def opened(root: Path, tmp_path: Path) -> Callable[..., Workspace]:
    """Open a copy of the workspace with such generators."""

    def open_copy(**generators: Any) -> Workspace:
        overrides = {f"generators.{name}": value for name, value in generators.items()}
        return Workspace.open(shutil.copytree(root / "workspace", tmp_path / "workspace"), overrides=overrides)

    return open_copy


def describer_calls(workspace: Workspace) -> list[dict[str, Any]]:
    """First calls only, not those that show a reply again with what was wrong with it."""
    rows = workspace.sql("select status, fault, attempts, inputs from report.generator_calls where role = 'describer'")
    return [row for row in rows.to_pylist() if json.loads(row["inputs"])["correction"] is None]


def spoil(sources: Path) -> None:
    """One image is changed, the tar is away."""
    overwrite(sources / "0.png", CONTENTS["file"][0])
    (sources / "shard.tar").unlink()


def assert_faults(calls: list[dict[str, Any]]) -> None:
    """Neither is final: what was changed or went away may come back. Nothing was sent for either."""
    changed = [call for call in calls if "0.png: its content has changed" in (call["fault"] or "")]
    gone = [call for call in calls if "shard.tar" in (call["fault"] or "")]
    assert [call["status"] for call in changed] == ["failed"]
    assert [call["status"] for call in gone] == ["failed"] * 3
    assert len(calls) == 9 and {call["attempts"] for call in changed + gone} == {0}


def test_a_run_goes_on_without_images_that_are_gone_or_others_and_the_next_asks_for_those_that_came_back(
    opened, served, sources
):
    tar = (sources / "shard.tar").read_bytes()
    spoil(sources)
    workspace = opened(describer="endpoint:m", reasoner="endpoint:m", base_url=served.url, concurrency=2)
    first = workspace.learn_bank(**ANTS, force=True)
    assert_faults(describer_calls(workspace))
    assert first.account["described"] == {"asked": 9, "answered": 5, "rejected": 0, "failed": 4}
    assert first.sent == len(served.received) == 5 + 2

    (sources / "shard.tar").write_bytes(tar)
    second = workspace.learn_bank(**ANTS, force=True)
    assert second.account["described"] == {"asked": 9, "answered": 8, "rejected": 0, "failed": 1}
    assert second.sent == 3 and len(served.received) == 5 + 2 + 3
    assert [result.name for result in workspace.check() if not result.healthy] == []


@pytest.mark.slow
def test_a_local_model_goes_on_as_well(opened, sources, tmp_path):
    folder = tiny_chat_models.qwen_folder(tmp_path / "model", "2.5")
    spoil(sources)
    workspace = opened(describer=f"transformers:{folder}", max_new_tokens=4)
    with tiny_diffusion.one_thread():
        summary = workspace.learn_bank(**ANTS, force=True)
    assert_faults(describer_calls(workspace))
    described = summary.account["described"]
    assert (described["asked"], described["failed"]) == (9, 4) and summary.account["vsnl"] > 0


@pytest.mark.slow
def test_a_painter_goes_on_as_well(opened, root, tmp_path):
    folders = (
        tiny_diffusion.pipeline_folder(tmp_path / "painter"),
        tiny_diffusion.classifier_folder(tmp_path / "guide"),
    )
    workspace = opened(painter=f"diffusers:{folders[0]}", guide=f"transformers:{folders[1]}", painter_batch_size=2)
    (root / "known" / "red" / "0.png").unlink()
    small = {"size": 32, "steps": 4, "passes": 1, "projection_epochs": 1, "tuning_epochs": 1}
    with tiny_diffusion.one_thread():
        summary = workspace.learn_bank("synood", "synood", settings=small)
    assert summary.account["painted"] == {"asked": 4, "answered": 3, "rejected": 0, "failed": 1}
    assert summary.account["assigned"] == 3


def test_a_parent_is_judged_by_neglabel_where_the_method_in_force_wants_what_it_has_not(world):
    def judged_by(method):
        config = SimpleNamespace(scan=SimpleNamespace(method=method))
        given = SimpleNamespace(config=config, method_spec=MethodSpec.parse)
        return LedgerWorld.base_method.fget(SimpleNamespace(context=given, parent=world.parent))

    assert [judged_by(method) for method in ("mcm:scale=1", "ants", "knn:k=3")] == ["mcm:scale=1"] + 2 * ["neglabel"]

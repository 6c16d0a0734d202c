"""What an image may do to the command that shows it, or asks about it: nothing but to miss its own picture."""

from __future__ import annotations

import importlib
import io
from functools import partial
from pathlib import Path

import pytest
from PIL import Image

from curator.decode import DecodeFailure
from curator.errors import UsageError
from curator.generators.pictures import PictureFault, open_picture
from curator.generators.requests import Picture
from curator.workspace import Workspace, looking
from curator.workspace.app.desk import AppDesk
from curator.workspace.look.pictures import thumbnails
from curator.workspace.published import reading
from tests.conftest import SMALL_BANK

MAGIC = {b"KILL": "decoder_crashed", b"SEGV": "decoder_crashed", b"EXIT": "decoder_crashed", b"SPIN": "decoder_timeout"}


def picture(shade: int, tail: bytes = b"") -> bytes:
    """A PNG, whole whatever comes after it."""
    buffer = io.BytesIO()
    Image.new("RGB", (300, 200), (shade, 0, 90)).save(buffer, "PNG")
    return buffer.getvalue() + tail


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("looking")
    (root / "lake").mkdir()
    for number, tail in enumerate((b"", *MAGIC)):
        (root / "lake" / f"{tail.decode() or 'good'}.png").write_bytes(picture(40 * number, tail))
    workspace = Workspace.create(root / "workspace", labels=["red", "green"], encoder="fake")
    workspace.layout.bank_spec("base").write_text(SMALL_BANK, encoding="utf-8")
    workspace.scan(root / "lake")
    return root


@pytest.fixture
def workspace(root, monkeypatch):
    """As the scanned one, in front of decoders that images with a magic word bring down."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "engines"))
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    tasks = importlib.import_module("crashing_look")
    monkeypatch.setattr(looking, "look", tasks.look_or_crash)
    monkeypatch.setattr(looking, "prepare", tasks.prepare_or_crash)
    workspace = Workspace.open(root / "workspace")
    context = workspace._context
    context._looker = looking.Looker(context.decode_options, memory_limit_bytes=1 << 30, cpu_seconds_per_image=0.3)
    yield workspace
    context._looker.close()


def ids(workspace):
    rows = workspace.sql("select image_id, uri from report.images").to_pylist()
    return {Path(row["uri"]).stem: row["image_id"] for row in rows}


def test_an_image_that_brings_its_decoder_down_costs_its_thumbnail_only(workspace):
    with reading(workspace.layout) as database:
        found = thumbnails(workspace._context, database, list(ids(workspace).values()))
    for name, image_id in ids(workspace).items():
        if name == "good":
            with Image.open(io.BytesIO(found[image_id].data)) as image:
                assert image.size == (160, 107)
        else:
            assert found[image_id].data is None
            assert found[image_id].reason.startswith(f"{MAGIC[name.encode()]}: ")


def test_explain_goes_on_without_the_picture(workspace, root):
    shown = workspace.explain(str(root / "lake" / "KILL.png"), thumbnail=True)
    assert (shown.thumbnail, shown.state) == (None, "lake")
    assert "SIGKILL" in shown.thumbnail_fault
    assert workspace.explain(str(root / "lake" / "good.png"), thumbnail=True).thumbnail


@pytest.mark.parametrize("magic", [b"SEGV", b"SPIN"])
def test_a_file_that_brings_its_decoder_down_is_one_line(workspace, tmp_path, magic):
    (tmp_path / "new.png").write_bytes(picture(7, magic))
    for ask in (
        partial(workspace.search, image=str(tmp_path / "new.png")),
        partial(workspace.explain, str(tmp_path / "new.png")),
    ):
        with pytest.raises(UsageError, match=MAGIC[magic]):
            ask()


def test_the_app_goes_on(workspace):
    desk = AppDesk(workspace._context, reviewer="ann")
    assert desk.picture(ids(workspace)["KILL"], large=True) is None
    assert desk.picture(ids(workspace)["good"], large=False)
    desk.close()


def test_a_picture_for_a_model_is_a_fault_that_stays(workspace):
    decode = workspace._context.looker.picture
    with pytest.raises(PictureFault, match="decoder_crashed") as caught:
        open_picture(Picture("0" * 32, lambda: picture(3, b"SEGV"), decode=decode))
    assert caught.value.final
    assert open_picture(Picture("0" * 32, lambda: picture(3), decode=decode)).size == (300, 200)


def test_a_looker_that_is_forgotten_leaves_no_process(workspace):
    context = workspace._context
    looker = looking.Looker(context.decode_options, memory_limit_bytes=1 << 30)
    with pytest.raises(DecodeFailure, match="text"):
        looker.picture(b"nothing", side=16)
    (pool,) = looker._pools.values()
    process = pool._workers[0]._process
    assert process.poll() is None
    del looker
    assert process.poll() is not None

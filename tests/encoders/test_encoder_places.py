"""Local models of a workspace: they are there when it is made, and found from wherever a command is run."""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from curator.encoders import EncoderOptions, load_encoder, placed_address, suited_score
from curator.errors import UsageError, WeightsMissing
from curator.workspace import Workspace


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def address_in(root: Path) -> str:
    return str(tomllib.loads((root / "curator.toml").read_text(encoding="utf-8"))["encoder"]["address"])


@pytest.mark.parametrize("name", ["clip", "my models/größe 🦉"])
def test_a_path_is_written_so_that_it_holds_from_every_folder(name, here, tiny, monkeypatch):
    tiny.clip_folder(here / name)
    workspace = Workspace.create("work", labels=["red", "green"], encoder=f"transformers:{name}#bilinear")
    assert address_in(here / "work") == f"transformers:{here / name}#bilinear"
    monkeypatch.chdir("/")
    assert Workspace.open(workspace.layout.root).config.encoder.address == f"transformers:{here / name}#bilinear"


@pytest.mark.parametrize(
    ("make", "address", "expected"),
    [
        ("open_clip_folder", "open_clip:local-dir:mine/", "open_clip:local-dir:{here}/mine"),
        ("open_clip_checkpoint", "open_clip:curator-test-tiny/mine/tiny-0.safetensors",
         "open_clip:curator-test-tiny/{here}/mine/tiny-0.safetensors"),
        ("clip_folder", "transformers:./mine/../mine", "transformers:{here}/mine"),
    ],
)  # fmt: skip
def test_every_kind_of_path_is_placed(make, address, expected, here, tiny):
    (here / "mine").mkdir()
    getattr(tiny, make)(here / "mine")
    assert placed_address(address, here / "work") == expected.format(here=here)
    assert placed_address(address, here).endswith("/./mine/tiny-0.safetensors" if "tiny-0" in address else ":./mine")


def test_a_link_to_a_model_stays_one(here, tiny):
    tiny.clip_folder(here / "v1")
    (here / "current").symlink_to("v1")
    assert placed_address("transformers:current", here / "work") == f"transformers:{here}/current"


@pytest.mark.parametrize(
    "address",
    ["mini", "fake:16", "open_clip:ViT-B-16/openai@0123abc", "open_clip:ViT-B-32/random?seed=1", "open_clip:hf-hub:a/b",
     "transformers:google/siglip2-base-patch16-224@main", "open_clip:ViT-B-16/openai#openood"],
)  # fmt: skip
def test_what_is_no_path_stays_as_it_is(address, here):
    assert placed_address(address, here) == address


@pytest.mark.parametrize(
    "address",
    ["transformers:./gone", "transformers:empty", "open_clip:local-dir:gone", "open_clip:ViT-B-32/gone.safetensors",
     "transformers:~/gone-from-home"],
)  # fmt: skip
def test_a_model_that_is_not_there_or_not_whole_makes_no_workspace(address, here):
    (here / "empty").mkdir()
    with pytest.raises(WeightsMissing, match=f"^{address}: there (is|are) no ") as caught:
        Workspace.create("work", labels=["red"], encoder=address)
    assert caught.value.hint and not (here / "work").exists()


def test_a_path_of_other_bytes_than_utf_8_makes_no_workspace(here):
    with pytest.raises(UsageError, match="the encoder address is no UTF-8 text"):
        Workspace.create("work", labels=["red"], encoder="transformers:./\udcff")
    assert not (here / "work").exists()


def test_a_model_inside_its_workspace_moves_with_it_and_stays_the_same_encoder(here, tiny, monkeypatch):
    tiny.clip_folder(here / "work" / "models" / "clip")
    (here / "lake").mkdir()
    Image.new("RGB", (40, 40), "red").save(here / "lake" / "red.png")
    bank = 'name = "base"\n[id]\nlabels = "labels.txt"\n[[negatives.lists]]\nwords = ["blue", "dark"]\n'
    workspace = Workspace.create("work", labels=["red", "green"], encoder="transformers:work/models/clip")
    workspace.layout.bank_spec("base").write_text(bank)
    assert address_in(here / "work") == "transformers:./models/clip"
    assert workspace.scan(here / "lake").images == 1
    shutil.move(here / "work", here / "elsewhere")
    monkeypatch.chdir("/")
    Image.new("RGB", (40, 40), "blue").save(here / "lake" / "blue.png")
    assert Workspace.open(here / "elsewhere").scan(here / "lake").images == 1, "the other one is not embedded again"


def test_a_relative_path_is_sought_from_the_workspace_and_then_from_the_current_folder(here, tiny):
    def load(root: Path) -> Any:
        return load_encoder(EncoderOptions("transformers:clip", device="cpu", offline=True, root=root)).encoder_id

    tiny.clip_folder(here / "clip")
    beside = load(here / "work")
    tiny.clip_folder(here / "work" / "clip", seed=1)
    assert load(here / "work") != beside == load(here / "other")


@pytest.mark.parametrize(
    ("address", "is_published"),
    [
        ("open_clip:ViT-B-16/openai", True),
        ("open_clip:ViT-L-14/openai@0123abc#bilinear", True),
        ("transformers:openai/clip-vit-base-patch32", True),
        ("transformers:google/siglip-base-patch16-224", False),
        ("transformers:/models/openai/clip-mine", False),
        ("open_clip:ViT-B-16-SigLIP/webli", False),
        ("open_clip:ViT-B-16/laion2b_s34b_b88k", False),
        ("open_clip:local-dir:/models/mine", False),
    ],
)
def test_a_method_is_said_to_be_published_for_the_models_that_it_was_published_for(address, is_published):
    suited = suited_score(address, 10)
    assert suited.method == "neglabel"
    assert (suited.why == "as published for CLIP") == is_published
    assert is_published or "not measured with this model" in suited.why

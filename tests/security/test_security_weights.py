"""Weights and models from a hub are data: no pickle runs, and no code that lies beside them."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import pickle
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

from curator.encoders import EncoderOptions, load_encoder
from curator.errors import EncoderError, GeneratorError
from curator.generators import GeneratorOptions
from curator.generators.chat.model import load_chat_model
from curator.generators.diffusion.guides import ClassifierGuide
from curator.generators.diffusion.pipelines import load_for_drawing

TESTS = Path(__file__).parents[1]


def helper(name: str, path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, TESTS / path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def tiny() -> ModuleType:
    return helper("security_tiny_models", "encoders/tiny_models.py")


class Trap:
    """Makes a folder when it is unpickled, by any unpickler that looks functions up."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


@pytest.fixture
def marker(tmp_path):
    """What a trap that goes off leaves behind."""
    path = tmp_path / "it-ran"
    yield path
    assert not path.exists()


def lay(path: Path, marker: Path, form: str) -> None:
    """A checkpoint that runs code: as torch writes it, in its older form, and as a bare pickle."""
    if form == "bare":
        path.write_bytes(pickle.dumps({"state_dict": Trap(marker)}))
    else:
        torch.save({"weight": Trap(marker)}, path, _use_new_zipfile_serialization=form == "zip")


def encoder(address: str):
    return load_encoder(EncoderOptions(address=address, device="cpu", dtype="float32", offline=True))


def test_the_trap_works(tmp_path):
    """Else nothing below would mean anything."""
    for form in ("zip", "old", "bare"):
        went_off = tmp_path / f"went-off-{form}"
        lay(tmp_path / "trap.bin", went_off, form)
        if form == "bare":
            pickle.loads((tmp_path / "trap.bin").read_bytes())
        else:
            torch.load(tmp_path / "trap.bin", weights_only=False)
        assert went_off.is_dir()


@pytest.mark.parametrize("form", ["zip", "old", "bare"])
@pytest.mark.parametrize("suffix", [".pt", ".pth", ".bin", ".safetensors"])
def test_an_open_clip_checkpoint_runs_nothing(tmp_path, tiny, marker, form, suffix):
    tiny.register_open_clip(tmp_path)
    lay(tmp_path / f"trap{suffix}", marker, form)
    with pytest.raises(EncoderError):
        encoder(f"open_clip:{tiny.ARCHITECTURE}/{tmp_path}/trap{suffix}")


@pytest.mark.parametrize("name", ["open_clip_pytorch_model.bin", "model.pth"])
def test_an_open_clip_folder_runs_nothing(tmp_path, tiny, marker, name):
    folder = tiny.open_clip_folder(tmp_path / "model")
    (folder / "open_clip_model.safetensors").unlink()
    lay(folder / name, marker, "zip")
    with pytest.raises(EncoderError):
        encoder(f"open_clip:local-dir:{folder}")


@pytest.mark.parametrize("form", ["zip", "old", "bare"])
def test_a_transformers_folder_runs_no_pickle(tmp_path, tiny, marker, form):
    folder = tiny.clip_folder(tmp_path / "model")
    for weights in folder.glob("*.safetensors"):
        weights.unlink()
    lay(folder / "pytorch_model.bin", marker, form)
    with pytest.raises(EncoderError):
        encoder(f"transformers:{folder}")


def lay_code(folder: Path, marker: Path, *, kinds: dict[str, str]) -> None:
    """Code beside the weights, which the configuration files of `kinds` name for each automatic class."""
    (folder / "trap.py").write_text(f"import os\nos.mkdir({str(marker)!r})\nclass Trap: pass\n")
    for name, automatic in kinds.items():
        path = folder / name
        content = json.loads(path.read_text()) if path.is_file() else {}
        where: object = ["trap.Trap", None] if automatic == "AutoTokenizer" else "trap.Trap"
        path.write_text(json.dumps(content | {"auto_map": {automatic: where}}))


CODE = [
    {"config.json": "AutoModel"},
    {"config.json": "AutoConfig"},
    {"tokenizer_config.json": "AutoTokenizer"},
    {"preprocessor_config.json": "AutoImageProcessor"},
]


@pytest.mark.parametrize("kinds", CODE, ids=lambda kinds: next(iter(kinds.values())))
def test_a_transformers_folder_runs_no_code_beside_the_weights(tmp_path, tiny, marker, monkeypatch, kinds):
    """Nor does it ask whether it may: a night has nobody to answer, and a yes would be no decision of this project."""
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("it asked"))
    folder = tiny.clip_folder(tmp_path / "model")
    lay_code(folder, marker, kinds=kinds)
    with contextlib.suppress(EncoderError):  # else classes that transformers has itself were used in their place
        encoder(f"transformers:{folder}")


@pytest.mark.parametrize("asks", [True, False])
def test_an_open_clip_configuration_cannot_ask_for_foreign_code(tmp_path, tiny, marker, monkeypatch, asks):
    """open_clip hands `tokenizer_kwargs` on to transformers, word by word."""
    monkeypatch.setattr("builtins.input", lambda *_: "y")  # whoever answers yes
    folder = tiny.open_clip_folder(tmp_path / "model")
    path = folder / "open_clip_config.json"
    config = json.loads(path.read_text())
    text = config["model_cfg"]["text_cfg"]
    text["hf_tokenizer_name"] = str(folder)
    text["tokenizer_kwargs"] = {"trust_remote_code": True} if asks else {}
    path.write_text(json.dumps(config))
    (folder / "config.json").write_text(json.dumps({"model_type": "clip"}))
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "Trap"}))
    lay_code(folder, marker, kinds={"tokenizer_config.json": "AutoTokenizer"})
    with pytest.raises(EncoderError):
        encoder(f"open_clip:local-dir:{folder}")


def test_a_chat_model_runs_neither(tmp_path, marker):
    chat = helper("security_tiny_chat_models", "generators/tiny_chat_models.py")
    folder = chat.text_folder(tmp_path / "model")
    options = GeneratorOptions(device="cpu", dtype="float32", offline=True)
    lay_code(folder, marker, kinds={"config.json": "AutoModelForCausalLM", "tokenizer_config.json": "AutoTokenizer"})
    load_chat_model(folder, "transformers:it", "reasoner", options)
    for weights in folder.glob("*.safetensors"):
        weights.unlink()
    lay(folder / "pytorch_model.bin", marker, "zip")
    with pytest.raises(GeneratorError):
        load_chat_model(folder, "transformers:it", "reasoner", options)


def test_a_guide_runs_no_pickle(tmp_path, marker):
    diffusion = helper("security_tiny_diffusion", "generators/tiny_diffusion.py")
    folder = diffusion.classifier_folder(tmp_path / "model")
    for weights in folder.glob("*.safetensors"):
        weights.unlink()
    lay(folder / "pytorch_model.bin", marker, "zip")
    with pytest.raises(GeneratorError):
        ClassifierGuide.load(str(folder), device=torch.device("cpu"), offline=True)


@pytest.mark.parametrize("attack", ["pickle", "component", "pipeline"])
def test_a_diffusers_folder_runs_neither(tmp_path, marker, attack):
    diffusion = helper("security_tiny_diffusion", "generators/tiny_diffusion.py")
    folder = diffusion.pipeline_folder(tmp_path / "model", inpainting=False)
    index = folder / "model_index.json"
    parts = json.loads(index.read_text())
    if attack == "pickle":
        for weights in (folder / "unet").glob("*.safetensors"):
            weights.unlink()
        lay(folder / "unet" / "diffusion_pytorch_model.bin", marker, "zip")
    else:
        code = f"import os\nos.mkdir({str(marker)!r})\nclass Trap: pass\n"
        (folder / "trap.py").write_text(code)
        (folder / "unet" / "trap.py").write_text(code)
        named = {"unet": ["trap", "Trap"]} if attack == "component" else {"_class_name": ["trap", "Trap"]}
        index.write_text(json.dumps(parts | named))
    with pytest.raises(GeneratorError):
        load_for_drawing(str(folder), address="it", device=torch.device("cpu"), dtype=torch.float32, offline=True)

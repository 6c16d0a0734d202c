"""A model's revision is told from its files, without loading them."""

from __future__ import annotations

import shutil

import pytest
from huggingface_hub import constants

from curator.banks.text_cache import TextCache
from curator.errors import GeneratorError
from curator.generators import GeneratorOptions, make_generator
from curator.generators.model_files import MODEL_MARKER, PIPELINE_MARKER, model_folder, revision_of
from curator.generators.prompts import load_prompt
from curator.generators.requests import Request
from curator.generators.surroundings import Surroundings, no_images
from tests.generators import tiny_diffusion as tiny

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache of the hub."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def cached(cache, name, *files):
    """Files of a repository as the hub's client keeps them; returns the folder of the commit."""
    where = cache / f"models--{name.replace('/', '--')}"
    (where / "refs").mkdir(parents=True)
    (where / "refs" / "main").write_text(COMMIT)
    folder = where / "snapshots" / COMMIT
    folder.mkdir(parents=True)
    for file in files:
        (folder / file).write_text("{}")
    return folder


def revision(rest, *, marker=MODEL_MARKER, offline=True):
    return revision_of(str(rest), address=f"transformers:{rest}", marker=marker, offline=offline)


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "model"
    (made / "unet").mkdir(parents=True)
    (made / "config.json").write_text("{}")
    (made / "unet" / "model.safetensors").write_bytes(b"weights")
    return made


def test_the_digest_of_a_folder_depends_on_its_contents_and_not_on_its_name(folder, tmp_path):
    first = revision(folder)
    assert len(first) == 16
    copy = shutil.copytree(folder, tmp_path / "copy")
    assert revision(copy) == first
    (copy / "unet" / "model.safetensors").write_bytes(b"Weights")
    assert revision(copy) != first
    (copy / "unet" / "model.safetensors").rename(copy / "model.safetensors")
    (copy / "model.safetensors").write_bytes(b"weights")
    assert revision(copy) != first, "where a file lies counts"


def test_what_stands_beside_a_model_does_not_count(folder):
    first = revision(folder)
    (folder / "README.md").write_text("about it")
    (folder / "sample.png").write_bytes(b"a picture")
    (folder / ".cache").mkdir()
    (folder / ".cache" / "lock").write_text("")
    assert revision(folder) == first


def test_a_folder_without_a_model_is_told_so(tmp_path):
    with pytest.raises(GeneratorError, match=r"no model_index\.json in"):
        revision(tmp_path, marker=PIPELINE_MARKER)
    with pytest.raises(GeneratorError, match="there is no folder"):
        revision(tmp_path / "nothing")


def test_the_revision_of_a_repository_is_its_commit(cache):
    folder = cached(cache, "org/name", "config.json", "model.safetensors")
    assert revision("org/name") == COMMIT
    assert revision(f"org/name@{COMMIT}") == COMMIT
    found = model_folder("org/name", address="x", marker=MODEL_MARKER, offline=True, any_of=["model*.safetensors"])
    assert found == folder


def test_what_is_not_in_the_cache_is_one_line_offline(cache):
    for action in (
        lambda: revision("org/other"),
        lambda: model_folder("org/other", address="x", marker=MODEL_MARKER, offline=True, any_of=["*.safetensors"]),
    ):
        with pytest.raises(GeneratorError, match="offline mode forbids") as caught:
            action()
        assert "\n" not in str(caught.value)


def test_a_painter_works_from_the_cache_alone(cache, tmp_path):
    snapshot = cached(cache, "org/tiny")
    tiny.pipeline_folder(snapshot, inpainting=False)
    around = Surroundings(lambda: None, "mini@0", TextCache(tmp_path), ("cat",), no_images())
    options = GeneratorOptions(device="cpu", offline=True)
    painter = make_generator("painter", "diffusers:org/tiny", options, around)
    assert painter.revision == f"{COMMIT}+unguided", "the guide is not there, and drawing needs none"
    settings = {"width": 32, "height": 32, "steps": 1}
    request = Request(load_prompt("draw"), {"label": "sun"}, settings=settings)
    with tiny.one_thread():
        (reply,) = painter.replies([request], allow=lambda: True)
    assert reply.artefact
    painter.close()

"""The painter on a GPU: the same noise as on a processor, and images that a seed repeats."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image

from curator.banks.text_cache import TextCache
from curator.encoders import EncoderOptions, load_encoder
from curator.generators import GeneratorOptions, make_generator
from curator.generators.prompts import load_prompt
from curator.generators.requests import Picture, Request
from curator.generators.surroundings import Surroundings
from tests.generators import tiny_diffusion as tiny

pytestmark = pytest.mark.gpu

LABELS = ("cat", "tram", "lemon")
INPAINT = {"size": 32, "steps": 5, "learning_rate": 2000.0}
DRAW = {"width": 32, "height": 32, "steps": 3}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    if not torch.cuda.is_available():
        pytest.skip("PyTorch sees no GPU")
    where = tmp_path_factory.mktemp("pipelines")
    return {"inpaint": tiny.pipeline_folder(where / "i"), "draw": tiny.pipeline_folder(where / "d", inpainting=False)}


@pytest.fixture(scope="module")
def paint(folders, tmp_path_factory):
    """Paint requests with a new painter; the artefacts and facts in order."""
    cache = TextCache(tmp_path_factory.mktemp("texts"))

    def run(name, requests, *, device, dtype, batch_size=2):
        encoder = load_encoder(EncoderOptions("mini", device=device, dtype="float32"))
        vectors = encoder.encode_texts(list(LABELS))
        around = Surroundings(lambda: encoder, encoder.encoder_id, cache, LABELS, vectors)
        own = {"painter_batch_size": batch_size, "guide": "zero-shot", "offline": True}
        options = GeneratorOptions(device=device, dtype=dtype, **own)
        painter = make_generator("painter", f"diffusers:{folders[name]}", options, around)
        replies = sorted(painter.replies(requests, allow=lambda: True), key=lambda reply: reply.position)
        painter.close()
        assert [reply.fault for reply in replies] == [None] * len(requests)
        return replies

    return run


def requests_for(name):
    buffer = io.BytesIO()
    Image.radial_gradient("L").convert("RGB").save(buffer, "PNG")
    picture = Picture("a", buffer.getvalue)
    if name == "draw":
        return [Request(load_prompt("draw"), {"label": label}, seed=3, settings=DRAW) for label in ("sun", "moon")]
    contexts = ("bamboo, railing", "sea")
    return [
        Request(load_prompt("inpaint"), {"context": text}, (picture,), seed=3, settings=INPAINT) for text in contexts
    ]


def pixels_of(reply):
    with Image.open(io.BytesIO(reply.artefact)) as image:
        return np.array(image, dtype=int)


@pytest.mark.parametrize("name", ["inpaint", "draw"])
def test_a_gpu_paints_what_a_processor_paints(paint, name):
    on_cpu = paint(name, requests_for(name), device="cpu", dtype="float32")
    on_gpu = paint(name, requests_for(name), device="cuda", dtype="float32")
    for one, other in zip(on_cpu, on_gpu, strict=True):
        # sums in another order, and convolutions in TF32: near, not equal
        assert np.abs(pixels_of(one) - pixels_of(other)).mean() < 8


@pytest.mark.parametrize("dtype", ["auto", "bfloat16", "float16", "float32"])
@pytest.mark.parametrize("name", ["inpaint", "draw"])
def test_a_seed_repeats_its_image_in_every_dtype(paint, name, dtype):
    first = paint(name, requests_for(name), device="cuda", dtype=dtype, batch_size=1)
    again = paint(name, requests_for(name), device="cuda", dtype=dtype, batch_size=1)
    for one, other in zip(first, again, strict=True):
        assert np.abs(pixels_of(one) - pixels_of(other)).mean() < 1


def test_the_loss_falls_on_a_gpu_and_its_memory_is_given_back(paint):
    before = torch.cuda.memory_allocated()
    for reply in paint("inpaint", requests_for("inpaint"), device="cuda", dtype="float32"):
        first, second, third = reply.facts["losses"]
        assert first > second > third
    assert torch.cuda.memory_allocated() - before < 64 * 2**20, "the encoder may still be there, the pipeline not"

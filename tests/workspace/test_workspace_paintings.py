"""What painters made becomes vectors in batches and once; a bank that the encoder itself guided says so."""

from __future__ import annotations

import io
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save

from curator.decode import DecodeOptions
from curator.encoders import EncoderOptions, load_encoder
from curator.errors import GeneratorError
from curator.systems.registry import find_system
from curator.types import Bank
from curator.workspace.learn import paintings
from curator.workspace.learn.paintings import painting_vectors
from curator.workspace.learn.world import LedgerWorld
from curator.workspace.look.banks import _guide_remark
from curator.workspace.looking import Looker


def jpeg(colour):
    buffer = io.BytesIO()
    Image.new("RGB", (40, 30), colour).save(buffer, "JPEG")
    return buffer.getvalue()


class Counting:
    """The fake encoder, which counts the pictures of each call."""

    def __init__(self):
        self._encoder = load_encoder(EncoderOptions("fake"))
        self.encoder_id, self.dimension = self._encoder.encoder_id, self._encoder.dimension
        self.preprocess, self.batches = self._encoder.preprocess, []

    def encode_images(self, pixels):
        self.batches.append(len(pixels))
        return self._encoder.encode_images(pixels)


@pytest.fixture
def context(tmp_path):
    looker = Looker(DecodeOptions(), memory_limit_bytes=2**31)
    yield SimpleNamespace(encoder=Counting(), looker=looker, layout=SimpleNamespace(painted_cache=tmp_path / "painted"))
    looker.close()


def test_pictures_are_encoded_together_and_once_and_vectors_are_read(context, monkeypatch):
    rows = np.eye(context.encoder.dimension, dtype=np.float32)[:2]
    files = {f"{colour}.jpg": jpeg(colour) for colour in ("red", "green", "blue")}
    files |= {"v.safetensors": save({"vectors": rows}), "broken.jpg": b"no picture", "odd.safetensors": b"{}"}
    asked = ["green.jpg", "v.safetensors", "red.jpg", "green.jpg", "blue.jpg"]
    found = painting_vectors(context, asked, files.__getitem__)
    assert context.encoder.batches == [3] and found.shape == (6, context.encoder.dimension)
    assert np.array_equal(found[1:3], rows) and np.array_equal(found[0], found[4])
    again = painting_vectors(context, asked[:4], files.__getitem__)
    assert context.encoder.batches == [3] and np.array_equal(again, found[:5]), "remembered, to the bit"
    monkeypatch.setattr(paintings, "AT_ONCE", 2)
    files |= {f"{grey}.jpg": jpeg((grey, grey, grey)) for grey in range(0, 250, 50)}
    painting_vectors(context, [*asked, *(f"{grey}.jpg" for grey in range(0, 250, 50))], files.__getitem__)
    assert context.encoder.batches == [3, 2, 2, 1]
    for name, said in (("broken.jpg", "generated/broken.jpg: "), ("odd.safetensors", "holds no vectors")):
        with pytest.raises(GeneratorError, match=said):
            painting_vectors(context, [name], files.__getitem__)
    assert painting_vectors(context, [], files.__getitem__).shape == (0, context.encoder.dimension)


def test_an_audit_says_where_the_encoder_guided_what_it_judges():
    def bank(**guides):
        lineage = {"account": {"guides": {name.replace("_", "-"): count for name, count in guides.items()}}}
        return Bank("s", "0" * 32, "e", 1.0, (), np.zeros((0, 2), np.float32), {}, lineage)

    assert _guide_remark(bank(zero_shot=3, timm=1)).startswith(
        "3 of 4 paintings were guided by the encoder (zero-shot)"
    )
    assert _guide_remark(bank(timm=4)) == _guide_remark(bank()) == ""


def test_a_method_that_is_neglabels_takes_the_temperature_that_neglabel_has():
    def method(configured, system):
        world = SimpleNamespace(
            context=SimpleNamespace(config=SimpleNamespace(scan=SimpleNamespace(method=configured)))
        )
        return LedgerWorld.method_of(world, find_system(system))

    assert method("neglabel:temperature=0.5,group_count=10", "synood") == "synood:temperature=0.5"
    assert method("neglabel", "synood") == method("mcm:temperature=0.5", "synood") == "synood"
    assert method("neglabel:temperature=0.5", "ants") == "ants", "its score has a temperature of its own"

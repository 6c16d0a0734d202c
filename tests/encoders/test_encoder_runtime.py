from __future__ import annotations

import numpy as np
import pytest
import torch

from curator.encoders import EncoderOptions, load_encoder, torch_runtime
from curator.encoders.fingerprint import fingerprint
from curator.encoders.torch_runtime import default_batch_size, resolve_device, resolve_dtype
from curator.errors import EncoderError
from curator.types import Preprocess

CPU = torch.device("cpu")
TINY = "open_clip:curator-test-tiny/random?seed=1"


def tiny_encoder(tiny, tmp_path, **options):
    tiny.register_open_clip(tmp_path)
    return load_encoder(EncoderOptions(TINY, device="cpu", dtype="float32", **options))


def test_auto_takes_bfloat16_where_the_cpu_computes_in_it(monkeypatch):
    monkeypatch.setattr(torch_runtime, "cpu_computes_bfloat16", lambda: True)
    assert resolve_dtype("auto", CPU) is torch.bfloat16
    monkeypatch.setattr(torch_runtime, "cpu_computes_bfloat16", lambda: False)
    assert resolve_dtype("auto", CPU) is torch.float32
    assert resolve_dtype("bfloat16", CPU) is torch.bfloat16, "what is asked for is done"


@pytest.mark.parametrize(("capability", "expected"), [((7, 5), torch.float16), ((8, 0), torch.bfloat16)])
def test_auto_takes_bfloat16_on_gpus_that_have_it(monkeypatch, capability, expected):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert resolve_dtype("auto", torch.device("cuda")) is expected


def test_the_detection_of_bfloat16_uses_functions_that_torch_has():
    assert hasattr(torch.cpu, "_is_avx512_bf16_supported")
    assert hasattr(torch.cpu, "_is_amx_tile_supported")
    assert isinstance(torch_runtime.cpu_computes_bfloat16(), bool)


def test_auto_takes_a_gpu_when_there_is_one(monkeypatch):
    for there in (True, False):
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=there: there)
        assert resolve_device("auto").type == ("cuda" if there else "cpu")


@pytest.mark.parametrize("name", ["cuda:99", "tpu", "cpu:cpu", "", "meta", "CPU", "mps"])
def test_a_device_that_is_not_there_is_one_line_with_those_that_are(name, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(EncoderError, match="cannot be used") as caught:
        resolve_device(name)
    assert caught.value.message.startswith(f"device {name!r} cannot be used: there is none on this machine")
    assert caught.value.hint == "here: cpu, cuda:0, cuda:1; or auto, the best of them"


def test_a_torch_that_is_built_without_cuda_says_so(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(torch.version, "cuda", None)
    with pytest.raises(EncoderError, match=r"none on this machine that torch .*, built without CUDA, could use"):
        resolve_device("cuda:99")


def test_a_device_that_is_there_and_fails_says_why(monkeypatch):
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("CUDA error: all devices are busy")

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch, "empty", fail)
    for name in ("cuda", "cuda:0"):
        with pytest.raises(EncoderError, match=f"device '{name}' cannot be used: CUDA error: all devices are busy"):
            resolve_device(name)


def test_float16_on_a_cpu_is_refused():
    with pytest.raises(EncoderError, match="float16"):
        resolve_dtype("float16", CPU)


def test_batch_sizes_have_defaults_for_the_device_and_can_be_given(tiny, tmp_path):
    assert default_batch_size(CPU, 224) == 32
    assert default_batch_size(CPU, 64) == 128
    assert default_batch_size(torch.device("cuda"), 224) == 256
    assert tiny_encoder(tiny, tmp_path).batch_size == 128
    assert tiny_encoder(tiny, tmp_path, batch_size=5).batch_size == 5


def test_an_exhausted_gpu_is_one_line_with_the_way_out(tiny, tmp_path, monkeypatch):
    encoder = tiny_encoder(tiny, tmp_path)

    def exhausted(images):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate a lot.\nAnd more")

    monkeypatch.setattr(encoder, "_embed_images", exhausted)
    with pytest.raises(EncoderError, match="too little memory") as caught:
        encoder.encode_images(np.zeros((1, 32, 32, 3), np.uint8))
    assert "batch_size" in caught.value.hint


def test_many_texts_are_sorted_in_windows_and_come_back_in_order(tiny, tmp_path, monkeypatch):
    encoder = tiny_encoder(tiny, tmp_path, text_batch_size=3)
    texts = [f"{'long ' * (number % 4)}{number}" for number in range(20)]
    at_once = encoder.encode_texts(texts)
    monkeypatch.setattr(torch_runtime, "TEXTS_SORTED_TOGETHER", 6)
    np.testing.assert_allclose(encoder.encode_texts(texts), at_once, atol=1e-5)


def test_normalisation_is_that_of_the_formula():
    preprocess = Preprocess(size=8, mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6))
    scale, shift = torch_runtime._normalisation(preprocess, CPU)
    pixels = torch.arange(256.0).reshape(1, 1, 16, 16).expand(1, 3, 16, 16)
    mean, std = (torch.tensor(part).reshape(1, 3, 1, 1) for part in (preprocess.mean, preprocess.std))
    torch.testing.assert_close(pixels * scale + shift, (pixels / 255 - mean) / std, atol=1e-6, rtol=1e-5)


def test_a_fingerprint_covers_names_shapes_bytes_preprocessing_and_traits():
    weights = [("a", np.arange(6, dtype=np.float32)), ("b", np.ones(1, dtype=np.float32))]
    base = fingerprint(weights, Preprocess(size=8))
    assert fingerprint(weights[::-1], Preprocess(size=8)) == base
    changed = [("a", np.arange(6, dtype=np.float32) + 1e-6), weights[1]]
    renamed = [("c", weights[0][1]), weights[1]]
    reshaped = [("a", weights[0][1].reshape(2, 3)), weights[1]]
    others = [fingerprint(other, Preprocess(size=8)) for other in (changed, renamed, reshaped)]
    others += [fingerprint(weights, Preprocess(size=9)), fingerprint(weights, Preprocess(size=8), traits={"x": 1})]
    assert len({base, *others}) == 6


def test_a_compiled_tower_sees_one_batch_shape_only(tiny, tmp_path, monkeypatch):
    shapes = []

    def record(embed):
        def run(images):
            shapes.append(tuple(images.shape))
            return embed(images)

        return run

    monkeypatch.setattr(torch, "compile", record)
    compiled = tiny_encoder(tiny, tmp_path, compile=True, batch_size=4)
    pixels = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3), dtype=np.uint8)
    found = compiled.encode_images(pixels)
    assert shapes == [(4, 3, 32, 32)] * 2
    np.testing.assert_allclose(found, tiny_encoder(tiny, tmp_path).encode_images(pixels), atol=1e-5)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_torch_compile_gives_the_same_vectors(tiny, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3), dtype=np.uint8)
    compiled = tiny_encoder(tiny, tmp_path, compile=True, batch_size=4)
    np.testing.assert_allclose(
        compiled.encode_images(pixels), tiny_encoder(tiny, tmp_path).encode_images(pixels), atol=1e-5
    )


@pytest.mark.gpu
@pytest.mark.parametrize("address", ["mini", TINY])
def test_a_gpu_gives_nearly_the_vectors_of_the_cpu(address, tiny, tmp_path):
    tiny.register_open_clip(tmp_path)
    there = load_encoder(EncoderOptions(address, device="cuda", batch_size=4))
    here = load_encoder(EncoderOptions(address, device="cpu", dtype="float32"))
    assert there.encoder_id == here.encoder_id
    size = here.preprocess.size
    pixels = np.random.default_rng(0).integers(0, 256, (10, size, size, 3), dtype=np.uint8)
    texts = ["dog", "a photo of a dog", "x" * 500]
    assert (there.encode_images(pixels) * here.encode_images(pixels)).sum(axis=1).min() > 0.99
    assert (there.encode_texts(texts) * here.encode_texts(texts)).sum(axis=1).min() > 0.99


def test_images_are_encoded_from_memory_that_is_read_only_as_from_any_other(tiny, tmp_path):
    encoder = tiny_encoder(tiny, tmp_path)
    assert encoder.pixel_buffer is None  # memory of its own is for a GPU
    size = encoder.preprocess.size
    pixels = np.random.default_rng(0).integers(0, 256, (3, size, size, 3), dtype=np.uint8)
    locked = pixels.copy()
    locked.flags.writeable = False
    assert np.array_equal(encoder.encode_images(locked), encoder.encode_images(pixels))

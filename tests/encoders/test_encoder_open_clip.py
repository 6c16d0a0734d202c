from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from open_clip.transform import PreprocessCfg, image_transform_v2

from curator.decode import fit
from curator.encoders import BATCH_TOLERANCE, EncoderOptions, load_encoder
from curator.encoders.hub import Access
from curator.encoders.open_clip_address import locate
from curator.encoders.open_clip_encoder import make_towers, read_preprocess
from curator.errors import EncoderError

TEXTS = ["dog", "a photo of a dog", "", "word " * 50]


@pytest.fixture(scope="module", params=["checkpoint", "folder"])
def address(request, tiny, tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("open-clip")
    if request.param == "folder":
        return f"open_clip:local-dir:{tiny.open_clip_folder(folder / 'model')}"
    return f"open_clip:{tiny.register_open_clip(folder)}/{tiny.open_clip_checkpoint(folder)}"


@pytest.fixture(scope="module")
def encoder(address):
    return load_encoder(EncoderOptions(address, dtype="float32", device="cpu", offline=True))


@pytest.fixture(scope="module")
def original(address):
    """The same files loaded by open_clip, and its tokenizer."""
    name = address.removeprefix("open_clip:")
    name, pretrained = (name, None) if name.startswith("local-dir:") else name.split("/", 1)
    with torch.random.fork_rng(devices=[]):
        model = open_clip.create_model(name, pretrained=pretrained).eval()
    return model, open_clip.get_tokenizer(name)


def normalised(vectors: torch.Tensor) -> np.ndarray:
    return torch.nn.functional.normalize(vectors, dim=-1).numpy()


def test_images_come_out_as_from_open_clip_with_its_own_transform(encoder, original, photograph):
    model, _ = original
    transform = image_transform_v2(PreprocessCfg(**model.visual.preprocess_cfg), is_train=False)
    pictures = [photograph, photograph.rotate(90, expand=True), photograph.resize((32, 32))]
    with torch.inference_mode():
        expected = normalised(model.encode_image(torch.stack([transform(picture) for picture in pictures])))
        squares = [fit(picture, encoder.preprocess) for picture in pictures]
        to_tensor, normalise = transform.transforms[-2:]
        same_pixels = normalised(model.encode_image(torch.stack([normalise(to_tensor(square)) for square in squares])))
    found = encoder.encode_images(np.stack(squares))
    np.testing.assert_allclose(found, same_pixels, atol=2e-6)
    np.testing.assert_allclose(found, expected, atol=2e-3)  # a pixel may differ by two levels of 255
    assert abs(expected[0] - expected[1]).max() > 1e-2


def test_texts_come_out_as_from_open_clip_though_short_ones_take_a_short_context(encoder, original):
    model, tokenizer = original
    with torch.inference_mode():
        expected = normalised(model.encode_text(tokenizer(TEXTS)))
    np.testing.assert_allclose(encoder.encode_texts(TEXTS), expected, atol=2e-6)
    np.testing.assert_allclose(encoder.encode_texts(TEXTS[:1]), expected[:1], atol=2e-6)


def test_the_context_is_cut_for_causal_towers_only(encoder, address):
    towers = encoder._towers
    assert (towers.text_lengths is None) == ("local-dir" in address)
    if towers.text_lengths:
        tokens = towers.tokenize(["", "dog", "a photo of a dog", "word " * 50])
        assert towers.text_lengths(tokens).tolist() == [2, 3, 7, 16]


def test_towers_that_pool_a_named_end_token_are_cut_there(tiny):
    text = {**tiny.TEXT, "pool_type": "eos", "eos_id": 49407}
    model = tiny.seeded(lambda: open_clip.model.CustomTextCLIP(24, dict(tiny.VISION), text))
    model.visual.preprocess_cfg = vars(PreprocessCfg(size=32))
    towers = make_towers(model, open_clip.get_tokenizer("ViT-B-32", context_length=16), address="x")
    tokens = towers.tokenize(["a photo of a dog"])
    assert towers.text_lengths(tokens).tolist() == [7]
    with torch.inference_mode():
        short = towers.embed_texts({"text": tokens["text"][:, :7]})
        torch.testing.assert_close(short, model.encode_text(tokens["text"]), atol=1e-5, rtol=1e-5)


def test_bfloat16_stays_near_float32(address, encoder, photograph):
    short = load_encoder(EncoderOptions(address, dtype="bfloat16", device="cpu", offline=True))
    pixels = np.stack([fit(photograph.rotate(angle), encoder.preprocess) for angle in range(0, 180, 30)])
    for found, expected in (
        (short.encode_images(pixels), encoder.encode_images(pixels)),
        (short.encode_texts(TEXTS), encoder.encode_texts(TEXTS)),
    ):
        assert (found * expected).sum(axis=1).min() > 0.99
        assert abs(found - expected).max() > BATCH_TOLERANCE["float32"], "it did not run in bfloat16"


def test_loading_leaves_random_state_threads_and_logging_as_they_were(address, encoder):
    def state():
        return (torch.get_rng_state().tolist(), np.random.get_state()[1].tolist(), torch.get_num_threads(),
                torch.get_default_dtype(), torch.is_grad_enabled(), list(logging.getLogger().handlers))  # fmt: skip

    before = state()
    load_encoder(EncoderOptions(address, device="cpu", offline=True)).encode_texts(["dog"])
    load_encoder(EncoderOptions("open_clip:curator-test-tiny/random?seed=1", device="cpu"))
    assert state() == before


def test_random_weights_follow_their_seed_alone():
    def vector(seed: int) -> np.ndarray:
        torch.rand(3)
        options = EncoderOptions(f"open_clip:curator-test-tiny/random?seed={seed}", dtype="float32", device="cpu")
        return load_encoder(options).encode_texts(["dog"])

    np.testing.assert_array_equal(vector(1), vector(1))
    assert abs(vector(1) - vector(2)).max() > 1e-2


def test_a_checkpoint_path_may_be_relative(tiny, tmp_path, monkeypatch):
    checkpoint = tiny.open_clip_checkpoint(tmp_path)
    monkeypatch.chdir(tmp_path)
    for rest in (checkpoint.name, f"./{checkpoint.name}", str(checkpoint)):
        found = locate(f"{tiny.ARCHITECTURE}/{rest}", Access("x", offline=True)).checkpoint
        assert found is not None and found.samefile(checkpoint)
    encoder = load_encoder(EncoderOptions(f"open_clip:{tiny.ARCHITECTURE}/{checkpoint.name}", offline=True))
    assert encoder.encoder_id.startswith(f"open_clip:{tiny.ARCHITECTURE}/{checkpoint.name}@")


def test_checkpoints_of_siglip_architectures_are_preprocessed_as_siglip_is():
    from curator.encoders.open_clip_address import _shared_preprocess

    siglip = _shared_preprocess("ViT-B-16-SigLIP")
    assert siglip["resize_mode"] == "squash" and tuple(siglip["mean"]) == (0.5, 0.5, 0.5)
    assert _shared_preprocess("ViT-B-32")["resize_mode"] == "shortest"


def test_every_known_tag_names_a_repository(no_sockets):
    from open_clip.pretrained import get_pretrained_cfg, list_pretrained

    assert all("/" in get_pretrained_cfg(*pair)["hf_hub"] for pair in list_pretrained())


@pytest.mark.parametrize(
    ("change", "says"), [({"size": (32, 48)}, "32 x 48"), ({"resize_mode": "longest"}, "the resize mode 'longest'")]
)
def test_preprocessing_that_cannot_be_expressed_is_refused(change, says):
    with pytest.raises(EncoderError, match=says):
        read_preprocess({**vars(PreprocessCfg()), **change}, address="open_clip:x")


def test_a_folder_without_configuration_or_weights_is_missing_weights(tiny, tmp_path):
    from curator.errors import WeightsMissing

    folder = tiny.open_clip_folder(tmp_path / "model")
    weights = Path(folder / "open_clip_model.safetensors")
    weights.rename(tmp_path / "away")
    with pytest.raises(WeightsMissing, match="no weights in"):
        load_encoder(EncoderOptions(f"open_clip:local-dir:{folder}"))
    (folder / "open_clip_config.json").unlink()
    with pytest.raises(WeightsMissing, match=r"no open_clip_config\.json"):
        load_encoder(EncoderOptions(f"open_clip:local-dir:{folder}"))

from __future__ import annotations

import json
from importlib.util import find_spec
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from curator.decode import fit
from curator.encoders import EncoderOptions, load_encoder
from curator.encoders.transformers_encoder import read_preprocess, to_patches
from curator.errors import EncoderError

TEXTS = ["dog", "a photo of a dog", "word " * 30]


def load(folder, **options):
    address = f"transformers:{folder}"
    return load_encoder(EncoderOptions(address, dtype="float32", device="cpu", offline=True, **options))


@pytest.fixture(scope="module", params=["clip", "siglip", "naflex"])
def folder(request, tiny, tmp_path_factory):
    return getattr(tiny, f"{request.param}_folder")(tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module")
def encoder(folder):
    return load(folder)


@pytest.fixture(scope="module")
def original(folder):
    return transformers.AutoModel.from_pretrained(folder).eval()


def normalised(vectors: torch.Tensor) -> np.ndarray:
    return torch.nn.functional.normalize(vectors, dim=-1).numpy()


def test_images_come_out_as_from_the_models_own_processor(folder, encoder, original, photograph):
    pictures = [photograph, photograph.rotate(90, expand=True)]
    if "naflex" in str(folder):  # it keeps the aspect ratio, which is the one stated difference
        pictures = [photograph.crop((0, 0, 60, 60)), photograph.crop((30, 0, 90, 60))]
    processor = transformers.AutoImageProcessor.from_pretrained(folder)
    with torch.inference_mode():
        inputs = processor(images=pictures, return_tensors="pt")
        expected = normalised(original.get_image_features(**inputs).pooler_output)
    found = encoder.encode_images(np.stack([fit(picture, encoder.preprocess) for picture in pictures]))
    # torchvision resizes tensors, Pillow pictures: pixels differ by one step here and there
    assert (found * expected).sum(axis=1).min() > 0.999
    assert (expected[0] * expected[1]).sum() < 0.99


def test_the_same_pixels_give_the_same_vectors_to_the_last_digits(folder, encoder, original, photograph):
    pixels = np.stack([fit(photograph, encoder.preprocess)])
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255
    mean, std = (torch.tensor(part).reshape(1, 3, 1, 1) for part in (encoder.preprocess.mean, encoder.preprocess.std))
    images = (images - mean) / std
    more = {}
    if "naflex" in str(folder):
        from transformers.models.siglip2.image_processing_siglip2 import convert_image_to_patches

        images = convert_image_to_patches(images[0], 8)[None]
        more = {"pixel_attention_mask": torch.ones(1, 16, dtype=torch.int32), "spatial_shapes": torch.tensor([[4, 4]])}
    with torch.inference_mode():
        expected = normalised(original.get_image_features(images, **more).pooler_output)
    np.testing.assert_allclose(encoder.encode_images(pixels), expected, atol=5e-6)


def test_texts_come_out_as_from_the_models_own_tokenizer(folder, encoder, original):
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    context = 20 if original.config.model_type == "clip" else 64
    inputs = tokenizer(TEXTS, padding="max_length", truncation=True, max_length=context, return_tensors="pt")
    with torch.inference_mode():
        expected = normalised(original.get_text_features(**inputs).pooler_output)
    np.testing.assert_allclose(encoder.encode_texts(TEXTS), expected, atol=5e-6)


def test_the_logit_scale_is_the_exponential_of_the_parameter(encoder):
    assert encoder.logit_scale == pytest.approx(100, rel=1e-5)


def test_siglip_texts_are_lower_cased_and_clip_texts_left_to_the_tokenizer(folder, encoder):
    upper, lower = encoder.encode_texts(["A Dog", "a dog"])
    assert (abs(upper - lower).max() < 1e-6) == ("clip" not in folder.name or "siglip" in folder.name)


@pytest.mark.skipif(find_spec("sentencepiece") is not None, reason="sentencepiece is installed")
def test_a_tokenizer_whose_package_is_missing_is_one_line_with_a_way_out(tiny, tmp_path):
    with pytest.raises(EncoderError, match="needs a package") as caught:
        load(tiny.siglip_folder(tmp_path, tokenizer_class="SiglipTokenizer"))
    assert "pip install sentencepiece" in caught.value.hint
    assert "\n" not in str(caught.value)


def test_preprocessing_is_read_from_the_image_processor(folder, encoder):
    preprocess = encoder.preprocess
    assert preprocess.size == 32
    expected = {"clip": ("shortest", "bicubic"), "siglip": ("squash", "bicubic"), "siglip2": ("squash", "bilinear")}
    kind = json.loads((folder / "config.json").read_text())["model_type"]
    assert (preprocess.resize, preprocess.interpolation) == expected[kind]
    assert preprocess.mean == ((0.45, 0.45, 0.45) if kind == "clip" else (0.5, 0.5, 0.5))


def processor(**changes):
    settings = {
        "size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}, "do_center_crop": True,
        "do_resize": True, "do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True, "resample": 3,
        "image_mean": [0.5] * 3, "image_std": [0.5] * 3,
    }  # fmt: skip
    return SimpleNamespace(**{**settings, **changes})


@pytest.mark.parametrize(
    "changes",
    [
        {"size": {"shortest_edge": 36}},
        {"do_center_crop": False},
        {"size": {"height": 32, "width": 48}, "do_center_crop": False},
        {"do_resize": False},
        {"resample": 0},
        {"do_rescale": False},
    ],
)
def test_image_processors_that_cannot_be_expressed_are_refused(changes):
    with pytest.raises(EncoderError, match="its image processor"):
        read_preprocess(processor(**changes), address="transformers:x")


def test_an_image_processor_that_does_not_normalise_leaves_pixels_between_0_and_1():
    preprocess = read_preprocess(processor(do_normalize=False), address="transformers:x")
    assert (preprocess.mean, preprocess.std) == ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


def test_models_of_another_type_are_refused_by_name(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    (tmp_path / "model.safetensors").touch()
    with pytest.raises(EncoderError, match="type 'bert'") as caught:
        load(tmp_path)
    assert "CLIP" in caught.value.hint and "SigLIP 2" in caught.value.hint
    (tmp_path / "config.json").write_text("no json")
    with pytest.raises(EncoderError, match="cannot be read"):
        load(tmp_path)


def test_weights_that_lack_a_part_are_refused_rather_than_made_up(tiny, tmp_path):
    folder = tiny.clip_folder(tmp_path)
    weights = load_file(folder / "model.safetensors")
    del weights["visual_projection.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(EncoderError, match=r"lack visual_projection\.weight"):
        load(folder)


def test_patches_are_cut_as_siglip_2_cuts_them():
    images = torch.arange(2 * 3 * 4 * 4, dtype=torch.float32).reshape(2, 3, 4, 4)
    patches = to_patches(images, 2)
    assert patches.shape == (2, 4, 12)
    # upper right patch of the first image: pixels (0,2) (0,3) (1,2) (1,3), each with its three channels
    assert patches[0, 1].tolist() == [2, 18, 34, 3, 19, 35, 6, 22, 38, 7, 23, 39]


def test_loading_leaves_random_state_and_progress_bars_as_they_were(folder):
    from transformers.utils import logging

    before = (torch.get_rng_state().tolist(), logging.is_progress_bar_enabled(), torch.get_default_dtype())
    load(folder)
    assert (torch.get_rng_state().tolist(), logging.is_progress_bar_enabled(), torch.get_default_dtype()) == before

"""Guides: their logits are those of the models behind them, and gradients reach the pixels."""

from __future__ import annotations

import json

import numpy as np
import pytest
import timm
import torch
import torchvision
import transformers
from PIL import Image

from curator.banks.text_cache import TextCache
from curator.decode.fitting import fit
from curator.encoders import EncoderOptions, load_encoder
from curator.encoders.mini.tower import PREPROCESS
from curator.errors import EncoderError, GeneratorError, UsageError
from curator.generators.diffusion.guide_address import guide_revision, model_of, split_guide
from curator.generators.diffusion.guides import Fitting, make_guide, read_fitting
from curator.generators.surroundings import Surroundings
from curator.types import Preprocess
from tests.generators import tiny_diffusion as tiny

CPU = torch.device("cpu")
LABELS = ("cat", "tram", "lemon")


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    with tiny.one_thread():
        yield


@pytest.fixture(scope="module")
def encoders():
    return {dtype: load_encoder(EncoderOptions("mini", device="cpu", dtype=dtype)) for dtype in ("float32", "bfloat16")}


def surroundings_of(encoder, folder, labels=LABELS):
    return Surroundings(
        encoder=lambda: encoder,
        encoder_id=encoder.encoder_id,
        text_cache=TextCache(folder),
        id_texts=labels,
        id_vectors=encoder.encode_texts(list(labels)),
    )


@pytest.fixture(scope="module")
def photograph():
    y, x = np.mgrid[0:96, 0:96]
    wave = 127 + 120 * np.sin(x / 9.0) * np.cos(y / 7.0)
    stripes = np.where((x + y) % 16 < 8, 230, 20)
    return Image.fromarray(np.stack([wave, stripes, 255 - wave], axis=-1).astype(np.uint8))


def as_tensor(image):
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255


def test_embedded_pixels_are_encoded_images(encoders, photograph):
    pixels = fit(photograph, PREPROCESS)
    for dtype, tolerance in (("float32", 1e-5), ("bfloat16", 0.03)):
        encoder = encoders[dtype]
        found = encoder.embed_pixels(as_tensor(pixels))
        assert found.dtype is torch.float32
        np.testing.assert_allclose(found.numpy(), encoder.encode_images(pixels[None]), atol=tolerance)


def test_embedding_works_in_float32_and_leaves_the_weights_as_they_were(encoders, photograph):
    encoder = encoders["bfloat16"]
    images = as_tensor(fit(photograph, PREPROCESS)).requires_grad_()
    before = {name: value.clone() for name, value in encoder._towers.module.state_dict().items()}
    vector = encoder.embed_pixels(images)
    (gradient,) = torch.autograd.grad(vector[0, 0], images)
    assert float(gradient.abs().max()) > 0
    assert float(vector.detach().norm()) == pytest.approx(1.0, abs=1e-6), "not the rounding of bfloat16"
    for name, value in encoder._towers.module.state_dict().items():
        assert value.dtype is before[name].dtype
        assert torch.equal(value, before[name])


@pytest.mark.parametrize("shape", [(1, 3, 191, 192), (3, 192, 192), (1, 4, 192, 192)])
def test_pixels_of_another_shape_are_refused(encoders, shape):
    with pytest.raises(EncoderError, match=r"not float \(n, 3, 192, 192\)"):
        encoders["float32"].embed_pixels(torch.zeros(shape))


def test_the_zero_shot_guide_gives_the_cosines_of_the_encoder(encoders, photograph, tmp_path):
    encoder = encoders["float32"]
    guide = make_guide("zero-shot", surroundings_of(encoder, tmp_path), device=CPU, offline=True)
    assert guide.class_count == 3
    found = guide.logits(as_tensor(photograph)).numpy()
    vectors = encoder.encode_images(fit(photograph, encoder.preprocess)[None])
    expected = encoder.logit_scale * vectors @ encoder.encode_texts(list(LABELS)).T
    np.testing.assert_allclose(found, expected, atol=0.003 * encoder.logit_scale)


def test_gradients_of_the_zero_shot_guide_reach_all_parts_of_a_picture(encoders, photograph, tmp_path):
    guide = make_guide("zero-shot", surroundings_of(encoders["float32"], tmp_path), device=CPU, offline=True)
    images = as_tensor(photograph).requires_grad_()
    (gradient,) = torch.autograd.grad(guide.logits(images)[0, 0], images)
    quarters = torch.nn.functional.max_pool2d(gradient.abs(), 48)
    assert bool((quarters > 0).all())


def test_an_encoder_without_gradients_is_refused(tmp_path):
    fake = load_encoder(EncoderOptions("fake"))
    with pytest.raises(GeneratorError, match="gives no gradients") as caught:
        make_guide("zero-shot", surroundings_of(fake, tmp_path), device=CPU, offline=True)
    assert "transformers:" in caught.value.hint


@pytest.mark.parametrize("address", ["", "zero-shot:x", "transformers:", "timm:", "torchvision:", "resnet50"])
def test_an_unknown_guide_is_a_usage_error(address):
    with pytest.raises(UsageError, match="there is no guide"):
        split_guide(address)


def test_a_classifier_of_transformers_sees_what_its_own_processor_shows_it(photograph, encoders, tmp_path):
    folder = tiny.classifier_folder(tmp_path / "resnet")
    around = surroundings_of(encoders["float32"], tmp_path)
    guide = make_guide(f"transformers:{folder}", around, device=CPU, offline=True)
    images = as_tensor(photograph).requires_grad_()
    found = guide.logits(images)
    assert guide.class_count == found.shape[1] == 5
    processor = transformers.AutoImageProcessor.from_pretrained(folder)
    model = transformers.AutoModelForImageClassification.from_pretrained(folder)
    with torch.no_grad():
        expected = model.eval()(**processor(photograph, return_tensors="pt")).logits
    torch.testing.assert_close(found.detach(), expected, atol=2e-3, rtol=0)
    (gradient,) = torch.autograd.grad(found.logsumexp(1).sum(), images)
    assert float(gradient.abs().max()) > 0


@pytest.mark.parametrize("kind", ["timm", "transformers"])
def test_a_classifier_of_timm_sees_what_timm_shows_it(photograph, encoders, tmp_path, kind):
    folder = tiny.timm_folder(tmp_path / "timm")
    if kind == "transformers":  # its wrapper takes the form that timm's repositories on the hub have
        config = json.loads((folder / "config.json").read_text())
        del config["model_args"]
        (folder / "config.json").write_text(json.dumps(config))
    guide = make_guide(f"{kind}:{folder}", surroundings_of(encoders["float32"], tmp_path), device=CPU, offline=True)
    images = as_tensor(photograph).requires_grad_()
    found = guide.logits(images)
    assert guide.class_count == found.shape[1] == 1000
    model = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    shown = timm.data.create_transform(**timm.data.resolve_data_config(model=model))
    with torch.no_grad():
        expected = model(shown(photograph)[None])
    torch.testing.assert_close(found.detach(), expected, atol=2e-3, rtol=2e-3)
    (gradient,) = torch.autograd.grad(found.logsumexp(1).sum(), images)
    assert float(gradient.abs().max()) > 0
    assert model_of(*split_guide("timm:resnet50.tv2_in1k")) == "timm/resnet50.tv2_in1k"


def test_a_guide_of_timm_opens_no_pickle_and_wants_classes(encoders, tmp_path):
    around = surroundings_of(encoders["float32"], tmp_path)
    folder = tiny.timm_folder(tmp_path / "backbone", num_classes=0)
    with pytest.raises(GeneratorError, match="it has no classes"):
        make_guide(f"timm:{folder}", around, device=CPU, offline=True)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(GeneratorError, match=r"holds no model\.safetensors"):
        make_guide(f"timm:{folder}", around, device=CPU, offline=True)


def test_a_classifier_of_torchvision_sees_what_its_weights_say(photograph, encoders, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    around = surroundings_of(encoders["float32"], tmp_path)
    address = "torchvision:squeezenet1_1@IMAGENET1K_V1"
    with pytest.raises(GeneratorError, match=r"squeezenet1_1-.*\.pth is not there, and offline mode"):
        make_guide(address, around, device=CPU, offline=True)
    weights = torchvision.models.SqueezeNet1_1_Weights.IMAGENET1K_V1
    module = tiny.seeded(torchvision.models.squeezenet1_1)
    (tmp_path / "checkpoints").mkdir()
    torch.save(module.state_dict(), tmp_path / "checkpoints" / weights.url.rpartition("/")[2])
    guide = make_guide(address, around, device=CPU, offline=True)
    found = guide.logits(as_tensor(photograph))
    assert guide.class_count == found.shape[1] == 1000
    with torch.no_grad():
        torch.testing.assert_close(found, module(weights.transforms()(photograph)[None]), atol=2e-3, rtol=2e-3)
    assert len(guide_revision(address, around, offline=True)) == 8
    assert guide_revision("torchvision:resnet50", around, offline=True) == guide_revision(
        "torchvision:resnet50@IMAGENET1K_V2", around, offline=True
    ), "the newest are the default"
    for unknown in ("torchvision:resnet5", "torchvision:resnet50@IMAGENET1K_V9"):
        with pytest.raises(GeneratorError, match="no such model or weights"):
            make_guide(unknown, around, device=CPU, offline=True)


def test_a_guide_that_is_not_there_names_the_one_that_needs_no_weights(encoders, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    around = surroundings_of(encoders["float32"], tmp_path)
    with pytest.raises(GeneratorError, match="offline mode forbids") as caught:
        make_guide("timm:nothing.of_this_name", around, device=CPU, offline=True)
    assert 'generators.guide = "zero-shot"' in caught.value.hint


def test_a_model_without_a_classifier_is_refused(encoders, tmp_path):
    config = transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic")
    folder = tmp_path / "backbone"
    transformers.ResNetModel(config).save_pretrained(folder)
    transformers.ConvNextImageProcessor(size={"shortest_edge": 32}).save_pretrained(folder)
    around = surroundings_of(encoders["float32"], tmp_path)
    with pytest.raises(GeneratorError, match=r"lack classifier\."):
        make_guide(f"transformers:{folder}", around, device=CPU, offline=True)
    with pytest.raises(GeneratorError, match="there is no folder"):
        make_guide("transformers:/nowhere", around, device=CPU, offline=True)
    (folder / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(GeneratorError, match="makes no image classifier"):
        make_guide(f"transformers:{folder}", around, device=CPU, offline=True)


@pytest.mark.parametrize("resize", ["shortest", "squash"])
@pytest.mark.parametrize("size", [(96, 96), (120, 90), (41, 64)])
def test_fitting_with_gradients_follows_pillow(photograph, resize, size):
    image = photograph.resize(size)
    preprocess = Preprocess(size=32, resize=resize)
    found = Fitting.of(preprocess).fit(as_tensor(image))
    expected = as_tensor(fit(image, preprocess))
    assert found.shape == expected.shape
    assert float((found - expected).abs().max()) < 2.1 / 255


@pytest.mark.parametrize(
    ("processor", "expected"),
    [
        (transformers.ViTImageProcessor(size={"height": 32, "width": 32}), Fitting(32, 32, False, "bilinear")),
        (
            transformers.ConvNextImageProcessor(size={"shortest_edge": 224}, crop_pct=0.875),
            Fitting(256, 224, True, "bicubic"),
        ),
        (
            transformers.ConvNextImageProcessor(size={"shortest_edge": 384}, crop_pct=0.875),
            Fitting(384, 384, False, "bicubic"),
        ),
        (
            transformers.CLIPImageProcessor(size={"shortest_edge": 40}, crop_size={"height": 32, "width": 32}),
            Fitting(40, 32, True, "bicubic"),
        ),
    ],
)
def test_the_geometry_of_image_processors_is_read(processor, expected):
    if isinstance(processor, transformers.ConvNextImageProcessor):
        processor.resample = 3
    assert read_fitting(processor, "guide") == expected


def test_the_revision_of_a_guide_changes_with_all_that_shapes_its_logits(encoders, tmp_path):
    encoder = encoders["float32"]
    zero_shot = guide_revision("zero-shot", surroundings_of(encoder, tmp_path), offline=True)
    assert zero_shot == guide_revision("zero-shot", surroundings_of(encoder, tmp_path / "other"), offline=True)
    assert zero_shot != guide_revision("zero-shot", surroundings_of(encoder, tmp_path, ("cat", "bus")), offline=True)
    around = surroundings_of(encoder, tmp_path)
    first = guide_revision(f"transformers:{tiny.classifier_folder(tmp_path / 'a')}", around, offline=True)
    again = guide_revision(f"transformers:{tiny.classifier_folder(tmp_path / 'b')}", around, offline=True)
    other = guide_revision(f"transformers:{tiny.classifier_folder(tmp_path / 'c', classes=6)}", around, offline=True)
    assert first == again
    assert len({first, other, zero_shot}) == 3

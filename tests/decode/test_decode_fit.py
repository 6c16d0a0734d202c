"""`fit` against Pillow, torchvision and open_clip themselves."""

from __future__ import annotations

import numpy as np
import open_clip.transform
import pytest
import torchvision.transforms as transforms
from cykooz_resizer import CpuExtensions
from cykooz_resizer.rust_lib import RustResizer
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from curator.decode import fit, resizing
from curator.decode.fitting import EXTREME_ASPECT
from curator.decode.resizing import LARGEST_DRIFT, REORDERED_DRIFT, RESIZED_DRIFT
from curator.types import Preprocess
from tests.decode.conftest import drift, fit_by_pillow


def noise(width, height, seed=0):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


@given(
    short=st.integers(1, 90),
    aspect=st.floats(1.0, EXTREME_ASPECT),
    tall=st.booleans(),
    size=st.sampled_from([7, 32, 63, 64]),
    further=st.sampled_from([0, 9]),
    resize=st.sampled_from(["shortest", "squash"]),
    interpolation=st.sampled_from(["bicubic", "bilinear"]),
)
def test_fit_is_within_its_bounds_of_pillow_even_for_noise(short, aspect, tall, size, further, resize, interpolation):
    long = max(short, int(short * aspect))
    image = noise(short, long) if tall else noise(long, short)
    preprocess = Preprocess(size, resize, interpolation, resize_to=size + further)
    mean, largest = drift(fit(image, preprocess), fit_by_pillow(image, preprocess))
    assert mean <= RESIZED_DRIFT
    assert largest <= LARGEST_DRIFT


@pytest.mark.parametrize("shape", [(500, 333), (333, 500), (224, 224), (225, 224), (224, 301), (1023, 767), (31, 29)])
@pytest.mark.parametrize("mode", ["shortest", "squash"])
@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
def test_fit_is_the_evaluation_transform_of_open_clip(photograph, shape, mode, interpolation):
    config = open_clip.transform.PreprocessCfg(
        size=224, resize_mode=mode, interpolation=interpolation, mean=(0, 0, 0), std=(1, 1, 1)
    )
    image = photograph.resize(shape)
    theirs = open_clip.transform.image_transform_v2(config, is_train=False)(image)
    ours = fit(image, Preprocess(224, resize=mode, interpolation=interpolation))
    assert drift(ours, (theirs * 255).round().byte().permute(1, 2, 0).numpy())[0] <= REORDERED_DRIFT


@pytest.mark.parametrize("shape", [(500, 333), (333, 501), (256, 256), (1023, 767), (40, 31)])
def test_the_shortest_side_may_go_further_than_the_crop(photograph, shape):
    image = photograph.resize(shape)
    transform = transforms.Compose(
        [transforms.Resize(256, transforms.InterpolationMode.BICUBIC), transforms.CenterCrop(224)]
    )
    theirs = np.asarray(transform(image))
    assert drift(fit(image, Preprocess(224, resize_to=256)), theirs)[0] <= REORDERED_DRIFT
    assert drift(fit(image, Preprocess(224)), theirs)[0] > 2


def test_plain_instructions_give_the_same_bytes_as_the_best_of_this_processor(monkeypatch):
    images = [noise(301, 200), noise(64, 90), noise(50, 40)]
    expected = [fit(image, Preprocess(64)) for image in images]
    plain = RustResizer()
    plain.set_cpu_extensions(CpuExtensions.none.value)
    monkeypatch.setattr(resizing, "_RESIZER", plain)
    assert all(np.array_equal(fit(image, Preprocess(64)), one) for image, one in zip(images, expected, strict=True))


@pytest.mark.parametrize("shape", [(1, 5000), (5000, 1), (3, 100_000), (20_000, 7)])
def test_an_extremely_thin_image_is_the_centre_of_itself(shape):
    width, height = shape
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[..., 0] = np.abs(np.arange(height)[:, None] - (height - 1) / 2) * 2 < 4 * width  # red near the centre only
    pixels[..., 1] = np.abs(np.arange(width)[None] - (width - 1) / 2) * 2 < 4 * height
    fitted = fit(Image.fromarray(pixels * 255), Preprocess(64))
    assert fitted.shape == (64, 64, 3)
    assert (fitted[..., :2] == 255).all()


def test_both_sides_of_the_extreme_aspect_agree_but_for_rounding(photograph):
    wide = photograph.resize((8 * 60, 60), Image.Resampling.BICUBIC)
    wider = photograph.resize((8 * 60 + 2, 60), Image.Resampling.BICUBIC)
    left, right = fit(wide, Preprocess(60)), fit(wider.crop((1, 0, 481, 60)), Preprocess(60))
    beyond = fit(wider, Preprocess(60))
    assert np.array_equal(right, beyond)  # no scaling: the box is the crop
    assert np.abs(left.astype(int) - beyond).mean() < 3


def test_fit_gives_writable_pixels():
    assert fit(noise(80, 60), Preprocess(32)).flags.writeable

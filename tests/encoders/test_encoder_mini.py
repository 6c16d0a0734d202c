from __future__ import annotations

import copy
import io
import tarfile

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image

from curator.decode import fit
from curator.encoders import EncoderOptions, load_encoder
from curator.encoders.mini.tower import curator_mini, fold_batch_norms
from curator.resources import data_file
from curator.types import Preprocess


@pytest.fixture(scope="module")
def encoder():
    return load_encoder(EncoderOptions("mini", dtype="float32", device="cpu", offline=True))


def test_it_is_the_default_and_needs_no_network(no_sockets):
    encoder = load_encoder(EncoderOptions())
    assert encoder.encoder_id.startswith("mini@")
    assert encoder.encode_texts(["dog"]).shape == (1, 256)


def test_it_states_what_its_card_states(encoder):
    assert encoder.dimension == 256
    assert encoder.logit_scale == pytest.approx(30, abs=1e-4)
    assert encoder.preprocess == Preprocess(size=64)
    card = data_file("curator.encoders.mini", "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "It is **not CLIP**" in card and "Apache-2.0" in card and "tower.py" in card


def test_loading_twice_registers_it_once(encoder):
    load_encoder(EncoderOptions("mini", device="cpu"))
    assert open_clip.list_models().count("curator-mini") == 1


def test_texts_of_like_meaning_lie_closer_than_others(encoder):
    dog, puppy, photo, truck = encoder.encode_texts(["dog", "puppy", "a photo of a dog", "truck"])
    assert min(dog @ puppy, dog @ photo) > dog @ truck + 0.2


def test_folding_batch_norms_does_not_change_the_tower():
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        tower = curator_mini(num_classes=0)
        images = torch.rand(4, 3, 64, 64)
        tower.train()(images)  # moves the running statistics away from zero and one
        tower.eval()
    folded = copy.deepcopy(tower)
    fold_batch_norms(folded)
    assert not any(isinstance(part, torch.nn.BatchNorm2d) for part in folded.modules())
    with torch.inference_mode():
        torch.testing.assert_close(folded(images), tower(images), atol=1e-4, rtol=1e-4)


def test_the_tower_refuses_pretrained_weights_of_its_own():
    with pytest.raises(ValueError, match="no weights of its own"):
        curator_mini(pretrained=True)


@pytest.mark.parametrize("dtype", ["float32", pytest.param("bfloat16", marks=pytest.mark.slow)])
def test_it_names_photographs_far_above_chance(shared_data, dtype):
    encoder = load_encoder(EncoderOptions("mini", dtype=dtype, device="cpu", offline=True))
    pixels, labels = [], []
    with tarfile.open(shared_data / "imagenette-wds-0000.tar") as archive:
        members = [member for member in archive.getmembers() if member.name.endswith(".jpg")][::2]
        for member in members:
            image = Image.open(io.BytesIO(archive.extractfile(member).read())).convert("RGB")
            pixels.append(fit(image, encoder.preprocess))
            labels.append(archive.extractfile(member.name[:-4] + ".cls.txt").read().decode().strip())
    names = sorted(set(labels))
    cosines = encoder.encode_images(np.stack(pixels)) @ encoder.encode_texts(names).T  # (n, 10)
    right = np.mean(np.array(names)[cosines.argmax(axis=1)] == np.array(labels))
    assert len(names) == 10 and len(labels) == 250
    assert right > 0.5, f"{right:.3f} of {len(labels)} images; chance is 0.1"

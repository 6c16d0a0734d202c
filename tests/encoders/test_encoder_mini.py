from __future__ import annotations

import copy

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image

from curator.decode import fit
from curator.demo import photographs_folder
from curator.encoders import SHIPPED, EncoderOptions, load_encoder
from curator.encoders.mini.tower import PREPROCESS, curator_mini, fuse
from curator.resources import data_file
from curator.types import Preprocess
from curator.vectors import ImageCollection, joining, near_duplicates, near_source, partition, write_shard
from curator.vectors.collections import unit
from curator.vectors.joining import Everything, bounds_of


@pytest.fixture(scope="module")
def encoder():
    return load_encoder(EncoderOptions("mini", dtype="float32", device="cpu", offline=True))


def test_it_is_the_default_and_needs_no_network(no_sockets):
    encoder = load_encoder(EncoderOptions())
    assert encoder.encoder_id == SHIPPED["mini"], "known without loading it: write it there with other weights"
    assert encoder.encode_texts(["dog"]).shape == (1, 256)


def test_it_states_what_its_card_states(encoder):
    assert encoder.dimension == 256
    assert encoder.logit_scale == pytest.approx(30, abs=1e-4)
    assert encoder.preprocess == PREPROCESS == Preprocess(size=192, mean=(127 / 255,) * 3, std=(128 / 255,) * 3)
    card = data_file("curator.encoders.mini", "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "It is **not CLIP**" in card and "Apache-2.0" in card and "tower.py" in card


def test_loading_twice_registers_it_once(encoder):
    load_encoder(EncoderOptions("mini", device="cpu"))
    assert open_clip.list_models().count("curator-mini") == 1


def test_texts_of_like_meaning_lie_closer_than_others(encoder):
    dog, puppy, photo, truck = encoder.encode_texts(["dog", "puppy", "a photo of a dog", "truck"])
    assert min(dog @ puppy, dog @ photo) > dog @ truck + 0.2


@pytest.fixture(scope="module")
def towers():
    """A tower whose running statistics moved away from zero and one, and the same fused; images, (4, 3, 192, 192)."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        tower = curator_mini(num_classes=16)
        images = torch.rand(4, 3, 192, 192)
        tower.train()(images)
        tower.eval()
    fused = copy.deepcopy(tower)
    assert len(fuse(fused)) == 49
    return tower, fused, images


def test_fusing_does_not_change_the_tower(towers):
    tower, fused, images = towers
    assert not any(isinstance(part, torch.nn.BatchNorm2d | torch.nn.ReLU6) for part in fused.modules())
    with torch.inference_mode():
        torch.testing.assert_close(fused(images), tower(images), atol=1e-4, rtol=1e-4)


def test_what_is_fused_computes_the_same_where_gradients_are_wanted(towers):
    tower, fused, images = towers
    gradients = []
    for module in (tower, fused):
        pixels = images.clone().requires_grad_()
        module(pixels).square().sum().backward()
        gradients.append(pixels.grad)
    assert gradients[0].abs().max() > 0
    # Not to the bit: an activation that rounding moves over 0 or 6 has another gradient.
    assert torch.cosine_similarity(gradients[1].flatten(), gradients[0].flatten(), dim=0) > 0.9999


def test_the_tower_refuses_pretrained_weights_of_its_own():
    with pytest.raises(ValueError, match="no weights of its own"):
        curator_mini(pretrained=True)


@pytest.fixture(scope="module", params=[2, pytest.param(6, marks=pytest.mark.slow)])
def photographs(shared_data, request):
    """So many of each of 50 kinds of object, full size, whose names the encoder never saw as labels: pixels and
    labels."""
    folders = sorted((shared_data / "objects-folder").iterdir())
    files = [file for folder in folders for file in sorted(folder.iterdir())[: request.param]]
    assert len(files) == 50 * request.param
    pixels = np.stack([fit(Image.open(file).convert("RGB"), PREPROCESS) for file in files])
    return pixels, np.array([file.parent.name.replace("_", " ").lower() for file in files])


def test_it_names_photographs_of_objects_it_never_saw_as_labels(encoder, photographs):
    pixels, labels = photographs
    names = sorted(set(labels))
    cosines = encoder.encode_images(pixels) @ encoder.encode_texts(names).T  # (n, 50)
    right = np.mean(np.array(names)[cosines.argmax(axis=1)] == labels)
    assert len(names) == 50
    assert right > 0.4, f"{right:.3f} of {len(labels)} photographs; chance is 0.02"


def test_bfloat16_keeps_the_vectors(encoder, photographs):
    pixels = photographs[0][::5]
    short = load_encoder(EncoderOptions("mini", dtype="bfloat16", device="cpu")).encode_images(pixels)
    alike = (short * encoder.encode_images(pixels)).sum(axis=1)
    assert alike.mean() > 0.998 and alike.min() > 0.99


def test_near_duplicates_among_photographs_are_found_in_few_cells_of_a_partition(encoder, tmp_path, monkeypatch):
    """Overlapping cuts of six photographs: all pairs that comparing everything finds, by looking at less than half."""
    cuts = []
    for path in sorted(photographs_folder().glob("*.*g"))[:6]:
        image = Image.open(path).convert("RGB").resize((300, 300))
        cuts += [image.crop((left, left, left + 224, left + 224)) for left in range(0, 64, 8)]
    pixels = np.stack([np.asarray(cut.resize((encoder.preprocess.size,) * 2)) for cut in cuts])
    ids = [f"{number:032x}" for number in range(len(cuts))]
    write_shard(tmp_path / "all.safetensors", ids, encoder.encode_images(pixels), encoder_id=encoder.encoder_id)
    collection = ImageCollection(tmp_path, ["all"], encoder.dimension)
    for module, name in ((partition, "MIN_VECTORS"), (joining, "_FEW")):
        monkeypatch.setattr(module, name, 1)
    found, positions = near_source(collection, tmp_path / "near", []), np.arange(len(ids))
    vectors = collection.vectors_at(positions)
    pairs = near_duplicates(found, ids, vectors, min_cosine=0.98, k=40)
    assert pairs == near_duplicates(Everything(collection, positions), ids, vectors, min_cosine=0.98, k=40)
    assert len(pairs) > len(ids) / 2
    looked = found.candidates(bounds_of(unit(vectors), found.directions), 0.98)
    assert sum(len(part.rows) * len(part.positions) for part in looked) < len(ids) ** 2 / 2

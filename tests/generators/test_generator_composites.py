"""The painter of composites: which parts it covers, with what, and which of its pictures it keeps."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from curator.banks.text_cache import TextCache
from curator.errors import UsageError
from curator.generators import GeneratorOptions, make_generator
from curator.generators.embedded.composites import (
    CompositeSettings,
    blended,
    energies_of,
    occluded,
    soft_mask,
)
from curator.generators.prompts import load_prompt
from curator.generators.requests import Picture, Request
from curator.generators.surroundings import Surroundings
from curator.types import Preprocess

SIZE = 24
RED, GREEN, GREY = (220, 20, 20), (20, 200, 40), (120, 120, 120)


class ColourEncoder:
    """Sees how much red and how much green an image has, and how much of neither."""

    encoder_id, dimension, logit_scale, batch_size = "colour@1", 3, 10.0, 8
    preprocess = Preprocess(SIZE)

    def encode_images(self, pixels):
        shares = pixels.astype(float).mean(axis=(1, 2)) / 255
        grey = shares.min(axis=1, keepdims=True)
        rows = np.concatenate([shares[:, :2] - grey, grey], axis=1) + 1e-3
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)

    def encode_texts(self, texts, *, normalised=True):
        rows = np.array([[("red" in text), ("green" in text), ("wall" in text)] for text in texts], float) + 0.1
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def square(colour, patch=None):
    """A grey square, with a patch of a colour in its upper left quarter."""
    image = Image.new("RGB", (SIZE, SIZE), GREY if patch else colour)
    if patch:
        image.paste(colour, (0, 0, SIZE // 2, SIZE // 2))
    return image


def picture(name, image, encoder):
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    (vector,) = encoder.encode_images(np.array(image)[None])
    return Picture(name, buffer.getvalue, vector)


@pytest.fixture
def make(tmp_path):
    """A painter in a lake of a green image, a grey one and the red one itself; ID are two red patches on grey."""
    encoder = ColourEncoder()
    lake = [
        picture(name, square(colour), encoder) for name, colour in (("g", GREEN), ("w", GREY), ("w2", (90, 90, 90)))
    ]
    known = [picture(f"id{number}", square((200 + number, 20, 20), patch=True), encoder) for number in range(8)]

    def build(lake=lake, known=known):
        around = Surroundings(
            encoder=lambda: encoder, encoder_id=encoder.encoder_id, text_cache=TextCache(tmp_path), id_texts=("red",),
            id_vectors=encoder.encode_texts(["red"]),
            image_vectors=lambda: np.array([item.vector for item in lake]).reshape(len(lake), 3),
            image_pictures=lambda: lake,
            id_image_vectors=lambda: np.array([item.vector for item in known]).reshape(len(known), 3),
            id_image_labels=lambda: np.zeros(len(known), dtype=np.int64),
        )  # fmt: skip
        return make_generator("painter", "composites", GeneratorOptions(), around), known

    return build


def inpaint(shown, context="wall", *, seed=3, **settings):
    return Request(load_prompt("inpaint"), {"context": context}, (shown,), seed=seed, settings=settings)


def answer(painter, request):
    (reply,) = painter.replies([request], allow=lambda: True)
    return reply


def test_what_makes_the_image_id_is_covered_and_the_rest_stays(make):
    painter, known = make()
    reply = answer(painter, inpaint(known[4], nearest=1))
    assert reply.fault is None and reply.suffix == ".jpg"
    found = np.array(Image.open(io.BytesIO(reply.artefact)), dtype=int)
    before = np.array(square((204, 20, 20), patch=True), dtype=int)
    changed = np.abs(found - before).max(axis=2)
    assert changed[:12, :12].max() > 100, "of the red patch something is gone"
    assert changed[16:, 16:].max() < 12, "the far corner is as it was"
    facts = reply.facts
    assert facts["energies"][0] < facts["boundary_energy"] <= facts["energies"][1]
    assert facts["guide"] == "zero-shot" and (facts["width"], facts["height"]) == (SIZE, SIZE)


def test_the_picture_that_has_just_left_the_id_images_is_kept(make):
    painter, known = make()
    few, many = (answer(painter, inpaint(known[0], nearest=1, covers=covers)).facts for covers in (1, 12))
    assert many["boundary_energy"] == few["boundary_energy"] <= many["energies"][1] < few["energies"][1]
    assert many["covered"] < few["covered"] == 0.9


def test_the_texture_is_of_the_lake_near_the_context(make):
    painter, known = make()
    replies = [answer(painter, inpaint(known[0], context, nearest=1, covers=1)) for context in ("wall", "green")]
    walls, greens = (np.array(Image.open(io.BytesIO(reply.artefact)), dtype=int)[:8, :8] for reply in replies)
    assert (greens[..., 1] - greens[..., 0]).mean() > 60 > 10 > np.abs(walls[..., 1] - walls[..., 0]).mean()


def test_a_picture_depends_on_its_own_request_alone(make):
    painter, known = make()
    requests = [inpaint(item, seed=number) for number, item in enumerate(known[:3])]
    together = [reply.artefact for reply in painter.replies(requests, allow=lambda: True)]
    assert [answer(make()[0], request).artefact for request in reversed(requests)] == together[::-1]
    assert make()[0].revision == painter.revision != make(known=known[:4])[0].revision


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (Request(load_prompt("draw"), {"label": "sun"}), "has none for the prompt draw"),
        ({"passes": 3, "cell": 2}, "no setting cell"),
        ({"cells": 1}, "cells must be"),
    ],
)
def test_what_cannot_be_painted_is_a_final_fault(make, request_, said):
    painter, known = make()
    reply = answer(painter, inpaint(known[7], **request_) if isinstance(request_, dict) else request_)
    assert reply.final and said in reply.fault
    assert answer(make(lake=[])[0], inpaint(known[0])).final
    reds = [picture("r", square(RED), ColourEncoder())]
    assert "lies among ID images" in answer(make(lake=reds)[0], inpaint(known[7])).fault
    assert answer(make(known=[])[0], inpaint(known[0])).final


def test_an_image_that_has_gone_from_the_lake_costs_its_texture_only(make):
    def gone():
        raise FileNotFoundError("no such file")

    encoder = ColourEncoder()
    walls = [picture(f"w{grey}", square((grey, grey, grey)), encoder) for grey in (80, 120, 160)]
    missing = [Picture("gone", gone, walls[0].vector)]
    painter, known = make(lake=[*missing, *walls])
    reply = answer(painter, inpaint(known[4]))
    assert reply.fault is None and reply.facts["textures"] == 3
    left = answer(make(lake=missing)[0], inpaint(known[4]))
    assert "can be read" in left.fault and not left.final


def test_an_address_with_a_model_behind_it_is_refused():
    with pytest.raises(UsageError, match="takes nothing behind its name"):
        make_generator("painter", "composites:x", GeneratorOptions(), None)


def test_occlusion_goes_over_the_grid_row_by_row():
    image = np.zeros((8, 8, 3), np.uint8)
    image[0, 0] = 255
    found = list(occluded(image, 4))
    assert len(found) == 16
    hidden = [int(item[0, 0, 0]) < 255 for item in found]
    assert [place for place, is_hidden in enumerate(hidden) if is_hidden] == [0]
    middle = (found[5] != image).any(axis=2)
    assert (np.flatnonzero(middle.any(axis=1)).tolist(), np.flatnonzero(middle.any(axis=0)).tolist()) == (
        [1, 2, 3, 4],
    ) * 2


def test_a_mask_covers_its_share_and_its_edge_is_soft():
    saliency = np.zeros((4, 4))
    saliency[:, :2] = 1.0
    mask = np.array(soft_mask(saliency, 0.5, 40, 0.05), dtype=float) / 255
    assert mask.mean() == pytest.approx(0.5, abs=0.05)
    assert mask[:, 0].min() > 0.95 and mask[:, -1].max() < 0.05 and ((mask > 0.2) & (mask < 0.8)).any()
    white, black = np.full((40, 40, 3), 255, np.uint8), np.zeros((40, 40, 3), np.uint8)
    assert np.array_equal(blended(black, white, soft_mask(saliency, 0.5, 40, 0.0))[..., 0] == 255, mask.round() == 1)


def test_the_energy_is_that_of_the_paper():
    ids = np.eye(3)[:2]
    (found,) = energies_of(np.array([[0.6, 0.8, 0.0]]), ids, 10.0)
    assert found == pytest.approx(-np.log(np.exp(6) + np.exp(8)))


def test_the_settings_of_a_diffusion_model_are_passed_over():
    assert CompositeSettings.resolve({"size": 512, "steps": 20, "covers": 2}) == CompositeSettings(covers=2)

"""The painter from requests to replies, on tiny pipelines in folders: what it asks, keeps, refuses and gives back."""

from __future__ import annotations

import gc
import importlib.util
import io
import weakref

import numpy as np
import pytest
import torch
from PIL import Image

from curator.banks.text_cache import TextCache
from curator.encoders import EncoderOptions, load_encoder
from curator.errors import GeneratorError, MissingExtra, SourceError, UsageError
from curator.generators import GeneratorOptions, make_generator
from curator.generators.diffusion import pipelines as diffusion_pipelines
from curator.generators.painter_settings import DrawSettings, InpaintSettings, network_passes, read_settings
from curator.generators.prompts import load_prompt
from curator.generators.requests import Picture, Request
from curator.generators.surroundings import Surroundings
from tests.generators import tiny_diffusion as tiny

INPAINT = {"size": 32, "steps": 5, "passes": 2}
DRAW = {"width": 32, "height": 32, "steps": 3}


def always() -> bool:
    return True


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    with tiny.one_thread():
        yield


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    where = tmp_path_factory.mktemp("pipelines")
    return {
        "inpaint": tiny.pipeline_folder(where / "inpaint"),
        "draw": tiny.pipeline_folder(where / "draw", inpainting=False),
        "euler": tiny.pipeline_folder(where / "euler", scheduler="euler"),
    }


@pytest.fixture(scope="module")
def surroundings(tmp_path_factory):
    encoder = load_encoder(EncoderOptions("mini", device="cpu", dtype="float32"))
    labels = ("cat", "tram", "lemon")
    vectors = encoder.encode_texts(list(labels))
    cache = TextCache(tmp_path_factory.mktemp("texts"))
    return Surroundings(lambda: encoder, encoder.encoder_id, cache, labels, vectors)


@pytest.fixture
def paint(folders, surroundings):
    """A painter on one of the folders, closed in the end."""
    made = []

    def make(name, **options):
        chosen = GeneratorOptions(
            **{"device": "cpu", "painter_batch_size": 1, "offline": True, "guide": "zero-shot", **options}
        )
        made.append(make_generator("painter", f"diffusers:{folders.get(name, name)}", chosen, surroundings))
        return made[-1]

    yield make
    for painter in made:
        painter.close()


def picture(name="a", colour=(200, 30, 60), data=None):
    def load():
        if data is not None:
            return data
        image = Image.new("RGB", (50, 40), colour)
        image.paste((10, 220, 90), (5, 5, 30, 20))
        buffer = io.BytesIO()
        image.save(buffer, "PNG")
        return buffer.getvalue()

    return Picture(name, load)


def inpaint(context="bamboo, railing", *, seed=7, pictures=None, **settings):
    shown = (picture(),) if pictures is None else pictures
    return Request(load_prompt("inpaint"), {"context": context}, shown, seed=seed, settings={**INPAINT, **settings})


def draw(label="moon", *, seed=7, **settings):
    return Request(load_prompt("draw"), {"label": label}, seed=seed, settings={**DRAW, **settings})


def replies_of(painter, requests):
    """By position."""
    found = {reply.position: reply for reply in painter.replies(requests, allow=always)}
    assert all(reply.fault is None for reply in found.values()), found
    return [found[position] for position in range(len(requests))]


@pytest.mark.slow
def test_an_inpainted_image_is_a_jpeg_with_what_is_worth_knowing_of_it(paint):
    (reply,) = replies_of(paint("inpaint"), [inpaint(passes=3)])
    with Image.open(io.BytesIO(reply.artefact)) as image:
        assert (image.format, image.size, image.mode) == ("JPEG", (32, 32), "RGB")
    assert reply.suffix == ".jpg"
    assert reply.text is None
    assert reply.seconds > 0
    assert len(reply.facts["losses"]) == 3
    assert {name: value for name, value in reply.facts.items() if name != "losses"} == {
        "timestep": 601, "kept_share": 0.159816, "scheduler": "PNDMScheduler", "guide": "zero-shot",
        "guide_classes": 3, "source_size": [50, 40], "width": 32, "height": 32,
    }  # fmt: skip


def test_a_drawn_image_depends_on_text_and_seed_alone(paint):
    requests = [draw(), draw("sun"), draw(seed=8)]
    first = [reply.artefact for reply in replies_of(paint("draw"), requests)]
    assert len(set(first)) == 3
    painter = paint("draw")
    assert [replies_of(painter, [request])[0].artefact for request in reversed(requests)] == first[::-1]
    assert replies_of(painter, [draw(width=64)])[0].facts == {"scheduler": "PNDMScheduler", "width": 64, "height": 32}


@pytest.mark.slow
def test_asking_for_a_part_later_gives_the_same_bytes(paint):
    requests = [inpaint(), inpaint("sea"), inpaint(seed=8), inpaint(pictures=(picture("b", (0, 0, 0)),))]
    whole = [reply.artefact for reply in replies_of(paint("inpaint"), requests)]
    assert len(set(whole)) == 4
    part = [reply.artefact for reply in replies_of(paint("inpaint"), [requests[3], requests[1]])]
    assert part == [whole[3], whole[1]]


@pytest.mark.slow
def test_a_batch_is_painted_at_once_and_changes_no_image_to_speak_of(paint, monkeypatch):
    requests = [inpaint(), inpaint("sea"), inpaint(seed=8)]
    alone = replies_of(paint("inpaint"), requests)
    sizes = []
    painter = paint("inpaint", painter_batch_size=2)
    in_batches = type(painter)._inpaint
    monkeypatch.setattr(
        type(painter), "_inpaint", lambda self, *given: (sizes.append(len(given[1])), in_batches(self, *given))[1]
    )
    together = replies_of(painter, requests)
    assert sizes == [2, 1]

    def apart(one, other):
        pixels = [np.array(Image.open(io.BytesIO(reply.artefact)), dtype=int) for reply in (one, other)]
        return np.abs(pixels[0] - pixels[1]).mean()

    another = apart(alone[0], alone[1])
    for one, other in zip(alone, together, strict=True):
        assert apart(one, other) < another / 4  # decoder and guide sum in other orders, on each processor in its own
        assert other.facts["losses"] == pytest.approx(one.facts["losses"], rel=1e-3)


def test_requests_of_other_settings_are_painted_apart_and_keep_their_positions(paint):
    requests = [inpaint(), inpaint(size=64), inpaint("sea")]
    found = list(paint("inpaint", painter_batch_size=4).replies(requests, allow=always))
    assert [(reply.position, reply.facts["width"]) for reply in found] == [(0, 32), (2, 32), (1, 64)]


def test_a_spent_budget_stops_before_the_next_request(paint):
    left = [True, True, False]
    found = list(
        paint("inpaint", painter_batch_size=2).replies([inpaint(seed=n) for n in range(5)], allow=lambda: left.pop(0))
    )
    assert [reply.position for reply in found] == [0, 1]
    assert left == [], "asked once for each request that was started, and once in vain"


def test_nothing_is_loaded_before_it_is_allowed_and_closing_frees_it(paint, monkeypatch):
    loaded = []
    load = diffusion_pipelines.load_for_inpainting

    def watched(*args, **kwargs):
        loaded.append(weakref.ref(made := load(*args, **kwargs)))
        return made

    monkeypatch.setattr(diffusion_pipelines, "load_for_inpainting", watched)
    painter = paint("inpaint")
    assert len(painter.revision) == 16 + 1 + 8
    assert list(painter.replies([inpaint()], allow=lambda: False)) == []
    assert loaded == []
    first = replies_of(painter, [inpaint()])[0].artefact
    replies_of(painter, [inpaint("sea")])
    assert len(loaded) == 1
    painter.close()
    gc.collect()
    assert loaded[0]() is None
    assert replies_of(painter, [inpaint()])[0].artefact == first, "a later request loads again"


def test_faults_of_one_picture_leave_the_others(paint):
    def gone():
        raise FileNotFoundError("no such file")

    def changed():
        raise SourceError("its content has changed")

    broken = picture("broken", data=b"no image")
    shown = [(broken,), (Picture("gone", gone),), (picture(),), (), (Picture("changed", changed),)]
    requests = [inpaint(pictures=pictures) for pictures in shown]
    found = {reply.position: reply for reply in paint("inpaint", painter_batch_size=5).replies(requests, allow=always)}
    assert {position: (reply.fault is None, reply.final) for position, reply in found.items()} == {
        0: (False, True), 1: (False, False), 2: (True, False), 3: (False, True), 4: (False, False),
    }  # fmt: skip
    assert "broken" in found[0].fault


def test_the_revision_names_checkpoint_and_guide(paint, surroundings, folders, tmp_path):
    revision = paint("inpaint").revision
    assert revision == paint("inpaint", painter_batch_size=3, device="auto").revision
    copy = tiny.pipeline_folder(tmp_path / "copy")
    (copy / "README.md").write_text("about it")
    assert paint(copy).revision == revision
    assert paint("draw").revision != revision
    other = paint("inpaint", guide=f"transformers:{tiny.classifier_folder(tmp_path / 'resnet')}").revision
    assert other.split("+")[0] == revision.split("+")[0]
    assert other != revision


@pytest.mark.slow
def test_a_classifier_guides_as_well(paint, tmp_path):
    guide = f"transformers:{tiny.classifier_folder(tmp_path / 'resnet')}"
    (reply,) = replies_of(paint("inpaint", guide=guide), [inpaint(passes=3, learning_rate=2000.0)])
    assert reply.facts["guide_classes"] == 5
    losses = reply.facts["losses"]
    assert losses[0] > losses[1] > losses[2]


@pytest.mark.parametrize(
    ("name", "request_", "said"),
    [
        ("euler", inpaint(), "EulerDiscreteScheduler is not supported"),
        ("inpaint", inpaint(loss="code_msp"), "code_msp has a gradient of 0"),
        ("inpaint", inpaint(loss="paper_eq7"), "sign error"),
        ("inpaint", draw(), "a model for inpainting"),
        ("draw", draw(width=30, height=31), "cannot paint: .* divisible"),
        ("/nowhere", inpaint(), "there is no folder /nowhere"),
    ],
)
def test_what_fails_every_request_is_one_line(paint, name, request_, said):
    with pytest.raises(GeneratorError, match=said) as caught:
        list(paint(name).replies([request_], allow=always))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"steps": 0}, "steps must be a whole number from 1 up, not 0"),
        ({"strength": 1.5}, "strength must be a number above 0 up to 1, not 1.5"),
        ({"strength": 0.1}, "leaves none to run"),
        ({"step": 3}, "unknown key 'step'"),
        ({"passes": "3"}, "passes must be .*, not '3'"),
        ({"guidance": float("nan")}, "guidance must be a number, not nan"),
        ({"size": True}, "size must be .*, not True"),
        ({"loss": None}, "loss must be a text, not None"),
        ({"size": 33}, "size is 33"),
    ],
)
def test_settings_that_cannot_be_are_usage_errors(paint, settings, said):
    with pytest.raises(UsageError, match=said):
        list(paint("inpaint").replies([inpaint(**settings)], allow=always))


def test_all_settings_are_read_before_the_first_image(paint):
    asked = []
    with pytest.raises(UsageError, match="do not paint for the prompt"):
        stranger = Request(load_prompt("look-alikes"), {"label": "cat", "count": 3})
        list(paint("inpaint").replies([inpaint(), stranger], allow=lambda: asked.append(1) is None))
    assert asked == []


def test_the_defaults_are_those_of_the_two_methods():
    assert read_settings("draw", {}) == DrawSettings(None, None, 50, 7.5)
    assert read_settings("inpaint", {"m_out": -3, "loss": "energy_hinge"}) == InpaintSettings(
        512, 20, 0.6, 8.0, 3, 5.0, "energy_hinge", -3, 1.0
    )


def test_passes_through_the_network_are_counted_with_guidance_and_all_paintings():
    assert network_passes("inpaint", {}) == 3 * 12 * 2
    assert network_passes("inpaint", {"passes": 1, "steps": 10, "guidance": 1.0}) == 6
    assert network_passes("draw", {"steps": 50}) == 100


def test_an_unknown_guide_and_a_missing_package_are_told_when_the_painter_is_made(paint, monkeypatch):
    with pytest.raises(UsageError, match="no guide 'resnet50'"):
        paint("inpaint", guide="resnet50")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra) as caught:
        paint("inpaint")
    assert "ood-curator[diffusion]" in caught.value.hint


def test_an_encoder_fault_and_an_exhausted_gpu_are_one_line(paint, monkeypatch):
    with pytest.raises(GeneratorError, match="float16 is not for CPUs"):
        list(paint("inpaint", dtype="float16").replies([inpaint()], allow=always))
    with pytest.raises(GeneratorError, match="cannot be used"):
        list(paint("inpaint", device="cuda:99").replies([inpaint()], allow=always))

    def exhausted(*args, **kwargs):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate\n2 GiB")

    monkeypatch.setattr("curator.generators.diffusion.inpainting.Inpainter.paint", exhausted)
    with pytest.raises(GeneratorError, match="too little memory to paint 1 at once") as caught:
        list(paint("inpaint").replies([inpaint()], allow=always))
    assert "batch_size" in caught.value.hint


def test_a_picture_that_the_model_itself_refuses_is_a_final_fault(paint, monkeypatch):
    painter = paint("draw")
    made = replies_of(painter, [draw()])
    assert made[0].artefact
    pipeline = painter._pipeline[1]
    monkeypatch.setattr(pipeline, "run_safety_checker", lambda images, *_: (images, [True]))
    (reply,) = painter.replies([draw()], allow=always)
    assert reply.final
    assert "safety checker" in reply.fault
    assert reply.artefact is None


@pytest.mark.slow
def test_bfloat16_paints_too(paint):
    (reply,) = replies_of(paint("inpaint", dtype="bfloat16"), [inpaint()])
    assert reply.artefact

"""SynOOD's loop against loops written out here, on tiny pipelines of both schedulers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from curator.errors import GeneratorError, UsageError
from curator.generators.diffusion.guide_losses import LossChoice, make_loss
from curator.generators.diffusion.guides import ClassifierGuide
from curator.generators.diffusion.inpainting import Inpainter, Task, moved, seeded, to_image
from curator.generators.diffusion.latents import StableDiffusionLatents
from curator.generators.diffusion.pipelines import load_for_inpainting
from curator.generators.painter_settings import InpaintSettings
from tests.generators import tiny_diffusion as tiny

CPU = torch.device("cpu")
SMALL = InpaintSettings(size=32, steps=5, learning_rate=5.0)  # three steps: the last of five
PROMPTS = ["A photo only remain bamboo, railing.", "A photo only remain sea."]


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    with tiny.one_thread():
        yield


@pytest.fixture(scope="module")
def pipelines(tmp_path_factory):
    """Both U-Nets with both schedulers that are supported, and one that is not."""
    made = {}
    for name, scheduler, inpainting in (
        ("pndm", "pndm", True), ("ddim", "ddim", True), ("euler", "euler", True), ("plain", "ddim", False),
    ):  # fmt: skip
        folder = tiny.pipeline_folder(tmp_path_factory.mktemp(name), scheduler=scheduler, inpainting=inpainting)
        made[name] = load_for_inpainting(str(folder), address=name, device=CPU, dtype=torch.float32, offline=True)
    return made


@pytest.fixture(scope="module")
def guide(tmp_path_factory):
    folder = tiny.classifier_folder(tmp_path_factory.mktemp("resnet"))
    return ClassifierGuide.load(str(folder), device=CPU, offline=True)


@pytest.fixture(scope="module")
def inpainters(pipelines, guide):
    loss = make_loss(LossChoice(), class_count=guide.class_count)
    return {
        name: Inpainter(StableDiffusionLatents.of(pipelines[name], address=name), guide, loss)
        for name in ("pndm", "ddim", "plain")
    }


@pytest.fixture(scope="module")
def tasks():
    rng = np.random.default_rng(0)
    pictures = [Image.fromarray(rng.integers(0, 256, (4, 6, 3), dtype=np.uint8)).resize((60, 40)) for _ in range(3)]
    return [
        Task(picture, prompt, seed) for picture, prompt, seed in zip(pictures, [*PROMPTS, ""], (7, 8, 9), strict=True)
    ]


def own_denoise(pipeline, noised, masked, settings):
    """The loop written out: guidance, 9 channels, the scheduler's step."""
    text, empty = pipeline.encode_prompt(PROMPTS, CPU, 1, True)
    states = torch.cat([empty, text])
    scheduler, latents = pipeline.scheduler, noised
    scheduler.set_timesteps(settings.steps)
    start = (settings.steps - settings.steps_run) * scheduler.order
    mask = torch.ones(2, 1, *latents.shape[2:])
    for timestep in scheduler.timesteps[start:]:
        with torch.no_grad():
            shown = torch.cat([torch.cat([latents] * 2), torch.cat([mask] * 2), torch.cat([masked] * 2)], dim=1)
            nothing, said = pipeline.unet(shown, timestep, encoder_hidden_states=states).sample.chunk(2)
        guided = nothing + settings.guidance * (said - nothing)
        latents = scheduler.step(guided, timestep, latents).prev_sample
    return latents


@pytest.mark.slow
@pytest.mark.parametrize("name", ["pndm", "ddim"])
def test_the_stock_pipeline_and_the_loop_written_out_agree_bit_for_bit(pipelines, inpainters, name):
    model = inpainters[name].latents
    z, masked, noise = (torch.randn(2, 4, 16, 16, generator=seeded(seed)) for seed in (1, 2, 3))
    noised = model.noise(z, noise, model.first_timestep(SMALL))
    for _ in range(2):  # the second pass starts from a scheduler that has run
        found = model.denoise(noised, PROMPTS, SMALL, image_latents=z, masked_latents=masked)
        assert torch.equal(found, own_denoise(pipelines[name], noised, masked, SMALL))


def test_it_is_what_the_stock_pipeline_does_with_an_image_and_a_white_mask(pipelines, inpainters, tasks):
    model, pipeline = inpainters["pndm"].latents, pipelines["pndm"]
    z = model.encode([tasks[0].image], 32, [seeded(1)])
    noised = model.noise(z, torch.randn(1, 4, 16, 16, generator=seeded(2)), model.first_timestep(SMALL))
    shown = pipeline.image_processor.preprocess(tasks[0].image, height=32, width=32)
    # a constant image in a strided layout: the tiny autoencoder magnifies rounding, as its groups are of one channel
    masked = pipeline._encode_vae_image(shown * 0, generator=seeded(3))
    assert torch.equal(
        model.encode_nothing(32, [seeded(3)]), pipeline._encode_vae_image(torch.zeros(1, 3, 32, 32), seeded(3))
    )
    found = model.denoise(noised, PROMPTS[:1], SMALL, image_latents=z, masked_latents=masked)
    stock = pipeline(
        prompt=PROMPTS[0], image=tasks[0].image, mask_image=Image.new("L", (32, 32), 255), latents=noised, height=32,
        width=32, strength=0.6, num_inference_steps=5, guidance_scale=8.0, generator=seeded(3), output_type="latent",
    ).images  # fmt: skip
    assert torch.equal(found, stock)
    decoded = model.decode(found / model.scaling)
    shown = pipeline.image_processor.postprocess(pipeline.vae.decode(stock / model.scaling).sample.detach(), "pt")
    assert torch.equal(decoded, shown)


@pytest.mark.parametrize(("name", "timestep", "kept"), [("pndm", 601, 0.159816), ("ddim", 551, 0.212783)])
def test_twenty_steps_at_strength_0_6_set_in_where_the_reference_does(inpainters, name, timestep, kept):
    model = inpainters[name].latents
    assert model.first_timestep(InpaintSettings()) == timestep
    assert model.kept_share(timestep) == pytest.approx(kept, abs=1e-6)
    assert inpainters[name].facts(InpaintSettings())["timestep"] == timestep


def test_noising_and_the_skip_gradient_have_the_values_of_the_reference(inpainters):
    model = inpainters["ddim"].latents
    z, noise = torch.tensor([1.0, -1.0]), torch.tensor([0.5, 0.25])
    later = moved(noise, torch.tensor([0.01, -0.02]), 10.0)
    torch.testing.assert_close(later, torch.tensor([0.4, 0.45]))
    expected = {"before": [0.904910, -0.239470], "after": [0.816185, -0.062020]}
    torch.testing.assert_close(model.noise(z, noise, 551), torch.tensor(expected["before"]), atol=2e-6, rtol=0)
    torch.testing.assert_close(model.noise(z, later, 551), torch.tensor(expected["after"]), atol=2e-6, rtol=0)
    stock = model.pipeline.scheduler.add_noise(z[None], noise[None], torch.tensor([551]))[0]
    torch.testing.assert_close(model.noise(z, noise, 551), stock)


@pytest.mark.parametrize("name", ["pndm", "ddim", "plain"])
def test_the_loss_falls_from_pass_to_pass(inpainters, tasks, name):
    painted = inpainters[name].paint(tasks[:2], replace(SMALL, learning_rate=2000.0))
    for found in painted:
        assert len(found.losses) == 3
        assert found.losses[0] > found.losses[1] > found.losses[2]


def test_the_image_of_the_last_pass_is_returned_and_its_own_gradient_moves_nothing(inpainters, tasks):
    settings = replace(SMALL, learning_rate=2000.0)
    painter = inpainters["ddim"]
    by_hand = follow(painter, tasks[0], settings)
    assert painter.paint(tasks[:1], settings)[0].image.tobytes() == by_hand[-1].tobytes()
    fewer = painter.paint(tasks[:1], replace(settings, passes=2))[0]
    assert fewer.image.tobytes() == by_hand[-2].tobytes()
    first = painter.paint(tasks[:1], replace(settings, passes=1))[0]
    other_rate = painter.paint(tasks[:1], replace(settings, passes=1, learning_rate=9.0))[0]
    assert first.image.tobytes() == other_rate.image.tobytes() == by_hand[0].tobytes()
    assert len({image.tobytes() for image in by_hand}) == 3


def follow(painter, task, settings):
    """The images of all passes of one task, written out as in the reference."""
    model, generator = painter.latents, seeded(task.seed)
    z = model.encode([task.image], settings.size, [generator])
    masked = model.encode_nothing(settings.size, [generator])
    noise = torch.randn(z.shape, generator=generator)
    images = []
    for _ in range(settings.passes):
        noised = model.noise(z, noise, model.first_timestep(settings))
        final = model.denoise(noised, [task.prompt], settings, image_latents=z, masked_latents=masked)
        unscaled = (final / model.pipeline.vae.config.scaling_factor).requires_grad_()
        image = (model.pipeline.vae.decode(unscaled).sample / 2 + 0.5).clamp(0, 1)
        loss = painter.loss(painter.guide.logits(image)).mean()
        loss.backward()
        noise = noise - settings.learning_rate * unscaled.grad
        images.append(to_image(image.detach()))
    return images


@pytest.mark.slow
def test_a_batch_and_its_order_change_no_image(inpainters, tasks):
    settings = replace(SMALL, learning_rate=2000.0)
    alone = [inpainters["pndm"].paint([task], settings)[0] for task in tasks]
    together = inpainters["pndm"].paint(tasks, settings)
    backwards = inpainters["pndm"].paint(tasks[::-1], settings)[::-1]
    for one, other, third in zip(alone, together, backwards, strict=True):
        for found in (other, third):  # sums of other shapes may differ in their last bits, and so a pixel by one step
            difference = np.array(found.image, dtype=int) - np.array(one.image, dtype=int)
            assert np.abs(difference).max() <= 1
            assert found.losses == pytest.approx(one.losses, rel=1e-4)


def test_a_batch_is_encoded_decoded_and_judged_at_once(inpainters, tasks, monkeypatch):
    seen = {"encode": [], "decode": []}
    vae = inpainters["ddim"].latents.pipeline.vae
    for name, sizes in seen.items():
        run = getattr(vae, name)
        monkeypatch.setattr(vae, name, lambda x, run=run, sizes=sizes: (sizes.append(len(x)), run(x))[1])
    inpainters["ddim"].paint(tasks, replace(SMALL, passes=2))
    assert seen == {"encode": [3, 1], "decode": [3, 3]}, "the empty image is encoded once"


def test_the_context_the_seed_and_the_image_all_matter(inpainters, tasks):
    first, second = tasks[:2]
    variants = [first, replace(first, prompt="a quite different text"), replace(first, seed=1), replace(second, seed=7)]
    images = [inpainters["ddim"].paint([task], replace(SMALL, passes=1))[0].image.tobytes() for task in variants]
    assert len(set(images)) == 4
    again = inpainters["ddim"].paint([first], replace(SMALL, passes=1))[0].image.tobytes()
    assert again == images[0]


def test_nothing_of_the_models_gets_a_gradient_and_no_seed_of_the_process_moves(inpainters, tasks):
    torch.manual_seed(3)
    state = torch.random.get_rng_state()
    inpainters["ddim"].paint(tasks[:1], SMALL)
    assert torch.equal(torch.random.get_rng_state(), state)
    pipeline = inpainters["ddim"].latents.pipeline
    parts = (pipeline.vae, pipeline.unet, pipeline.text_encoder, inpainters["ddim"].guide.module)
    assert all(parameter.grad is None for part in parts for parameter in part.parameters())


def test_schedulers_that_rescale_latents_are_refused(pipelines):
    with pytest.raises(GeneratorError, match="EulerDiscreteScheduler is not supported") as caught:
        StableDiffusionLatents.of(pipelines["euler"], address="diffusers:x")
    assert "DDIMScheduler" in caught.value.hint
    assert float(pipelines["euler"].scheduler.init_noise_sigma) > 10, "why: latents would be multiplied by this"


def test_other_families_are_refused_for_inpainting():
    class FluxInpaintPipeline:
        scheduler = object()

    with pytest.raises(GeneratorError, match="FluxInpaintPipeline is not supported for inpainting"):
        StableDiffusionLatents.of(FluxInpaintPipeline(), address="diffusers:x")


def test_sizes_without_whole_latents_are_refused(inpainters, tasks):
    with pytest.raises(UsageError, match="size is 33"):
        inpainters["ddim"].paint(tasks[:1], replace(SMALL, size=33))


def test_values_that_are_no_numbers_give_no_image(inpainters, tasks, monkeypatch):
    model = inpainters["ddim"].latents
    nothing = torch.full((1, 4, 16, 16), float("nan"))
    monkeypatch.setattr(StableDiffusionLatents, "denoise", lambda *_, **__: nothing)
    assert model.denoise() is nothing
    assert inpainters["ddim"].paint(tasks[:1], SMALL)[0].image is None


def test_a_safety_checker_is_asked_about_the_image(inpainters, tasks, monkeypatch):
    pipeline = inpainters["ddim"].latents.pipeline
    seen = []

    def check(images, clip_input):
        seen.append(images)
        return images, [True]

    class Extracted:
        pixel_values = torch.zeros(1)

        def to(self, device):
            return self

    monkeypatch.setattr(pipeline, "safety_checker", check)
    monkeypatch.setattr(pipeline, "feature_extractor", lambda images, return_tensors: Extracted())
    painted = inpainters["ddim"].paint(tasks[:1], replace(SMALL, passes=1))[0]
    assert painted.unsafe
    assert len(seen) == 1

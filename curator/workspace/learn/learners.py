"""Puts each system to work on a workspace: which images, texts and tools it gets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from curator.banks.prompts import lines_of
from curator.generators.requests import Picture
from curator.methods.kernels.farthest import farthest_points
from curator.systems.adaptive import (
    AdaNegSettings,
    TanlSettings,
    adaneg_learned,
    noise_pixels,
    tanl_learned,
)
from curator.systems.ants.learn import AntsSettings, AntsTools, learn_ants
from curator.systems.ants.online import AntsRun
from curator.systems.cleaning import CleaningRules
from curator.systems.eoe.learn import EoeSettings, learn_eoe
from curator.systems.mmood.learn import MmoodSettings, learn_mmood
from curator.systems.online import Fed, Streamed, run_stream, stream_lake
from curator.systems.proposals import Learned
from curator.systems.stream import Stream
from curator.systems.synood.learn import SynoodSettings, SynoodTools, learn_synood, select_images
from curator.types import Label, Vectors
from curator.workspace.learn.painted import painted_picture, painted_vectors
from curator.workspace.learn.world import IdImage, Learner, World


def learn_ants_bank(learner: Learner, settings: AntsSettings) -> Learned:
    """Frozen: on a sample of the lake, by content. Online: on the whole lake as it arrived."""
    world = learner.world
    tools = ants_tools(learner, settings)
    if settings.mode == "frozen":
        return learn_ants(world.sample(settings.sample), world.parent, settings, tools)
    run, streamed = streamed_lake(
        learner, settings, lambda: AntsRun(world.parent, settings, tools, world.base_scorer), largest=1.0
    )
    return run.learned(streamed)


def streamed_lake(
    learner: Learner, settings: AntsSettings | AdaNegSettings | TanlSettings, new: Callable[[], Fed], *, largest: float
) -> tuple[Fed, Streamed]:
    """Feed the whole lake, in the order in which it arrived."""
    world = learner.world
    return stream_lake(
        new,
        world.arrival_order,
        world.lake_vectors,
        batch=settings.batch,
        orders=settings.orders,
        seed=settings.seed,
        largest=largest,
    )


def learn_adaneg_bank(learner: Learner, settings: AdaNegSettings) -> Learned:
    """The parent's labels with a memory of confident images."""
    world = learner.world
    largest = 1.0 + settings.static_weight
    if settings.mode == "online":
        fed, streamed = streamed_lake(learner, settings, lambda: settings.stream(world.parent), largest=largest)
        return replace(adaneg_learned(fed, world.parent, settings, len(streamed.image_ids)), streamed=streamed)
    stream = settings.stream(world.parent)
    seen = feed_sample(world, stream, settings)
    return adaneg_learned(stream, world.parent, settings, seen)


def learn_tanl_bank(learner: Learner, settings: TanlSettings) -> Learned:
    """The candidates that OOD images activate most, in that order."""
    world = learner.world
    labels, vectors = tanl_candidates(world, settings)
    encoder = world.context.encoder
    noise = encoder.encode_images(noise_pixels(encoder.preprocess.size, settings.seed))
    if settings.mode == "online":
        fed, streamed = streamed_lake(
            learner, settings, lambda: settings.stream(world.parent, vectors, noise), largest=1.0
        )
        return replace(tanl_learned(fed, labels, settings, len(streamed.image_ids)), streamed=streamed)
    stream = settings.stream(world.parent, vectors, noise)
    seen = feed_sample(world, stream, settings)
    return tanl_learned(stream, labels, settings, seen)


def feed_sample(world: World, stream: Stream, settings: AdaNegSettings | TanlSettings) -> int:
    """Feed a sample of the lake in the order of image ids; returns how many."""
    ids = world.sample_ids(settings.sample)
    run_stream(stream, ids, world.lake_vectors, settings.batch)
    return len(ids)


def tanl_candidates(world: World, settings: TanlSettings) -> tuple[Sequence[Label], Vectors]:
    """The parent's negatives, or all that they were mined from, which the text cache still knows."""
    parent = world.parent
    if settings.candidates == "mined" or "negatives" not in parent.spec:
        return parent.labels[parent.id_count :], parent.negative_vectors
    whole = world.context.whole_corpus(world.database, parent)
    return whole.labels[whole.id_count :], whole.negative_vectors


def ants_tools(learner: Learner, settings: AntsSettings) -> AntsTools:
    world = learner.world
    return AntsTools(
        asking=learner.asking,
        neighbours=world.neighbours,
        look_up=world.look_up,
        picture=world.picture,
        encode=world.encode,
        cleaner=world.cleaner(CleaningRules(max_cosine=settings.max_cosine)),
    )


def learn_eoe_bank(learner: Learner, settings: EoeSettings) -> Learned:
    """From the ID labels alone."""
    world = learner.world
    clean = partial(world.cleaner(settings.rules).clean, vectors_of=world.encode)
    settings = replace(settings, template=settings.template or id_template(world))
    return learn_eoe(learner.asking, id_texts(world), settings, clean)


def learn_mmood_bank(learner: Learner, settings: MmoodSettings) -> Learned:
    """From the ID labels and, for near, ID images of the reference; without any it asks in words, and says so."""
    world = learner.world
    texts = id_texts(world)
    clean = partial(world.cleaner(settings.rules).clean, vectors_of=world.encode)
    chosen = select_images(world.id_images, settings.images_per_class)
    by_label: dict[str, list[Picture]] = {}
    for image, picture in zip(chosen, pictures_of(world, chosen), strict=True):
        by_label.setdefault(texts[image.id_label], []).append(picture)
    settings = replace(settings, template=settings.template or id_template(world))
    learned = learn_mmood(
        learner.asking,
        texts,
        by_label,
        settings,
        clean,
        partial(painted_picture, learner),
        farthest=partial(farthest_labels, world),
    )
    used = frozenset(image.image_id for image in chosen) if settings.branch != "far" else frozenset()
    return replace(learned, used_images=used)


def learn_synood_bank(learner: Learner, settings: SynoodSettings) -> Learned:
    """From ID images of the reference and the parent's negatives."""
    world = learner.world
    tools = SynoodTools(
        vectors_of=world.reference_vectors,
        picture=world.picture,
        painted_vectors=partial(painted_vectors, learner),
        text_features=partial(text_features, world),
    )
    return learn_synood(learner.asking, world.id_images, world.parent, settings, tools)


def text_features(world: World, prompts: Sequence[str]) -> NDArray[np.float32]:
    """As the text tower gives them, (n, d), of any norm; of an ensemble the mean."""
    lines = [lines_of(prompt) for prompt in prompts]
    raw = world.context.encoder.encode_texts([line for group in lines for line in group], normalised=False)
    means = [part.mean(axis=0) for part in np.split(raw, np.cumsum([len(group) for group in lines])[:-1])]
    return np.stack(means).astype(np.float32)


def farthest_labels(world: World, labels: Sequence[str], count: int) -> list[str]:
    """The labels furthest from the ID labels and from one another, in the space of the encoder."""
    rows = farthest_points(world.encode(labels), world.parent.id_vectors, count)
    return [labels[row] for row in rows.tolist()]


def id_texts(world: World) -> tuple[str, ...]:
    return tuple(label.text for label in world.parent.labels[: world.parent.id_count])


def id_template(world: World) -> str | tuple[str, ...] | None:
    """The template of the parent's ID labels, so that generated labels differ from them in meaning alone."""
    template = world.parent.spec.get("id", {}).get("template")
    return tuple(template) if isinstance(template, list) else template


def pictures_of(world: World, images: Sequence[IdImage]) -> list[Picture]:
    """ID images for a model to look at."""
    vectors = world.reference_vectors([image.image_id for image in images])
    return [world.picture(image.image_id, vector) for image, vector in zip(images, vectors, strict=True)]

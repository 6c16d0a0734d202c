"""What ANTS asks of generators, and what becomes of the answers: the same for the frozen and the online form."""

from __future__ import annotations

import re
from collections.abc import Sequence

from curator.banks.prompts import fill
from curator.generators.asking import Asking, Call
from curator.generators.prompts import load_prompt
from curator.generators.requests import Request
from curator.systems.ants.settings import AntsSettings
from curator.systems.proposals import Proposal
from curator.systems.settings import template_for
from curator.systems.world import LakeSample, World
from curator.types import Bank

ENS, VSNL, BASE = "ants:ens", "ants:vsnl", "ants:base:"
WEIGHT_DIGITS = 6  # of the weight of a bank, which stands in the name of every score


def describe(images: LakeSample, world: World, asking: Asking, settings: AntsSettings) -> list[Call]:
    """A description of each image."""
    prompt = load_prompt("describe-image" if settings.exclude else "describe-image-freely")
    requests = [
        Request(
            prompt,
            {"label": world.parent.labels[label].text} if settings.exclude else {},
            pictures=(world.picture(image_id, vector),),
            seed=settings.seed,
        )
        for image_id, vector, label in zip(images.image_ids, images.vectors, images.id_label.tolist(), strict=True)
    ]
    calls = asking.ask("describer", requests)
    asking.release("describer")
    return calls


def ask_look_alikes(classes: Sequence[int], parent: Bank, asking: Asking, settings: AntsSettings) -> list[Call]:
    """Names of things that look like each of the classes."""
    requests = [
        Request(
            load_prompt("look-alikes"),
            {"label": parent.labels[place].text, "count": settings.names},
            seed=settings.seed,
        )
        for place in classes
    ]
    calls = asking.ask("reasoner", requests)
    asking.release("reasoner")
    return calls


def sentence_proposals(
    calls: Sequence[Call], parent: Bank, images: LakeSample, settings: AntsSettings
) -> list[Proposal]:
    """ENS: sentences as they are, in the order of the images; the published code encodes them without a template."""
    template = template_for(settings.sentence_template, parent)
    return [
        Proposal(text, fill(template, text), ENS, call.call_id, parent.labels[label].text)
        for call, label in zip(calls, images.id_label.tolist(), strict=True)
        for text in call.labels[:1]
    ]


def look_alike_proposals(calls: Sequence[Call], parent: Bank) -> list[Proposal]:
    """VSNL: names in the template of the ID labels, in lower case."""
    template = template_for(None, parent)
    return [
        Proposal(name.lower(), fill(template, name.lower()), VSNL, call.call_id, str(call.request.slots["label"]))
        for call in calls
        for name in call.labels
    ]


def without_id_names(proposals: Sequence[Proposal], parent: Bank) -> tuple[list[Proposal], int]:
    """The sentences that do not contain the name of an ID label as whole words, and how many do."""
    names = sorted({label.text.replace("_", " ").lower() for label in parent.labels[: parent.id_count]}, key=len)
    pattern = re.compile(r"\b(?:" + "|".join(map(re.escape, reversed(names))) + r")s?\b", re.IGNORECASE)
    kept = [item for item in proposals if not pattern.search(item.text)]
    return kept, len(proposals) - len(kept)

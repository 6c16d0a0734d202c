"""What ANTS asks of generators, and what becomes of the answers: the same for the frozen and the online form."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

from curator.banks.prompts import fill
from curator.generators.asking import Asking, Call
from curator.generators.prompts import load_prompt
from curator.generators.requests import Request
from curator.systems.ants.settings import AntsSettings
from curator.systems.cleaning import Cleaned
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


def without_named(proposals: Sequence[Proposal], parent: Bank, settings: AntsSettings) -> tuple[list[Proposal], int]:
    """The sentences that do not call their image by the ID label that the parent predicts for it, and how many do.

    As whole words, in the singular or the plural, or by a synonym that the bank was given. With `drop_named` any: by
    that of any ID label. Of a thousand of these some stand in half of all descriptions of scenes (valley, library).
    """
    ids = [label.text for label in parent.labels[: parent.id_count]]
    synonyms = parent.lineage.get("id", {}).get("synonyms", {})

    @cache
    def naming(label: str | None) -> re.Pattern[str]:
        labels = ids if settings.drop_named == "any" or label is None else [label]
        names = {name.replace("_", " ").lower() for text in labels for name in (text, *synonyms.get(text, ()))}
        longest_first = sorted(names, key=lambda name: (-len(name), name))
        return re.compile(rf"\b(?:{'|'.join(map(re.escape, longest_first))})(?:s|es)?\b", re.IGNORECASE)

    kept = [item for item in proposals if not naming(item.concerns).search(item.text)]
    return kept, len(proposals) - len(kept)


def sentence_account(said: int, named: int, sentences: Sequence[Proposal], cleaned: Cleaned) -> dict[str, int]:
    """What became of sentences: how many there were, how many named a class (see `without_named`), and how many of the
    others lay too near an ID label."""
    texts = {item.text.lower() for item in sentences}
    too_near = sum(text.lower() in texts for text in cleaned.dropped["too_near"])
    return {"said": said, "naming_a_class": named, "too_near_a_class": too_near}

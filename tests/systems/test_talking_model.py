"""MM-OOD and EOE with a model that talks as real ones do, over HTTP on loopback, within what it holds."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from curator.banks.nouns import common_nouns
from curator.generators import GeneratorOptions, make_generator
from curator.generators.asking import Asker
from curator.systems.eoe.learn import learn_eoe
from curator.systems.eoe.settings import EoeSettings
from curator.systems.mmood.learn import learn_mmood
from curator.systems.mmood.settings import MmoodSettings
from tests.generators.scripted import MemoryCalls
from tests.generators.talking_model import TalkingModel, talking

WORDS = list(common_nouns())
IDS = tuple(WORDS[::50][:90])


@pytest.fixture
def model():
    return TalkingModel([word for word in WORDS if word not in IDS], IDS, context=3000)


def ask(model, learn, world, settings):
    """What is learnt with the model behind the reasoner; nothing paints, and the lake is empty."""
    with talking(model) as url:
        options = GeneratorOptions(base_url=url, context_tokens=model.context)
        service = make_generator("reasoner", "endpoint:scripted", options, None)
        others = SimpleNamespace(model="features", room=None, close=lambda: None)
        asker = Asker(lambda role: others if role == "painter" else service, MemoryCalls())
        learned = learn(world, asker, settings)
        asker.release()
    assert model.refused == 0 and model.largest <= service.room
    return learned


def test_the_far_branch_gains_what_it_is_to_from_lists_of_every_kind(model, world_of):
    learned = ask(model, learn_mmood, world_of(*IDS), MmoodSettings(branch="far"))
    assert len(learned.negatives) == 12 * len(IDS)
    assert learned.account["classes_in_no_group"] < 10 and len(learned.account["groups"]) >= 9
    calls = learned.account["calls"]
    assert sum(tally["answered"] for tally in calls.values()) == sum(tally["asked"] for tally in calls.values())
    assert {"cut", "thoughts", "rambling", "json", "fenced", "bullets", "numbers", "commas"} <= model.seen.keys()
    texts = [proposal.text for proposal in learned.negatives]
    assert len(set(texts)) == len(texts) and set(texts).isdisjoint(IDS)


def test_eoe_gains_what_it_is_to_in_as_many_conversations_as_the_model_needs(model, world_of):
    learned = ask(model, learn_eoe, world_of(*IDS), EoeSettings(task="far", total=300, top_up=9))
    assert len(learned.negatives) == 300

"""Figures of systems that learn from what they score: each on streams of the ID images and one OOD set, as published.

The images of a stream are shuffled by a seed, the system begins anew with every stream, and all scores count, those of
its cold start too (AdaNeg, TANL, ANTS). ID images so have other scores beside each OOD set. How far figures move is
seen in several orders; nothing is drawn again from the images of one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from curator.errors import BankError
from curator.evaluation.figures import Scores, figures_of
from curator.evaluation.sets import EvaluationSets, ImageSet
from curator.evaluation.summary import Measured
from curator.generators.asking import Budget
from curator.store import Ledger
from curator.systems.proposals import Streamed
from curator.systems.stream import shuffled
from curator.types import Bank
from curator.workspace.context import Context
from curator.workspace.evaluate.field import Contender, bank_name
from curator.workspace.evaluate.plan import EvaluationPlan
from curator.workspace.evaluate.stream_recipe import StreamRecipe
from curator.workspace.learn.run import put_to_work
from curator.workspace.learn.world import LedgerWorld
from curator.workspace.logs import stage


@dataclass
class StreamWorld(LedgerWorld):
    """The world of one stream: the images that pass, in their order, are all that there is."""

    passing: tuple[str, ...] = ()

    @cached_property
    def arrival_order(self) -> tuple[str, ...]:
        return self.passing

    def sample_ids(self, most: int) -> list[str]:
        return sorted(self.passing)[: most or None]


def measure_streams(
    context: Context, ledger: Ledger, plan: EvaluationPlan, sets: EvaluationSets, contender: Contender
) -> Iterator[Measured]:
    """Each stream that is asked for, in each order, on the parent bank of the contender."""
    bank = contender.scorer.bank
    for recipe in map(StreamRecipe.parse, plan.request.streams):
        for order in range(plan.request.orders):
            passed = {
                name: _pass(context, ledger, bank, recipe, stream_order(sets.id, item, order))
                for name, item in sets.ood.items()
            }
            ids = {name: _scores_of(streamed, sets.id) for name, streamed in passed.items()}
            ood = {name: _scores_of(streamed, sets.ood[name]) for name, streamed in passed.items()}
            yield Measured(
                bank=bank_name(bank),
                bank_digest=bank.digest,
                method=recipe.named(order),
                method_id=recipe.method_id(order),
                figures=tuple(figures_of(ids, ood, plan.groups, replicates=0, seed=order)),
                labelled=0,
                correct=0,
                order=order,
            )


def stream_order(id_set: ImageSet, ood_set: ImageSet, order: int) -> tuple[str, ...]:
    """The images of both sets, shuffled by the seed `order`."""
    return tuple(shuffled((*id_set.image_ids, *ood_set.image_ids), order))


def _pass(context: Context, ledger: Ledger, bank: Bank, recipe: StreamRecipe, image_ids: tuple[str, ...]) -> Streamed:
    """What the images get in passing. Raises BankError where the system learns nothing of them."""
    with stage("stream") as done:
        done["images"] = len(image_ids)
        world = StreamWorld(context, ledger.database, bank, passing=image_ids)
        learned = put_to_work(world, ledger, recipe.system, recipe.settings, Budget())
    if learned.streamed is None:
        raise BankError(f"{recipe.asked} gave the images of its stream no scores")
    return learned.streamed


def _scores_of(streamed: Streamed, images: ImageSet) -> Scores:
    """The scores of a set's images, (n,), in its order."""
    place = {image_id: number for number, image_id in enumerate(streamed.image_ids)}
    return streamed.scores[[place[image_id] for image_id in images.image_ids]]

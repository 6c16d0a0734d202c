"""A reasoner as NegRefine's judge: one question a call, each word or pair asked once for ever."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from curator.banks.refine import NEAREST, Refined, nearest_labels, refine
from curator.generators.asking import Asking
from curator.generators.prompts import Slot, load_prompt
from curator.generators.requests import Request
from curator.systems.world import World


@dataclass(slots=True)
class ReasonerJudge:
    """See banks/refine.py. A call that was rejected or failed is no answer."""

    asking: Asking
    seed: int = 0
    asked: int = 0
    unanswered: int = 0

    def proper(self, words: Sequence[str]) -> list[bool]:
        return self._verdicts("is-proper-noun", [{"label": word} for word in words])

    def subcategories(self, pairs: Sequence[tuple[str, str]]) -> list[bool]:
        return self._verdicts("is-subcategory", [{"label": word, "kind": kind} for word, kind in pairs])

    def _verdicts(self, prompt: str, slots: Sequence[dict[str, Slot]]) -> list[bool]:
        requests = [Request(load_prompt(prompt), item, seed=self.seed) for item in slots]
        calls = self.asking.ask("reasoner", requests)
        self.asked += len(calls)
        self.unanswered += sum(not call.labels for call in calls)
        return [call.labels == ("yes",) for call in calls]


def refine_negatives(
    world: World, asking: Asking, *, nearest: int = NEAREST, keep: Sequence[str] = (), seed: int = 0
) -> tuple[Refined, dict[str, object]]:
    """The filter over the negatives of the world's bank, and its account."""
    parent, judge = world.parent, ReasonerJudge(asking, seed)
    words = [label.text for label in parent.labels[parent.id_count :]]
    if not words:
        return Refined(()), {}
    bare = [world.encode([text.replace("_", " ") for text in texts]) for texts in (words, parent.id_texts)]
    refined = refine(words, nearest_labels(bare[0], bare[1], nearest), parent.id_texts, judge, spared=keep)
    return refined, refined.account(words, judge)

"""EOE's outlier labels: what a language model imagines beside the ID classes, near to each or far from all.

Cao et al., Envisioning Outlier Exposure by Large Language Models for Out-of-Distribution Detection, ICML 2024. The
prompts are this package's own. A task says what is asked:

    near            one conversation an ID class: what looks like it but is not related     (3 labels a class)
    irrelevant, dissimilar   the paper's ablations of near
    far             one conversation: what resembles the classes as broad groups            (500 labels, 50 a turn)
    general         the same, for when the task is not known
    fine-grained    one conversation: other kinds of the same thing                         (500 labels, 50 a turn)

Where the classes are more than a prompt can hold, the labels come from several conversations, each of which is shown
some of the classes, evenly drawn, and together all of them as far as the turns go.

What cleaning leaves is less than what was asked for (EOE on ImageNet-1k, near: 2,994 labels become 578, not topped up).
Here a conversation that is short goes on for some rounds, and both numbers are in the account.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from curator.banks.prompts import Template, fill
from curator.generators.asking import Asking, Call
from curator.generators.prompts import Slot
from curator.generators.requests import Request
from curator.systems.cleaning import what_is_left
from curator.systems.conversations import Conversation, nothing_left, portions, tally
from curator.systems.eoe import Task
from curator.systems.eoe.settings import PER_CLASS, EoeSettings
from curator.systems.proposals import Learned, Proposal
from curator.systems.settings import id_template
from curator.systems.world import World

OPENING: dict[Task, str] = {
    "near": "near-outliers",
    "irrelevant": "near-irrelevant",
    "dissimilar": "near-dissimilar",
    "far": "far-outliers",
    "general": "far-outliers",
    "fine-grained": "fine-outliers",
}


@dataclass(slots=True)
class Thread:
    """A conversation about one ID label, or about all of them, and how many labels are wanted from it. begun: how often
    it began anew, with other classes, after so many turns."""

    conversation: Conversation
    concerns: str | None
    goal: int
    begun: int = 0

    def begin_anew(self) -> None:
        done = self.conversation
        self.conversation = Conversation(done.seed, done.opening, done.room, heard=done.heard)


@dataclass(slots=True)
class EoeSession:
    """All that was asked and heard. Proposals stand in the order in which they came, whatever they concern, so that a
    label that comes late never displaces an equal one that was there before."""

    asking: Asking
    classes: Sequence[tuple[str, ...]]
    settings: EoeSettings
    template: Template
    calls: list[Call] = field(default_factory=list)
    proposals: list[Proposal] = field(default_factory=list)

    def ask(self, counts: Sequence[tuple[Thread, int]]) -> None:
        """One turn of each of these threads that is not over, for so many labels; all asked together."""
        wanted = [(thread, min(count, self.settings.per_turn)) for thread, count in counts if count > 0]
        wanted = [(thread, count) for thread, count in wanted if not thread.conversation.over]
        if not wanted:
            return
        calls = self.asking.ask("reasoner", [self._request(thread, count) for thread, count in wanted])
        self.calls += calls
        for (thread, _), call in zip(wanted, calls, strict=True):
            for heard in thread.conversation.hear(call):
                prompt = fill(self.template, heard.text)
                source = f"eoe:{self.settings.task}"
                self.proposals.append(Proposal(heard.text, prompt, source, heard.call_id, thread.concerns))
            if thread.conversation.over and thread.concerns is None and thread.begun < len(self.classes):
                thread.begin_anew()

    def _request(self, thread: Thread, count: int) -> Request:
        """The opening, or the follow-up; that of far serves near as well, where the paper has none."""
        task = self.settings.task
        later = "fine-outliers-more" if task == "fine-grained" else "far-outliers-more"
        turns = math.ceil(thread.goal / self.settings.per_turn / len(self.classes))
        done = thread.conversation
        if thread.concerns is None and len(self.classes) > 1 and len(done.history) + done.forgotten >= turns:
            thread.begin_anew()
        begins = not thread.conversation.history
        thread.begun += begins
        classes = self.classes[(thread.begun - 1) % len(self.classes)]
        label, kind = thread.concerns or "", self.settings.kind
        slots: dict[str, Slot] = {"label": label, "classes": classes, "kind": kind, "count": count}
        return thread.conversation.request(OPENING[task] if begins else later, slots)


def learn_eoe(world: World, asking: Asking, settings: EoeSettings) -> Learned:
    """The outlier labels, at most `per_class` a class or `total` in all, in the order in which they came.

    They come of the ID labels alone. A call that was rejected or failed ends its conversation, which keeps what it has.
    Raises BankError when nothing is left, BudgetSpent and GeneratorError as `asking` does.
    """
    clean = partial(world.cleaner(settings.rules).clean, vectors_of=world.encode)
    id_texts = world.parent.id_texts
    room = asking.room("reasoner")
    threads = open_threads(id_texts, settings, room)
    template = id_template(settings.template, world.parent, "eoe")
    session = EoeSession(asking, portions(id_texts, room), settings, template)
    goal = threads[0].goal
    for asked in range(0, goal, settings.per_turn):
        session.ask([(thread, goal - asked) for thread in threads])
    cleaned = clean(session.proposals)
    rounds = 0
    while rounds < settings.top_up and (short := shortages(threads, cleaned.kept)):
        before = len(session.proposals)
        for asked in range(0, max(count for _, count in short), settings.per_turn):
            session.ask([(thread, count - asked) for thread, count in short])
        if len(session.proposals) == before:
            break
        rounds, cleaned = rounds + 1, clean(session.proposals)
    kept = within_goals(threads, cleaned.kept)
    account = {
        "task": settings.task,
        "labels_nominal": goal * len(threads),
        "labels_effective": len(kept),
        "conversations": sum(thread.begun for thread in threads),
        "turns_forgotten": sum(thread.conversation.forgotten for thread in threads),
        "calls": tally(session.calls),
        "top_up_rounds": rounds,
        "cleaning": cleaned.account(),
        "beyond_nominal": len(cleaned.kept) - len(kept),
    }
    if not kept:
        raise nothing_left("eoe", session.calls, [cleaned])
    note, is_empty = what_is_left([cleaned], [session.proposals], len(id_texts))
    return Learned(tuple(kept), account=account, thinned=note, emptied=is_empty)


def open_threads(id_texts: Sequence[str], settings: EoeSettings, room: int | None = None) -> list[Thread]:
    concerns = id_texts if settings.task in PER_CLASS else (None,)
    goal = settings.per_class if settings.task in PER_CLASS else settings.total
    return [Thread(Conversation(settings.seed, OPENING[settings.task], room), text, goal) for text in concerns]


def shortages(threads: Sequence[Thread], kept: Sequence[Proposal]) -> list[tuple[Thread, int]]:
    """The threads that go on and are short after cleaning, and by how many labels."""
    had: dict[str | None, int] = {}
    for proposal in kept:
        had[proposal.concerns] = had.get(proposal.concerns, 0) + 1
    short = [(thread, thread.goal - had.get(thread.concerns, 0)) for thread in threads if not thread.conversation.over]
    return [(thread, count) for thread, count in short if count > 0]


def within_goals(threads: Sequence[Thread], kept: Sequence[Proposal]) -> list[Proposal]:
    """Without what goes beyond the goal of its thread: a model may give more than it was asked for."""
    left = {thread.concerns: thread.goal for thread in threads}
    chosen = []
    for proposal in kept:
        if left[proposal.concerns] > 0:
            left[proposal.concerns] -= 1
            chosen.append(proposal)
    return chosen

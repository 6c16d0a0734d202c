"""MM-OOD's outlier labels: near ones from an image of each class, far ones from pictures that a painter made.

MM-OOD (arXiv 2601.14052, 2026). No code was found and of its prompts only the near one is known, so the far branch
follows what is told of it: sketch, generate, elaborate; numbers that are not known are this package's. ID images pull a
model towards the ID classes, which is what the near branch wants; the far branch shows it pictures of outliers instead.

    near   per class, a fresh conversation: an image of the class, n labels
    far    per primary category, one conversation: draft labels, the r most different of them, a picture of each,
           labels of the picture's visual world, and more of them until there are enough

All conversations take a stage together, so that a model can work in batches. Every reply is cleaned as EOE's are, the
drafts before one of them is painted as well. Images of a conversation stand in the turn that introduces them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from curator.banks.prompts import Template, fill
from curator.generators.answers import MOST_LABELS
from curator.generators.asking import Asking, Call
from curator.generators.prompts import Slot, load_prompt
from curator.generators.requests import Picture, Request, Role
from curator.methods.kernels.farthest import farthest_points
from curator.systems.cleaning import Clean
from curator.systems.conversations import Conversation, Heard, nothing_left, seed_of, tally
from curator.systems.mmood.settings import MmoodSettings
from curator.systems.proposals import Learned, Proposal
from curator.systems.settings import template_for
from curator.systems.world import World, select_images

Item = TypeVar("Item")
NEAR, FAR = "mmood:near", "mmood:far"
OTHERS = "other categories"


@dataclass(slots=True)
class Group:
    """A primary category in the far branch. drafts: what cleaning left of the sketch. chosen: what is painted of it."""

    name: str
    members: tuple[str, ...]
    conversation: Conversation
    drafts: list[Heard] = field(default_factory=list)
    chosen: list[str] = field(default_factory=list)
    pictures: list[tuple[str, Picture]] = field(default_factory=list)
    elaborated: list[Heard] = field(default_factory=list)
    rounds: int = 0

    def as_json(self) -> dict[str, object]:
        return {
            "name": self.name,
            "classes": len(self.members),
            "sketched": len(self.conversation.heard) - len(self.elaborated),
            "drafts": len(self.drafts),
            "chosen": list(self.chosen),
            "drawn": [label for label, _ in self.pictures],
            "elaborated": len(self.elaborated),
            "rounds": self.rounds,
        }


@dataclass(slots=True)
class MmoodSession:
    """What a run works with, and all that came of it: calls by stage, pictures, images shown."""

    world: World
    asking: Asking
    id_texts: tuple[str, ...]
    settings: MmoodSettings
    clean: Clean
    template: Template
    calls: dict[str, list[Call]] = field(default_factory=dict)
    pictures: list[Mapping[str, object]] = field(default_factory=list)
    used_images: set[str] = field(default_factory=set)
    account: dict[str, object] = field(default_factory=dict)

    def proposal(self, heard: Heard, source: str, concerns: str | None = None) -> Proposal:
        return Proposal(heard.text, fill(self.template, heard.text), source, heard.call_id, concerns)

    def ask(self, stage: str, requests: Sequence[Request], role: Role = "reasoner") -> list[Call]:
        """One stage of all conversations at once; no call where there is no request."""
        calls = self.asking.ask(role, requests) if requests else []
        self.calls.setdefault(stage, []).extend(calls)
        return calls


def learn_mmood(world: World, asking: Asking, settings: MmoodSettings) -> Learned:
    """The outlier labels: at most L, of mix by scores at most L of each branch; near ones first.

    From the ID labels and, for near, ID images of the reference; a class without any is asked about in words, and
    counted. A call that was rejected or failed is counted, and its class or group goes on with what it has. Raises
    BankError when nothing is left, BudgetSpent and GeneratorError as `asking` does.
    """
    clean = partial(world.cleaner(settings.rules).clean, vectors_of=world.encode)
    texts, template = world.parent.id_texts, template_for(settings.template, world.parent)
    session = MmoodSession(world, asking, texts, settings, clean, template)
    wanted = settings.label_count(len(texts))
    halved = settings.branch == "mix" and settings.mix == "labels"
    goals = {NEAR: (wanted + 1) // 2, FAR: wanted // 2} if halved else {NEAR: wanted, FAR: wanted}
    lists: dict[str, list[Proposal]] = {}
    if settings.branch != "far":
        lists[NEAR] = near_labels(session)
    if settings.branch != "near":
        lists[FAR] = far_labels(session)
    kept: list[Proposal] = []
    sizes = {}
    for source, proposals in lists.items():
        cleaned = clean(proposals)
        chosen = without_texts(cleaned.kept, kept)[: goals[source]]
        sizes[source] = {"nominal": goals[source], "effective": len(chosen), "cleaning": cleaned.account()}
        kept += chosen
    if not kept:
        raise nothing_left("mmood", (call for calls in session.calls.values() for call in calls))
    by_scores = settings.mix == "scores" and all(size["effective"] for size in sizes.values()) and len(sizes) == 2
    return Learned(
        tuple(kept),
        facts={"mix": "scores" if by_scores else "labels", "near_weight": settings.near_weight},
        account={
            "branch": settings.branch,
            "labels_nominal": sum(goals[source] for source in sizes),
            "labels_effective": len(kept),
            "labels": sizes,
            "calls": {stage: tally(calls) for stage, calls in session.calls.items()},
            **session.account,
        },
        pictures=tuple(session.pictures),
        used_images=frozenset(session.used_images),
    )


def near_labels(session: MmoodSession) -> list[Proposal]:
    """One call for each image of each class, or for a class without images; round-robin over the classes, so that
    what is cut off at the end is the tail of each rather than the last classes."""
    asked: list[tuple[str, Request]] = []
    unseen, id_images = 0, shown_images(session)
    for text in session.id_texts:
        shown = id_images.get(text, [])
        unseen += not shown
        session.used_images |= {picture.image_id for picture in shown}
        slots: dict[str, Slot] = {"label": text, "count": session.settings.near_per_class}
        fresh = Conversation(session.settings.seed)
        asked += [(text, fresh.request("near-outliers-image", slots, [picture])) for picture in shown]
        asked += [] if shown else [(text, fresh.request("near-outliers", slots))]
    calls = session.ask("near", [request for _, request in asked])
    by_class: dict[str, list[Proposal]] = {text: [] for text in session.id_texts}
    for (text, _), call in zip(asked, calls, strict=True):
        heard = (Heard(label, call.call_id) for label in call.labels)
        by_class[text] += [session.proposal(item, NEAR, text) for item in heard]
    session.account["classes_without_image"] = unseen
    return round_robin(by_class.values())


def shown_images(session: MmoodSession) -> dict[str, list[Picture]]:
    """By ID label the images that are shown of it, the best first."""
    world, by_label = session.world, dict[str, list[Picture]]()
    chosen = select_images(world.id_images, session.settings.images_per_class)
    vectors = world.reference_vectors([image.image_id for image in chosen])
    for image, vector in zip(chosen, vectors, strict=True):
        by_label.setdefault(session.id_texts[image.id_label], []).append(world.picture(image.image_id, vector))
    return by_label


def far_labels(session: MmoodSession) -> list[Proposal]:
    """Sketch, select, draw and elaborate in every group; round-robin over the groups, drafts behind all else."""
    groups = categorise(session)
    sketch(session, groups)
    select(session, groups)
    draw(session, groups)
    elaborate(session, groups, math.ceil(session.settings.label_count(len(session.id_texts)) / len(groups)))
    session.account["groups"] = [group.as_json() for group in groups]
    drafts = [group.drafts if session.settings.include_sketch else [] for group in groups]
    lists = [[*group.elaborated, *extra] for group, extra in zip(groups, drafts, strict=True)]
    return [session.proposal(heard, FAR) for heard in round_robin(lists)]


def categorise(session: MmoodSession) -> list[Group]:
    """The primary categories: at most M, and one more of the classes that none of them names, or of all where the call
    gave no groups. A class belongs to the first group that names it. Names that are no class are left out."""
    count = session.settings.group_count(len(session.id_texts))
    slots: dict[str, Slot] = {"classes": session.id_texts, "count": count}
    calls = session.ask("categorise", [Conversation(session.settings.seed).request("categorise", slots)])
    answer = calls[0].answer if calls and calls[0].status == "answered" else None
    left = {text.casefold(): text for text in session.id_texts}
    named: list[tuple[str, tuple[str, ...]]] = []
    for name, members in list(answer.groups.items())[:count] if answer else []:
        found = tuple(left.pop(member.casefold()) for member in members if member.casefold() in left)
        named += [(name, found)] if found else []
    session.account["classes_in_no_group"] = len(left)
    named += [(OTHERS, tuple(left.values()))] if left else []
    return [Group(name, members, Conversation(session.settings.seed)) for name, members in named]


def sketch(session: MmoodSession, groups: Sequence[Group]) -> None:
    """Draft labels, and what cleaning leaves of them: an ID class must not be painted as an outlier."""
    count = session.settings.sketch
    slots: list[dict[str, Slot]] = [{"group": group.name, "classes": group.members, "count": count} for group in groups]
    requests = [group.conversation.request("sketch", values) for group, values in zip(groups, slots, strict=True)]
    for group, call in zip(groups, session.ask("sketch", requests), strict=True):
        heard = group.conversation.hear(call)
        cleaned = session.clean([session.proposal(item, FAR) for item in heard])
        group.drafts = [Heard(proposal.text, call.call_id) for proposal in cleaned.kept]


def select(session: MmoodSession, groups: Sequence[Group]) -> None:
    """The representatives: entries of the list that the model named, and for those that it did not, the farthest."""
    wanted = session.settings.representatives
    asked = [group for group in groups if len(group.drafts) > wanted]
    requests = []
    for group in asked:
        labels = tuple(heard.text for heard in group.drafts)
        slots: dict[str, Slot] = {"labels": labels, "classes": session.id_texts, "count": wanted}
        requests.append(group.conversation.request("select", slots))
    fallbacks = 0
    for group in groups:
        group.chosen = [heard.text for heard in group.drafts]  # all, where there is nothing to choose
    for group, call in zip(asked, session.ask("select", requests), strict=True):
        group.conversation.remember(call)
        entries = {heard.text.casefold(): heard.text for heard in group.drafts}
        found = (label.casefold() for label in call.labels)
        group.chosen = list(dict.fromkeys(entries[key] for key in found if key in entries))[:wanted]
        if missing := wanted - len(group.chosen):
            fallbacks += 1
            left = [text for text in entries.values() if text not in group.chosen]
            group.chosen += farthest_labels(session.world, left, missing)
    session.account["select_fallbacks"] = fallbacks


def farthest_labels(world: World, labels: Sequence[str], count: int) -> list[str]:
    """The labels furthest from the ID labels and from one another, in the space of the encoder."""
    rows = farthest_points(world.encode(labels), world.parent.id_vectors, count)
    return [labels[row] for row in rows.tolist()]


def draw(session: MmoodSession, groups: Sequence[Group]) -> None:
    """A picture of each chosen label; one that two groups chose is painted once. The seed is the label's own."""
    settings = session.settings
    side = settings.size
    style = {"steps": settings.steps, "guidance": settings.guidance, "width": side, "height": side}
    labels = list(dict.fromkeys(label for group in groups for label in group.chosen))
    requests = [
        Request(load_prompt("draw"), {"label": label}, seed=seed_of(settings.seed, label), settings=style)
        for label in labels
    ]
    calls = dict(zip(labels, session.ask("draw", requests, "painter"), strict=True))
    world, asking = session.world, session.asking
    painted = {label: world.painted_picture(asking, call) for label, call in calls.items() if call.status == "answered"}
    for group in groups:
        for label in group.chosen:
            if label in painted:
                call = calls[label]
                entry = {"label": label, "group": group.name, "call_id": call.call_id, "artefact": call.artefact}
                session.pictures.append(entry)
                group.pictures.append((label, painted[label]))


def elaborate(session: MmoodSession, groups: Sequence[Group], goal: int) -> None:
    """`goal` labels of the pictures' visual world in each group that has a picture, in at most so many rounds.

    The picture is shown in the first round; the later ones have it in their history.
    """
    for number in range(session.settings.rounds):
        going = [group for group in groups if group.pictures and not group.conversation.over]
        going = [group for group in going if len(group.elaborated) < goal]
        requests = []
        for group in going:
            label = '" and "'.join(label for label, _ in group.pictures)
            count = min(goal - len(group.elaborated), MOST_LABELS)
            slots: dict[str, Slot] = {"label": label, "classes": session.id_texts, "count": count}
            shown = [picture for _, picture in group.pictures] if number == 0 else []
            prompt = "elaborate-more" if number else "elaborate"
            requests.append(group.conversation.request(prompt, slots, shown))
        for group, call in zip(going, session.ask("elaborate", requests), strict=True):
            new = group.conversation.hear(call)
            group.elaborated += new
            group.rounds += bool(new)


def round_robin(lists: Iterable[Sequence[Item]]) -> list[Item]:
    """The first of each list, then the second of each, and so on."""
    rows = list(lists)
    return [row[place] for place in range(max(map(len, rows), default=0)) for row in rows if place < len(row)]


def without_texts(proposals: Iterable[Proposal], others: Iterable[Proposal]) -> list[Proposal]:
    """The proposals whose text none of the others has, whatever its case."""
    taken = {other.text.casefold() for other in others}
    return [proposal for proposal in proposals if proposal.text.casefold() not in taken]

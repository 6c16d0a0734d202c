"""MM-OOD's far branch: primary categories, drafts of outliers, pictures of the most different ones, and more from them.

    categorise   the ID classes in groups by looks; many of them a chunk a call, by names of groups that come first
    sketch       draft labels of each group, in one conversation, in which
    select       some of them are chosen
    show         a picture of each: a painter's, or where there is none the image of the lake that lies nearest
    elaborate    labels of the picture's visual world, in a conversation for each, until the group has enough

A label that has no picture is gone on from in words, and counted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from curator.generators import EMBEDDED
from curator.generators.asking import Call
from curator.generators.prompts import Slot, SlotType, load_prompt
from curator.generators.requests import Picture, Request, Role
from curator.methods.kernels.cosines import exact_cosines, on_grid
from curator.methods.kernels.farthest import farthest_points
from curator.systems.conversations import Conversation, Heard, portions, seed_of
from curator.systems.mmood.session import FAR, MmoodSession, round_robin
from curator.systems.proposals import Proposal
from curator.systems.world import World

OTHERS = "other categories"
FEWEST = 10  # labels that are asked for in a turn, even where fewer are wanting: of some, cleaning leaves none


@dataclass(slots=True)
class Strand:
    """A chosen draft, its picture where there is one, and the conversation about it."""

    label: str
    conversation: Conversation
    picture: Picture | None = None
    turns: int = 0

    @property
    def begun(self) -> bool:
        return self.turns > 0


@dataclass(slots=True)
class Group:
    """A primary category. drafts: what cleaning left of the sketch. elaborated: all that was heard of its pictures;
    gained: what cleaning leaves of that."""

    name: str
    members: tuple[str, ...]
    conversation: Conversation
    drafts: list[Heard] = field(default_factory=list)
    chosen: list[str] = field(default_factory=list)
    strands: list[Strand] = field(default_factory=list)
    elaborated: list[Heard] = field(default_factory=list)
    gained: int = 0

    def as_json(self) -> dict[str, object]:
        return {
            "name": self.name,
            "classes": len(self.members),
            "sketched": len(self.conversation.heard),
            "drafts": len(self.drafts),
            "chosen": list(self.chosen),
            "shown": [strand.label for strand in self.strands if strand.picture is not None],
            "elaborated": len(self.elaborated),
            "gained": self.gained,
            "turns": sum(strand.turns for strand in self.strands),
            "turns_forgotten": sum(strand.conversation.forgotten for strand in self.strands),
        }


def far_labels(session: MmoodSession, wanted: int) -> list[Proposal]:
    """`wanted` labels of all groups; round-robin over these, drafts behind all else."""
    groups = categorise(session)
    goal = math.ceil(wanted / len(groups))
    sketch(session, groups)
    select(session, groups, session.settings.picture_count(goal))
    show(session, groups)
    elaborate(session, groups, goal)
    if not any(group.strands for group in groups):
        expect_rest(session, wanted)
    session.account["groups"] = [group.as_json() for group in groups]
    drafts = [group.drafts if session.settings.include_sketch else [] for group in groups]
    lists = [[*group.elaborated, *extra] for group, extra in zip(groups, drafts, strict=True)]
    return [session.proposal(heard, FAR) for heard in round_robin(lists)]


def expect_rest(session: MmoodSession, wanted: int) -> None:
    """The least that is asked where nothing is answered yet, for a plan: of each of M groups the drafts, a choice and a
    picture, and as many turns as the labels take."""
    settings, count = session.settings, len(session.id_texts)
    groups = settings.group_count(count)
    expect(session, "reasoner", "sketch", groups - 1)  # one, of all classes, is in the plan
    expect(session, "reasoner", "select", groups)
    if draws(session):
        expect(session, "painter", "draw", groups * settings.picture_count(math.ceil(wanted / groups)))
    prompt = "elaborate" if draws(session) else "elaborate-lake"
    expect(session, "viewer", prompt, math.ceil(wanted / settings.per_turn))


def expect(session: MmoodSession, role: Role, prompt: str, count: int) -> None:
    loaded = load_prompt(prompt)
    examples: dict[SlotType, Slot] = {"text": "…", "count": session.settings.per_turn, "texts": ("…",)}
    slots = {name: examples[kind] for name, kind in loaded.slots.items()}
    style = session.settings.painter if role == "painter" else {}
    session.asking.expect(role, [Request(loaded, slots, seed=number, settings=style) for number in range(count)])


# Stage 1


def categorise(session: MmoodSession) -> list[Group]:
    """The primary categories: at most M, and one more of the classes that none of them names, or of all where the calls
    gave no groups. A class belongs to the first group that names it. Names that are no class are left out."""
    count = session.settings.group_count(len(session.id_texts))
    left = {text.casefold(): text for text in session.id_texts}
    found: dict[str, list[str]] = {}
    if len(left) <= session.settings.per_turn or session.asking.room("reasoner") is None:
        slots: dict[str, Slot] = {"classes": session.id_texts, "count": count}
        request = session.conversation("reasoner", "categorise").request("categorise", slots)
        take_groups(session.ask("categorise", [request], "reasoner"), found, left, count)
    else:
        names = name_groups(session, count)
        if not names:
            expect(session, "reasoner", "assign-groups", math.ceil(len(left) / session.settings.per_turn))
        for _ in range(2 if names else 0):  # what the first round left out is asked about once more
            requests = [assigning(session, names, chunk) for chunk in chunks(session, list(left.values()))]
            take_groups(session.ask("categorise", requests, "reasoner"), found, left, count)
    session.account["classes_in_no_group"] = len(left)
    groups = [(name, tuple(members)) for name, members in found.items()]
    groups += [(OTHERS, tuple(left.values()))] if left else []
    return [Group(name, members, session.conversation("reasoner", "sketch")) for name, members in groups]


def take_groups(calls: Sequence[Call], found: dict[str, list[str]], left: dict[str, str], most: int) -> None:
    """Moves the classes that the answers name from `left` into `found`, by the name of their group, of at most so many;
    a group whose name differs by case alone is the same."""
    spelt = {name.casefold(): name for name in found}
    answers = [call.answer for call in calls if call.status == "answered" and call.answer is not None]
    for name, members in (item for answer in answers for item in answer.groups.items()):
        own = [key for member in dict.fromkeys(members) if (key := member.casefold()) in left]
        if own and (name.casefold() in spelt or len(spelt) < most):
            texts = found.setdefault(spelt.setdefault(name.casefold(), name), [])
            texts += [left.pop(key) for key in dict.fromkeys(own)]


def name_groups(session: MmoodSession, count: int) -> tuple[str, ...]:
    """The names of groups, after as many of the classes as a prompt may list, evenly drawn."""
    shown = portions(session.id_texts, session.asking.room("reasoner"))[0]
    slots: dict[str, Slot] = {"classes": shown, "count": count}
    request = session.conversation("reasoner", "name-groups").request("name-groups", slots)
    (call,) = session.ask("categorise", [request], "reasoner")
    return call.labels[:count]


def chunks(session: MmoodSession, texts: Sequence[str]) -> list[tuple[str, ...]]:
    size = session.settings.per_turn
    return [tuple(texts[start : start + size]) for start in range(0, len(texts), size)]


def assigning(session: MmoodSession, names: tuple[str, ...], classes: tuple[str, ...]) -> Request:
    slots: dict[str, Slot] = {"groups": names, "classes": classes}
    return session.conversation("reasoner", "assign-groups").request("assign-groups", slots)


# Stages 2 and 3


def sketch(session: MmoodSession, groups: Sequence[Group]) -> None:
    """Draft labels, and what cleaning leaves of them: an ID class must not be shown as an outlier."""
    requests = []
    for group in groups:
        shown = portions(group.members, group.conversation.room)[0]
        slots: dict[str, Slot] = {"group": group.name, "classes": shown, "count": session.settings.sketch}
        requests.append(group.conversation.request("sketch", slots))
    for group, call in zip(groups, session.ask("sketch", requests, "reasoner"), strict=True):
        group.drafts = session.cleaned(group.conversation.hear(call), FAR)


def select(session: MmoodSession, groups: Sequence[Group], wanted: int) -> None:
    """The representatives: entries of the list that the model named, and for those that it did not, the farthest."""
    offered = {group.name: group.drafts[: session.settings.sketch] for group in groups}  # some models ramble on
    asked = [group for group in groups if len(offered[group.name]) > wanted]
    requests = []
    for group in asked:
        labels = tuple(heard.text for heard in offered[group.name])
        slots: dict[str, Slot] = {"labels": labels, "classes": classes_for(session, group), "count": wanted}
        requests.append(group.conversation.request("select", slots))
    fallbacks = 0
    for group in groups:
        group.chosen = [heard.text for heard in offered[group.name]]  # all, where there is nothing to choose
    for group, call in zip(asked, session.ask("select", requests, "reasoner"), strict=True):
        group.conversation.remember(call)
        entries = {heard.text.casefold(): heard.text for heard in offered[group.name]}
        found = (label.casefold() for label in call.labels)
        group.chosen = list(dict.fromkeys(entries[key] for key in found if key in entries))[:wanted]
        if missing := wanted - len(group.chosen):
            fallbacks += 1
            left = [text for text in entries.values() if text not in group.chosen]
            group.chosen += farthest_labels(session.world, left, missing)
    session.account["select_fallbacks"] = fallbacks


def classes_for(session: MmoodSession, group: Group) -> tuple[str, ...]:
    """All ID classes where a prompt may list them, else those of the group, thinned out where these are too many."""
    room = group.conversation.room
    (whole, *more) = portions(session.id_texts, room)
    return portions(group.members, room)[0] if more else whole


def farthest_labels(world: World, labels: Sequence[str], count: int) -> list[str]:
    """The labels furthest from the ID labels and from one another, in the space of the encoder."""
    rows = farthest_points(world.encode(labels), world.parent.id_vectors, count)
    return [labels[row] for row in rows.tolist()]


# Stage 4


def show(session: MmoodSession, groups: Sequence[Group]) -> None:
    """A strand for each label that is gone on from, with its picture where there is one."""
    painted = draw(session, groups) if draws(session) else {}
    known = {key: heard for group in groups for key, heard in group.conversation.heard.items()}
    without = 0
    for group in groups:
        pictures = {label: painted[label] for label in group.chosen if label in painted}
        pictures = pictures if draws(session) else find(session, group)
        labels = [*pictures, *(label for label in group.chosen if label not in pictures)][: len(group.chosen)]
        for label in labels:
            picture = pictures.get(label)
            role: Role = "reasoner" if picture is None else "viewer"
            opening = "elaborate" if draws(session) else "elaborate-lake"
            opening = "elaborate-words" if picture is None else opening
            conversation = session.conversation(role, opening)
            conversation.history = group.conversation.history
            conversation.heard = known  # what one strand was told, no other is told again
            group.strands.append(Strand(label, conversation, picture))
            without += picture is None
    session.account["without_picture"] = without


def draws(session: MmoodSession) -> bool:
    """Whether there is a painter that makes pictures of a text."""
    return session.asking.model("painter").partition(":")[0] not in EMBEDDED


def draw(session: MmoodSession, groups: Sequence[Group]) -> dict[str, Picture]:
    """A picture of each chosen label; one that two groups chose is painted once. The seed is the label's own."""
    settings = session.settings
    labels = list(dict.fromkeys(label for group in groups for label in group.chosen))
    requests = [
        Request(load_prompt("draw"), {"label": label}, seed=seed_of(settings.seed, label), settings=settings.painter)
        for label in labels
    ]
    calls = dict(zip(labels, session.ask("draw", requests, "painter"), strict=True))
    world, asking = session.world, session.asking
    painted = {label: world.painted_picture(asking, call) for label, call in calls.items() if call.status == "answered"}
    for group in groups:
        for label in (label for label in group.chosen if label in painted):
            call = calls[label]
            entry = {"label": label, "group": group.name, "call_id": call.call_id, "artefact": call.artefact}
            session.pictures.append(entry)
    return painted


def find(session: MmoodSession, group: Group) -> dict[str, Picture]:
    """By label the nearest image of the lake, for the chosen drafts and, where one has none, for others.

    An image that lies nearer to an ID label than to the draft is passed over: ID images draw a model back to the ID
    classes, which is what this branch avoids. None is shown twice.
    """
    labels = list(dict.fromkeys([*group.chosen, *(heard.text for heard in group.drafts)]))
    if not labels:
        return {}
    world, found = session.world, dict[str, Picture]()
    prompts = [session.proposal(Heard(label, ""), FAR).prompt for label in labels]
    texts = world.encode(prompts)
    rows = world.neighbours(texts, session.settings.neighbours)
    for label, text, row in zip(labels, texts, rows, strict=True):
        ids = [image_id for image_id, _ in row if image_id not in session.used_images]
        if len(found) == len(group.chosen) or not ids:
            continue
        vectors = world.lake_vectors(ids)
        images = on_grid(vectors)
        own = exact_cosines(images, on_grid(text[None]))[:, 0]
        nearer = own > exact_cosines(images, on_grid(world.parent.id_vectors)).max(axis=1)
        if nearer.any():
            place = int(nearer.argmax())  # the nearest: neighbours come in that order
            session.used_images.add(ids[place])
            found[label] = world.picture(ids[place], vectors[place])
    return found


# Stage 5


def elaborate(session: MmoodSession, groups: Sequence[Group], goal: int) -> None:
    """`goal` labels, after cleaning, of the visual world of each group's pictures, in at most so many rounds; then in
    words, where labels without a picture are left and the group is short.

    The picture is shown in the first round; the later ones have it in their history.
    """
    roles: tuple[Role, Role] = ("viewer", "reasoner")
    for role in roles:
        number = 0
        while turns := next_turns(session, groups, goal, role, number):
            requests = [turn_about(session, group, strand, count) for group, strand, count in turns]
            for (group, strand, _), call in zip(turns, session.ask("elaborate", requests, role), strict=True):
                new = strand.conversation.hear(call)
                strand.turns += bool(new)
                group.elaborated += new
                group.gained += len(session.cleaned(new, FAR))
            number += 1


def next_turns(
    session: MmoodSession, groups: Sequence[Group], goal: int, role: Role, number: int
) -> list[tuple[Group, Strand, int]]:
    """Which strands go on in this round, and for how many labels: all of them first, then by turns as many as it takes
    to fill what their group is short of. What is more than that is cut off at the end."""
    settings, turns = session.settings, list[tuple[Group, Strand, int]]()
    for group in groups:
        live = [strand for strand in group.strands if (strand.picture is not None) == (role == "viewer")]
        short, most = goal - group.gained, settings.most_rounds(goal, max(1, len(live)))
        live = [strand for strand in live if not strand.conversation.over]
        if short > 0 and live and number < most:
            first = number % len(live)
            asked = [*live[first:], *live[:first]][: math.ceil(short / settings.per_turn) if number else None]
            count = min(settings.per_turn, max(FEWEST, math.ceil(short / len(asked))))
            turns += [(group, strand, count) for strand in asked]
    return turns


def turn_about(session: MmoodSession, group: Group, strand: Strand, count: int) -> Request:
    conversation = strand.conversation
    slots: dict[str, Slot] = {"label": strand.label, "classes": classes_for(session, group), "count": count}
    if not strand.begun:
        shown = [] if strand.picture is None else [strand.picture]
        return conversation.request(conversation.opening, slots, shown)
    return conversation.request("far-outliers-more" if strand.picture is None else "elaborate-more", slots)

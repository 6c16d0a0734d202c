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
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self, TypeAlias, TypeVar, get_args

from curator.banks import checks
from curator.banks.checks import Check, read_table
from curator.banks.prompts import fill
from curator.generators.answers import MOST_LABELS
from curator.generators.asking import Asking, Call
from curator.generators.prompts import Slot, load_prompt
from curator.generators.requests import Picture, Request, Role
from curator.systems.cleaning import Clean, Cleaned, CleaningRules
from curator.systems.conversations import Conversation, Heard, nothing_left, seed_of, tally
from curator.systems.limits import between, check_fields, or_none, out_of, positive_count, template_name, template_of
from curator.systems.proposals import Learned, Proposal

Branch: TypeAlias = Literal["near", "far", "mix"]
Farthest: TypeAlias = Callable[[Sequence[str], int], Sequence[str]]  # labels and how many of them to choose
Item = TypeVar("Item")
NEAR, FAR = "mmood:near", "mmood:far"
OTHERS = "other categories"
PER_CLASS = 12  # labels a class of the far table: L = 12 K
MOST_GROUPS = 10


@dataclass(frozen=True, slots=True)
class MmoodSettings:
    """branch: near, far, or both (mix). near_per_class: n labels of each image of a class; total: L labels, None for
    12 a class. groups: M primary categories, None for max(1, min(10, ceil(K / 10))).

    sketch: draft labels a group; representatives: r of them are painted (LLaVA-1.5 knows one image a conversation);
    rounds: of elaboration, the first included; include_sketch: drafts become labels where elaboration left room.
    mix: labels, half of L from each branch in one softmax, or scores, L of each and their scores averaged, that of near
    with `near_weight`. images_per_class: images shown of each class, each in its own conversation.
    steps, guidance, size: of the painter, for Stable Diffusion 1.5. max_cosine, word_overlap: see `CleaningRules`.
    """

    branch: Branch = "mix"
    near_per_class: int = PER_CLASS
    total: int | None = None
    groups: int | None = None
    sketch: int = 20
    representatives: int = 1
    rounds: int = 5
    include_sketch: bool = True
    mix: Literal["labels", "scores"] = "labels"
    near_weight: float = 0.5
    images_per_class: int = 1
    steps: int = 50
    guidance: float = 7.5
    size: int = 512
    template: str | tuple[str, ...] | None = None
    word_overlap: bool = False
    max_cosine: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        check_fields(self, _CHECKS, "mmood")

    @classmethod
    def resolve(cls, table: Mapping[str, Any], *, where: str = "mmood") -> Self:
        """Raises ConfigError that names an unknown key or a bad value."""
        return cls(**read_table(table, _CHECKS, where))

    @property
    def rules(self) -> CleaningRules:
        return CleaningRules(word_overlap=self.word_overlap, max_cosine=self.max_cosine)

    def label_count(self, id_count: int) -> int:
        """L."""
        return self.total or PER_CLASS * id_count

    def group_count(self, id_count: int) -> int:
        """M."""
        return min(id_count, self.groups or max(1, min(MOST_GROUPS, math.ceil(id_count / 10))))

    def proposal(self, heard: Heard, source: str, concerns: str | None = None) -> Proposal:
        prompt = fill(template_of(self.template or "photo"), heard.text)
        return Proposal(heard.text, prompt, source, heard.call_id, concerns)


_CHECKS: dict[str, Check] = {
    "branch": out_of(*get_args(Branch)),
    "near_per_class": positive_count,
    "total": or_none(positive_count),
    "groups": or_none(positive_count),
    "sketch": positive_count,
    "representatives": positive_count,
    "rounds": positive_count,
    "include_sketch": checks.flag,
    "mix": out_of("labels", "scores"),
    "near_weight": between(0, 1),
    "images_per_class": positive_count,
    "steps": positive_count,
    "guidance": between(0, 100),
    "size": positive_count,
    "template": or_none(template_name),
    "word_overlap": checks.flag,
    "max_cosine": or_none(between(-1, 1)),
    "seed": checks.count,
}


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

    def as_json(self) -> dict[str, Any]:
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
class Session:
    """What a run works with, and all that came of it: calls by stage, pictures, images shown."""

    asking: Asking
    id_texts: tuple[str, ...]
    settings: MmoodSettings
    clean: Clean
    calls: dict[str, list[Call]] = field(default_factory=dict)
    pictures: list[Mapping[str, Any]] = field(default_factory=list)
    used_images: set[str] = field(default_factory=set)
    account: dict[str, Any] = field(default_factory=dict)

    def ask(self, stage: str, requests: Sequence[Request], role: Role = "reasoner") -> list[Call]:
        """One stage of all conversations at once; no call where there is no request."""
        calls = self.asking.ask(role, requests) if requests else []
        self.calls.setdefault(stage, []).extend(calls)
        return calls


def learn_mmood(
    asking: Asking,
    id_texts: Sequence[str],
    id_images: Mapping[str, Sequence[Picture]],
    settings: MmoodSettings,
    clean: Clean,
    picture_of: Callable[[Call], Picture],
    *,
    farthest: Farthest,
) -> Learned:
    """The outlier labels: at most L, of mix by scores at most L of each branch; near ones first.

    id_images: ID images by label, the best first; a class without any is asked about in words. picture_of: what a
    painter's call made, for a reasoner to look at. farthest: chooses among drafts where the model does not (see
    `farthest_points`). A call that was rejected or failed is counted, and its class or group goes on with what it has.
    Raises BankError when nothing is left, BudgetSpent and GeneratorError as `asking` does.
    """
    session = Session(asking, tuple(id_texts), settings, clean)
    wanted = settings.label_count(len(id_texts))
    halved = settings.branch == "mix" and settings.mix == "labels"
    goals = {NEAR: (wanted + 1) // 2, FAR: wanted // 2} if halved else {NEAR: wanted, FAR: wanted}
    lists: dict[str, list[Proposal]] = {}
    if settings.branch != "far":
        lists[NEAR] = near_labels(session, id_images)
    if settings.branch != "near":
        lists[FAR] = far_labels(session, picture_of, farthest)
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


def near_labels(session: Session, id_images: Mapping[str, Sequence[Picture]]) -> list[Proposal]:
    """One call for each image of each class, or for a class without images; round-robin over the classes, so that
    what is cut off at the end is the tail of each rather than the last classes."""
    asked: list[tuple[str, Request]] = []
    unseen = 0
    for text in session.id_texts:
        shown = list(id_images.get(text, ()))[: session.settings.images_per_class]
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
        by_class[text] += [session.settings.proposal(item, NEAR, text) for item in heard]
    session.account["classes_without_image"] = unseen
    return round_robin(by_class.values())


def far_labels(session: Session, picture_of: Callable[[Call], Picture], farthest: Farthest) -> list[Proposal]:
    """Sketch, select, draw and elaborate in every group; round-robin over the groups, drafts behind all else."""
    groups = categorise(session)
    sketch(session, groups)
    select(session, groups, farthest)
    draw(session, groups, picture_of)
    elaborate(session, groups, math.ceil(session.settings.label_count(len(session.id_texts)) / len(groups)))
    session.account["groups"] = [group.as_json() for group in groups]
    drafts = [group.drafts if session.settings.include_sketch else [] for group in groups]
    lists = [[*group.elaborated, *extra] for group, extra in zip(groups, drafts, strict=True)]
    return [session.settings.proposal(heard, FAR) for heard in round_robin(lists)]


def categorise(session: Session) -> list[Group]:
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


def sketch(session: Session, groups: Sequence[Group]) -> None:
    """Draft labels, and what cleaning leaves of them: an ID class must not be painted as an outlier."""
    count = session.settings.sketch
    slots: list[dict[str, Slot]] = [{"group": group.name, "classes": group.members, "count": count} for group in groups]
    requests = [group.conversation.request("sketch", values) for group, values in zip(groups, slots, strict=True)]
    for group, call in zip(groups, session.ask("sketch", requests), strict=True):
        heard = group.conversation.hear(call)
        cleaned: Cleaned = session.clean([session.settings.proposal(item, FAR) for item in heard])
        group.drafts = [Heard(proposal.text, call.call_id) for proposal in cleaned.kept]


def select(session: Session, groups: Sequence[Group], farthest: Farthest) -> None:
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
            group.chosen += farthest([text for text in entries.values() if text not in group.chosen], missing)
    session.account["select_fallbacks"] = fallbacks


def draw(session: Session, groups: Sequence[Group], picture_of: Callable[[Call], Picture]) -> None:
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
    painted = {label: picture_of(call) for label, call in calls.items() if call.status == "answered"}
    for group in groups:
        for label in group.chosen:
            if label in painted:
                call = calls[label]
                entry = {"label": label, "group": group.name, "call_id": call.call_id, "artefact": call.artefact}
                session.pictures.append(entry)
                group.pictures.append((label, painted[label]))


def elaborate(session: Session, groups: Sequence[Group], goal: int) -> None:
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

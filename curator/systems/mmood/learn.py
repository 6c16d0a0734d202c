"""MM-OOD's outlier labels: near ones from an image of each class, far ones from pictures of what was sketched.

MM-OOD (arXiv 2601.14052, 2026). No code was found and of its prompts only the near one is known, so the far branch
follows what is told of it: sketch, generate, elaborate; numbers that are not known are this package's. ID images pull a
model towards the ID classes, which is what the near branch wants; the far branch shows it pictures of outliers instead.

    near   per class, a fresh conversation: an image of the class, n labels
    far    per primary category: draft labels, the r most different of them, a picture of each, and in a conversation
           about each picture labels of its visual world, and more of them until there are enough (see far.py)

The reasoner has the text (categories, drafts, the choice), the viewer all turns that a picture stands in; one model may
be both. All conversations take a stage together, so that a model can work in batches. Every reply is cleaned as EOE's
are, the drafts before one of them is shown as well.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial

from curator.generators.asking import Asking
from curator.generators.prompts import Slot
from curator.generators.requests import Picture, Request, Role
from curator.systems.cleaning import Clean, what_is_left
from curator.systems.conversations import Conversation, Heard, nothing_left, tally
from curator.systems.mmood.far import far_labels
from curator.systems.mmood.session import FAR, NEAR, MmoodSession, round_robin
from curator.systems.mmood.settings import MmoodSettings
from curator.systems.proposals import Learned, Proposal
from curator.systems.settings import id_template
from curator.systems.world import World, select_images


def learn_mmood(world: World, asking: Asking, settings: MmoodSettings) -> Learned:
    """The outlier labels: at most L, of mix by scores at most L of each branch; near ones first.

    From the ID labels and, for near, ID images of the reference; a class without any is asked about in words, and
    counted. A call that was rejected or failed is counted, and its class or group goes on with what it has. Raises
    BankError when nothing is left, BudgetSpent and GeneratorError as `asking` does.
    """
    near_rules = replace(settings.rules, look_alikes=True)
    cleaning: dict[str, Clean] = {
        source: partial(world.cleaner(rules).clean, vectors_of=world.encode)
        for source, rules in ((NEAR, near_rules), (FAR, settings.rules))
    }
    texts, template = world.parent.id_texts, id_template(settings.template, world.parent, "mmood")
    session = MmoodSession(world, asking, texts, settings, cleaning[FAR], template)
    wanted = settings.label_count(len(texts))
    halved = settings.branch == "mix" and settings.mix == "labels"
    goals = {NEAR: (wanted + 1) // 2, FAR: wanted // 2} if halved else {NEAR: wanted, FAR: wanted}
    lists: dict[str, list[Proposal]] = {}
    if settings.branch != "far":
        lists[NEAR] = near_labels(session)
    if settings.branch != "near":
        lists[FAR] = far_labels(session, goals[FAR])
    kept: list[Proposal] = []
    sizes, washed = {}, []
    for source, proposals in lists.items():
        cleaned = cleaning[source](proposals)
        washed.append(cleaned)
        chosen = without_texts(cleaned.kept, kept)[: goals[source]]
        sizes[source] = {"nominal": goals[source], "effective": len(chosen), "cleaning": cleaned.account()}
        kept += chosen
    if not kept:
        raise nothing_left("mmood", (call for calls in session.calls.values() for call in calls), washed)
    by_scores = settings.mix == "scores" and all(size["effective"] for size in sizes.values()) and len(sizes) == 2
    note, is_empty = what_is_left(washed, lists.values(), len(texts))
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
        thinned=note,
        emptied=is_empty,
    )


def near_labels(session: MmoodSession) -> list[Proposal]:
    """One call for each image of each class, or for a class without images; round-robin over the classes, so that
    what is cut off at the end is the tail of each rather than the last classes."""
    asked: dict[Role, list[tuple[str, Request]]] = {"viewer": [], "reasoner": []}
    unseen, id_images = 0, shown_images(session)
    for text in session.id_texts:
        shown = id_images.get(text, [])
        unseen += not shown
        session.used_images |= {picture.image_id for picture in shown}
        slots: dict[str, Slot] = {"label": text, "count": session.settings.near_per_class}
        fresh = Conversation(session.settings.seed)
        asked["viewer"] += [(text, fresh.request("near-outliers-image", slots, [picture])) for picture in shown]
        asked["reasoner"] += [] if shown else [(text, fresh.request("near-outliers", slots))]
    by_class: dict[str, list[Proposal]] = {text: [] for text in session.id_texts}
    for role, items in asked.items():
        calls = session.ask("near", [request for _, request in items], role)
        for (text, _), call in zip(items, calls, strict=True):
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


def without_texts(proposals: Iterable[Proposal], others: Iterable[Proposal]) -> list[Proposal]:
    """The proposals whose text none of the others has, whatever its case."""
    taken = {other.text.casefold() for other in others}
    return [proposal for proposal in proposals if proposal.text.casefold() not in taken]

"""SynOOD: images of the ID classes repainted until they no longer belong, and what is learnt at that boundary.

SynOOD, ICCV 2025 (arXiv 2507.10225), after its code (commit e13114e); where the paper has it otherwise it is said. The
negatives of the parent bank stay as they are. Stages:

    select     per class the images with the most bytes a pixel
    contexts   what each of them shows besides its subject
    paint      the image again under that text, away from its class
    assign     each painted image to its nearest negative label
    learn      a projection of images, and new vectors of the assigned labels (see training.py)

All that costs much is a call, so a run that was cut off goes on where it stopped; learning takes minutes on a CPU.
Not taken over: ratios sorted as strings, labels in the order of a hash, an answer cut in the middle of a word.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from curator.banks.audit import nearest
from curator.banks.prompts import lines_of
from curator.errors import BankError
from curator.generators.asking import Asking, Call
from curator.generators.painter_settings import ZERO_SHOT
from curator.generators.prompts import Prompt, load_prompt
from curator.generators.requests import Picture, Request
from curator.methods.kernels.cosines import on_grid
from curator.methods.kernels.projection import BIAS, GAIN, SHIFT, WEIGHT
from curator.methods.layers import TUNED_LABELS, TUNED_VECTORS
from curator.systems.conversations import nothing_left, seed_of, tally
from curator.systems.proposals import Learned
from curator.systems.synood.settings import SynoodSettings
from curator.systems.world import IdImage, World, select_images
from curator.types import Bank, Vectors

if TYPE_CHECKING:
    from curator.systems.synood.training import ResidualProjection, Tuned

MARKER = re.compile(r"\((?:a|p|ip)\)(?!\w)|[\[\]]")  # WordNet's of adjectives; its brackets where they were left over
WORD = re.compile(r"[^\W_]+")
SHORTEST_WORD = 3  # of a class name that is looked for: `bird of paradise` is not recognised by `of`
FAINT_WORDS = frozenset({"the", "and", "with", "for"})


@dataclass(frozen=True)
class Assigned:
    """labels: (M',) the negatives in use, ascending. rows: (n,) of each image the index into `labels`, -1 where it is
    not used. cosines: (n,) to its nearest negative."""

    labels: NDArray[np.int64]
    rows: NDArray[np.int64]
    cosines: NDArray[np.float64]


@dataclass(frozen=True)
class PaintedPhotos:
    """Images of one or more painters' calls that were answered. sources: (n,) the ID label each was painted from."""

    photos: tuple[IdImage, ...]
    pictures: tuple[Picture, ...]
    calls: tuple[Call, ...]
    vectors: Vectors

    @property
    def sources(self) -> NDArray[np.int64]:
        return np.array([photo.id_label for photo in self.photos], dtype=np.int64)

    @property
    def own_vectors(self) -> Vectors:
        """(n, d) of the images that were painted over."""
        return np.array([picture.vector for picture in self.pictures], dtype=np.float32)

    def take(self, kept: NDArray[np.bool_]) -> PaintedPhotos:
        places = np.flatnonzero(kept).tolist()
        photos, pictures = [self.photos[place] for place in places], [self.pictures[place] for place in places]
        return PaintedPhotos(
            tuple(photos), tuple(pictures), tuple(self.calls[place] for place in places), self.vectors[kept]
        )


def learn_synood(world: World, asking: Asking, settings: SynoodSettings) -> Learned:
    """The projection and the tuned labels; all negatives of the parent are inherited, so that "tuned.labels" are
    places among its labels and among those of the bank alike.

    An image without context, or whose call was rejected or failed, is left out and counted. Raises BankError for a
    parent without negatives, without ID images, and when nothing was painted.
    """
    images, parent = world.id_images, world.parent
    check_possible(images, parent)
    photos = select_images(images, settings.per_class)
    account: dict[str, object] = {"selected": len(photos), "classes": len({photo.id_label for photo in photos})}
    painted = paint_all(world, asking, photos, settings, account)
    least = own_cosines(painted, parent) if settings.require_nearer else None
    assigned = assign_labels(painted.vectors, parent.negative_vectors, nearer_than=least)
    used = assigned.rows >= 0
    account |= {"assigned": int(used.sum()), "not_nearer": int((~used).sum()), "labels_used": len(assigned.labels)}
    if not used.any():
        raise BankError("synood: every painted image is nearer to its own class than to any negative label")
    places = parent.id_count + assigned.labels
    painted, rows = painted.take(used), assigned.rows[used]
    projection, tuned = learn(world, painted, places, rows, settings)
    account |= {"projection_losses": list(projection.losses), "tuning_losses": list(tuned.losses)}
    return Learned(
        (),
        parameters={
            WEIGHT: projection.weight,
            BIAS: projection.bias,
            GAIN: projection.gain,
            SHIFT: projection.shift,
            TUNED_LABELS: places,
            TUNED_VECTORS: tuned.vectors,
        },
        facts={"scale": scale_of(parent, settings), "tuned_labels": len(places)},
        account=account,
        pictures=tuple(picture_rows(parent, painted, places[rows])),
        used_images=frozenset(photo.image_id for photo in photos),
        inherited=tuple(range(parent.id_count, len(parent.labels))),
    )


def check_possible(images: Sequence[IdImage], parent: Bank) -> None:
    """Raises BankError, before anything is asked, where nothing could be learnt."""
    if parent.id_count == len(parent.labels):
        raise BankError(f"synood: bank {parent.name} has no negative labels to assign", hint="give another `parent`")
    if not images:
        raise BankError("synood: there are no ID images to paint", hint="give some with `reference`")


def picture_rows(parent: Bank, painted: PaintedPhotos, places: NDArray[np.int64]) -> Iterator[dict[str, object]]:
    """What each painted image shows: the negative label that it was assigned to, and the class it was painted from."""
    for place, photo, call in zip(places.tolist(), painted.photos, painted.calls, strict=True):
        texts = {"label": parent.labels[place].text, "group": parent.labels[photo.id_label].text}
        yield {**texts, "call_id": call.call_id, "artefact": call.artefact}


def paint_all(
    world: World, asking: Asking, photos: Sequence[IdImage], settings: SynoodSettings, account: dict[str, object]
) -> PaintedPhotos:
    """Stages 2 and 3 for the chosen images. Raises BankError when nothing was painted."""
    own = world.reference_vectors([photo.image_id for photo in photos])
    pictures = [world.picture(photo.image_id, vector) for photo, vector in zip(photos, own, strict=True)]
    names = names_of(world.parent)
    subjects = [(picture, names[photo.id_label]) for picture, photo in zip(pictures, photos, strict=True)]
    contexts, asked = learn_contexts(asking, subjects, settings)
    with_context = [place for place, context in enumerate(contexts) if context]
    open_ones = [place for place, call in enumerate(asked[: len(photos)]) if call.status == "failed"]
    asking.expect("painter", painting([(pictures[place], "…") for place in open_ones], settings))
    calls = paint(asking, [(pictures[place], contexts[place]) for place in with_context], settings)
    account["contexts"] = {**tally(asked), "without": len(photos) - len(with_context)}
    account["painted"] = tally(calls)
    guides = Counter(str(call.facts.get("guide", ZERO_SHOT)) for call in calls if call.status == "answered")
    account["guides"] = dict(guides)
    done = [(place, call) for place, call in zip(with_context, calls, strict=True) if call.status == "answered"]
    if not done:
        raise nothing_left("synood", [*asked, *calls])
    vectors = world.painted_vectors(asking, [call for _, call in done])
    if len(vectors) != len(done):
        raise BankError(f"synood: {len(done)} painted images have {len(vectors)} vectors instead of one each")
    return PaintedPhotos(
        tuple(photos[place] for place, _ in done),
        tuple(pictures[place] for place, _ in done),
        tuple(call for _, call in done),
        vectors,
    )


def learn(
    world: World, painted: PaintedPhotos, places: NDArray[np.int64], rows: NDArray[np.int64], settings: SynoodSettings
) -> tuple[ResidualProjection, Tuned]:
    """Stages 5 and 6. places: (M',) of the labels in use in the bank; rows: (n,) of each image, into `places`.

    The text vectors of stage 5 are the bank's own, so that images are projected for what they are compared with.
    """
    from curator.systems.synood.training import train_projection, tune_labels

    parent = world.parent
    scale = scale_of(parent, settings)
    texts = np.concatenate([parent.id_vectors, parent.vectors[places]])
    projection = train_projection(
        painted.own_vectors, painted.sources, painted.vectors, parent.id_count + rows, texts, scale, settings
    )
    prompts = [parent.labels[place].prompt or parent.labels[place].text for place in places.tolist()]
    features = text_features(world, [without_markers(prompt) for prompt in prompts])
    return projection, tune_labels(painted.vectors, rows, features, scale, settings)


def text_features(world: World, prompts: Sequence[str]) -> NDArray[np.float32]:
    """As the text tower gives them, (n, d), of any norm; of an ensemble the mean."""
    lines = [lines_of(prompt) for prompt in prompts]
    raw = world.encoder.encode_texts([line for group in lines for line in group], normalised=False)
    means = [part.mean(axis=0) for part in np.split(raw, np.cumsum([len(group) for group in lines])[:-1])]
    return np.stack(means).astype(np.float32)


def scale_of(parent: Bank, settings: SynoodSettings) -> float:
    return parent.logit_scale if settings.scale is None else settings.scale


def names_of(parent: Bank) -> list[tuple[str, ...]]:
    """Each ID label with its other names, as far as the bank knows them."""
    synonyms = parent.lineage.get("id", {}).get("synonyms", {})
    return [(label.text, *synonyms.get(label.text, ())) for label in parent.labels[: parent.id_count]]


# Stage 2


def learn_contexts(
    asking: Asking, subjects: Sequence[tuple[Picture, tuple[str, ...]]], settings: SynoodSettings
) -> tuple[list[str], list[Call]]:
    """subjects: pictures with the names of what they are of. The context of each, empty where there is none, and calls.

    Where the answer holds nothing but the subject it is asked for once more, with another seed.
    """
    contexts = [""] * len(subjects)
    calls: list[Call] = []
    prompt = load_prompt("list-elements")
    for attempt in range(2):
        left = [place for place, context in enumerate(contexts) if not context]
        if attempt:
            left = [place for place in left if calls[place].status == "answered"]
        requests = [
            Request(
                prompt,
                {"label": subjects[place][1][0], "count": settings.elements},
                pictures=(subjects[place][0],),
                seed=settings.seed + attempt,
            )
            for place in left
        ]
        found = asking.ask("describer", requests) if requests else []
        calls += found
        for place, call in zip(left, found, strict=True):
            elements = call.labels[: settings.elements]
            contexts[place] = context_of(elements, subjects[place][1], most=settings.context_characters)
    return contexts, calls


def context_of(elements: Iterable[str], names: Iterable[str], *, most: int = 73) -> str:
    """The elements that hold no word of the class's names, joined by commas, in at most so many characters.

    What does not fit is cut between words: the code cuts the model's whole answer at 73 characters, where it falls.
    """
    own = {stem for name in names for stem in stems(name) if len(stem) >= SHORTEST_WORD and stem not in FAINT_WORDS}
    joined = ", ".join(element.strip(" ,") for element in elements if not stems(element) & own and element.strip(" ,"))
    if len(joined) <= most:
        return joined
    cut = joined[: most + 1].rpartition(" ")[0]
    return cut.rstrip(" ,")


def stems(text: str) -> set[str]:
    """Its words without case and plural ending."""
    words = WORD.findall(text.casefold())
    return {word[:-1] if word.endswith("s") and not word.endswith("ss") and len(word) > 3 else word for word in words}


# Stage 3


def paint(asking: Asking, shown: Sequence[tuple[Picture, str]], settings: SynoodSettings) -> list[Call]:
    """A call for each picture with its context."""
    return asking.ask("painter", painting(shown, settings)) if shown else []


def painting(shown: Sequence[tuple[Picture, str]], settings: SynoodSettings) -> list[Request]:
    """What is asked of the painter. The seed is the picture's own, whatever else is painted with it."""
    prompt = painter_prompt(settings.template)
    return [
        Request(
            prompt,
            {"context": context},
            pictures=(picture,),
            seed=seed_of(settings.seed, picture.image_id),
            settings=settings.painter,
        )
        for picture, context in shown
    ]


def painter_prompt(template: str) -> Prompt:
    """The shipped prompt, or the same with a wording of one's own."""
    shipped = load_prompt("inpaint")
    return shipped if template.strip() == shipped.text.strip() else replace(shipped, text=template)


# Stage 4


def assign_labels(
    vectors: Vectors, negative_vectors: Vectors, *, nearer_than: NDArray[np.float64] | None = None
) -> Assigned:
    """vectors: (n, d), negative_vectors: (M, d), unit norm. The nearest of all M negatives, of equal ones the first.

    nearer_than: (n,), leaves out images whose cosine to it is not larger. Which labels are in use is returned in
    ascending order and kept with the bank; the code's order is that of a set of strings, another one in every process.
    """
    chosen, best = nearest(on_grid(vectors), on_grid(negative_vectors))
    used = np.ones(len(vectors), dtype=bool) if nearer_than is None else best > nearer_than
    labels = np.unique(chosen[used]).astype(np.int64)
    rows = np.where(used, np.searchsorted(labels, chosen), -1).astype(np.int64)
    return Assigned(labels, rows, best)


def own_cosines(painted: PaintedPhotos, parent: Bank) -> NDArray[np.float64]:
    """(n,), of painted images to their own class: one that is not nearer to its negative was moved too little."""
    cosines: NDArray[np.float64] = np.einsum(
        "nd,nd->n", on_grid(painted.vectors), on_grid(parent.id_vectors[painted.sources])
    )
    return cosines


def without_markers(prompt: str) -> str:
    """A prompt without what WordNet writes at words: `[rhizoidal`, or the (p) of adjectives that only follow a noun.

    The released list holds twelve of them, one of which got 1,819 of 50,000 images.
    """
    return "\n".join(" ".join(MARKER.sub("", line).split()) for line in prompt.split("\n"))

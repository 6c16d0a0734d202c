"""The figures of a bank and its methods, on images as they are and on the same images saved alike."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from curator.decode import SavedFormat
from curator.errors import StoreError, UsageError
from curator.evaluation.figures import Scores, figures_of
from curator.evaluation.formats import Form, Formats, SameFormat, fixed_format, spread
from curator.evaluation.labels import id_label_accuracy
from curator.evaluation.sets import EvaluationSets, ImageSet
from curator.evaluation.summary import Measured
from curator.methods import Method
from curator.store import Ledger
from curator.types import Bank, Vectors
from curator.workspace.context import Context
from curator.workspace.evaluate.field import Contender, Field, bank_name
from curator.workspace.evaluate.plan import EvaluationPlan
from curator.workspace.evaluate.resaving import measured_formats, resaved_vectors, shortest_sides
from curator.workspace.judge.policies import scored_by
from curator.workspace.judge.scoring import Scorer, bind_reference, score_stored
from curator.workspace.logs import stage
from curator.workspace.scan.request import ScanWatcher

SetScores: TypeAlias = Callable[[ImageSet], tuple[Scores, Sequence[int]]]  # log-odds, nearest ID labels


def measure_as_is(
    context: Context, ledger: Ledger, plan: EvaluationPlan, sets: EvaluationSets, contender: Contender
) -> Iterator[Measured]:
    """Score what has no score yet under a bank and its methods, and measure each of them."""
    bank = contender.scorer.bank
    every = {image_id for item in sets.all for image_id in item.image_ids}
    score_stored(ledger, contender.scorer, context.layout.vectors(bank.encoder_id), only=every)
    for place, method in enumerate(contender.scorer.methods):

        def scores(images: ImageSet, method: Method = method) -> tuple[Scores, Sequence[int]]:
            return _stored_scores(ledger, bank, method, images)

        yield _measured(plan, sets, contender, place, "as_is", scores)


@dataclass(frozen=True, slots=True)
class SavedAlike:
    """The images of an evaluation saved alike: their vectors by id, those of the reference images too, and how."""

    vectors: Mapping[str, NDArray[np.float32]]
    sets: EvaluationSets
    used: SameFormat

    @classmethod
    def make(
        cls,
        context: Context,
        ledger: Ledger,
        asked: str,
        sets: EvaluationSets,
        field: Field,
        watcher: ScanWatcher,
    ) -> SavedAlike:
        """Raises UsageError when no image of a set can be read again."""
        known = field.reference_ids | set(sets.id.image_ids)
        every = sorted(known.union(*(item.image_ids for item in sets.all)))
        sides = shortest_sides(ledger.database, every)
        unsaved: list[str] = []
        with stage("same_format") as done:
            if fixed := fixed_format(asked):
                formats = Formats.fixed(fixed)
            else:
                formats = _drawn(measured_formats(context, ledger.database, sides), known, sets)
            wanted = {image_id: formats.of(image_id) for image_id in every}
            vectors = resaved_vectors(
                context, ledger.database, wanted, encoder_id=field.encoder_id, watcher=watcher, unsaved=unsaved
            )
            done["images"] = len(vectors)
        kept = sets.only(vectors)
        for item in kept.all:
            if not item.image_ids:
                raise UsageError(f"no image of the set {item.name} could be saved again: {unsaved[0]}")
        return cls(vectors, kept, _used(asked, wanted, sides, kept, unsaved))

    def stack(self, image_ids: Sequence[str]) -> Vectors:
        """The vectors of images, (n, d), in their order."""
        return np.stack([self.vectors[image_id] for image_id in image_ids])


def _drawn(as_is: Mapping[str, SavedFormat], known: Collection[str], sets: EvaluationSets) -> Formats:
    others = ([as_is[name] for name in item.image_ids if name in as_is] for item in sets.ood.values())
    own = {image_id: as_is[image_id] for image_id in known if image_id in as_is}
    if not own:
        raise UsageError("no ID image can be read again", hint="are their sources still there?")
    return Formats.drawn(own, others)


def _used(
    asked: str,
    wanted: Mapping[str, SavedFormat],
    sides: Mapping[str, int],
    sets: EvaluationSets,
    unsaved: Sequence[str],
) -> SameFormat:
    measured = [wanted[image_id] for item in sets.all for image_id in item.image_ids]
    enlarged = {item.name: sum(wanted[name].side > sides[name] for name in item.image_ids) for item in sets.all}
    side, quality = spread(item.side for item in measured), spread(item.quality for item in measured)
    return SameFormat(asked, side, quality, enlarged, tuple(unsaved))


def measure_alike(plan: EvaluationPlan, alike: SavedAlike, contender: Contender) -> Iterator[Measured]:
    """The same on the images saved alike; the reference, where a method needs it, is saved like the ID images."""
    if not contender.asked:
        return
    scorer = _alike(alike, contender.scorer)
    tables = {item.name: scorer.score(item.image_ids, alike.stack(item.image_ids)) for item in alike.sets.all}
    for place in range(len(scorer.methods)):

        def scores(images: ImageSet, place: int = place) -> tuple[Scores, Sequence[int]]:
            table = tables[images.name][place]
            return table.log_odds, table.id_label.tolist()

        yield _measured(plan, alike.sets, contender, place, "same_format", scores)


def _alike(alike: SavedAlike, scorer: Scorer) -> Scorer:
    if scorer.reference is None:
        return scorer
    came_with = zip_longest(scorer.reference.image_ids, scorer.reference.labels)
    labels = {image_id: label for image_id, label in came_with if image_id in alike.vectors}
    vectors = alike.stack(tuple(labels))
    reference = replace(scorer.reference, image_ids=tuple(labels), vectors=vectors, labels=tuple(labels.values()))
    return Scorer(scorer.bank, bind_reference(scorer.methods, reference, scorer.bank), reference, scorer.device)


def _measured(
    plan: EvaluationPlan, sets: EvaluationSets, contender: Contender, place: int, form: Form, scores: SetScores
) -> Measured:
    bank, method = contender.scorer.bank, contender.scorer.methods[place]
    log_odds, nearest = scores(sets.id)
    ood_scores = {name: scores(item)[0] for name, item in sets.ood.items()}
    replicates, seed = plan.request.replicates, plan.request.seed
    correct, labelled = id_label_accuracy(nearest, sets.id.labels, bank.id_texts)
    return Measured(
        bank=bank_name(bank),
        bank_digest=bank.digest,
        method=contender.asked[place],
        method_id=method.method_id,
        figures=tuple(figures_of(log_odds, ood_scores, plan.groups, replicates=replicates, seed=seed)),
        labelled=labelled,
        correct=correct,
        form=form,
    )


def _stored_scores(ledger: Ledger, bank: Bank, method: Method, images: ImageSet) -> tuple[Scores, list[int]]:
    """Log-odds, because id_score saturates, and nearest ID labels of a set's images: (n,) each, in its order."""
    positions = np.arange(len(images.image_ids))
    wanted = pa.table({"position": positions, "image_id": pa.array(images.image_ids, pa.string())})
    with ledger.database.incoming(evaluated=wanted):
        found = ledger.database.table("list_evaluated_scores", **scored_by(bank, method))
    if not np.array_equal(found["position"].to_numpy(), positions):
        raise StoreError(
            f"{found.num_rows} scores for the {len(positions)} images of {images.name} under {method.method_id}",
            hint="see `curator doctor --check`",
        )
    return found["log_odds"].to_numpy(), found["id_label"].to_pylist()

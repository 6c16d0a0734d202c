"""Whether the method of a calibration would do better with the reference images beside the labels: fusion with kNN,
compared on the user's own images. Each reference image is measured against the others.

Fusion is no better by nature: with a few references of many classes the nearest ones are of other classes. So it is
offered with what it gains on images that people decided, and only where that is more than chance.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from curator.encoders import suited_score
from curator.methods import Method, resolve_method
from curator.methods.members.fusion import Fusion
from curator.methods.members.neglabel import NegLabel
from curator.methods.spec import MethodSpec, format_parameter
from curator.metrics import auroc, interval
from curator.store import Database
from curator.types import Bank
from curator.workspace.context import Context
from curator.workspace.judge.reference import ReferenceSet, load_reference, read_set
from curator.workspace.judge.scoring import Scorer, bind_reference

FEWEST = 10  # images decided OOD, and reference images beyond the nearest ones that fusion looks at
REPLICATES = 200
Scores = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class FusionGain:
    """AUROC of the method as it is and of its fusion with kNN, of reference and reviewed ID images (`ids`) against
    reviewed OOD images (`oods`); `low` and `high` bound the gain with 95 % confidence."""

    ids: int
    oods: int
    plain: float
    fused: float
    low: float
    high: float

    @property
    def better(self) -> bool:
        """Whether the gain is more than chance."""
        return self.low > 0


def advise(context: Context, database: Database, scorer: Scorer) -> str:
    """One line for whoever calibrated: what was calibrated, whether it suits the encoder, and what to do next."""
    method, address = scorer.method, context.config.encoder.address
    suited = suited_score(address, scorer.bank.id_count)
    about = f"{suited.method} suits {address} and {scorer.bank.id_count} ID labels: {suited.why}"
    same = MethodSpec.parse(suited.method).parameters.items() <= _written(method).items()
    chosen = (
        about if method.name == suited.method.partition(":")[0] and same else f"{method.name}, as asked for; {about}"
    )
    fusion = _on_fusion(context, database, scorer)
    return chosen if fusion is None else f"{chosen}. With a reference: {fusion}"


def _on_fusion(context: Context, database: Database, scorer: Scorer) -> str | None:
    """What fusion with kNN gains; None for a method that looks at references already, and where they are too few."""
    method = scorer.method
    fusion = fusion_of(method, scorer.bank)
    if fusion is None:
        return None
    folder = context.layout.vectors(scorer.bank.encoder_id)
    reference = load_reference(database, folder, scorer.bank.encoder_id)
    if len(reference) < fusion.k + FEWEST:
        return None
    spoken = f"fusion with the {fusion.k} nearest reference images"
    rows = database.rows("list_reviewed_vectors", encoder_id=scorer.bank.encoder_id)
    ids, oods = ([row for row in rows if row["decision"] == decision] for decision in ("id", "ood"))
    if len(oods) < FEWEST:
        return f"{spoken} can be compared when {FEWEST} images are decided OOD: curator app, then calibrate again"
    known = set(reference.image_ids)
    fresh = [row for row in ids if row["image_id"] not in known]
    members = ReferenceSet(reference.image_ids, reference.vectors)
    if fresh:
        reviewed = read_set(folder, fresh)
        joined = (*members.image_ids, *reviewed.image_ids)
        members = ReferenceSet(joined, np.concatenate([members.vectors, reviewed.vectors]))
    fused = bind_reference((fusion,), reference, scorer.bank)[0]
    both = replace(scorer, methods=(method, fused), reference=reference)
    gain = gain_of(both, members, read_set(folder, oods))
    figures = (
        f"AUROC {100 * gain.fused:.1f} instead of {100 * gain.plain:.1f} ({100 * (gain.fused - gain.plain):+.1f}, "
        f"95 % within {100 * gain.low:+.1f} and {100 * gain.high:+.1f}), {gain.ids} reference and reviewed ID images "
        f"against {gain.oods} reviewed OOD ones"
    )
    if not gain.better:
        return f"{spoken} is no better here: {figures}"
    name = scorer.bank.name
    asked = MethodSpec.of(fusion).name
    return f"{spoken} is better: {figures}; next: curator calibrate --method {asked}, curator use {name} {asked}"


def _written(method: Method) -> dict[str, str]:
    """The parameters of a method as text."""
    return {name: format_parameter(value) for name, value in MethodSpec.of(method).parameters.items()}


def fusion_of(method: Method, bank: Bank) -> Fusion | None:
    """Fusion with the method's own text side where that is NegLabel's, else with NegLabel as it is by default; None for
    what looks at reference images, and for a bank without negatives."""
    if method.needs.of_reference or len(bank.labels) == bank.id_count:
        return None
    own = MethodSpec.of(method).parameters if type(method) is NegLabel else {}
    found = resolve_method(MethodSpec("fusion", own), bank)
    assert isinstance(found, Fusion)
    return found


def gain_of(both: Scorer, ids: ReferenceSet, oods: ReferenceSet) -> FusionGain:
    """both: a scorer of the two methods, whose reference is in `ids`: each image is compared with the others of it.

    The interval is of paired bootstrap replicates: both methods see the same draw.
    """
    tables, others = (both.score(images.image_ids, images.vectors) for images in (ids, oods))
    sides = [(table.log_odds, other.log_odds) for table, other in zip(tables, others, strict=True)]
    plain, fused = (auroc(*side) for side in sides)
    low, high = interval(_gains(sides))
    return FusionGain(len(ids), len(oods), plain, fused, low, high)


def _gains(sides: list[tuple[Scores, Scores]]) -> Scores:
    """What the second gains over the first in AUROC, (REPLICATES,)."""
    draws = np.random.default_rng(0)
    (ids, oods), found = sides[0], []
    for _ in range(REPLICATES):
        rows, others = draws.integers(len(ids), size=len(ids)), draws.integers(len(oods), size=len(oods))
        plain, fused = (auroc(id_scores[rows], ood_scores[others]) for id_scores, ood_scores in sides)
        found.append(fused - plain)
    return np.array(found)

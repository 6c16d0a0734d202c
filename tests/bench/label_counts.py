"""How methods compare with 3, 10, 50, 200 and 1,000 ID labels, on vectors that were made before.

A task has ID labels, ID images of some of them, and OOD images. ID images are thumbnails, which no part of the
embedded encoder was fitted to. The 50 kinds of object are among those that it was trained to name (it names 99.7 % of
their photographs), so they are OOD here and never ID: with them as ID every method is nearly perfect. 3, 10 and 50
labels are drawn several times from the 200 kinds of thumbnails and averaged, since a few classes say little; 1,000 are
the names of ImageNet-1k. An OOD image whose own label WordNet has as a name of an ID label, or as more or less general
by up to two steps, is in no task: it may belong. Half of the ID images, chosen by the digests of their names, are
measured; of the others, methods that compare with images know `REFERENCES`.

    from tests.bench import label_counts
    images = label_counts.from_arrays(Path("folder of one .npz a set"))
    label_counts.print_rows(label_counts.measure_counts(images, encoder, cache, {"base": spec}, {"base": methods}))
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from curator.banks import TextCache, build_bank
from curator.banks.kinship import Kinship
from curator.banks.spec import parse_spec
from curator.banks.wordnet.lexicon import load_wordnet, word_key
from curator.errors import UsageError
from curator.evaluation.figures import Scores
from curator.methods import MethodSpec, resolve_method
from curator.metrics import measure
from curator.policy.default import default_policy
from curator.types import Bank, Encoder, Vectors
from curator.vectors import at_rest
from curator.workspace.judge.reference import ReferenceSet
from curator.workspace.judge.scoring import Scorer, bind_reference

COUNTS = (3, 10, 50, 200, 1000)
DRAWS = {3: 5, 10: 3, 50: 2}  # of tasks with so many labels
REFERENCES = 200  # ID images at most that kNN and fusion compare with
ID_SET = "tiny64"
NEAR = (ID_SET, "objects", "imagenette")  # other things, of the same archive or like photographs of it
FIGURES = ("auroc", "near", "far", "fpr95_id_positive", "fpr95_ood_positive", "accuracy", "flagged")
# Sets of one kind, whose images came without a label.
WHOLE = {"brain-mri": "brain", "terminal": "colour chart"}
# Folder names that are no words.
NAMES = {
    "faces easy": "face",
    "car side": "car",
    "cougar face": "cougar",
    "crocodile head": "crocodile",
    "flamingo head": "flamingo",
    "airplanes": "airplane",
    "outwear": "coat",
    "longsleeve": "shirt",
}


@dataclass(frozen=True)
class Images:
    """Images of one set: vectors (n, d) unit float32, the name of what each shows, and a name for each image."""

    vectors: Vectors
    labels: NDArray[np.str_]
    names: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.vectors)

    def where(self, chosen: NDArray[np.bool_]) -> Images:
        return Images(self.vectors[chosen], self.labels[chosen], self.names[chosen])

    @classmethod
    def joined(cls, parts: Sequence[Images]) -> Images:
        return cls(
            *(np.concatenate([getattr(part, name) for part in parts]) for name in ("vectors", "labels", "names"))
        )


@dataclass(frozen=True)
class Task:
    """ID labels, the ID images that are measured and those that are known beforehand, and OOD images by set."""

    id_labels: tuple[str, ...]
    id: Images
    reference: Images
    ood: Mapping[str, Images]


@dataclass(frozen=True)
class Row:
    """Means over the draws of a task, 0–1: AUROC and both FPR95 over all OOD sets (each counts the same), AUROC against
    near and against far ones, the share of ID images whose nearest ID label is their own, and the share of them that
    is flagged before a calibration: 0 for methods that flag nothing then."""

    labels: int
    bank: str
    method: str
    auroc: float
    near: float
    far: float
    fpr95_id_positive: float
    fpr95_ood_positive: float
    accuracy: float
    flagged: float


def from_arrays(folder: Path, *, prefix: str = "") -> dict[str, Images]:
    """Sets from files `<prefix><set>.npz` with `vectors`, `labels` and `names`."""
    found = {}
    for path in sorted(folder.glob("*.npz")):
        name = path.stem.removeprefix(prefix)
        if path.stem == prefix + name and "-" not in name.removesuffix("-mri"):
            arrays = np.load(path)
            found[name] = named(name, arrays["vectors"], arrays["labels"], arrays["names"])
    return found


def named(set_name: str, vectors: Vectors, labels: Sequence[str], names: Sequence[str]) -> Images:
    """A set, its labels as words; a set whose images have none is a label itself."""
    words = [word_key(label) if label else word_key(set_name) for label in labels]
    words = [WHOLE.get(set_name, word) for word in words]
    given = [f"{set_name}/{name}" for name in names]
    return Images(at_rest(vectors), np.array([NAMES.get(word, word) for word in words]), np.array(given))


def tasks(images: Mapping[str, Images], count: int) -> list[Task]:
    """The tasks of so many ID labels."""
    kinds = sorted(set(images[ID_SET].labels.tolist()))
    if count <= len(kinds):
        draws = [np.random.default_rng([count, draw]).permutation(kinds)[:count] for draw in range(DRAWS.get(count, 1))]
        return [_task(images, sorted(labels.tolist())) for labels in draws]
    from open_clip import IMAGENET_CLASSNAMES

    return [_task(images, list({word_key(name): name for name in IMAGENET_CLASSNAMES}.values()))]


def _task(images: Mapping[str, Images], id_labels: Sequence[str]) -> Task:
    keys = {word_key(label) for label in id_labels}
    kinship = Kinship(list(id_labels), {}, load_wordnet())
    thumbnails = images[ID_SET]
    known = thumbnails.where(np.array([word_key(label) in keys for label in thumbnails.labels]))
    kin = {label: bool(kinship.of(label)) for part in images.values() for label in set(part.labels.tolist())}
    others = {name: part.where(np.array([not kin[label] for label in part.labels])) for name, part in images.items()}
    if len(id_labels) > len(set(thumbnails.labels.tolist())) // 2:  # what is left is ID by names that WordNet has not
        del others[ID_SET]
    ood = {name: part for name, part in others.items() if len(part) >= 30}
    half = np.array([hashlib.sha256(name.encode()).digest()[0] % 2 == 0 for name in known.names])
    reference = known.where(half)
    few = np.random.default_rng(0).permutation(len(reference))[:REFERENCES]
    return Task(tuple(id_labels), known.where(~half), reference.where(np.isin(np.arange(len(reference)), few)), ood)


def unlike(id_labels: Sequence[str], folders: Sequence[Path]) -> tuple[Path, ...]:
    """The folders whose name is no name of an ID label for WordNet, nor more or less general by up to two steps."""
    kinship = Kinship(list(id_labels), {}, load_wordnet())
    return tuple(folder for folder in folders if not kinship.of(folder.name))


def mined(encoder: Encoder, cache: TextCache, id_labels: Sequence[str], spec: str, *, name: str = "base") -> Bank:
    """The bank of a spec (TOML) for these ID labels."""
    data = tomllib.loads(spec)
    data = {**data, "name": name, "id": {**data.get("id", {}), "labels": list(id_labels)}}
    return build_bank(parse_spec(data, where="the spec"), encoder, root=Path(), text_cache=cache)


def score_sets(
    bank: Bank, methods: Sequence[str], task: Task
) -> Iterator[tuple[str, Scores, dict[str, Scores], float]]:
    """Each method with the log-odds of the ID images and of each OOD set, and the share of the former whose nearest ID
    label is their own."""
    reference = ReferenceSet(tuple(task.reference.names.tolist()), task.reference.vectors)
    resolved = tuple(resolve_method(MethodSpec.parse(method), bank) for method in methods)
    if any(method.needs.neighbours for method in resolved):
        resolved = bind_reference(resolved, reference, bank)
    scorer = Scorer(bank, resolved, reference, "cpu")
    tables = {name: scorer.score(part.names.tolist(), part.vectors) for name, part in {"": task.id, **task.ood}.items()}
    keys = np.array([word_key(label) for label in bank.id_texts])
    for place, method in enumerate(methods):
        own = tables[""][place]
        right = float(np.mean(keys[own.id_label] == np.array([word_key(label) for label in task.id.labels])))
        yield method, own.log_odds, {name: tables[name][place].log_odds for name in task.ood}, right


def measure_counts(
    images: Mapping[str, Images],
    encoder: Encoder,
    cache: TextCache,
    specs: Mapping[str, str],
    methods: Mapping[str, Sequence[str]],
    *,
    counts: Sequence[int] = COUNTS,
) -> Iterator[Row]:
    """A row for each number of labels, bank (spec by name) and method of that bank."""
    for count in counts:
        found = tasks(images, count)
        for name, spec in specs.items():
            rows: dict[str, list[Row]] = {}
            for task in found:
                bank = mined(encoder, cache, task.id_labels, spec, name=name)
                for method, ids, ood, right in score_sets(bank, methods[name], task):
                    flagged = flagged_at_first(bank, method, ids)
                    rows.setdefault(method, []).append(_row(count, name, method, ids, ood, (right, flagged)))
            yield from map(_mean, rows.values())


def flagged_at_first(bank: Bank, method: str, ids: Scores) -> float:
    """The share of ID images that the policy `default` flags."""
    try:
        policy = default_policy(bank, resolve_method(method, bank), rule="label_for_label")
    except UsageError:  # the method has no cut of its own
        return 0.0
    return float(policy.flags(ids).mean())


def _mean(draws: Sequence[Row]) -> Row:
    return replace(draws[0], **{key: float(np.nanmean([getattr(row, key) for row in draws])) for key in FIGURES})


def _row(
    count: int, bank: str, method: str, ids: Scores, ood: Mapping[str, Scores], shares: tuple[float, float]
) -> Row:
    figures = {name: measure(ids, scores) for name, scores in ood.items()}

    def mean(metric: str, names: Sequence[str]) -> float:
        return float(np.mean([figures[name][metric] for name in names])) if names else float("nan")

    near, far = [name for name in figures if name in NEAR], [name for name in figures if name not in NEAR]
    every = [*near, *far]
    return Row(
        count,
        bank,
        method,
        mean("auroc", every),
        mean("auroc", near),
        mean("auroc", far),
        mean("fpr95_id_positive", every),
        mean("fpr95_ood_positive", every),
        *shares,
    )


def print_rows(rows: Iterator[Row] | Sequence[Row]) -> None:
    """In percent, one a line."""
    for row in rows:
        figures = "  ".join(f"{100 * getattr(row, key):6.1f}" for key in FIGURES)
        print(f"{row.labels:5d}  {row.bank:12s} {row.method:28s} {figures}", flush=True)

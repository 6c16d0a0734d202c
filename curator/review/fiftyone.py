"""Reviews as a FiftyOne dataset on disk: `metadata.json`, `samples.json`, and the pictures in `data/`.

Written as FiftyOne's loader takes it without a version of its own database, which it brings up to date itself; read
back from what `dataset.export(dataset_type=fo.types.FiftyOneDataset)` writes. A decision is the label of the field
`decision`, or a tag of the sample, since tagging is what the app is quick at; the tag goes first, being the later.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from curator.errors import UsageError
from curator.review.reviews import DECISIONS, FIELDS, Item, Line
from curator.review.tables import json_of

SAMPLES = "samples.json"
FACTS = ("uri", "name", "images", "flagged", "id_score", "why", "ruled_by")


def samples_bytes(items: Sequence[Item], pictures: Mapping[str, str]) -> bytes:
    """`samples.json`. pictures: the path of each item's picture in the dataset, by image id."""
    samples = [_sample(item, pictures[item["image_id"]]) for item in items if item["image_id"] in pictures]
    return json.dumps({"samples": samples}, indent=1, default=str).encode()


def metadata_bytes() -> bytes:
    info = {"description": "Images to review; decisions: " + ", ".join(DECISIONS)}
    return json.dumps({"media_type": "image", "info": info, "default_classes": list(DECISIONS)}, indent=1).encode()


def _sample(item: Item, path: str) -> dict[str, object]:
    facts = {name: item[name] for name in (*FACTS, *FIELDS) if item.get(name) is not None and name != "decision"}
    return {
        "filepath": path,
        "tags": [],
        "metadata": None,
        **facts,
        "decision": _classification(item.get("decision")),
        "nearest_id": _classification(item.get("top_id")),
        "nearest_negative": _classification(item.get("top_negative")),
    }


def _classification(label: str | None) -> dict[str, object] | None:
    return None if label is None else {"_cls": "Classification", "tags": [], "label": label}


def read_samples(folder: Path) -> Iterator[Line]:
    """The samples of a dataset folder. Raises UsageError when there is no `samples.json` of that form."""
    path = folder / SAMPLES
    found = json_of(path)
    samples = found.get("samples") if isinstance(found, dict) else None
    if not isinstance(samples, list):
        raise UsageError(f"{path}: has no list `samples`", hint="export it as fo.types.FiftyOneDataset")
    for number, sample in enumerate(samples, start=1):
        where = f"sample {number}"
        yield _read(where, sample) if isinstance(sample, dict) else Line(where, {}, "it is no JSON object")


def _read(where: str, sample: Mapping[str, object]) -> Line:
    given = sample.get("tags") or []
    if not isinstance(given, list):
        return Line(where, {"image_id": sample.get("image_id")}, "its tags are no list")
    tags = [tag for tag in given if tag in DECISIONS]
    field = sample.get("decision")
    label = field.get("label") if isinstance(field, dict) else field
    fields = {name: sample.get(name) for name in FIELDS}
    fields["decision"] = tags[0] if tags else label
    if tags and tags[0] != label:
        fields["reviewed_at"] = None  # of the decision that the tag replaces
    return Line(where, fields, f"it has several tags that decide: {', '.join(tags)}" if len(tags) > 1 else None)

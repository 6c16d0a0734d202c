"""Photographs of ../shared/data with what is on them, and whether a name is right: by WordNet, not by taste."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from PIL import Image

from curator.banks.wordnet import Synset, load_wordnet
from curator.decode import fit
from curator.types import Encoder, Vectors

THINGS = {
    *("noun.Tops", "noun.animal", "noun.artifact", "noun.body", "noun.food", "noun.object", "noun.plant"),
    *("noun.substance", "noun.phenomenon", "noun.person", "noun.location", "noun.group", "noun.shape"),
    "noun.communication",
}
# What the labels of the sets mean, where that is not the first sense of the label itself as a thing: WordNet's words,
# each with the file that has their senses. Yin and yang are no thing.
SCENES = {"buildings": "building:artifact", "forest": "forest:object forest:group", "sea": "sea:object ocean:object"}
GARMENTS = {
    "dress": "frock:artifact",
    "pants": "trouser:artifact",
    "shoes": "shoe:artifact",
    "shorts": "short_pants:artifact",
    "outwear": "overgarment:artifact",
    "hat": "chapeau:artifact",
    "t-shirt": "tee_shirt:artifact",
    "longsleeve": "tee_shirt:artifact shirt:artifact sweater:artifact",
}
OBJECTS = {
    "Faces_easy": "human_face:body person:Tops",
    "airplanes": "airplane:artifact",
    "anchor": "anchor:artifact",
    "bass": "bass:animal",
    "beaver": "beaver:animal",
    "binocular": "field_glasses:artifact",
    "brain": "brain:body",
    "car_side": "car:artifact",
    "ceiling_fan": "fan:artifact",
    "cougar_face": "cougar:animal",
    "crab": "crab:animal",
    "crocodile_head": "crocodile:animal",
    "dolphin": "dolphin:animal",
    "flamingo_head": "flamingo:animal",
    "lobster": "lobster:animal",
    "menorah": "candelabrum:artifact",
    "nautilus": "nautilus:animal",
    "panda": "giant_panda:animal",
    "rhino": "rhinoceros:animal",
    "rooster": "rooster:animal",
    "sea_horse": "seahorse:animal",
    "stegosaurus": "stegosaur:animal",
    "stop_sign": "street_sign:communication",
    "strawberry": "strawberry:food strawberry:plant",
    "wild_cat": "wildcat:animal",
}
MEANINGS = {**SCENES, **GARMENTS, **OBJECTS}
NO_THING = {"yin_yang"}
SETS = ("scenes", "garments", "objects")


@cache
def meanings(label: str) -> tuple[Synset, ...]:
    """The senses of a label of the sets."""
    wordnet = load_wordnet()
    if label in MEANINGS:
        pairs = [pair.partition(":")[::2] for pair in MEANINGS[label].split()]
        return tuple(sense for word, kind in pairs for sense in senses_of(word, f"noun.{kind}"))
    return (next(sense for sense in wordnet.synsets(label, "noun") if sense.lexname in THINGS),)


def senses_of(word: str, kind: str) -> list[Synset]:
    return [sense for sense in load_wordnet().synsets(word, "noun") if sense.lexname == kind]


@cache
def is_right(name: str, label: str) -> bool:
    """Whether WordNet has a sense of the name, as a thing, that is the label's, under it, or beside it under one."""
    wordnet = load_wordnet()
    true = {sense.synset_id for sense in meanings(label)}
    parents = {above.synset_id for sense in meanings(label) for above in wordnet.hypernyms(sense)}
    for sense in wordnet.synsets(name, "noun"):
        if sense.lexname in THINGS:
            above = {parent.synset_id for parent in wordnet.hypernyms(sense)}
            if true & kinds_of(sense.synset_id) or parents & above:
                return True
    return False


@cache
def kinds_of(synset_id: str) -> frozenset[str]:
    """Ids of a sense and of all that it is a kind of."""
    wordnet = load_wordnet()
    above = wordnet.hypernyms(wordnet.synset(synset_id))
    return frozenset([synset_id]).union(*(kinds_of(sense.synset_id) for sense in above))


def photographs(data: Path, *, every: int = 1) -> Mapping[str, list[tuple[str, bytes]]]:
    """Each set's images with their labels, of so many one."""
    found = {"scenes": _rows(data / "scenes.parquet"), "garments": _rows(data / "clothing.parquet")}
    objects = sorted((data / "objects-folder").rglob("*.jpg"))
    found["objects"] = ((path.parent.name, path.read_bytes()) for path in objects if path.parent.name not in NO_THING)
    return {name: list(images)[::every] for name, images in found.items()}


def _rows(path: Path) -> Iterator[tuple[str, bytes]]:
    return ((row["label"], row["image"]["bytes"]) for row in pq.read_table(path).to_pylist())


def embedded(encoder: Encoder, images: list[bytes]) -> Vectors:
    """(n, d)."""
    parts = []
    for start in range(0, len(images), encoder.batch_size):
        opened = (Image.open(io.BytesIO(data)).convert("RGB") for data in images[start : start + encoder.batch_size])
        parts.append(encoder.encode_images(np.stack([fit(image, encoder.preprocess) for image in opened])))
    return np.concatenate(parts)

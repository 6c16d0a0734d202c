"""What a system sees of a workspace: images of the lake and of the reference, their neighbours, and generators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property, partial
from itertools import groupby
from threading import Lock

import numpy as np
import pyarrow as pa

from curator.banks import TextCache
from curator.banks.wordnet import load_wordnet
from curator.errors import UsageError
from curator.generators import GeneratorOptions, make_generator, role_behind
from curator.generators.asking import Asking, Call
from curator.generators.requests import Generator, Picture, Role
from curator.generators.surroundings import Surroundings
from curator.lake import ImagePlace, content_id
from curator.methods import BankScorer, resolve_method
from curator.methods.kernels.cosines import exact_cosines, on_grid
from curator.store import Database
from curator.systems.cleaning import Cleaner, CleaningRules
from curator.systems.world import IdImage, LakeSample, Suspects
from curator.types import Bank, Encoder, Vectors
from curator.vectors import read_rows
from curator.workspace.context import Context
from curator.workspace.learn.paintings import painting_vectors
from curator.workspace.look.neighbours import image_neighbours
from curator.workspace.look.pictures import find_places, read_found
from curator.workspace.reference_labels import ReferenceLabels, reference_labels

SURROUNDING_IMAGES = 4096  # lake images that embedded generators learn the space from


@dataclass
class LedgerWorld:
    """The workspace around one parent bank, through one connection. What systems see of it: systems/world.py."""

    context: Context
    database: Database
    parent: Bank
    suspects: Suspects | None = None
    _to_find: list[str] = field(default_factory=list, init=False, repr=False)  # pictures whose places are not known
    _found: dict[str, ImagePlace] = field(default_factory=dict, init=False, repr=False)
    _finding: Lock = field(default_factory=Lock, init=False, repr=False)  # calls of a service read from threads

    @property
    def encoder(self) -> Encoder:
        return self.context.encoder

    # Images of the lake

    @cached_property
    def _places(self) -> dict[str, tuple[str, int]]:
        """Where the vectors of the lake's images lie, as the images arrived: by run, then by address."""
        rows = self.database.rows("list_lake_vectors", encoder_id=self.parent.encoder_id)
        rows.sort(key=lambda row: (row["run_number"], row["uri"]))
        return {row["image_id"]: (row["vector_file"], row["row_index"]) for row in rows}

    @property
    def arrival_order(self) -> tuple[str, ...]:
        if not self._places:
            raise UsageError("the lake holds no images to learn from", hint="run `curator scan SOURCE` first")
        return tuple(self._places)

    def sample_ids(self, most: int) -> list[str]:
        return sorted(self.arrival_order)[: most or None]

    def lake_vectors(self, image_ids: Sequence[str]) -> Vectors:
        return self.vectors_of(image_ids, self._places)

    def look_up(self, image_ids: Sequence[str]) -> LakeSample:
        vectors = self.lake_vectors(image_ids)
        (table,) = self.base_scorer.score(vectors)
        return LakeSample(tuple(image_ids), vectors, table.id_score, table.id_label)

    @property
    def has_lake(self) -> bool:
        return bool(self._places)

    @cached_property
    def base_scorer(self) -> BankScorer:
        method = resolve_method("neglabel", self.parent)
        return BankScorer(self.parent, [method], device=self.context.config.encoder.device)

    @property
    def base_method(self) -> str:
        """By which the parent is judged: the configured method, or NegLabel where that compares with images."""
        configured = self.context.config.scan.method
        method = resolve_method(self.context.method_spec(configured), self.parent)
        return "neglabel" if method.needs.of_reference else configured

    def vectors_of(self, image_ids: Sequence[str], places: Mapping[str, tuple[str, int]]) -> Vectors:
        """The stored vectors of images, (n, d), in this order."""
        wanted = sorted((places[image_id], place) for place, image_id in enumerate(image_ids))
        vectors = np.zeros((len(image_ids), self.parent.vectors.shape[1]), dtype=np.float32)
        folder = self.context.layout.vectors(self.parent.encoder_id)
        for name, group in groupby(wanted, key=lambda item: item[0][0]):
            rows = list(group)
            vectors[[place for _, place in rows]] = read_rows(
                folder / f"{name}.safetensors", [at[1] for at, _ in rows], verified=True
            )
        return vectors

    def neighbours(self, vectors: Vectors, k: int) -> Sequence[Sequence[tuple[str, float]]]:
        if not self._places:
            return [[] for _ in vectors]
        door = image_neighbours(self.context, self.database, self.parent.encoder_id)
        found = door.search(vectors, k, allow=self._places.__contains__)
        return [[(item.id, item.cosine) for item in row] for row in found]

    # Images of the reference

    @cached_property
    def _reference_places(self) -> dict[str, tuple[str, int]]:
        rows = self.database.rows("list_reference_vectors", encoder_id=self.parent.encoder_id)
        return {row["image_id"]: (row["vector_file"], row["row_index"]) for row in rows}

    @cached_property
    def decisions(self) -> Mapping[str, bool]:
        """By image of the lake, whether reviewers decided that it is ID; those that are OOD are there as False."""
        rows = self.database.rows("list_reviewed_images")
        sides = {"id": True, "ood": False}
        return {
            row["image_id"]: sides[row["decision"]]
            for row in rows
            if row["decision"] in sides and row["image_id"] in self._places
        }

    @property
    def reference_images(self) -> tuple[IdImage, ...]:
        """Of `id_images` those that came as a reference."""
        return tuple(image for image in self.id_images if image.image_id in self._reference_places)

    @cached_property
    def reference_labels(self) -> ReferenceLabels:
        return reference_labels(self.context, self.database, self.parent)

    @cached_property
    def id_images(self) -> tuple[IdImage, ...]:
        """The reference, and the images of the lake that reviewers decided are ID: by the label that they came with, or
        else the nearest; a reference image whose own label is no ID label is left out."""
        decided = {name for name, is_id in self.decisions.items() if is_id}
        ids = sorted({*self._reference_places, *decided})
        if not ids:
            return ()
        nearest = exact_cosines(on_grid(self.reference_vectors(ids)), on_grid(self.parent.id_vectors)).argmax(axis=1)
        labels = self.reference_labels
        with self.database.incoming(wanted=pa.table({"image_id": pa.array(ids, pa.string())})):
            facts = self.database.rows("list_image_places")  # of images that are still there, by id
        found = []
        for row, guess in zip(facts, nearest.tolist(), strict=True):
            own = labels.place_of(row["uri"], row["source_label"] or None, row["kind"])
            if own is not None or not labels.places or row["image_id"] in decided:
                pixels, size = row["width"] * row["height"], row["byte_size"]
                found.append(IdImage(row["image_id"], guess if own is None else own, pixels, size))
        return tuple(found)

    def reference_vectors(self, image_ids: Sequence[str]) -> Vectors:
        """Of `id_images`, (n, d)."""
        return self.vectors_of(image_ids, {**self._places, **self._reference_places})

    # Pictures, texts, generators

    def picture(self, image_id: str, vector: Vectors | None) -> Picture:
        with self._finding:
            if image_id not in self._found:
                self._to_find.append(image_id)
        return Picture(image_id, partial(self._read, image_id), vector, decode=self.context.looker.picture)

    def _read(self, image_id: str) -> bytes:
        """The bytes of a picture. The first that is looked at finds the places of all that were made before."""
        with self._finding:
            if self._to_find:
                self._found |= find_places(self.database, self._to_find)
                self._to_find.clear()
        return read_found(self.context, image_id, self._found)

    def painted_picture(self, asking: Asking, call: Call) -> Picture:
        data = asking.artefact(call)
        (vector,) = self.painted_vectors(asking, [call])[:1]
        return Picture(content_id(data), lambda: data, vector, decode=self.context.looker.picture)

    def painted_vectors(self, asking: Asking, calls: Sequence[Call]) -> Vectors:
        by_name = {call.artefact or "": call for call in calls}
        names = [call.artefact or "" for call in calls]
        return painting_vectors(self.context, names, lambda name: asking.artefact(by_name[name]))

    @cached_property
    def text_cache(self) -> TextCache:
        return TextCache(self.context.layout.text_cache)

    def encode(self, prompts: Sequence[str]) -> Vectors:
        """Prompts to unit vectors, through the text cache."""
        return self.text_cache.encode(self.encoder, list(prompts))

    def whole_corpus(self) -> Bank:
        return self.context.whole_corpus(self.database, self.parent)

    def cleaner(self, rules: CleaningRules) -> Cleaner:
        synonyms = self.parent.lineage.get("id", {}).get("synonyms", {})
        return Cleaner(self.parent.id_texts, self.parent.id_vectors, synonyms, load_wordnet(), rules)

    @cached_property
    def surroundings(self) -> Surroundings:
        """What embedded generators work with."""
        return Surroundings(
            encoder=lambda: self.encoder,
            encoder_id=self.parent.encoder_id,
            text_cache=self.text_cache,
            id_texts=self.parent.id_texts,
            id_vectors=self.parent.id_vectors,
            image_vectors=lambda: self.lake_vectors(sorted(self._places)[:SURROUNDING_IMAGES]),
            image_pictures=lambda: [self.picture(name, None) for name in sorted(self._places)[:SURROUNDING_IMAGES]],
            id_image_vectors=lambda: self.reference_vectors([image.image_id for image in self.id_images]),
            id_image_labels=lambda: np.array([image.id_label for image in self.id_images], dtype=np.int64),
        )

    def role_behind(self, role: Role) -> Role:
        return role_behind(role, self.context.config.generators)

    def generator(self, role: Role) -> Generator:
        """The generator that the configuration names for a role."""
        address: str = getattr(self.context.config.generators, role)
        return make_generator(role, address, generator_options(self.context), self.surroundings)


def generator_options(context: Context) -> GeneratorOptions:
    """The options of generators, from the configuration."""
    encoder = context.config.encoder
    return GeneratorOptions(
        **asdict(context.config.generators), device=encoder.device, dtype=encoder.dtype, offline=encoder.offline
    )

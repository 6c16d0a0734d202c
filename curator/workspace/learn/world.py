"""What a system sees of a workspace: images of the lake and of the reference, their neighbours, and generators."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property, partial
from threading import Lock

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from curator.banks import TextCache
from curator.banks.wordnet import load_wordnet
from curator.errors import BankError, UsageError
from curator.generators import GeneratorOptions, make_generator, role_behind
from curator.generators.asking import Asking, Call
from curator.generators.requests import Generator, Picture, Role
from curator.generators.surroundings import Surroundings
from curator.lake import ImagePlace, content_id
from curator.methods import BankScorer, resolve_method
from curator.methods.kernels.cosines import exact_cosines, on_grid
from curator.store import Database
from curator.systems.cleaning import Cleaner, CleaningRules
from curator.systems.registry import System
from curator.systems.world import IdImage, LakeSample, Suspects
from curator.types import Bank, Encoder, Vectors
from curator.vectors import ImageCollection
from curator.workspace.context import Context
from curator.workspace.judge.suited import method_of_system
from curator.workspace.learn.paintings import painting_vectors
from curator.workspace.learn.stored import ROWS, StoredImages, blocks
from curator.workspace.look.neighbours import image_neighbours
from curator.workspace.look.pictures import find_places, read_found
from curator.workspace.reference_labels import ReferenceLabels, reference_labels

ALL = 2**62  # more images than there are
SURROUNDING_IMAGES = 4096  # lake images that embedded generators learn the space from
SURROUNDING_OF_CLASS = 200  # ID images of a class, likewise


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

    @property
    def device(self) -> str:
        return self.context.config.encoder.device

    # Images of the lake

    @cached_property
    def stored(self) -> ImageCollection:
        """All vectors of the encoder, of files that are checked when they are first read."""
        files = self.database.table("list_vector_files", encoder_id=self.parent.encoder_id)["vector_file"].to_pylist()
        folder = self.context.layout.vectors(self.parent.encoder_id)
        return ImageCollection(folder, files, self.parent.vectors.shape[1], verified=True)

    @cached_property
    def arrival_order(self) -> tuple[str, ...]:
        return tuple(self._ids_of("list_lake_arrivals"))

    def sample_ids(self, most: int) -> list[str]:
        return self._ids_of("list_lake_sample", most=most or ALL)

    def _ids_of(self, query: str, **parameters: object) -> list[str]:
        found: list[str] = self.database.table(query, encoder_id=self.parent.encoder_id, **parameters)[
            "image_id"
        ].to_pylist()
        if not found:
            raise UsageError("the lake holds no images to learn from", hint="run `curator scan SOURCE` first")
        return found

    def images(self, image_ids: Sequence[str]) -> StoredImages:
        """Their vectors, read as they are asked for."""
        return StoredImages(self.stored, image_ids)

    def lake_vectors(self, image_ids: Sequence[str]) -> Vectors:
        return self.images(image_ids)[:]

    def look_up(self, image_ids: Sequence[str]) -> LakeSample:
        vectors = self.lake_vectors(image_ids)
        (table,) = self.base_scorer.score(vectors)
        return LakeSample(tuple(image_ids), vectors, table.id_score, table.id_label)

    @property
    def has_lake(self) -> bool:
        query = self.database.table("list_lake_sample", encoder_id=self.parent.encoder_id, most=1)
        return bool(query.num_rows)

    @cached_property
    def base_scorer(self) -> BankScorer:
        method = resolve_method("neglabel", self.parent)
        return BankScorer(self.parent, [method], device=self.device)

    @property
    def base_method(self) -> str:
        """By which the parent is judged: the configured method, or NegLabel where that compares with images, or wants
        of a bank what the parent has not, as the method of another system does."""
        configured = self.context.config.scan.method
        try:
            method = resolve_method(self.context.method_spec(configured), self.parent)
        except BankError:
            return "neglabel"
        return "neglabel" if method.needs.of_reference else configured

    def method_of(self, system: System) -> str:
        """By which a bank of the system is judged and best used."""
        return method_of_system(system, self.context.config.scan.method)

    def neighbours(self, vectors: Vectors, k: int) -> Sequence[Sequence[tuple[str, float]]]:
        if not self.has_lake:
            return [[] for _ in vectors]
        door = image_neighbours(self.context, self.database, self.parent.encoder_id)
        present = np.zeros(len(door.collection), dtype=bool)
        present[door.collection.positions_of(self.sample_ids(0))] = True
        found = door.search(vectors, k, allow=present)
        return [[(item.id, item.cosine) for item in row] for row in found]

    # Images of the reference

    @cached_property
    def decisions(self) -> Mapping[str, bool]:
        """By image of the lake, whether reviewers decided that it is ID; those that are OOD are there as False."""
        sides = {"id": True, "ood": False}
        if not self.database.rows("find_review"):  # of many views, which take a while to plan
            return {}
        rows = [row for row in self.database.rows("list_reviewed_images") if row["decision"] in sides]
        places = self.stored.places_of([row["image_id"] for row in rows]).tolist()
        return {row["image_id"]: sides[row["decision"]] for row, place in zip(rows, places, strict=True) if place >= 0}

    @property
    def reference_images(self) -> tuple[IdImage, ...]:
        """Of `id_images` those that came as a reference."""
        return self._known[1]

    @cached_property
    def reference_labels(self) -> ReferenceLabels:
        return reference_labels(self.context, self.database, self.parent)

    @property
    def id_images(self) -> tuple[IdImage, ...]:
        """The reference, and the images of the lake that reviewers decided are ID: by the label that they came with, or
        else the nearest; a reference image whose own label is no ID label is left out."""
        return self._known[0]

    @cached_property
    def _known(self) -> tuple[tuple[IdImage, ...], tuple[IdImage, ...]]:
        """The images of `id_images`, and of `reference_images`."""
        decided = pa.array([name for name, is_id in self.decisions.items() if is_id], pa.string())
        with self.database.incoming(wanted=pa.table({"image_id": decided})):
            facts = self.database.table("list_id_images", encoder_id=self.parent.encoder_id)
        own, is_decided = self._own_labels(facts), pc.is_in(facts["image_id"], decided).to_numpy()
        kept = (own >= 0) | is_decided | (not self.reference_labels.places)
        facts, own = facts.filter(pa.array(kept)), own[kept]
        guessed = facts.filter(pa.array(own < 0))["image_id"].to_pylist()
        ids = on_grid(self.parent.id_vectors)
        own[own < 0] = np.concatenate(
            [own[:0], *(exact_cosines(on_grid(block), ids).argmax(axis=1) for block in blocks(self.images(guessed)))]
        )
        columns = (facts[name].to_pylist() for name in ("image_id", "pixels", "byte_size", "is_reference"))
        found = [
            (IdImage(name, label, pixels, size), is_reference)
            for name, pixels, size, is_reference, label in zip(*columns, own.tolist(), strict=True)
        ]
        return tuple(image for image, _ in found), tuple(image for image, is_reference in found if is_reference)

    def _own_labels(self, facts: pa.Table) -> NDArray[np.int64]:
        """By image the index of the ID label that it came with, (n,); -1 for none."""
        places = (
            self.reference_labels.place_of(row["uri"], row["source_label"] or None, row["kind"])
            for batch in facts.select(["uri", "source_label", "kind"]).to_batches(max_chunksize=ROWS)
            for row in batch.to_pylist()
        )
        return np.fromiter((-1 if place is None else place for place in places), np.int64, facts.num_rows)

    def reference_vectors(self, image_ids: Sequence[str]) -> Vectors:
        """Of `id_images`, (n, d)."""
        return self.images(image_ids)[:]

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
        parent = self.parent
        return Cleaner(
            parent.id_texts, parent.id_vectors, synonyms, load_wordnet(), rules, words=parent.negative_vectors
        )

    @property
    def _surrounding(self) -> list[str]:
        return self.sample_ids(SURROUNDING_IMAGES) if self.has_lake else []

    @cached_property
    def _some_of_each_class(self) -> list[IdImage]:
        """The first ID images of each class by id."""
        counts, found = Counter[int](), []
        for image in self.id_images:
            counts[image.id_label] += 1
            if counts[image.id_label] <= SURROUNDING_OF_CLASS:
                found.append(image)
        return found

    @cached_property
    def surroundings(self) -> Surroundings:
        """What embedded generators work with."""
        return Surroundings(
            encoder=lambda: self.encoder,
            encoder_id=self.parent.encoder_id,
            text_cache=self.text_cache,
            id_texts=self.parent.id_texts,
            id_vectors=self.parent.id_vectors,
            image_vectors=lambda: self.lake_vectors(self._surrounding),
            image_pictures=lambda: [self.picture(name, None) for name in self._surrounding],
            id_image_vectors=lambda: self.reference_vectors([image.image_id for image in self._some_of_each_class]),
            id_image_labels=lambda: np.array([image.id_label for image in self._some_of_each_class], dtype=np.int64),
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

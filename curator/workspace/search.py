"""Search by text, image or label, over the images of the lake or the labels of the bank."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from curator.decode import DecodeFailure
from curator.errors import BankError, UsageError
from curator.lake import open_source, read_datum
from curator.paths import expanded
from curator.printable import readable
from curator.store import Database
from curator.types import Bank, SourceObject, Vectors
from curator.vectors import (
    ImageCollection,
    LabelCollection,
    Neighbours,
    VectorCollection,
    index_status,
    list_recipes,
    load_recipe,
    read_rows,
)
from curator.workspace.context import Context
from curator.workspace.session import reading


def image_collection(context: Context, database: Database, encoder_id: str) -> ImageCollection:
    """All vectors of an encoder; of gone images too, which searches leave out."""
    files = database.table("list_vector_files", encoder_id=encoder_id)["vector_file"].to_pylist()
    row = database.row("find_encoder_by_id", encoder_id=encoder_id)
    dimension = int(row["dimension"]) if row else context.encoder.dimension
    return ImageCollection(context.layout.vectors(encoder_id), tuple(files), dimension)


def image_neighbours(context: Context, database: Database, encoder_id: str) -> Neighbours:
    """The door to the image index, brought up to date."""
    return _open(context, image_collection(context, database, encoder_id), context.config.index.images, encoder_id)


def label_neighbours(context: Context, bank: Bank) -> Neighbours:
    """The door to the index of a bank's labels."""
    return _open(context, LabelCollection(bank.vectors, bank.digest), context.config.index.labels, bank.encoder_id)


def _open(context: Context, collection: VectorCollection, recipe_name: str, encoder_id: str) -> Neighbours:
    folder = context.layout.index(encoder_id, collection.name, recipe_name)
    return Neighbours.open(collection, load_recipe(recipe_name), folder)


def search_images(context: Context, *, text: str | None, image: str | None, label: str | None, k: int) -> pa.Table:
    """The k lake images nearest to the query, with their scores."""
    with reading(context.layout) as database:
        encoder_id = context.encoder_id(database)
        query = _query(context, database, text=text, image=image, label=label)
        return nearest_images(context, database, encoder_id, query, k)


def nearest_images(
    context: Context, database: Database, encoder_id: str, query: Vectors, k: int, *, but: str | None = None
) -> pa.Table:
    """The k lake images nearest to a vector (1, d), but for the one of this id, with their scores."""
    present = set(database.table("list_present_images")["image_id"].to_pylist()) - {but}
    found = image_neighbours(context, database, encoder_id).search(query, k, allow=present.__contains__)[0]
    with database.incoming(wanted=wanted_images([item.id for item in found], [item.cosine for item in found])):
        return database.table("describe_images")


def wanted_images(ids: Sequence[str], cosines: Sequence[float]) -> pa.Table:
    """Images in order, as the queries that describe them take them."""
    return pa.table(
        {
            "position": pa.array(range(len(ids)), pa.int64()),
            "image_id": pa.array(ids, pa.string()),
            "cosine": pa.array(cosines, pa.float32()),
        }
    )


def search_labels(context: Context, *, text: str | None, image: str | None, label: str | None, k: int) -> pa.Table:
    """The k labels of the bank nearest to the query."""
    with reading(context.layout) as database:
        bank = _bank(context, database)
        query = _query(context, database, text=text, image=image, label=label)
    found = label_neighbours(context, bank).search(query, k)[0]
    labels = [bank.labels[int(item.id)] for item in found]
    return pa.table(
        {
            "label": pa.array([item.text for item in labels], pa.string()),
            "role": pa.array([item.role for item in labels], pa.string()),
            "cosine": pa.array([item.cosine for item in found], pa.float32()),
            "source": pa.array([item.source for item in labels], pa.string()),
        }
    )


def build_indexes(context: Context) -> pa.Table:
    """Bring the image and label indexes up to date."""
    with reading(context.layout) as database:
        image_neighbours(context, database, context.encoder_id(database))
        label_neighbours(context, _bank(context, database))
    return list_indexes(context)


def list_indexes(context: Context) -> pa.Table:
    """Each collection under each shipped recipe and the configured ones: fresh, stale or missing."""
    with reading(context.layout) as database:
        encoder_id = context.encoder_id(database)
        bank = _bank(context, database)
        collections: list[tuple[VectorCollection, str]] = [
            (image_collection(context, database, encoder_id), context.config.index.images),
            (LabelCollection(bank.vectors, bank.digest), context.config.index.labels),
        ]
    rows = []
    for collection, configured in collections:
        for name in dict.fromkeys([configured, *(recipe.name for recipe in list_recipes())]):
            status = index_status(
                collection, load_recipe(name), context.layout.index(encoder_id, collection.name, name)
            )
            if name == configured or status.state != "missing":
                rows.append(
                    {
                        "collection": collection.name,
                        "recipe": name,
                        "state": status.state,
                        "vectors": status.count,
                        "reason": status.reason,
                        "description": load_recipe(name).description,
                    }
                )
    return pa.Table.from_pylist(rows)


def _bank(context: Context, database: Database) -> Bank:
    name = context.config.scan.bank
    bank = context.find_bank(database, name, encoder_id=context.encoder_id(database))
    if bank is None:
        raise BankError(f"bank {name} has no version yet", hint=f"run `curator bank build {name}`")
    return bank


def _query(context: Context, database: Database, *, text: str | None, image: str | None, label: str | None) -> Vectors:
    """The query vector, (1, d)."""
    if text is not None:
        return context.encoder.encode_texts([text])
    if label is not None:
        bank = _bank(context, database)
        for index, item in enumerate(bank.labels):
            if item.text == label:
                return bank.vectors[index : index + 1]
        raise UsageError(f"bank {bank.name} has no label {label!r}", hint="see `curator bank show`, or search by text")
    encoder_id = context.encoder_id(database)
    image = image or ""
    return vector_of_image(context, image, find_vector(database, image, encoder_id), encoder_id)


def find_vector(database: Database, address: str, encoder_id: str) -> dict[str, Any] | None:
    """Where the vector of an image lies, by an address as a person or the shell gives it, or by the image's id."""
    return database.row("find_vector", address=readable(address), encoder_id=encoder_id)


def vector_of_image(context: Context, address: str, row: Mapping[str, Any] | None, encoder_id: str) -> Vectors:
    """The vector (1, d) of an image of the lake, as stored at its `row` of find_vector; without one, of a file."""
    if row is not None:
        return read_rows(context.layout.vectors(encoder_id) / f"{row['vector_file']}.safetensors", [row["row_index"]])
    if not expanded(address).is_file() and "://" not in address:
        raise UsageError(f"{address}: neither in the lake nor a file", hint="see `curator query kept` for addresses")
    item = next(found for found in open_source(address).list() if isinstance(found, SourceObject))
    try:
        pixels = context.looker.square(read_datum(item.path, "file"), context.encoder.preprocess)
    except DecodeFailure as failure:
        raise UsageError(f"{address}: {failure.reason}: {failure.detail}") from failure
    return context.encoder.encode_images(pixels[None])

"""The vectors of the lake and of the labels, by what is near: indexes kept up to date, and the door to them."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from curator.decode import DecodeFailure
from curator.errors import UsageError
from curator.lake import open_source, read_datum
from curator.paths import expanded
from curator.printable import readable
from curator.store import Database
from curator.store.tables import Row
from curator.types import Bank, SourceObject, Vectors
from curator.vectors import (
    ImageCollection,
    LabelCollection,
    Neighbours,
    VectorCollection,
    load_recipe,
    read_rows,
)
from curator.workspace.context import Context


def image_collection(context: Context, database: Database, encoder_id: str) -> ImageCollection:
    """All vectors of an encoder; of gone images too, which searches leave out."""
    files = database.table("list_vector_files", encoder_id=encoder_id)
    row = database.row("find_encoder_by_id", encoder_id=encoder_id)
    dimension = int(row["dimension"]) if row else context.encoder.dimension
    names, counts = (files[name].to_pylist() for name in ("vector_file", "vectors"))
    return ImageCollection(context.layout.vectors(encoder_id), names, dimension, counts=counts)


def image_neighbours(context: Context, database: Database, encoder_id: str) -> Neighbours:
    """The door to the image index, brought up to date."""
    return open_neighbours(
        context, image_collection(context, database, encoder_id), context.config.index.images, encoder_id
    )


def label_neighbours(context: Context, bank: Bank) -> Neighbours:
    """The door to the index of a bank's labels."""
    return open_neighbours(
        context, LabelCollection(bank.vectors, bank.digest), context.config.index.labels, bank.encoder_id
    )


def open_neighbours(context: Context, collection: VectorCollection, recipe_name: str, encoder_id: str) -> Neighbours:
    """The door to the index of a collection, brought up to date."""
    folder = context.layout.index(encoder_id, collection.name, recipe_name)
    return Neighbours.open(collection, load_recipe(recipe_name), folder)


def nearest_images(
    context: Context, database: Database, encoder_id: str, query: Vectors, k: int, *, but: str | None = None
) -> pa.Table:
    """The k lake images nearest to a vector (1, d), but for the one of this id, with their scores."""
    present = set(database.column("list_present_images")) - {but}
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


def find_vector(database: Database, address: str, encoder_id: str) -> Row | None:
    """Where the vector of an image lies, by an address as a person or the shell gives it, or by the image's id."""
    return database.row("find_vector", address=readable(address), encoder_id=encoder_id)


def vector_of_image(context: Context, address: str, row: Row | None, encoder_id: str) -> Vectors:
    """The vector (1, d) of an image of the lake, as stored at its `row` of find_vector; without one, of a file."""
    if row is not None:
        return read_rows(context.layout.vectors(encoder_id) / f"{row['vector_file']}.safetensors", [row["row_index"]])
    if not expanded(address).is_file() and "://" not in address:
        raise UsageError(f"{address}: neither in the lake nor a file", hint="see `curator query kept` for addresses")
    encoder = context.encoder_of(encoder_id)
    item = next(found for found in open_source(address).list() if isinstance(found, SourceObject))
    try:
        pixels = context.looker.square(read_datum(item.path, "file"), encoder.preprocess)
    except DecodeFailure as failure:
        raise UsageError(f"{address}: {failure.reason}: {failure.detail}") from failure
    return encoder.encode_images(pixels[None])

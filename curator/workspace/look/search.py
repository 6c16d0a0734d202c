"""Search by text, image or label, over the images of the lake or the labels of the bank."""

from __future__ import annotations

import pyarrow as pa

from curator.errors import BankError, UsageError
from curator.progress import step
from curator.store import Database
from curator.types import Bank, Vectors
from curator.vectors import (
    LabelCollection,
    VectorCollection,
    index_status,
    list_recipes,
    load_recipe,
)
from curator.workspace.context import Context
from curator.workspace.judge.in_force import InForce
from curator.workspace.look.neighbours import (
    find_vector,
    image_collection,
    image_neighbours,
    label_neighbours,
    nearest_images,
    vector_of_image,
)
from curator.workspace.published import reading


@step("search")
def search_images(context: Context, *, text: str | None, image: str | None, label: str | None, k: int) -> pa.Table:
    """The k lake images nearest to the query, with their scores."""
    with reading(context.layout) as database:
        encoder_id = context.stored_encoder_id(database)
        query = _query(context, database, text=text, image=image, label=label)
        return nearest_images(context, database, encoder_id, query, k)


@step("search")
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


@step("build indexes")
def build_indexes(context: Context) -> pa.Table:
    """Bring the image and label indexes up to date."""
    with reading(context.layout) as database:
        image_neighbours(context, database, context.stored_encoder_id(database))
        label_neighbours(context, _bank(context, database))
    return list_indexes(context)


def list_indexes(context: Context) -> pa.Table:
    """Each collection under each shipped recipe and the configured ones: fresh, stale or missing."""
    with reading(context.layout) as database:
        encoder_id = context.stored_encoder_id(database)
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
    """The bank version that rules, or else the configured one."""
    if (ruling := InForce.of(database)) is not None:
        return context.known_bank(database, ruling.bank_address)
    name = context.config.scan.bank
    bank = context.find_bank(database, name, encoder_id=context.encoder_id(database))
    if bank is None:
        raise BankError(f"bank {name} has no version yet", hint=f"run `curator bank build {name}`")
    return bank


def _query(context: Context, database: Database, *, text: str | None, image: str | None, label: str | None) -> Vectors:
    """The query vector, (1, d)."""
    encoder_id = context.stored_encoder_id(database)
    if text is not None:
        return context.encoder_of(encoder_id).encode_texts([text])
    if label is not None:
        bank = _bank(context, database)
        for index, item in enumerate(bank.labels):
            if item.text == label:
                return bank.vectors[index : index + 1]
        raise UsageError(f"bank {bank.name} has no label {label!r}", hint="see `curator bank show`, or search by text")
    image = image or ""
    return vector_of_image(context, image, find_vector(database, image, encoder_id), encoder_id)

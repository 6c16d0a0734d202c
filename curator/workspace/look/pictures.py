"""Images of the lake to look at: the bytes again, by where they were seen, and small pictures of them."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

import pyarrow as pa

from curator.decode import DecodeFailure
from curator.errors import CuratorError, SourceError
from curator.lake import ImagePlace, read_image, read_images
from curator.report.pages import Thumbnail
from curator.store import Database
from curator.workspace.context import Context

SIDE = 160
SAVED = {"WEBP": {"quality": 70, "method": 2}, "JPEG": {"quality": 85}}


def find_places(database: Database, image_ids: Sequence[str]) -> dict[str, ImagePlace]:
    """By id, the first place of each of some images that is still in a source."""
    with database.incoming(wanted=pa.table({"image_id": pa.array(image_ids, pa.string())})):
        return {row["image_id"]: ImagePlace.of(row) for row in database.rows("list_image_places")}


def read_found(context: Context, image_id: str, places: Mapping[str, ImagePlace]) -> bytes:
    """The bytes of an image of `find_places`. Raises SourceError when they are out of reach, or others."""
    if image_id not in places:
        raise _nowhere(image_id)
    return read_image(places[image_id], context.read_options)


def read_pictures(
    context: Context, database: Database, image_ids: Sequence[str], *, scratch: Path | None = None
) -> Iterator[tuple[str, bytes | CuratorError]]:
    """Each image's bytes, from its first place, or why they are not to be had; in order. scratch: see `read_images`."""
    places = find_places(database, image_ids)
    found = read_images([places[name] for name in image_ids if name in places], context.read_options, scratch=scratch)
    for image_id in image_ids:
        yield image_id, next(found) if image_id in places else _nowhere(image_id)


def _nowhere(image_id: str) -> SourceError:
    return SourceError(f"image {image_id} is in no source any more", hint="scan its source again")


def thumbnails(
    context: Context, database: Database, image_ids: Sequence[str], *, side: int = SIDE
) -> dict[str, Thumbnail]:
    """Small pictures of images of the lake, by id. Whatever an image has become, it costs its own picture only."""
    return {image_id: _thumbnail(context, data, side) for image_id, data in read_pictures(context, database, image_ids)}


def thumbnail(context: Context, database: Database, image_id: str, *, side: int = SIDE) -> Thumbnail:
    """The same of one image."""
    return thumbnails(context, database, [image_id], side=side)[image_id]


def _thumbnail(context: Context, data: bytes | CuratorError, side: int) -> Thumbnail:
    if isinstance(data, CuratorError):
        return Thumbnail(None, data.message)
    try:
        return Thumbnail(thumbnail_of(context, data, side=side))
    except DecodeFailure as failure:
        return Thumbnail(None, f"{failure.reason}: {failure.detail}")


def thumbnail_of(context: Context, data: bytes, *, side: int = SIDE, form: Literal["WEBP", "JPEG"] = "WEBP") -> bytes:
    """A picture of at most `side` pixels a side. Raises DecodeFailure."""
    picture = context.looker.picture(data, side=side)
    buffer = io.BytesIO()
    picture.save(buffer, form, **SAVED[form])
    return buffer.getvalue()

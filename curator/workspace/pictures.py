"""Images of the lake to look at: the bytes again, by where they were seen, and small pictures of them."""

from __future__ import annotations

import io

import pyarrow as pa
from PIL import Image

from curator.decode import DecodeFailure, DecodeOptions, decode_image
from curator.engines.stages import content_id
from curator.errors import CuratorError, SourceError
from curator.lake import read_datum
from curator.report.blocks import Thumbnail
from curator.store import Database
from curator.workspace.context import Context

SIDE = 160
QUALITY = 70


def read_image(context: Context, database: Database, image_id: str) -> bytes:
    """The bytes of an image, from its first place. Raises SourceError when they are out of reach, or others."""
    with database.incoming(wanted=pa.table({"image_id": pa.array([image_id], pa.string())})):
        row = database.row("list_image_places")
    if row is None:
        raise SourceError(f"image {image_id} is in no source any more", hint="scan its source again")
    data = read_datum(
        row["object_uri"],
        row["kind"],
        member=row["member"] or None,
        byte_offset=row["byte_offset"] if row["byte_offset"] >= 0 else None,
        byte_size=row["byte_size"],
        options=context.read_options,
    )
    if content_id(data) != image_id:
        raise SourceError(f"{row['uri']}: its content has changed", hint="scan its source again")
    return data


def thumbnail(context: Context, database: Database, image_id: str, *, side: int = SIDE) -> Thumbnail:
    """A small picture of an image of the lake. Whatever the image has become, it costs this picture only."""
    try:
        return Thumbnail(thumbnail_of(read_image(context, database, image_id), context.decode_options, side=side))
    except DecodeFailure as failure:
        return Thumbnail(None, f"{failure.reason}: {failure.detail}")
    except CuratorError as fault:
        return Thumbnail(None, fault.message)


def thumbnail_of(data: bytes, options: DecodeOptions, *, side: int = SIDE) -> bytes:
    """A WebP of at most `side` pixels a side. Raises DecodeFailure."""
    picture, _ = decode_image(data, options=options, target_size=side)
    picture.thumbnail((side, side), Image.Resampling.BILINEAR, reducing_gap=2.0)
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=QUALITY, method=2)
    return buffer.getvalue()

"""What is near to words, to images of the lake, or to an image that is brought along, through the index."""

from __future__ import annotations

import threading
from collections.abc import Mapping

import numpy as np

from curator.app.guard import BadRequest
from curator.app.server import Said
from curator.decode import DecodeFailure
from curator.printable import text_fault
from curator.types import Vectors
from curator.vectors import ImageCollection, Neighbours
from curator.vectors.collections import unit
from curator.workspace.app.frame import LakeFrame, Numbers
from curator.workspace.app.views import numbers_in, rows_of
from curator.workspace.context import Context
from curator.workspace.judge.in_force import InForce
from curator.workspace.look.neighbours import open_neighbours

FOUND = 300  # images, unless another number is asked for
MOST_FOUND = 2000
MOST_IMAGES = 10_000  # whose middle is searched for
LONGEST_TEXT = 1000


class Search:
    """One workspace's images. An index that is stale is brought up to date by the first search that needs it."""

    def __init__(self, context: Context, numbers: Numbers) -> None:
        self._context = context
        self._numbers = numbers
        self._one = threading.Lock()  # one encoder, and one index that is being made
        self._opened: tuple[int, Neighbours] | None = None

    def asked(self, frame: LakeFrame, collection: ImageCollection, said: Said) -> Mapping[str, object]:
        """Near to a text, or to the middle of images by their numbers. Raises BadRequest for anything else."""
        text, given, count = said.get("text"), said.get("numbers"), said.get("count", FOUND)
        if type(count) is not int or not 0 < count <= MOST_FOUND:
            raise BadRequest(400, f"so many images are found: 1 to {MOST_FOUND}")
        if isinstance(text, str) and text.strip():
            if (fault := text_fault(text, longest=LONGEST_TEXT)) is not None:
                raise BadRequest(400, f"the text {fault}")
            with self._one:
                query = self._context.encoder_of(ruling_of(frame).encoder_id).encode_texts([text.strip()])
            return self._near(frame, collection, query, count)
        rows = rows_of(frame, numbers_in(given))[:MOST_IMAGES]
        places = collection.places_of(frame.table["image_id"].take(rows).to_pylist())
        if not (places >= 0).any():
            raise BadRequest(400, "neither words nor images are named that have vectors")
        middle = unit(collection.vectors_at(places[places >= 0])).mean(axis=0, keepdims=True)
        return self._near(frame, collection, np.asarray(middle, np.float32), count)

    def sent(self, frame: LakeFrame, collection: ImageCollection, data: bytes) -> Mapping[str, object]:
        """Near to an image by its bytes, decoded as a scan decodes. Raises BadRequest for what is no image."""
        with self._one:
            encoder = self._context.encoder_of(ruling_of(frame).encoder_id)
            try:
                pixels = self._context.looker.square(data, encoder.preprocess)
            except DecodeFailure as failure:
                raise BadRequest(400, f"this is no image: {failure.reason}: {failure.detail}") from failure
            query = encoder.encode_images(pixels[None])
        return self._near(frame, collection, query, FOUND)

    def _near(self, frame: LakeFrame, collection: ImageCollection, query: Vectors, count: int) -> Mapping[str, object]:
        with self._one:
            if self._opened is None or self._opened[0] != frame.generation:
                recipe, encoder_id = self._context.config.index.images, ruling_of(frame).encoder_id
                opened = open_neighbours(self._context, collection, recipe, encoder_id)
                self._opened = (frame.generation, opened)
            found = self._opened[1].search(query, count, allow=lambda name: self._is_here(frame, name))[0]
        return {
            "numbers": [self._numbers.of[item.id] for item in found],
            "cosines": [round(item.cosine, 4) for item in found],
        }

    def _is_here(self, frame: LakeFrame, image_id: str) -> bool:
        number = self._numbers.of.get(image_id, len(frame.rows))
        return number < len(frame.rows) and bool(frame.rows[number] >= 0)


def ruling_of(frame: LakeFrame) -> InForce:
    """What rules the images of a frame. Raises BadRequest where nothing was scored yet."""
    if frame.ruling is None:
        raise BadRequest(400, "nothing was scored yet")
    return frame.ruling

"""From requests to batches that a diffusion model paints at once, and from pictures to replies. Loads nothing heavy."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from PIL import Image

from curator.generators.painter_settings import Settings, read_settings
from curator.generators.pictures import PictureFault, open_picture
from curator.generators.requests import Reply, Request

Batch: TypeAlias = list[tuple[int, Request]]  # each with its position in the sequence that was asked

JPEG_QUALITY = 95


def in_batches(requests: Sequence[Request], size: int) -> list[tuple[Settings, Batch]]:
    """Requests of equal prompt and settings together, at most `size` at a time; in order of first appearance. Raises
    UsageError for a prompt that is no painter's and for settings that cannot be."""
    groups: dict[tuple[str, str], tuple[Settings, Batch]] = {}
    for position, request in enumerate(requests):
        settings = read_settings(request.prompt.name, request.settings)
        key = (request.prompt.name, json.dumps(dict(request.settings), sort_keys=True))
        groups.setdefault(key, (settings, []))[1].append((position, request))
    return [
        (settings, members[start : start + size])
        for settings, members in groups.values()
        for start in range(0, len(members), size)
    ]


def open_pictures(batch: Batch, *, longest_side: int) -> tuple[list[tuple[int, Request, Image.Image]], list[Reply]]:
    """The one picture that each request shows, and replies with the fault of those that show none that can be read."""
    shown, faults = [], []
    for position, request in batch:
        if len(request.pictures) != 1:
            fault = f"inpaint repaints one picture, and {len(request.pictures)} were given"
            faults.append(Reply(position, fault=fault, final=True))
            continue
        try:
            shown.append((position, request, open_picture(request.pictures[0], longest_side=longest_side)))
        except PictureFault as fault:
            faults.append(Reply(position, fault=str(fault), final=fault.final))
    return shown, faults


def picture_reply(position: int, image: Image.Image, facts: Mapping[str, object]) -> Reply:
    """The picture as a JPEG, and its size among the facts."""
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, "JPEG", quality=JPEG_QUALITY)
    size = {"width": image.width, "height": image.height}
    return Reply(position, artefact=buffer.getvalue(), suffix=".jpg", facts={**facts, **size})


def refusal(position: int) -> Reply:
    return Reply(position, fault="the model's own safety checker refused the picture", final=True)

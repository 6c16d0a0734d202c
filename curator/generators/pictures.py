"""Pictures as models see them: decoded by curator's own decoder, upright, in RGB, and no larger than is useful.

Models scale what they see to some hundred pixels a side, so more than LONGEST_SIDE costs upload and memory for nothing.
"""

from __future__ import annotations

import base64
import io

from PIL import Image

from curator.decode.failures import DecodeFailure
from curator.errors import SourceError
from curator.generators.requests import Picture

LONGEST_SIDE = 1024
JPEG_QUALITY = 90


class PictureFault(ValueError):
    """A picture that cannot be shown to a model; the message says which and why.

    `final`: bytes that are no image stay so. What cannot be reached, or is another image by now, may come back.
    """

    def __init__(self, message: str, *, final: bool) -> None:
        super().__init__(message)
        self.final = final


def open_picture(picture: Picture, *, longest_side: int = LONGEST_SIDE) -> Image.Image:
    """The picture in mode RGB, EXIF orientation applied, its longest side at most that. Raises PictureFault."""
    try:
        return picture.decode(picture.load(), side=longest_side)
    except DecodeFailure as fault:
        why = f"image {picture.image_id} cannot be read: {fault.reason}, {fault.detail}"
        raise PictureFault(why, final=True) from fault
    except (OSError, SourceError) as fault:  # the file went away or was changed, or the store is out of reach
        raise PictureFault(f"image {picture.image_id} cannot be loaded: {fault}", final=False) from fault


def data_url(picture: Picture) -> str:
    """The picture as a data URL of JPEG, without metadata. Raises PictureFault."""
    buffer = io.BytesIO()
    open_picture(picture).save(buffer, "JPEG", quality=JPEG_QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"

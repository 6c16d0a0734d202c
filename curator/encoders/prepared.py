"""An encoder whose images are prepared otherwise than its authors do: its vectors are others, and so is its id."""

from __future__ import annotations

from typing import TYPE_CHECKING

from curator.encoders.fingerprint import fingerprint
from curator.encoders.options import prepared_as

if TYPE_CHECKING:
    from curator.types import Encoder


class OtherwisePrepared:
    """The encoder in one of FORMS. All else is that of the encoder, what only some have (`device`) included."""

    def __init__(self, encoder: Encoder, form: str) -> None:
        self._encoder = encoder
        self.preprocess = prepared_as(form, encoder.preprocess)
        address, _, weights = encoder.encoder_id.rpartition("@")
        self.encoder_id = f"{address}#{form}@{fingerprint([], self.preprocess, traits={'of': weights})}"

    def __getattr__(self, name: str) -> object:  # not asked for what is set above
        return getattr(self._encoder, name)

"""What others have registered, held to the contract as it runs; what ships is held to it by its tests.

A program that breaks `Encoder` or `Family` gets one line that names the encoder, what it gave and what is asked for.
What it raises becomes such a line as well, with the place in its file; `curator -v` has the traceback.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from curator.encoders.options import EncoderOptions, SuitedScore
from curator.errors import CuratorError, EncoderError
from curator.printable import one_line, printable, said_by
from curator.types import UNIT_TOLERANCE, Encoder, Pixels, Preprocess, Vectors

if TYPE_CHECKING:
    from curator.encoders.options import Family

Answer = TypeVar("Answer")

WHERE = "what an encoder must keep: docs/encoders.md, “Your own family, in Python”"
SHOWN_TEXT = 40  # characters of a text that has no vector


def _is_count(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and int(value) > 0


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


MEMBERS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "encoder_id": ("a text, <address>@<fingerprint>", lambda value: isinstance(value, str) and value.isprintable()),
    "dimension": ("a whole number from 1", _is_count),
    "logit_scale": ("a number above 0", lambda value: _is_number(value) and 0 < value < np.inf),
    "preprocess": ("a curator.types.Preprocess", lambda value: isinstance(value, Preprocess)),
    "batch_size": ("a whole number from 1", _is_count),
    "encode_images": ("a method", callable),
    "encode_texts": ("a method", callable),
}


class HeldFamily:
    """A family of somebody else's. Raises EncoderError where it is none, and for what it raises."""

    def __init__(self, name: str, make: Callable[[], Family]) -> None:
        self._name = name
        self._family = _ask(name, "its family", make)

    def check(self, rest: str) -> None:
        _ask(self._name, "check", lambda: self._family.check(rest))

    def load(self, rest: str, options: EncoderOptions) -> Encoder:
        return HeldEncoder(_ask(options.address, "load", lambda: self._family.load(rest, options)), options.address)

    def fetch(self, rest: str) -> str:
        return str(_ask(self._name, "fetch", lambda: self._family.fetch(rest)))

    def suited_score(self, rest: str, id_labels: int) -> SuitedScore:
        found = _ask(self._name, "suited_score", lambda: self._family.suited_score(rest, id_labels))
        if not isinstance(found, SuitedScore):
            raise broken(self._name, f"suited_score returned {described(found)}", "a SuitedScore")
        return found

    def placed(self, rest: str, root: Path) -> str:
        place = getattr(self._family, "placed", None)
        return str(_ask(self._name, "placed", lambda: place(rest, root))) if place else rest

    def known(self) -> list[str]:
        return list(_ask(self._name, "known", lambda: self._family.known()))


class HeldEncoder:
    """An encoder of somebody else's. What only some have (`device`, `pixel_buffer`) is passed on as it is."""

    encoder_id: str
    dimension: int
    logit_scale: float
    preprocess: Preprocess
    batch_size: int

    def __init__(self, encoder: Any, address: str) -> None:
        self._encoder, self._address = encoder, address
        for name, (asked, is_kept) in MEMBERS.items():
            value = _ask(address, name, partial(getattr, encoder, name, None))
            if value is None:
                raise broken(address, f"{type(encoder).__name__} has no {name}", asked)
            if not is_kept(value):
                raise broken(address, f"{name} is {described(value)}", asked)
            if not callable(value):
                setattr(self, name, value)

    def __getattr__(self, name: str) -> Any:  # not asked for what is set above
        return getattr(self._encoder, name)

    def encode_images(self, pixels: Pixels) -> Vectors:
        found = _ask(self._address, "encode_images", lambda: self._encoder.encode_images(pixels))
        vectors = self._checked(found, "encode_images", len(pixels))
        self._refuse_lengths(vectors, "encode_images")
        return vectors

    def encode_texts(self, texts: list[str], *, normalised: bool = True) -> Vectors:
        named = {} if normalised else {"normalised": False}
        found = _ask(self._address, "encode_texts", lambda: self._encoder.encode_texts(texts, **named))
        vectors = self._checked(found, "encode_texts", len(texts))
        lost = np.flatnonzero(~has_direction(vectors))
        if lost.size:
            text = printable(one_line(texts[lost[0]], longest=SHOWN_TEXT))
            said = f"encode_texts returned {lost.size} vectors that are zero or not finite, first that of '{text}'"
            raise broken(self._address, said, "one of finite numbers for any text")
        if normalised:
            self._refuse_lengths(vectors, "encode_texts")
        return vectors

    def _checked(self, found: Any, method: str, count: int) -> Vectors:
        """What was returned, as memory of our own: an encoder may write its next batch over its last."""
        shape = (count, self.dimension)
        if not isinstance(found, np.ndarray) or found.dtype != np.float32 or found.shape != shape:
            raise broken(self._address, f"{method} returned {described(found)}", f"a NumPy array {shape} of float32")
        return np.array(found, order="C")

    def _refuse_lengths(self, vectors: Vectors, method: str) -> None:
        lengths = np.linalg.norm(vectors[has_direction(vectors)], axis=1)
        off = lengths[np.abs(lengths - 1) >= UNIT_TOLERANCE]
        if off.size:
            said = f"{off.size} of {len(vectors)} vectors with another length than 1, the first {off[0]:.3g}"
            raise broken(self._address, f"{method} returned {said}", "one of length 1 for each")


def has_direction(vectors: Vectors) -> Any:
    """Of each row, whether it is finite and not zero, (n,) bool. What has none is a fault of the datum."""
    return np.isfinite(vectors).all(axis=1) & vectors.any(axis=1)


def broken(address: str, found: str, asked: str) -> EncoderError:
    """One line for a contract that is not kept."""
    return EncoderError(f"encoder {address}: {found}, and {asked} is asked for", hint=WHERE)


def described(value: Any) -> str:
    """A value by its type, and what else says what it is: shape and numbers of an array, a text or number itself."""
    kind = type(value)
    name = kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__.partition('.')[0]}.{kind.__name__}"
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        device = f" on {value.device}" if hasattr(value, "detach") else ""
        gradient = " with gradients" if getattr(value, "requires_grad", False) else ""
        return f"{name} {tuple(value.shape)} of {str(value.dtype).removeprefix('torch.')}{device}{gradient}"
    if value is None or isinstance(value, str | int | float):
        return printable(one_line(repr(value), longest=SHOWN_TEXT))
    return f"{name} of {len(value)}" if isinstance(value, list | tuple) else name


def _ask(address: str, what: str, question: Callable[[], Answer]) -> Answer:
    """The answer of somebody else's program. Its own clear errors pass, and so does a lack of memory."""
    try:
        return question()
    except (CuratorError, MemoryError):
        raise
    except Exception as fault:
        raise EncoderError(
            f"encoder {address}: {what} raised {type(fault).__name__}: {said_by(fault, whole=True)}{_place(fault)}",
            hint=f"`curator -v` shows the traceback; {WHERE}",
        ) from fault


def _place(fault: BaseException) -> str:
    """Where the fault was raised, in the last of the files that are neither of this package nor of a library."""
    frames = traceback.extract_tb(fault.__traceback__)[1:]
    own = [frame for frame in frames if "site-packages" not in frame.filename and frame.filename != __file__]
    return f" ({Path(own[-1].filename).name}, line {own[-1].lineno})" if own else ""

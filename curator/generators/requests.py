"""What generators are asked and what they answer: the same values for every role, model and service.

A describer turns an image into a short text, a reasoner turns labels and a conversation into labels, a viewer does so
with images, a painter turns a text, or an image and a text, into an image. Each of them gets `Request`s: a
versioned prompt with its slots filled, pictures, and the turns before. A model that reads prompts renders them
(`Request.messages`); an embedded default looks at the prompt's name and the slots instead.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from curator.decode import DecodeOptions, look, looked_at
from curator.generators.prompts import Prompt, Slot
from curator.types import Preprocess

Role: TypeAlias = Literal["describer", "reasoner", "viewer", "painter"]
Speaker: TypeAlias = Literal["user", "assistant"]
BYTES_A_TOKEN = 3  # of lists of names, where words are rare and long; of prose it is 4
TURN_TOKENS = 40  # of the marks around two messages, and the form of the answer
PICTURE_TOKENS = 1500  # LLaVA-1.5 takes 576, Qwen2-VL 1,370 of a square of 1,024 pixels, LLaVA-NeXT up to 2,880


class Decode(Protocol):
    def __call__(self, data: bytes, *, side: int) -> Image.Image: ...


def decode_here(data: bytes, *, side: int) -> Image.Image:
    """In this process: for pictures that are trusted."""
    return looked_at(*look(data, Preprocess(side), DecodeOptions()))


@dataclass(frozen=True, slots=True)
class Picture:
    """An image that a request shows. `image_id` names its content; `vector` (d,) is its unit vector, where it is known.

    `load` reads its bytes when a model wants to see them: an embedded default never does. `decode` makes an image of
    mode RGB of them, its longer side at most `side`, or raises DecodeFailure; pictures of a lake are decoded in a
    process of their own.
    """

    image_id: str
    load: Callable[[], bytes] = field(compare=False, repr=False)
    vector: NDArray[np.float32] | None = field(default=None, compare=False, repr=False)
    decode: Decode = field(default=decode_here, kw_only=True, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Message:
    """One side of a conversation, as a model that reads prompts gets it."""

    speaker: Speaker
    text: str
    pictures: tuple[Picture, ...] = ()


@dataclass(frozen=True, slots=True)
class Turn:
    """A request that was answered, and the answer as it was given: the history of a later request."""

    request: Request
    reply: str


@dataclass(frozen=True, slots=True)
class Request:
    """One call. `settings` are what else shapes the output: of a painter steps, strength and the like, JSON values.

    `correction` is set on a second try: what was wrong with the reply before (`reply`, `fault`).
    """

    prompt: Prompt
    slots: Mapping[str, Slot]
    pictures: tuple[Picture, ...] = ()
    history: tuple[Turn, ...] = ()
    seed: int = 0
    settings: Mapping[str, object] = field(default_factory=dict)
    correction: tuple[str, str] | None = None

    @property
    def text(self) -> str:
        """The prompt with its slots filled."""
        return self.prompt.render(self.slots)

    @property
    def tokens(self) -> int:
        """What a model will count of the whole conversation with its pictures, roughly."""
        messages = self.messages()
        texts = sum(math.ceil(len(message.text.encode()) / BYTES_A_TOKEN) for message in messages)
        pictures = sum(len(message.pictures) for message in messages)
        return texts + TURN_TOKENS * (len(messages) // 2 + 1) + PICTURE_TOKENS * pictures

    def messages(self) -> list[Message]:
        """The whole conversation up to this request; each picture stands in the turn that introduces it."""
        said: list[Message] = []
        for turn in self.history:
            said += [Message("user", turn.request.text, turn.request.pictures), Message("assistant", turn.reply)]
        said.append(Message("user", self.text, self.pictures))
        if self.correction is not None:
            reply, fault = self.correction
            said += [
                Message("assistant", reply),
                Message("user", f"That answer cannot be used: {fault}. Answer again."),
            ]
        return said

    def content(self) -> dict[str, object]:
        """All that shapes the answer but for the model, as JSON values: what the digest of a call covers.

        Of a turn before it has what the model is shown of it, and not what was before that one in its turn: that is
        said in the list already, and would double it with every turn.
        """
        return {
            "prompt": [self.prompt.name, self.prompt.version, self.prompt.digest],
            "slots": {name: list(value) if isinstance(value, tuple) else value for name, value in self.slots.items()},
            "pictures": [picture.image_id for picture in self.pictures],
            "history": [[replace(turn.request, history=()).content(), turn.reply] for turn in self.history],
            "seed": self.seed,
            "settings": dict(self.settings),
            "correction": self.correction,
        }

    @property
    def digest(self) -> str:
        """32 hexadecimal digits that name the request."""
        return hashlib.sha256(json.dumps(self.content(), sort_keys=True).encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of one request: a text, or an artefact (an image, or vectors in safetensors), or a fault.

    `position` is that of the request in the sequence asked. `attempts` counts what was sent to the model or service,
    repeats after a time-out or an overload included. `facts` are JSON values worth keeping: losses, sizes.
    A fault that is `final` would come again if the same were asked once more.
    """

    position: int
    text: str | None = None
    artefact: bytes | None = None
    suffix: str = ""
    fault: str | None = None
    final: bool = False
    attempts: int = 1
    seconds: float = 0.0
    facts: Mapping[str, object] = field(default_factory=dict)


class Generator(Protocol):
    """A model or service behind one role. Making one is cheap: weights load with the first request.

    `model` is its address (`wordnet`, `transformers:<id>`, `endpoint:<name>`), `revision` what exactly answers: a
    commit, a digest of files, or `unknown` where a service does not say. `room`: the tokens that a conversation with
    its pictures may have before the answer, None for no limit; GeneratorError where the model is not there.
    """

    @property
    def model(self) -> str: ...
    @property
    def revision(self) -> str: ...
    @property
    def room(self) -> int | None: ...

    def replies(self, requests: Sequence[Request], *, allow: Callable[[], bool]) -> Iterator[Reply]:
        """A reply for each request, in any order, each as soon as it is there.

        `allow()` is asked before anything is sent, and once for each repeat: False says that the budget is spent, and
        then nothing more is sent. Requests that were never sent have no reply. Faults of one request are replies;
        raises GeneratorError only for what makes every request fail: no weights, no such model, a refused key.
        """

    def close(self) -> None:
        """Free the weights and connections; a later request would load them again."""

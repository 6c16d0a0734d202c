"""Describers and reasoners that run here: any image-text-to-text model of transformers, or a text model to reason.

A model is loaded with the first request that reaches it and answers in batches, greedily, so the same request always
gets the same answer. No decoder here holds a model to a schema: the form of the answer is told in words, and replies
that do not keep to it are asked for again by whoever asked. Code that a repository brings is never run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from itertools import takewhile
from typing import TYPE_CHECKING

from curator.encoders.hub import CHECKPOINT_FILES, TOKENIZER_FILES
from curator.encoders.options import DTYPES
from curator.errors import UsageError
from curator.generators import GeneratorOptions
from curator.generators.answers import THOUGHT_TOKENS, TOKENS, messages_with_form, room_beside, thought_length
from curator.generators.model_files import MODEL_MARKER, config_folder, model_folder, revision_of
from curator.generators.pictures import PictureFault, open_picture
from curator.generators.requests import Message, Reply, Request, Role
from curator.generators.surroundings import Surroundings
from curator.printable import said_by

if TYPE_CHECKING:
    from curator.generators.chat.model import ChatMessage, ChatModel, Conversation

OTHER_FILES = ("*.json", "*.jinja", *TOKENIZER_FILES)
QUANTISE = ("none", "4bit")


def make_local_chat(rest: str, role: Role, options: GeneratorOptions, surroundings: Surroundings) -> LocalChat:
    """The model of a folder or repository. Nothing is looked for or loaded yet. Raises UsageError."""
    del surroundings  # a model that reads prompts is told all it needs by them
    if options.quantise not in QUANTISE or options.dtype not in DTYPES:
        raise UsageError(
            f"transformers:{rest}: quantise is {options.quantise!r} and dtype is {options.dtype!r}",
            hint=f"quantise is one of {', '.join(QUANTISE)}; dtype is one of {', '.join(DTYPES)}",
        )
    return LocalChat(rest, role, options)


class LocalChat:
    """See `curator.generators.requests.Generator`."""

    def __init__(self, rest: str, role: Role, options: GeneratorOptions) -> None:
        self.model = f"transformers:{rest}"
        self._rest = rest
        self._role = role
        self._options = options
        self._loaded: ChatModel | None = None
        self._one_by_one = False
        self._proven = False  # whether it ever answered: before that, a fault may be the processor's own

    @cached_property
    def revision(self) -> str:
        """The commit of a repository, the digest of a folder's files. Loads no weights. Raises GeneratorError."""
        return revision_of(self._rest, address=self.model, marker=MODEL_MARKER, offline=self._options.offline)

    @cached_property
    def room(self) -> int | None:
        """What the configuration of the model leaves beside an answer. Loads no weights. Raises GeneratorError."""
        from curator.generators.chat.model import context_of

        folder = config_folder(self._rest, address=self.model, marker=MODEL_MARKER, offline=self._options.offline)
        context = context_of(folder, self.model)
        return None if context is None else room_beside(self._options.max_new_tokens, context)

    def replies(self, requests: Sequence[Request], *, allow: Callable[[], bool]) -> Iterator[Reply]:
        for positions in _batches(requests, self._options.batch_size):
            asked: list[tuple[int, Conversation]] = []  # pictures decoded
            for position in positions:
                try:
                    conversation = [_as_parts(message) for message in messages_with_form(requests[position])]
                except PictureFault as fault:
                    yield Reply(position, fault=str(fault), final=fault.final, attempts=0)
                else:
                    asked.append((position, conversation))
            allowed = list(takewhile(lambda _: allow(), asked))
            if allowed:
                yield from self._answer(
                    allowed, max(TOKENS[requests[position].prompt.answer] for position, _ in allowed)
                )
            if len(allowed) < len(asked):
                return

    def close(self) -> None:
        if self._loaded is not None:
            self._loaded.close()
            self._loaded = None

    def _answer(self, asked: list[tuple[int, Conversation]], tokens: int) -> Iterator[Reply]:
        """Replies to a batch, of at most so many tokens unless the options say. Where it does not fit together, each of
        it alone; what does not fit alone is a fault."""
        model = self._model()
        started = time.monotonic()
        try:
            if self._one_by_one and len(asked) > 1:
                raise ValueError("this processor takes no batches")
            inputs = model.inputs([conversation for _, conversation in asked])
        except ValueError as fault:
            if len(asked) == 1:
                text = f"the model cannot take this request: {said_by(fault, whole=True)}"
                yield Reply(asked[0][0], fault=text, final=self._proven)
                return
            replies = [reply for one in asked for reply in self._answer([one], tokens)]
            self._one_by_one = all(reply.fault is None for reply in replies)
            yield from replies
            return
        found = model.generate(inputs, self._options.max_new_tokens or tokens + THOUGHT_TOKENS * model.thinks)
        self._proven = True
        seconds = (time.monotonic() - started) / len(asked)
        for (position, _), said in zip(asked, found, strict=True):
            facts: dict[str, object] = {
                "finish_reason": "length" if said.cut else "stop",
                "prompt_tokens": said.prompt_tokens,
                "completion_tokens": said.tokens,
            }
            if thoughts := thought_length(said.text):
                facts["thought_characters"] = thoughts
            yield Reply(position, text=said.text, seconds=seconds, facts=facts)

    def _model(self) -> ChatModel:
        if self._loaded is None:
            folder = model_folder(
                self._rest,
                address=self.model,
                marker=MODEL_MARKER,
                offline=self._options.offline,
                any_of=CHECKPOINT_FILES,
                also=OTHER_FILES,
            )
            from curator.generators.chat.model import load_chat_model

            self._loaded = load_chat_model(folder, self.model, self._role, self._options)
        return self._loaded


def _batches(requests: Sequence[Request], size: int) -> Iterator[list[int]]:
    """Positions of requests with as many pictures each: some processors cannot mix those with and those without."""
    alike: dict[int, list[int]] = {}
    for position, request in enumerate(requests):
        pictures = sum(len(message.pictures) for message in request.messages())
        alike.setdefault(pictures, []).append(position)
    for positions in alike.values():
        for start in range(0, len(positions), max(1, size)):
            yield positions[start : start + max(1, size)]


def _as_parts(message: Message) -> ChatMessage:
    """Pictures stay in the message that shows them: LLaVA-1.5 knows only one a conversation, at its place."""
    shown = [{"type": "image", "image": open_picture(picture)} for picture in message.pictures]
    return {"role": message.speaker, "content": [*shown, {"type": "text", "text": message.text}]}

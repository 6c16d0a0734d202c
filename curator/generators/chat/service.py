"""One HTTP request to an OpenAI-compatible service, and what came of it: an answer, or one of a few kinds of fault.

The `openai` package speaks the protocol, without its own repeats: those are counted and paid for, so `endpoint` decides
on them. Everything a service says is text of a stranger: it is made one line, cut short and rid of the key before it is
kept or shown. Some services refuse parameters that others want; what is refused is left out from then on.
"""

from __future__ import annotations

import email.utils
import math
import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias
from urllib.parse import urlsplit

from curator.errors import GeneratorError, MissingExtra, UsageError
from curator.generators import GeneratorOptions
from curator.generators.answers import THOUGHT_TOKENS, TOKENS, messages_with_form, schema_of, thought_length
from curator.generators.pictures import data_url
from curator.generators.requests import Message, Request
from curator.printable import LONGEST_FAULT, one_line

if TYPE_CHECKING:
    import openai

NO_KEY = "none"  # local servers take any key, but the protocol wants one
CONNECT_SECONDS = 10.0
SHORTEST_KEY = 6  # a shorter one is a placeholder: to strike it out of texts would only garble them

# `answered` has text and facts. `repeat` may go well the next time; `refused` will not while the service is as it is,
# `hopeless` never; `unfit` names a parameter that the service does not take; `fatal` would meet every request.
Sent: TypeAlias = dict[str, object]  # JSON
OutcomeKind: TypeAlias = Literal["answered", "repeat", "refused", "hopeless", "unfit", "fatal"]

OPTIONAL = {  # parameter to the words by which services call it
    "response_format": ("response_format", "json_schema", "structured output"),
    "seed": ("seed",),
    "temperature": ("temperature",),
    "max_tokens": ("max_tokens",),
    "chat_template_kwargs": ("chat_template_kwargs",),
}
SILENT = {"enable_thinking": False, "thinking": False}  # the switches of chat templates: Qwen3's, DeepSeek's, Granite's
UNWANTED = re.compile(r"unsupported|not support|unrecogni|unknown|unexpected|not permitted|not allowed|extra", re.I)
REPEATABLE = (408, 409, 429)
MENDABLE = (400, 422)  # of the request, or of a gateway and its settings: the same request may be taken another day


@dataclass(frozen=True, slots=True)
class HttpOutcome:
    """What one HTTP request gave. `text` is the answer, the fault, or the name of an unfit parameter, by `kind`.

    pause_seconds: what the service asks to wait. unreachable: nothing listens there.
    """

    kind: OutcomeKind
    text: str
    facts: Mapping[str, object] = field(default_factory=dict)
    pause_seconds: float | None = None
    unreachable: bool = False
    seconds: float = 0.0

    @property
    def out_of_thoughts(self) -> bool:
        """Whether it was cut off at its limit of tokens, some of which went to thoughts."""
        thought = self.facts.get("reasoning_tokens") or self.facts.get("thought_characters")
        return bool(thought) and self.facts.get("finish_reason") == "length"


class ChatService:
    """A model behind a base URL. `send` is for any thread, all else for the one that owns the service."""

    def __init__(self, model: str, options: GeneratorOptions) -> None:
        where = urlsplit(options.base_url)
        if where.scheme not in ("http", "https") or not where.hostname:
            raise UsageError(
                f"endpoint:{model}: the base URL {options.base_url!r} is none", hint="such as http://127.0.0.1:8000/v1"
            )
        self.model = model
        port = f":{where.port}" if where.port else ""
        self.shown_url = f"{where.scheme}://{where.hostname}{port}{where.path}"  # without a password or a query
        self.loopback = where.hostname == "localhost" or where.hostname.startswith("127.") or where.hostname == "::1"
        self.left_out: set[str] = set()
        self.thinks = False  # in spite of the switch: answers need room for thoughts
        self.in_vain = 0  # calls one after the other that used up their repeats
        self.named: set[str] = set()  # other models that answered, of which people were told
        self.told = -math.inf  # when people were last told of a fault, by the monotonic clock
        self._options = options
        self._client: Any = None
        self._key = NO_KEY

    def __repr__(self) -> str:
        return f"ChatService({self.model!r}, {self.shown_url!r})"

    def open(self) -> None:
        """Make ready to send; connects to nothing yet. Raises MissingExtra, GeneratorError."""
        if self._client is not None:
            return
        if self._options.offline and not self.loopback:
            raise GeneratorError(f"{self}: offline mode forbids any service but one on this machine")
        try:
            import openai
        except ImportError as fault:
            raise MissingExtra("openai", extra="endpoint", needed_for=f"endpoint:{self.model}") from fault
        self._key = os.environ.get(self._options.api_key_variable, "").strip() or NO_KEY
        if not (self._key.isascii() and self._key.isprintable()):
            raise GeneratorError(f"{self}: {self._key_place} and has characters that no key has")
        seconds = self._options.timeout_seconds
        timeout = openai.Timeout(seconds, connect=min(CONNECT_SECONDS, seconds))
        # A proxy that the environment names is for the world outside, not for a server on this machine.
        transport = openai.DefaultHttpxClient(trust_env=not self.loopback, timeout=timeout)
        self._client = openai.OpenAI(
            api_key=self._key, base_url=self._options.base_url, max_retries=0, timeout=timeout, http_client=transport
        )

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    def __str__(self) -> str:
        return f"endpoint:{self.model} at {self.shown_url}"

    @property
    def _key_place(self) -> str:
        name = self._options.api_key_variable
        return (
            f"the key is read from the environment variable {name}, which is {'' if name in os.environ else 'not '}set"
        )

    def messages(self, request: Request) -> list[Sent]:
        """The conversation in the form of the protocol. Raises PictureFault."""
        return [_as_sent(message) for message in messages_with_form(request)]

    def body(self, request: Request, messages: list[Sent]) -> Sent:
        """All that is sent, but for what this service does not take."""
        form = {"name": request.prompt.answer, "schema": schema_of(request.prompt), "strict": True}
        most = self._options.max_new_tokens or TOKENS[request.prompt.answer] + THOUGHT_TOKENS * self.thinks
        context = self._options.context_tokens  # some services refuse what may not fit
        most = max(1, min(most, max(context - request.tokens, context // 8)))
        optional: Sent = {
            "response_format": {"type": "json_schema", "json_schema": form},
            "seed": request.seed,
            "temperature": 0,
            "max_tokens": most,
            "chat_template_kwargs": SILENT,
        }
        sent = {name: value for name, value in optional.items() if name not in self.left_out}
        if "max_tokens" in self.left_out:  # its later name
            sent["max_completion_tokens"] = most
        if (switches := sent.pop("chat_template_kwargs", None)) is not None:  # no parameter of OpenAI's own
            sent["extra_body"] = {"chat_template_kwargs": switches}
        return {"model": self.model, "messages": messages, **sent}

    def send(self, body: Sent) -> HttpOutcome:
        """Send it once and wait. Every fault of service and network is an outcome."""
        import openai

        client, started = self._client, time.monotonic()
        try:
            completion = client.chat.completions.create(**body)
            outcome = self._read(completion)
        except openai.APITimeoutError:
            outcome = HttpOutcome("repeat", f"no answer within {self._options.timeout_seconds:g} s")
        except openai.APIConnectionError as fault:
            cause = type(fault.__cause__).__name__
            outcome = HttpOutcome("repeat", f"the connection failed ({cause})", unreachable=cause == "ConnectError")
        except openai.APIStatusError as fault:
            outcome = self._refusal(fault, body)
        except (openai.OpenAIError, ValueError, RecursionError) as fault:
            outcome = HttpOutcome("repeat", f"the service sent what cannot be read ({type(fault).__name__})")
        return replace(outcome, seconds=time.monotonic() - started)

    def other_model(self, facts: Mapping[str, object]) -> str | None:
        """The model that answered, where its name is another one: no version or repository of what was asked."""
        asked, served = self.model.casefold(), facts.get("served_model")
        if not isinstance(served, str) or not served:
            return None
        names = [name.rstrip("/").rpartition("/")[2] for name in (asked, served.casefold())]
        return None if names[0] in names[1] or names[1] in names[0] else served

    def _read(self, completion: Any) -> HttpOutcome:
        """The package checks no types of what it reads, so anything may stand anywhere."""
        try:
            choice = completion.choices[0]
            text = choice.message.content
        except (AttributeError, IndexError, TypeError):
            return HttpOutcome("repeat", "the service sent what is no completion")
        if text is not None and not isinstance(text, str):
            return HttpOutcome("repeat", "the service sent a content that is no text")
        usage = getattr(completion, "usage", None)
        thoughts = getattr(choice.message, "reasoning_content", None) or getattr(choice.message, "reasoning", None)
        thought_characters = thought_length(text or "") + (len(thoughts) if isinstance(thoughts, str) else 0)
        details = getattr(usage, "completion_tokens_details", None)
        facts = {
            "finish_reason": getattr(choice, "finish_reason", None),
            "served_model": getattr(completion, "model", None),
            "system_fingerprint": getattr(completion, "system_fingerprint", None),
            "refusal": getattr(choice.message, "refusal", None),
            "prompt_tokens": getattr(usage, "prompt_tokens", None),
            "completion_tokens": getattr(usage, "completion_tokens", None),
            "reasoning_tokens": getattr(details, "reasoning_tokens", None) or None,
            "thought_characters": thought_characters or None,
            "left_out": ", ".join(sorted(self.left_out)) or None,
        }
        kept = {
            name: self._clean(value) if isinstance(value, str) else value
            for name, value in facts.items()
            if isinstance(value, str | int)
        }
        if (fault := _no_answer(text or "", kept)) is not None:
            return HttpOutcome("refused", fault, kept)
        return HttpOutcome("answered", self._without_key(text or ""), kept)

    def _refusal(self, fault: openai.APIStatusError, body: Sent) -> HttpOutcome:
        status, said = fault.status_code, self._clean(_said(fault))
        if status in (401, 403):
            return HttpOutcome("fatal", f"{self} refuses the key ({status}): {said}; {self._key_place}")
        if status == 404:
            return HttpOutcome("fatal", f"{self}: no such model or path (404): {said}; {self._key_place}")
        if fault.code == "insufficient_quota":
            return HttpOutcome("fatal", f"{self}: its quota is spent ({status}): {said}; {self._key_place}")
        text = f"the service answered {status}: {said}"
        if status >= 500 or status in REPEATABLE:
            return HttpOutcome("repeat", text, pause_seconds=_retry_after(fault.response.headers))
        if status in (400, 422) and (unfit := _unfit(said, body)):
            return HttpOutcome("unfit", unfit)
        return HttpOutcome("refused" if status in MENDABLE else "hopeless", text)

    def _clean(self, text: str) -> str:
        return one_line(self._without_key(one_line(text)), longest=LONGEST_FAULT)

    def _without_key(self, text: str) -> str:
        return text.replace(self._key, "***") if len(self._key) >= SHORTEST_KEY else text


def _no_answer(text: str, facts: Mapping[str, object]) -> str | None:
    """Why a completion is none: a filter took it, or nothing was said although there was room. It is the service's
    doing, so the model is not told of it as of a fault."""
    if facts.get("finish_reason") == "content_filter":
        return "the service filtered the answer (content_filter)"
    if text.strip() or facts.get("finish_reason") == "length":
        return None
    refusal = facts.get("refusal")
    return f"the model refuses: {refusal}" if refusal else "the service sent an empty answer"


def _as_sent(message: Message) -> Sent:
    if not message.pictures:
        return {"role": message.speaker, "content": message.text}
    shown = [{"type": "image_url", "image_url": {"url": data_url(picture)}} for picture in message.pictures]
    return {"role": message.speaker, "content": [*shown, {"type": "text", "text": message.text}]}


def _said(fault: openai.APIStatusError) -> str:
    """The service's own words: OpenAI's `message`, FastAPI's `detail`, or whatever the body is."""
    body = fault.body
    if isinstance(body, dict):
        said = body.get("message") or body.get("detail") or body.get("error") or body
        return str(said)
    return str(body or fault.message)


def _unfit(said: str, body: Sent) -> str | None:
    """The optional parameter that a refusal is about, if it was sent."""
    low = said.lower()
    extra = body.get("extra_body")
    sent = {*body, *(extra if isinstance(extra, dict) else ())}
    for name, words in OPTIONAL.items():
        if name in sent and any(word in low for word in words) and (name == "response_format" or UNWANTED.search(low)):
            return name
    return None


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait by the header Retry-After, which is a number or a date; None without a sensible one."""
    value = headers.get("retry-after", "")
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (TypeError, ValueError, OverflowError):
        return None

"""Describers and reasoners behind any OpenAI-compatible service: vLLM, Ollama, `transformers serve`, a vendor's.

Threads only send: one HTTP request each at a time. Who is next, what is repeated and when, and whether the budget
allows it is decided in the thread that asks for the replies, so neither budget nor store need locks. The threads are
daemons: an interrupted run ends at once and leaves what was on its way to the service.

A dead or overloaded service is given time: repeats wait twice as long each, shifted by a jitter that the request itself
determines, and a service that says how long to wait is heard.
"""

from __future__ import annotations

import hashlib
import heapq
import logging
import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue

from curator.errors import GeneratorError
from curator.generators import GeneratorOptions
from curator.generators.answers import room_beside
from curator.generators.chat.service import ChatService, HttpOutcome, Sent
from curator.generators.pictures import PictureFault
from curator.generators.requests import Reply, Request, Role
from curator.generators.surroundings import Surroundings

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
LONGEST_WISH_SECONDS = 60.0  # a service that asks for a longer pause is asked again after this one
IN_VAIN = 8  # calls one after the other that failed for good, twice as many as are on their way where those are more
TOLD_AGAIN_SECONDS = 30.0  # after a line about a fault, until the next one
LONG_WISH_SECONDS = 5.0  # a pause of which people are told at once
log = logging.getLogger(__name__)


def make_endpoint(rest: str, role: Role, options: GeneratorOptions, surroundings: Surroundings) -> Endpoint:
    """The model `rest` of the service at `options.base_url`. Nothing is sent or imported yet. Raises UsageError."""
    del role, surroundings  # a service answers what the prompt asks, for every role alike
    return Endpoint(ChatService(rest, options), options)


class Endpoint:
    """See `curator.generators.requests.Generator`. What exactly answers, a service does not say in advance."""

    revision = "unknown"

    def __init__(self, service: ChatService, options: GeneratorOptions) -> None:
        self.model = f"endpoint:{service.model}"
        self.room: int | None = room_beside(options.max_new_tokens, options.context_tokens)
        self._service = service
        self._options = options

    def replies(self, requests: Sequence[Request], *, allow: Callable[[], bool]) -> Iterator[Reply]:
        if not requests:
            return
        self._service.open()
        yield from _Dispatch(self._service, requests, allow, self._options).run()

    def close(self) -> None:
        self._service.close()


@dataclass(slots=True)
class _Sending:
    """A request on its way: what was tried so far, and what the last try gave."""

    position: int
    request: Request
    messages: list[Sent]
    attempts: int = 0
    repeats: int = 0
    seconds: float = 0.0
    last_fault: str = ""
    given_room: bool = False  # for thoughts, after those had left none for an answer

    def failed(self, fault: str, *, final: bool, facts: Mapping[str, object] | None = None) -> Reply:
        return Reply(
            self.position, fault=fault, final=final, attempts=self.attempts, seconds=self.seconds, facts=facts or {}
        )

    def answered(self, outcome: HttpOutcome) -> Reply:
        return Reply(
            self.position, text=outcome.text, attempts=self.attempts, seconds=self.seconds, facts=outcome.facts
        )


@dataclass
class _Dispatch:
    """One call of `replies`."""

    service: ChatService
    requests: Sequence[Request]
    allow: Callable[[], bool]
    options: GeneratorOptions
    waiting: list[tuple[float, int, _Sending]] = field(default_factory=list)  # a heap: when, tie-break, what
    on_the_way: int = 0
    asked: int = 0  # how many of the requests were taken up
    paused_until: float = 0.0
    spent: bool = False
    fatal: str | None = None
    reached: bool = False  # whether the service ever said anything
    outbox: SimpleQueue[tuple[_Sending, Sent] | None] = field(default_factory=SimpleQueue)
    inbox: SimpleQueue[tuple[_Sending, HttpOutcome | BaseException]] = field(default_factory=SimpleQueue)

    def run(self) -> Iterator[Reply]:
        threads = range(self.most_at_once)
        for _ in threads:
            threading.Thread(target=self._carry, name="curator-endpoint", daemon=True).start()
        try:
            while True:
                yield from self._send()
                if not self.on_the_way and not self.waiting and (self._stopped or self._all_taken_up):
                    break
                try:
                    sending, outcome = self.inbox.get(timeout=self._seconds_to_wait())
                except Empty:
                    continue  # a repeat is due
                yield from self._settle(sending, outcome)
        finally:
            for _ in threads:
                self.outbox.put(None)
        if self.fatal is not None:
            raise GeneratorError(self.fatal)

    def _carry(self) -> None:
        """What a thread does until it gets None."""
        while (parcel := self.outbox.get()) is not None:
            sending, body = parcel
            try:
                self.inbox.put((sending, self.service.send(body)))
            except BaseException as fault:  # raised again by the thread that waits for it
                self.inbox.put((sending, fault))

    @property
    def _takes_up(self) -> bool:
        """Whether to begin a new request: not while many wait for a repeat, which would burden a service in need."""
        return not self._all_taken_up and len(self.waiting) < self.most_at_once

    def _send(self) -> Iterator[Reply]:
        """Send what may be sent now. Replies are of requests that cannot be sent, or not once more."""
        while self.on_the_way < self.most_at_once and not self._stopped:
            sending = self._next()
            if sending is None:
                return
            if isinstance(sending, Reply):
                yield sending
                continue
            if not self.allow():
                self.spent = True
                if sending.attempts:
                    yield self._given_up(sending)
                break
            sending.attempts += 1
            self.on_the_way += 1
            self.outbox.put((sending, self.service.body(sending.request, sending.messages)))
        if self._stopped:
            while self.waiting:
                yield self._given_up(heapq.heappop(self.waiting)[2])

    @property
    def most_at_once(self) -> int:
        return min(max(1, self.options.concurrency), len(self.requests))

    @property
    def _stopped(self) -> bool:
        return self.spent or self.fatal is not None

    @property
    def _all_taken_up(self) -> bool:
        return self.asked == len(self.requests)

    def _next(self) -> _Sending | Reply | None:
        """A repeat that is due, else a request not sent yet, else none; a reply where its pictures cannot be shown."""
        now = time.monotonic()
        if now < self.paused_until:
            return None
        if self.waiting and self.waiting[0][0] <= now:
            return heapq.heappop(self.waiting)[2]
        if not self._takes_up:
            return None
        position, request = self.asked, self.requests[self.asked]
        self.asked += 1
        try:
            return _Sending(position, request, self.service.messages(request))
        except PictureFault as fault:
            return Reply(position, fault=str(fault), final=fault.final, attempts=0)

    def _seconds_to_wait(self) -> float | None:
        """Until the next repeat is due, or the service may be asked again; None to wait for an outcome only."""
        if self._stopped or self.on_the_way == self.most_at_once:
            return None
        repeat_due = self.waiting[0][0] if self.waiting else math.inf
        due = max(self.paused_until, 0.0 if self._takes_up else repeat_due)
        return None if due == math.inf else max(0.0, due - time.monotonic())

    def _settle(self, sending: _Sending, outcome: HttpOutcome | BaseException) -> Iterator[Reply]:
        self.on_the_way -= 1
        if isinstance(outcome, BaseException):
            raise outcome
        sending.seconds += outcome.seconds
        self.reached = self.reached or not outcome.unreachable
        if outcome.kind == "answered" and outcome.out_of_thoughts and not sending.given_room:
            sending.given_room = self.service.thinks = True
            sending.last_fault = "its thoughts left no room for an answer"
            self._wait(sending, until=0.0)
        elif outcome.kind == "answered":
            self.service.in_vain = 0
            self._look_who_answers(outcome)
            yield sending.answered(outcome)
        elif outcome.kind in ("refused", "hopeless"):
            yield sending.failed(outcome.text, final=outcome.kind == "hopeless", facts=outcome.facts)
        elif outcome.kind == "fatal":
            self.fatal = self.fatal or outcome.text
        elif outcome.kind == "unfit":
            self.service.left_out.add(outcome.text)
            sending.last_fault = f"the service does not take {outcome.text}"
            self._wait(sending, until=0.0)
        elif (reply := self._repeat(sending, outcome)) is not None:
            yield reply

    def _repeat(self, sending: _Sending, outcome: HttpOutcome) -> Reply | None:
        sending.last_fault = outcome.text
        wish = min(outcome.pause_seconds or 0.0, LONGEST_WISH_SECONDS)
        self.paused_until = max(self.paused_until, time.monotonic() + wish)
        if sending.repeats >= self.options.retries:
            self.service.in_vain += 1
            if outcome.unreachable and not self.reached:
                self.fatal = f"{self.service}: nothing answers there, after {sending.attempts} attempts"
            elif self.service.in_vain >= max(IN_VAIN, 2 * self.options.concurrency):
                self.fatal = self.fatal or (
                    f"{self.service}: {self.service.in_vain} calls in a row failed: {outcome.text}, "
                    f"after {sending.attempts} attempts"
                )
            return sending.failed(f"{outcome.text}, after {sending.attempts} attempts", final=False)
        sending.repeats += 1
        pause = max(wish, pause_seconds(sending.request, sending.repeats))
        if wish >= LONG_WISH_SECONDS or sending.repeats > 1:
            self._tell(outcome.text, pause)
        self._wait(sending, until=time.monotonic() + pause)
        return None

    def _tell(self, fault: str, pause: float) -> None:
        """What it waits for, now and then: else it would look as if it hung."""
        now = time.monotonic()
        if now - self.service.told >= TOLD_AGAIN_SECONDS:
            self.service.told = now
            log.warning("%s: %s; asked again in %.0f s", self.service, fault, max(pause, 1.0))

    def _look_who_answers(self, outcome: HttpOutcome) -> None:
        """A gateway may answer as another model than was asked, whose answers are then kept under the asked one's."""
        served = self.service.other_model(outcome.facts)
        if served is not None and served not in self.service.named:
            self.service.named.add(served)
            log.warning("%s: it answers as another model: %s", self.service, served)

    def _wait(self, sending: _Sending, *, until: float) -> None:
        heapq.heappush(self.waiting, (until, sending.position, sending))

    def _given_up(self, sending: _Sending) -> Reply:
        why = "another request met a fault that all would meet" if self.fatal else "the budget allows no repeat"
        return sending.failed(f"{sending.last_fault}; {why}", final=False)


def pause_seconds(request: Request, repeat: int) -> float:
    """How long to wait before the `repeat`-th repeat (from 1): between half and the whole of 0.5, 1, 2, … seconds."""
    digits = hashlib.sha256(f"{request.digest}:{repeat}".encode()).hexdigest()[:8]
    share = 0.5 + 0.5 * int(digits, 16) / 0xFFFFFFFF
    return min(FIRST_PAUSE_SECONDS * 2.0 ** (repeat - 1), LONGEST_PAUSE_SECONDS) * share

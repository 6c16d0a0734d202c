"""Asks generators: every call a row, identical calls answered from the rows, within a budget.

What names a call is all that shapes its answer: role, model, revision, prompt, slots, pictures, history, seed and
settings. A call that was answered is never sent again, so a run that was cut off goes on where it stopped and money is
not spent twice. A reply that cannot be read is asked for again with the fault shown, and at last kept as a rejected
row, which is asked anew only where that is wished. A call that failed is made again by the next run, and not by this
one.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal, Protocol, TypeAlias

from curator.errors import BankError, BudgetSpent, GeneratorError
from curator.generators import is_free
from curator.generators.answers import Answer, AnswerFault, read_answer, without_thoughts
from curator.generators.requests import Generator, Reply, Request, Role, Turn
from curator.progress import step

CALLS = "see `curator query calls`"
CallStatus: TypeAlias = Literal["answered", "rejected", "failed"]
TRIES = 3  # of a reply that cannot be read, the first one included
RAMBLING = (
    2  # times as many labels as were asked for are taken: cleaning drops some, and a list that goes on is no list
)
SHOWN_AGAIN = 1000  # characters of it: what is wrong shows, and a model holds only so much
MOST_CHARACTERS = 64 * 2**20  # of a request with its conversation: hours of turns, and more than any model holds
FLUSH_SECONDS = 0.1  # of generation: so much a killed run may lose
FLUSH_CALLS = 256


@dataclass(frozen=True, slots=True)
class Call:
    """One call as it is stored. `output` is the raw reply, `answer` what was read from it, `artefact` a file's name."""

    call_id: str
    role: Role
    model: str
    revision: str
    request: Request
    status: CallStatus
    output: str | None = None
    answer: Answer | None = None
    artefact: str | None = None
    fault: str | None = None
    attempts: int = 1
    seconds: float = 0.0
    facts: Mapping[str, object] = field(default_factory=dict)

    @property
    def turn(self) -> Turn:
        """The call as a turn of a conversation that goes on: without thoughts, of a list that was cut what was
        complete, and of one that rambled on as many as were asked for, so that the model reads no more than it must."""
        asked, dropped = self.request.slots.get("count"), self.answer.dropped if self.answer else {}
        rambled = isinstance(asked, int) and ("too_many" in dropped or len(self.labels) > RAMBLING * asked)
        if rambled or "cut" in dropped:
            shown = self.labels[:asked] if rambled and isinstance(asked, int) else self.labels
            return Turn(self.request, json.dumps({"labels": list(shown)}, ensure_ascii=False))
        return Turn(self.request, without_thoughts(self.output or ""))

    @property
    def labels(self) -> tuple[str, ...]:
        return self.answer.labels if self.answer else ()


class KnownCalls(Protocol):
    """The calls that were made before."""

    def find(self, call_ids: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
        """The stored rows of calls that need not be made again, by id."""

    def read_artefact(self, name: str) -> bytes:
        """Raises GeneratorError when the file is gone or was changed."""


class CallStore(KnownCalls, Protocol):
    """Where calls are kept. The workspace's ledger is one."""

    def keep(self, calls: Sequence[Call]) -> None:
        """Store finished calls; durable when it returns."""

    def keep_artefact(self, data: bytes, suffix: str) -> str:
        """Store a picture or vectors by content; returns the file's name."""


@dataclass(slots=True)
class Budget:
    """The calls that a run may send to models. `most`: in all, None for no limit; `spent`: those sent so far.

    `refused`: whether one was asked for beyond that, be it the repeat of one that had failed. `free`: those that went
    to embedded generators, which take nothing of it.
    """

    most: int | None = None
    spent: int = 0
    refused: bool = False
    free: int = 0

    def take(self) -> bool:
        if self.most is not None and self.spent >= self.most:
            self.refused = True
            return False
        self.spent += 1
        return True

    def take_free(self) -> bool:
        self.free += 1
        return True

    @property
    def sent(self) -> int:
        return self.spent + self.free


@dataclass(slots=True)
class Outcomes:
    """How the calls of a run ended, each counted once, and why some have no answer."""

    counted: set[str] = field(default_factory=set)
    faults: dict[CallStatus, Counter[str]] = field(default_factory=dict)

    def count(self, calls: Sequence[Call]) -> None:
        for call in calls:
            if call.call_id not in self.counted and call.status != "answered":
                self.faults.setdefault(call.status, Counter())[call.fault or "no reason is known"] += 1
            self.counted.add(call.call_id)

    @property
    def said(self) -> str:
        """`7 of 9 calls failed: the service answered 429: …`, with the commonest fault; nothing where all were
        answered."""
        parts = []
        for status, faults in sorted(self.faults.items()):
            ((fault, often),) = faults.most_common(1)
            words = "failed" if status == "failed" else "were rejected"
            most = f", {often} of them" if len(faults) > 1 else ""
            parts.append(f"{faults.total()} of {len(self.counted)} calls {words}{most}: {fault}")
        return "; ".join(parts)

    def explained(self, error: BankError) -> BankError:
        """With why calls have no answer: else it would say what is lacking and not its cause."""
        hint = error.hint or CALLS
        hint = hint if CALLS in hint else f"{hint}; {CALLS}"
        anew = "; `ask_again` asks anew what was rejected" if "rejected" in self.faults else ""
        return type(error)(f"{error.message}: {self.said}", hint=f"{hint}{anew}")


class Asking(Protocol):
    """What systems see of all this: requests in, calls out."""

    def model(self, role: Role) -> str:
        """The address of what answers for that role."""

    def room(self, role: Role) -> int | None:
        """The tokens that a conversation may have there before the answer; None for no limit. GeneratorError."""

    def ask(self, role: Role, requests: Sequence[Request]) -> list[Call]:
        """A call for each request, in order, rejected and failed ones among them. BudgetSpent, GeneratorError."""

    def expect(self, role: Role, requests: Sequence[Request]) -> None:
        """Requests like these come once others are answered: for the plan of a dry run, which answers none."""

    def artefact(self, call: Call) -> bytes:
        """The picture or vectors that a painter's call made. Raises GeneratorError when the file is gone."""

    def release(self, *roles: Role) -> None:
        """Free the weights of these roles, or of all."""


def call_id_of(role: Role, model: str, revision: str, request: Request) -> str:
    """32 hexadecimal digits of the SHA-256 of all that shapes the answer. Raises GeneratorError for what no row can
    hold."""
    content = {"role": role, "model": model, "revision": revision, **request.content()}
    text = json.dumps(content, sort_keys=True)
    if len(text) > MOST_CHARACTERS:
        raise GeneratorError(
            f"a call of {request.prompt.name} has {len(text)} characters with the {len(request.history)} turns before "
            f"it, at most {MOST_CHARACTERS} are asked",
            hint="ask for fewer labels in one conversation; what was answered is kept",
        )
    return hashlib.sha256(text.encode()).hexdigest()[:32]


@dataclass(slots=True)
class Asker:
    """Asks the generators of a workspace. `generator` gives the one behind a role; it is made once and loads on demand.

    `behind` gives the role under which a role is asked and its calls are kept: where one address serves two, both are
    one. ask_again: calls that were rejected before, from their first try; what was answered stays.
    """

    generator: Callable[[Role], Generator]
    store: CallStore
    budget: Budget = field(default_factory=Budget)
    behind: Callable[[Role], Role] = lambda role: role
    ask_again: bool = False
    outcomes: Outcomes = field(default_factory=Outcomes)
    _generators: dict[Role, Generator] = field(default_factory=dict)
    _unanswered: dict[str, Call] = field(default_factory=dict)  # of this run: it asks for none of them again

    def ask(self, role: Role, requests: Sequence[Request]) -> list[Call]:
        """A call for each request, in order; rejected and failed ones among them. Raises BudgetSpent, GeneratorError.

        What was read wrongly is asked for again, with the fault shown, up to TRIES times in all.
        """
        role = self.behind(role)
        calls = self._tried(role, requests)
        old = [place for place, call in enumerate(calls) if self.ask_again and self._rejected_before(call)]
        anew = self._tried(role, [requests[place] for place in old], anew=True)
        for place, call in zip(old, anew, strict=True):
            calls[place] = call
        self.outcomes.count(calls)
        return calls

    def expect(self, role: Role, requests: Sequence[Request]) -> None:
        """They will be asked when their time comes."""

    def artefact(self, call: Call) -> bytes:
        """The picture or vectors that a call made. Raises GeneratorError when the file is gone or was changed."""
        return self.store.read_artefact(call.artefact or "")

    def model(self, role: Role) -> str:
        """The address of what answers for that role."""
        return self._of(self.behind(role)).model

    def room(self, role: Role) -> int | None:
        """The tokens that a conversation may have there before the answer; None for no limit. Raises GeneratorError."""
        return self._of(self.behind(role)).room

    def release(self, *roles: Role) -> None:
        """Free the weights of these roles, or of all: one model is in memory at a time."""
        for role in map(self.behind, roles or tuple(self._generators)):
            if role in self._generators:
                self._generators[role].close()

    def prepare(self, *roles: Role) -> None:
        """Find the generators of these roles, without loading any. Raises GeneratorError for one that is not there."""
        for role in map(self.behind, roles):
            _ = self._of(role).revision

    def _of(self, role: Role) -> Generator:
        if role not in self._generators:
            self._generators[role] = self.generator(role)
        return self._generators[role]

    def _rejected_before(self, call: Call) -> bool:
        return call.status == "rejected" and call.call_id not in self._unanswered

    def _tried(self, role: Role, requests: Sequence[Request], *, anew: bool = False) -> list[Call]:
        """anew: as if none had been rejected before."""
        return corrected(partial(self._round, role, anew=anew), requests)

    def _round(self, role: Role, requests: Sequence[Request], anew: bool) -> list[Call]:
        if not requests:
            return []
        generator = self._of(role)
        ids = [call_id_of(role, generator.model, generator.revision, request) for request in requests]
        asked = dict(zip(ids, requests, strict=True))
        known = {call_id: self._unanswered[call_id] for call_id in asked if call_id in self._unanswered}
        known |= {
            call_id: stored_call(row, asked[call_id], role, generator)
            for call_id, row in self.store.find([call_id for call_id in asked if call_id not in known]).items()
            if not (anew and row["status"] == "rejected")
        }
        missing = [call_id for call_id in asked if call_id not in known]
        if missing:
            others: tuple[Role, ...] = tuple(other for other in self._generators if other != role)
            if others:
                self.release(*others)
            known |= self._send(role, generator, {call_id: asked[call_id] for call_id in missing})
        return [replace(known[call_id], request=request) for call_id, request in zip(ids, requests, strict=True)]

    def _send(self, role: Role, generator: Generator, asked: Mapping[str, Request]) -> dict[str, Call]:
        """Send what is not known. Each call is stored as soon as it is finished, or together with a few cheap ones."""
        ids, requests = list(asked), list(asked.values())
        done: dict[str, Call] = {}
        name = f"ask the {role}: {requests[0].prompt.name}"
        with Pending(self.store) as pending, step(name, len(ids), "calls") as asking:
            allow = self.budget.take_free if is_free(generator.model) else self.budget.take
            for reply in generator.replies(requests, allow=allow):
                call_id, request = ids[reply.position], requests[reply.position]
                call = self._finished(call_id, role, generator, request, reply)
                done[call_id] = call
                if call.status != "answered":
                    self._unanswered[call_id] = call
                pending.add(call)
                asking.advance()
        if self.budget.refused:
            left = len(ids) - sum(call.status == "answered" for call in done.values())
            fault = next((call.fault for call in reversed(done.values()) if call.status != "answered"), None)
            raise BudgetSpent(
                f"the budget of {self.budget.most} calls is spent: {left} calls of {role} {generator.model} are open"
                f"{f'; the last fault: {fault}' if fault else ''}",
                hint="what was answered is kept; the same command goes on from there: `max_calls` is of each run",
            )
        return done

    def _finished(self, call_id: str, role: Role, generator: Generator, request: Request, reply: Reply) -> Call:
        call = Call(
            call_id, role, generator.model, generator.revision, request, "answered",
            output=reply.text, attempts=reply.attempts, seconds=reply.seconds, facts=reply.facts,
        )  # fmt: skip
        if reply.fault is not None:
            return replace(call, status="rejected" if reply.final else "failed", fault=reply.fault)
        if reply.artefact is not None:
            return replace(call, artefact=self.store.keep_artefact(reply.artefact, reply.suffix))
        length = reply.facts.get("finish_reason") == "length"
        asked = request.slots.get("count")
        most = RAMBLING * asked if isinstance(asked, int) else None
        try:
            return replace(call, answer=read_answer(request.prompt, reply.text or "", cut=length, most=most))
        except AnswerFault as fault:
            cut = f"it was cut off after {reply.facts.get('completion_tokens', 'its limit of')} tokens: "
            return replace(call, status="rejected", fault=f"{cut if length else ''}{fault}")


def corrected(ask: Callable[[Sequence[Request]], list[Call]], requests: Sequence[Request]) -> list[Call]:
    """The calls of requests, each that was rejected asked once more with its fault shown, up to TRIES times in all."""
    calls = ask(requests)
    for _ in range(TRIES - 1):
        if not (again := corrections(calls)):
            break
        for place, call in zip(again, ask(list(again.values())), strict=True):
            calls[place] = call
    return calls


def corrections(calls: Sequence[Call]) -> dict[int, Request]:
    """What is asked once more with the fault shown, by place: a reply came, and could not be read."""
    return {
        place: replace(call.request, correction=(call.output[:SHOWN_AGAIN], call.fault or ""))
        for place, call in enumerate(calls)
        if call.status == "rejected" and call.output is not None
    }


class Pending:
    """Calls that are not stored yet: at most so many as cost FLUSH_SECONDS, so that a killed run loses no more."""

    def __init__(self, store: CallStore) -> None:
        self._store, self._calls = store, list[Call]()

    def __enter__(self) -> Pending:
        return self

    def __exit__(self, *_: object) -> None:
        self._flush()  # also of a run that fails: what was answered was paid for

    def add(self, call: Call) -> None:
        self._calls.append(call)
        if sum(call.seconds for call in self._calls) >= FLUSH_SECONDS or len(self._calls) >= FLUSH_CALLS:
            self._flush()

    def _flush(self) -> None:
        calls, self._calls = self._calls, []
        if calls:
            self._store.keep(calls)


def stored_call(row: Mapping[str, Any], request: Request, role: Role, generator: Generator) -> Call:
    """A row of the store as the call it was."""
    return Call(
        call_id=row["call_id"],
        role=role,
        model=generator.model,
        revision=generator.revision,
        request=request,
        status=row["status"],
        output=row["output"],
        answer=Answer.from_json(json.loads(row["answer"])) if row["answer"] else None,
        artefact=row["artefact"],
        fault=row["fault"],
        attempts=row["attempts"],
        seconds=row["seconds"],
        facts=json.loads(row["facts"]),
    )

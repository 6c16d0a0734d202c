"""What a run would ask of generators: a plan of calls, made by asking nobody."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from curator.generators import is_free
from curator.generators.asking import Call, KnownCalls, call_id_of, corrected, stored_call
from curator.generators.painter_settings import network_passes
from curator.generators.requests import Generator, Request, Role


@dataclass(frozen=True, slots=True)
class PlannedCalls:
    """Calls of one prompt: how many there would be, how many are answered already, and what the first would say.

    rejected: those that were rejected before and are not asked again. passes: of a diffusion model through its network,
    for one call. settings: of the first call, as JSON. timed: calls of the same model and settings that were answered
    before; they took `seconds` each (the median; of several at a time their share) and so many `tokens`, question and
    answer (the mean). Both are None where none is known.
    """

    role: Role
    model: str
    prompt: str
    calls: int
    answered: int
    example: str
    passes: int = 0
    settings: str = "{}"
    timed: int = 0
    seconds: float | None = None
    tokens: float | None = None
    rejected: int = 0

    @property
    def to_make(self) -> int:
        return self.calls - self.answered - self.rejected

    @property
    def free(self) -> bool:
        """Whether an embedded generator is asked, which takes nothing of a budget."""
        return is_free(self.model)

    def totals(self) -> dict[str, object]:
        """Of the calls to make: passes through the network, tokens, hours; None for what is not known."""
        return {
            "network_passes": self.to_make * self.passes or None,
            "all_tokens": None if self.tokens is None else round(self.to_make * self.tokens),
            "hours": None if self.seconds is None else round(self.to_make * self.seconds / 3600, 3),
        }


@dataclass(slots=True)
class DryAsker:
    """Asks nothing: finds what is answered already, and lists what would be sent. See `plan`.

    A call that is not answered counts as failed, so a system goes on without it: of stages that build on its answer the
    plan has what the system expects (see `Asking.expect`).
    """

    generator: Callable[[Role], Generator]
    store: KnownCalls
    behind: Callable[[Role], Role] = lambda role: role
    ask_again: bool = False
    planned: dict[tuple[Role, str], PlannedCalls] = field(default_factory=dict)

    def ask(self, role: Role, requests: Sequence[Request]) -> list[Call]:
        role = self.behind(role)
        calls = corrected(partial(self._round, role), requests)
        if self.ask_again:
            calls = [replace(call, status="failed") if call.status == "rejected" else call for call in calls]
        for name in dict.fromkeys(request.prompt.name for request in requests):
            of_name = {
                request.digest: (request, call.status)
                for request, call in zip(requests, calls, strict=True)
                if request.prompt.name == name
            }
            statuses = Counter(status for _, status in of_name.values())
            asked = {digest: request for digest, (request, _) in of_name.items()}
            self._count(role, name, asked, statuses["answered"], statuses["rejected"])
        return calls

    def _round(self, role: Role, requests: Sequence[Request]) -> list[Call]:
        generator = self.generator(role)
        ids = [call_id_of(role, generator.model, generator.revision, request) for request in requests]
        rows = self.store.find(list(dict.fromkeys(ids)))
        return [
            stored_call(rows[call_id], request, role, generator)
            if call_id in rows
            else Call(call_id, role, generator.model, generator.revision, request, "failed", fault="dry run")
            for call_id, request in zip(ids, requests, strict=True)
        ]

    def expect(self, role: Role, requests: Sequence[Request]) -> None:
        role = self.behind(role)
        for name in dict.fromkeys(request.prompt.name for request in requests):
            of_name = {request.digest: request for request in requests if request.prompt.name == name}
            self._count(role, name, of_name)

    def _count(
        self, role: Role, name: str, requests: Mapping[str, Request], answered: int = 0, rejected: int = 0
    ) -> None:
        """Take requests of a prompt into the plan, each under what names it."""
        model, first = self.generator(role).model, next(iter(requests.values()))
        passes = network_passes(name, first.settings) if model.startswith("diffusers:") else 0
        settings = json.dumps(first.settings, sort_keys=True)
        found = self.planned.setdefault(
            (role, name), PlannedCalls(role, model, name, 0, 0, first.text, passes, settings)
        )
        self.planned[role, name] = replace(
            found,
            calls=found.calls + len(requests),
            answered=found.answered + answered,
            rejected=found.rejected + rejected,
        )

    def model(self, role: Role) -> str:
        return self.generator(self.behind(role)).model

    def room(self, role: Role) -> int | None:
        return self.generator(self.behind(role)).room

    def artefact(self, call: Call) -> bytes:
        return self.store.read_artefact(call.artefact or "")

    def release(self, *roles: Role) -> None:
        """Nothing is loaded."""

    def plan(self) -> tuple[PlannedCalls, ...]:
        return tuple(self.planned.values())

"""What a run of MM-OOD works with, and what its branches share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from curator.banks.prompts import Template, fill
from curator.generators.asking import Asking, Call
from curator.generators.requests import Request, Role
from curator.systems.cleaning import Clean
from curator.systems.conversations import Conversation, Heard
from curator.systems.mmood.settings import MmoodSettings
from curator.systems.proposals import Proposal
from curator.systems.world import World

Item = TypeVar("Item")
NEAR, FAR = "mmood:near", "mmood:far"


@dataclass(slots=True)
class MmoodSession:
    """What a run works with, and all that came of it: calls by stage, pictures, images shown."""

    world: World
    asking: Asking
    id_texts: tuple[str, ...]
    settings: MmoodSettings
    clean: Clean
    template: Template
    calls: dict[str, list[Call]] = field(default_factory=dict)
    pictures: list[Mapping[str, object]] = field(default_factory=list)
    used_images: set[str] = field(default_factory=set)
    account: dict[str, object] = field(default_factory=dict)

    def proposal(self, heard: Heard, source: str, concerns: str | None = None) -> Proposal:
        return Proposal(heard.text, fill(self.template, heard.text), source, heard.call_id, concerns)

    def cleaned(self, heard: Iterable[Heard], source: str) -> list[Heard]:
        """What cleaning leaves of them, as it spells them."""
        kept = self.clean([self.proposal(item, source) for item in heard]).kept
        return [Heard(proposal.text, proposal.call_id or "") for proposal in kept]

    def conversation(self, role: Role, opening: str) -> Conversation:
        """A new one with the model behind that role."""
        return Conversation(self.settings.seed, opening, self.asking.room(role))

    def ask(self, stage: str, requests: Sequence[Request], role: Role) -> list[Call]:
        """One stage of all conversations at once; no call where there is no request."""
        calls = self.asking.ask(role, requests) if requests else []
        self.calls.setdefault(stage, []).extend(calls)
        return calls


def round_robin(lists: Iterable[Sequence[Item]]) -> list[Item]:
    """The first of each list, then the second of each, and so on."""
    rows = list(lists)
    return [row[place] for place in range(max(map(len, rows), default=0)) for row in rows if place < len(row)]

"""A generator that answers from a script, and a store in memory: every call is seen, nothing is loaded."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from curator.generators.asking import Call
from curator.generators.requests import Reply, Request

Script = Callable[[Request], "str | bytes | Exception"]


@dataclass
class ScriptedGenerator:
    """`script` gives the text or the artefact of a request; an exception it returns is a fault (final: ValueError)."""

    script: Script
    model: str = "scripted"
    revision: str = "1"
    room: int | None = None
    asked: list[Request] = field(default_factory=list)
    closed: int = 0

    def replies(self, requests: Sequence[Request], *, allow: Callable[[], bool]) -> Iterator[Reply]:
        for position in reversed(range(len(requests))):  # in any order: here the last first
            if not allow():
                return
            self.asked.append(requests[position])
            said = self.script(requests[position])
            if isinstance(said, Exception):
                yield Reply(position, fault=str(said), final=isinstance(said, ValueError))
            elif isinstance(said, bytes):
                yield Reply(position, artefact=said, suffix=".jpg", facts={"loss": [1.0]})
            else:
                yield Reply(position, text=said, seconds=0.01)

    def close(self) -> None:
        self.closed += 1


@dataclass
class MemoryCalls:
    """See CallStore. Rows are kept as the ledger keeps them."""

    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    kept: list[list[str]] = field(default_factory=list)

    def find(self, call_ids: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
        return {
            name: self.rows[name] for name in call_ids if self.rows.get(name, {}).get("status", "failed") != "failed"
        }

    def keep(self, calls: Sequence[Call]) -> None:
        self.kept.append([call.call_id for call in calls])
        for call in calls:
            self.rows[call.call_id] = {
                "call_id": call.call_id,
                "status": call.status,
                "output": call.output,
                "answer": json.dumps(call.answer.as_json()) if call.answer else None,
                "artefact": call.artefact,
                "fault": call.fault,
                "facts": json.dumps(dict(call.facts)),
                "attempts": call.attempts,
                "seconds": call.seconds,
            }

    def keep_artefact(self, data: bytes, suffix: str) -> str:
        name = hashlib.sha256(data).hexdigest()[:32] + suffix
        self.files[name] = data
        return name

    def read_artefact(self, name: str) -> bytes:
        return self.files[name]

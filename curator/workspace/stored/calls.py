"""Where generator calls are kept: rows of the ledger, and the files that painters made."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from curator.durable import write_durably
from curator.errors import GeneratorError
from curator.generators.asking import Call
from curator.store import Database, Ledger
from curator.store.generated import find_calls, record_calls

PORTION = 2**28  # characters of calls that are recorded together
AGAIN = "`curator bank build NAME` makes it again, of the bank that shows it"


class StoredCalls:
    """See `curator.generators.asking.KnownCalls`. folder: holds the files, each named by the hash of its content."""

    def __init__(self, database: Database, folder: Path) -> None:
        self._database = database
        self._folder = folder

    def find(self, call_ids: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
        """A call whose file is gone or damaged is as if it had never been made."""
        rows = find_calls(self._database, call_ids)
        return {row["call_id"]: row for row in rows if row["artefact"] is None or self._has(row["artefact"])}

    def _has(self, name: str) -> bool:
        try:
            self.read_artefact(name)
        except GeneratorError:
            return False
        return True

    def read_artefact(self, name: str) -> bytes:
        path = self._folder / name
        try:
            data = path.read_bytes()
        except OSError as fault:
            raise GeneratorError(f"{path}: cannot be read: {fault.strerror}", hint=AGAIN) from fault
        if hashlib.sha256(data).hexdigest()[:32] != path.stem:
            raise GeneratorError(f"{path} was changed after it was made", hint=AGAIN)
        return data


class LedgerCalls(StoredCalls):
    """See `curator.generators.asking.CallStore`."""

    def __init__(self, ledger: Ledger, folder: Path) -> None:
        super().__init__(ledger.database, folder)
        self._ledger = ledger

    def keep(self, calls: Sequence[Call]) -> None:
        """In portions, since a column of one Arrow table has at most 2 GB of text."""
        rows, characters = list[dict[str, Any]](), 0
        for call in calls:
            row = call_row(call)
            size = len(row["inputs"]) + len(row["output"] or "")
            if rows and characters + size > PORTION:
                record_calls(self._ledger, rows)
                rows, characters = [], 0
            rows.append(row)
            characters += size
        record_calls(self._ledger, rows)

    def keep_artefact(self, data: bytes, suffix: str) -> str:
        name = f"{hashlib.sha256(data).hexdigest()[:32]}{suffix}"
        self._folder.mkdir(parents=True, exist_ok=True)
        if not self._has(name):
            write_durably(self._folder / name, data)
        return name


def call_row(call: Call) -> dict[str, Any]:
    """A call as a row of the ledger. Its text is not stored: prompt, version and slots give it again."""
    content = call.request.content()
    inputs = {name: content[name] for name in ("slots", "pictures", "history", "settings", "correction")}
    return {
        "call_id": call.call_id,
        "role": call.role,
        "model": call.model,
        "revision": call.revision,
        "prompt": call.request.prompt.name,
        "prompt_version": call.request.prompt.version,
        "prompt_digest": call.request.prompt.digest,
        "inputs": json.dumps(inputs, sort_keys=True),
        "seed": call.request.seed,
        "status": call.status,
        "output": call.output,
        "answer": json.dumps(call.answer.as_json(), sort_keys=True) if call.answer else None,
        "artefact": call.artefact,
        "fault": call.fault,
        "facts": json.dumps(dict(call.facts), sort_keys=True),
        "attempts": call.attempts,
        "seconds": call.seconds,
    }

"""An app that is served in this process, and what a page would ask of it."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Any

import numpy as np

from curator.app.server import AppServer
from curator.workspace import Workspace
from curator.workspace.app.desk import AppDesk
from curator.workspace.context import Context
from tests.review.conftest import call

JSON = {"Content_Type": "application/json"}
ACTIONS = count()


class Served(AppServer):
    """A server with its desk at hand."""

    def __init__(self, desk: AppDesk, *, port: int = 0) -> None:
        super().__init__(desk, port=port)
        self.desk = desk

    @property
    def token(self) -> str:
        return self.guard.token

    def ask(self, path: str, said: Any, **headers: str) -> tuple[int, Any]:
        """Status and answer of a POST as the page sends it."""
        status, body, _ = call(f"{self.address}{path}", said, **{**JSON, "X_Curator_Token": self.token, **headers})
        return status, json.loads(body) if body[:1] == b"{" else unpacked(body)

    def shown(self, path: str) -> Any:
        """What a GET answers."""
        status, body, _ = call(f"{self.address}{path}")
        assert status == 200, body
        return json.loads(body)

    def view(self, **said: Any) -> list[int]:
        """The numbers of the images of a view."""
        status, found = self.ask("view", said)
        assert status == 200, found
        return found["numbers"].tolist()

    def cards(self, **view: Any) -> list[dict[str, Any]]:
        """The cards of a view: by default of what is to be reviewed, one of each group."""
        status, found = self.ask("cards", {"numbers": self.view(**(view or {"sort": "queue", "groups": True}))})
        assert status == 200, found
        return found["cards"]

    def decide(self, *actions: dict[str, Any]) -> tuple[int, Any]:
        return self.ask("decisions", {"actions": list(actions)})


@contextmanager
def serving(workspace: Workspace, *, port: int = 0) -> Iterator[Served]:
    desk = AppDesk(Context(workspace.layout, workspace.config), reviewer="ann")
    try:
        with Served(desk, port=port) as server:
            yield server
    finally:
        desk.close()


def decision(
    cards: dict[str, Any] | Sequence[int], what: str | None, *, groups: bool = True, **more: Any
) -> dict[str, Any]:
    """An action about the group of a card, or about images by their numbers."""
    numbers = [cards["number"]] if isinstance(cards, dict) else list(cards)
    return {"action": f"a{next(ACTIONS)}", "decision": what, "numbers": numbers, "groups": groups, **more}


def unpacked(body: bytes) -> dict[str, Any]:
    """Facts and arrays as `packed` writes them."""
    length = struct.unpack_from("<Q", body)[0]
    found = json.loads(body[8 : 8 + length])
    at = 8 + length + -length % 8
    for name, (kind, size) in found["arrays"].items():
        found[name] = np.frombuffer(body, kind, size, at)
        at += found[name].nbytes + -found[name].nbytes % 8
    return found

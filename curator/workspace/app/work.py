"""Long work that a page has asked for: one piece at a time, each in a process of its own, so that no request waits."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from curator.app.guard import BadRequest
from curator.errors import CuratorError
from curator.workspace.app.apart import WorkProcess

STOPPED = "it was stopped"


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of work. number: of it, 1 the first. said: how far it is, or the one line that says why it failed."""

    number: int = 0
    name: str = ""
    state: str = "none"  # none, under way, done, failed
    said: str = ""
    note: str = ""
    began: float = field(default_factory=time.monotonic)
    result: object = None


class LongWork:
    """The piece that is under way, or the one before. Safe to use from several threads; `stop` it at the end."""

    def __init__(self) -> None:
        self._one = threading.Lock()
        self._piece = Piece()
        self._process: WorkProcess | None = None
        self._thread: threading.Thread | None = None
        self._is_stopped = False

    def begin(self, name: str, work: Callable[..., object], *args: object, note: str = "") -> Mapping[str, object]:
        """Begin a piece. note: is said with its result. Raises BadRequest while another is under way."""
        with self._one:
            if self._process is not None:
                raise BadRequest(
                    409, f"wait: “{self._piece.name}” is under way, and one piece of work is done at a time"
                )
            self._piece = Piece(self._piece.number + 1, name, "under way", note=note)
            self._is_stopped = False
            self._process = WorkProcess(work, args)
            self._thread = threading.Thread(target=self._follow, args=(self._process,), daemon=True)
            self._thread.start()
        return self.state()

    def _follow(self, process: WorkProcess) -> None:
        """In a thread: until the work is done. Who sees that it is may begin the next at once."""
        try:
            outcome, fault = process.outcome(self._tell), None
        except CuratorError as raised:
            outcome, fault = None, raised
        process.end()
        with self._one:
            self._process = None
            if fault is None:
                self._piece = replace(self._piece, state="done", said="", result=outcome)
            else:
                self._piece = replace(self._piece, state="failed", said=STOPPED if self._is_stopped else str(fault))

    def _tell(self, said: str) -> None:
        self._piece = replace(self._piece, said=said)

    def state(self) -> Mapping[str, object]:
        """What is under way, how far it is and for how many seconds; or what came of it."""
        piece = self._piece
        return {
            "number": piece.number,
            "name": piece.name,
            "state": piece.state,
            "said": piece.said,
            "note": piece.note,
            "seconds": round(time.monotonic() - piece.began, 1),
            "result": piece.result,
        }

    def stop(self) -> Mapping[str, object]:
        """End what is under way. What it wrote is whole or not there, as after any run that is killed."""
        with self._one:
            process, thread = self._process, self._thread
            if process is not None:
                self._is_stopped = True
                process.end()
        if process is not None and thread is not None:
            thread.join()
        return self.state()

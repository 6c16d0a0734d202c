"""Selections leave: exported as `curator export` does, one at a time, while the page asks how far it is."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager

from curator.app.guard import BadRequest
from curator.app.server import Said
from curator.errors import CuratorError
from curator.export.parts import TAR_BYTES
from curator.export.run import FORMATS, WRITING
from curator.paths import expanded
from curator.printable import text_fault
from curator.progress import steps
from curator.store.queries import NamedQuery
from curator.urls import scheme_of
from curator.workspace.app.statement import statement_about
from curator.workspace.context import Context
from curator.workspace.look.export import ExportRequest, run_export

LONGEST_PATH = 1000
CUT_OFF = "the export ended before its end; the same again goes on"


class Leaving:
    """The export of one app. reading: held while the snapshot is read."""

    def __init__(self, context: Context, reading: AbstractContextManager[object]) -> None:
        self._context = context
        self._reading = reading
        self._one = threading.Lock()
        self._thread: threading.Thread | None = None
        self._said = ""
        self._fault = ""

    def begin(self, image_ids: Sequence[str], said: Said) -> Mapping[str, object]:
        """Begin to export images, in this order. Raises BadRequest for a bad format or place, and while another one is
        under way."""
        style, to = said.get("format"), said.get("to")
        if style not in FORMATS:
            raise BadRequest(400, f"the format is none of {', '.join(FORMATS)}")
        if not image_ids:
            raise BadRequest(404, "no image that is here is named")
        name = f"selection-{hashlib.sha256(' '.join(image_ids).encode()).hexdigest()[:8]}"
        request = ExportRequest(name, self._place(to), str(style), None, None, {}, one_of_each_group=False,
                                by_label=True, tar_bytes=TAR_BYTES, replace="nothing")  # fmt: skip
        query = NamedQuery(name, "", statement_about(image_ids), "app")
        with self._one:
            if self._thread is not None and self._thread.is_alive():
                raise BadRequest(409, "an export is under way; wait for its end")
            self._said, self._fault = "", CUT_OFF
            self._thread = threading.Thread(target=self._run, args=(request, query), name="curator-export", daemon=True)
            self._thread.start()
        return self.state()

    def _run(self, request: ExportRequest, query: NamedQuery) -> None:
        try:
            made = run_export(self._context, {query.name: query}, request, held=self._reading)
        except CuratorError as fault:
            self._fault = fault.message
        else:
            missing = f"; {made.missing} are gone or have changed, see missing.jsonl" if made.missing else ""
            self._said, self._fault = (
                f"{made.images} {'image is' if made.images == 1 else 'images are'} in {made.to}{missing}",
                "",
            )

    def state(self) -> Mapping[str, object]:
        """How far the export is, what came of the last one, or what went wrong with it."""
        if self._thread is not None and self._thread.is_alive():
            amounts = [step.amount() for step in list(steps.under_way) if step.name == WRITING]
            return {"running": True, "said": amounts[-1] if amounts else "", "fault": ""}
        return {"running": False, "said": self._said, "fault": self._fault}

    def _place(self, to: object) -> str:
        """A plain name is a folder in `exports/` of the workspace; all else is a whole path or a URL."""
        if not isinstance(to, str) or not to.strip():
            raise BadRequest(400, "an export needs a place: a name, a path or a URL")
        text = to.strip()
        if (fault := text_fault(text, longest=LONGEST_PATH)) is not None:
            raise BadRequest(400, f"the place {fault}")
        if scheme_of(text) is not None or expanded(text).is_absolute():
            return text
        if "/" in text or text.startswith("."):
            raise BadRequest(400, f"{text}: give a plain name, for a folder in exports/ of the workspace, or a path")
        return str(self._context.layout.exports / text)

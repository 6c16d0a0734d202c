"""Other maps than that of all images on their principal axes: UMAP, which is computed in the background and kept in the
workspace, and maps of a selection alone."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping
from contextlib import suppress
from importlib.util import find_spec
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np

from curator.app.guard import BadRequest
from curator.app.server import Said
from curator.errors import MissingExtra
from curator.vectors import ImageCollection
from curator.workspace.app.apart import apart
from curator.workspace.app.frame import LakeFrame, Whole, packed
from curator.workspace.app.landscape import fitted_places, on_axes
from curator.workspace.app.projecting import ImageProjection, Places, Stored, compute, placed_among
from curator.workspace.app.search import ruling_of
from curator.workspace.app.views import numbers_in, rows_of
from curator.workspace.layout import Layout
from curator.workspace.logs import log

KINDS = ("pca", "umap")
MOST_BYTES = 256 << 20  # of all projections that are kept


class Projections:
    """Of one workspace. One projection is computed at a time. Called from several threads; close it."""

    def __init__(self, layout: Layout, *, most_bytes: int = MOST_BYTES) -> None:
        self._layout = layout
        self._most_bytes = most_bytes
        self._one = threading.Lock()
        self._process: BaseProcess | None = None
        self._doing = ("", 0.0)
        self._fault = ""
        self._made = 0

    def state(self) -> Mapping[str, object]:
        """missing: why UMAP cannot be had. running: what is being done, and the share. made: how many were, so far."""
        text, share = self._doing
        running = None if self._process is None else {"text": text, "share": share}
        return {"missing": missing(), "running": running, "fault": self._fault, "made": self._made}

    def places(self, frame: LakeFrame, collection: ImageCollection, said: Said) -> bytes:
        """Where images lie, by number, NaN for others; `made` is false where that was not computed yet. `later`: how
        many came after it, and lie among their neighbours."""
        kind, rows = _asked(frame, said)
        ids, later = frame.table["image_id"].take(rows).to_pylist(), 0
        stored = stored_of(collection)
        found: Places | None = None
        if kind == "pca":
            found = apart(self._layout, on_axes, stored, ids)
        elif (kept := self._kept(frame, said, stored, ids)) is not None:
            place_of = {image_id: place for place, image_id in enumerate(kept.image_ids)}
            places = np.array([place_of.get(image_id, -1) for image_id in ids])
            found = np.where(places[:, None] < 0, np.float32(np.nan), kept.places[places])
            later = int(kept.later[places[places >= 0]].sum())
        whole = np.full((len(frame.rows), 2), np.nan, np.float32)
        if found is not None and not np.isnan(found).all():
            whole[frame.numbers[rows]] = fitted_places(found)
        x, y = (np.ascontiguousarray(whole[:, axis]) for axis in (0, 1))
        return packed({"made": found is not None, "later": later}, {"x": x, "y": y})

    def start(self, frame: LakeFrame, collection: ImageCollection, said: Said) -> Mapping[str, object]:
        """Compute UMAP. Raises BadRequest while another is computed, or where the extra is not installed."""
        _, rows = _asked(frame, said)
        if said_missing := missing():
            raise BadRequest(400, said_missing)
        ids = frame.table["image_id"].take(rows).to_pylist()
        with self._one:
            if self._process is not None:
                raise BadRequest(409, "another map is being computed: wait for it, or cancel it")
            context = get_context("spawn")
            receiver, sender = context.Pipe(duplex=False)
            work = sender, stored_of(collection), ids, self._path(frame, said)
            process = context.Process(target=compute, args=work, name="curator-map", daemon=True)
            try:
                process.start()
            except OSError as fault:
                receiver.close()
                raise BadRequest(503, f"the map was not computed: no process could be started: {fault}") from fault
            finally:
                sender.close()
            self._process, self._doing, self._fault = process, ("starting", 0.0), ""
        threading.Thread(target=self._listen, args=(process, receiver), name="curator-map", daemon=True).start()
        return self.state()

    def cancel(self) -> Mapping[str, object]:
        """End what is being computed; nothing of it is kept."""
        with self._one:
            process, self._process = self._process, None
        if process is not None:
            process.kill()
        return self.state()

    def close(self) -> None:
        self.cancel()

    def _listen(self, process: BaseProcess, receiver: Connection) -> None:
        """In a thread: what the process says, until it ends."""
        how, text = "", ""
        with receiver, suppress(EOFError, OSError):
            while how not in ("done", "failed"):
                how, text, share = receiver.recv()
                self._doing = (text, share)
        process.join()
        with self._one:
            if self._process is not process:
                return  # it was cancelled
            self._process = None
            if how == "done":
                self._made += 1
                self._trim()
            else:
                why = text if how == "failed" else "its process was ended: is there memory enough?"
                self._fault = f"the map was not computed: {why}"
                log.warning("%s", self._fault)

    def _kept(self, frame: LakeFrame, said: Said, stored: Stored, ids: list[str]) -> ImageProjection | None:
        """What was computed, with the images that came since."""
        path = self._path(frame, said)
        kept = ImageProjection.read(path)
        if kept is None:
            return None
        known = set(kept.image_ids)
        new = [image_id for image_id in ids if image_id not in known]
        grown = apart(self._layout, placed_among, stored, kept, new) if new else kept
        if len(grown.image_ids) > len(kept.image_ids):
            with suppress(OSError):  # a disk that is full: they are placed again the next time
                grown.write(path)
        return grown

    def _path(self, frame: LakeFrame, said: Said) -> Path:
        """By the encoder, and for a selection by its images."""
        of = ""
        if said.get("numbers") is not None:
            ids = frame.table["image_id"].take(_asked(frame, said)[1]).to_pylist()
            of = "".join(sorted(ids))
        digest = hashlib.blake2b(f"{ruling_of(frame).encoder_id}\n{of}".encode(), digest_size=16).hexdigest()
        return self._layout.projections / f"umap-{digest}.safetensors"

    def _trim(self) -> None:
        """Remove the oldest that are too much, never the newest."""
        files = [(path.stat().st_mtime_ns, path) for path in self._layout.projections.glob("umap-*.safetensors")]
        held = 0
        for place, (_, path) in enumerate(sorted(files, reverse=True)):
            held += path.stat().st_size
            if place and held > self._most_bytes:
                path.unlink(missing_ok=True)


def missing() -> str:
    """What to install for UMAP; nothing where it is there."""
    if find_spec("umap") is not None:
        return ""
    fault = MissingExtra("umap-learn", extra="map", needed_for="UMAP")
    return f"{fault.message}: {fault.hint}"


def stored_of(collection: ImageCollection) -> Stored:
    return collection.folder, collection.files, collection.dimension


def _asked(frame: LakeFrame, said: Said) -> tuple[str, Whole]:
    """The kind and the rows of a map. Raises BadRequest."""
    kind, numbers = said.get("kind"), said.get("numbers")
    if kind not in KINDS:
        raise BadRequest(400, f"a map is one of {', '.join(KINDS)}")
    rows = np.arange(len(frame)) if numbers is None else rows_of(frame, np.unique(numbers_in(numbers)))
    if not rows.size:
        raise BadRequest(400, "a map needs images that are there")
    return str(kind), rows

"""The desk behind the app: the frame of the newest snapshot, and what the page asks of it, by name."""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curator.app.guard import BadRequest
from curator.app.server import Answer, Said
from curator.errors import CuratorError, WorkspaceLocked
from curator.review.reviews import checked_reviewer
from curator.store.migrate import is_behind
from curator.vectors import ImageCollection
from curator.workspace.app.apart import apart
from curator.workspace.app.banks import BankDesk
from curator.workspace.app.decisions import Decisions
from curator.workspace.app.frame import LakeFrame, Numbers, make_frame, packed, read_rows
from curator.workspace.app.landscape import Landscape, make_landscape
from curator.workspace.app.leaving import Leaving
from curator.workspace.app.nights import show_nights
from curator.workspace.app.projections import Projections
from curator.workspace.app.saved import SavedViews
from curator.workspace.app.search import Search, ruling_of
from curator.workspace.app.single import look_at, place_elsewhere
from curator.workspace.app.statement import says_all, statement_about, statement_of
from curator.workspace.app.threshold import save_policy, scores_of
from curator.workspace.app.thumbnails import Thumbnails
from curator.workspace.app.views import GridView, facets, met_by, numbers_in, rows_of, shown
from curator.workspace.context import Context
from curator.workspace.judge.in_force import InForce
from curator.workspace.logs import log
from curator.workspace.look.neighbours import image_collection
from curator.workspace.published import reading
from curator.workspace.review.record import collect_if_free
from curator.workspace.session import writing

FIRST = 96  # images that the page begins with, on a large screen
MOST_CARDS = 1000  # of one request
BUSY_SECONDS = 2.0  # that a page may take for its first grid: what takes the processor waits so long
LONGEST_STATEMENT = 100_000  # characters: what one argument of a command may have, less some
NOBODY_SECONDS = 15.0  # after which nobody seems to be about to look
CARD = ("image_id", "uri", "width", "height", "id_score", "log_odds", "cut", "flagged", "name", "top_id",
        "top_negative", "source_label", "first_seen", "p_value", "group_id")  # fmt: skip


class AppDesk:
    """One workspace, for one reviewer. Implements `Desk`; close it."""

    def __init__(self, context: Context, *, reviewer: str) -> None:
        """Raises UsageError for a reviewer who has no name, WorkspaceError where nothing was scanned yet."""
        self.reviewer = checked_reviewer(reviewer)
        collect_if_free(context)
        _bring_up_to_date(context)
        self._context = context
        self._numbers = Numbers()
        self._reading = threading.Lock()  # connections to one file share their settings, and a file that was replaced
        self._seen = _state_of(context.layout.snapshot)
        self._frame = self._loaded(1)
        self._session = secrets.token_hex(8)  # no secret: tells one server from another
        self._landscape: Landscape | None = None
        self._looked_around = 0  # the generation of which a landscape was made, or could not be
        self._thumbnails = Thumbnails(context)
        self._projections = Projections(context.layout)
        self.decisions = Decisions(context, self.reviewer)
        self._made_at = time.monotonic()
        self._first_shown_at: float | None = None
        self._banks = BankDesk(context, self._numbers, lambda: self._frame, self.decisions, self._reading)
        self.shown: Mapping[str, Callable[[], Answer]] = {
            **self._banks.shown,
            "state": self.state,
            "columns": self.columns,
            "ids": self.ids,
            "facets": self.facets,
            "export": lambda: self._leaving.state(),
            "landscape": self.landscape,
            "scores": lambda: scores_of(self._frame),
            "projecting": self._projections.state,
        }
        self.asked: Mapping[str, Callable[[Said], Answer]] = {
            **self._banks.asked,
            "view": self.view,
            "cards": self.cards,
            "search": self.search,
            "policy": self.save_policy,
            "single": self.single,
            "nights": self.nights,
            "projection": lambda said: self._projections.places(*self._lake(), said),
            "project": lambda said: self._projections.start(*self._lake(), said),
            "cancel": lambda said: self._projections.cancel(),
            "export": self.export,
            "statement": self.statement,
            "saved": self.save,
            "decisions": lambda said: self.decisions.act(self._frame, said),
        }
        self._saved = SavedViews(context.layout)
        self._leaving = Leaving(context, self._reading)
        self._search = Search(context, self._numbers)
        self.sent: Mapping[str, Callable[[bytes], Answer]] = {"search": self.search_image}

    def __len__(self) -> int:
        return len(self._frame)

    def follow(self) -> bool:
        """Load the snapshot again if another was published. Whether it was."""
        if (now := _state_of(self._context.layout.snapshot)) == self._seen:
            return False
        settled = self.decisions.settled()
        with self._reading:
            frame = self._loaded(self._frame.generation + 1)
        self._frame, self._seen = frame, now
        self.decisions.forget(settled)
        return True

    def _loaded(self, generation: int) -> LakeFrame:
        layout = self._context.layout
        return make_frame(apart(layout, read_rows, layout, self.reviewer), self._numbers, generation=generation)

    def state(self) -> Mapping[str, object]:
        frame = self._frame
        return {
            "generation": frame.generation,
            "images": len(frame),
            "flagged": int(frame.flagged.sum()),
            "queued": int((frame.queue < np.iinfo(np.int32).max).sum()),
            "reviewer": self.reviewer,
            "ruling": f"Ruled by {frame.ruling.said}" if frame.ruling else "",
            "saved": self.decisions.taken_down,
            "landscape": self._landscape is not None and self._landscape.covers(frame),
            "grouping": frame.ruling is not None and self._looked_around != frame.generation,
            "now": time.time() * 1000,
            "session": self._session,
            "queue": hashlib.sha256(f"{self._context.layout.root.resolve()}\n{self.reviewer}".encode()).hexdigest()[
                :32
            ],
        }

    def ids(self) -> bytes:
        """The ids of images by number, each as four numbers."""
        data = bytes.fromhex("".join(list(self._numbers.of)))
        return packed({}, {"ids": np.frombuffer(data, ">u4")})

    def columns(self) -> bytes:
        """What the page holds of every image, by number."""
        frame = self._frame
        groups = frame.texts["group_id"].codes
        arrays = {
            "flagged": frame.by_number(frame.flagged.astype(np.uint8)),
            "decision": frame.by_number(self.decisions.codes(frame)),
            "logOdds": frame.by_number(frame.log_odds, missing=np.nan),
            "newest": frame.by_number(frame.of_newest_night.astype(np.uint8)),
            "group": frame.by_number(groups.astype(np.uint32), missing=2**32 - 1),
            "groupSize": frame.by_number(frame.group_sizes[groups].astype(np.uint32)),
        }
        names, nights = frame.texts["name"], frame.texts["first_run_id"]
        arrays["name"] = frame.by_number(names.codes.astype(np.uint32))
        arrays["night"] = frame.by_number(nights.codes.astype(np.uint32))
        told = {"names": names.known, "nights": [frame.night_names.get(run, run) for run in nights.known]}
        return packed({"generation": frame.generation, **told}, arrays)

    @property
    def is_quiet(self) -> bool:
        """Whether the first grid is in sight, or nobody wants one: then there is time for more."""
        now, shown_at = time.monotonic(), self._first_shown_at
        if shown_at is not None:
            return now - shown_at > BUSY_SECONDS
        return now - self._made_at > NOBODY_SECONDS

    def look_around(self) -> None:
        """Make the landscape of the frame where there is none that has all its images."""
        frame = self._frame
        if frame.ruling is None:
            return
        try:
            if self._landscape is None or not self._landscape.covers(frame):
                self._landscape = make_landscape(self._context.layout, self._collection(frame.ruling), frame)
        finally:
            self._looked_around = frame.generation

    def _collection(self, ruling: InForce) -> ImageCollection:
        """All stored vectors of the encoder that rules."""
        with self._reading, reading(self._context.layout) as database:
            return image_collection(self._context, database, ruling.encoder_id)

    def _lake(self) -> tuple[LakeFrame, ImageCollection]:
        """The frame with its vectors. Raises BadRequest where nothing was scored yet."""
        frame = self._frame
        return frame, self._collection(ruling_of(frame))

    def landscape(self) -> bytes:
        """Where images lie, and in which clusters, by number. Raises BadRequest while it is not made."""
        if (found := self._landscape) is None:
            raise BadRequest(404, "the map is not made yet")
        x, y = (np.ascontiguousarray(found.places[:, axis]) for axis in (0, 1))
        facts = {"names": found.names, "explained": found.explained}
        return packed(facts, {"cluster": found.clusters, "x": x, "y": y})

    def view(self, said: Said) -> bytes:
        """The numbers of the images to show, in their order."""
        frame, view = self._frame, GridView.of(said)
        met = self._met(frame, view)
        clusters = None if self._landscape is None else self._landscape.of_rows(frame)
        rows = shown(frame, view, decisions=self.decisions.codes(frame), clusters=clusters, met=met)
        facts = {"generation": frame.generation, "flagged": int(frame.flagged[rows].sum())}
        return packed(facts, {"numbers": frame.numbers[rows].astype(np.uint32)})

    def _met(self, frame: LakeFrame, view: GridView) -> NDArray[np.bool_] | None:
        """Where the conditions hold that are not of columns, by row; None for all."""
        found = [] if view.tag is None else [self.decisions.tags.mask(frame, view.tag)]
        layout, numbers = self._context.layout, self._numbers
        with self._reading:
            if view.where.strip():
                found.append(met_by(layout, frame, numbers, view.where))
            if view.saved is not None:
                found.append(met_by(layout, frame, numbers, self._saved.sql(view.saved), saved=True))
        return np.logical_and.reduce(found) if found else None

    def facets(self) -> Mapping[str, object]:
        """What can be chosen, with how many images each choice has."""
        tags = self.decisions.tags.counts(self._frame)
        return {**facets(self._frame), "tag": tags, "saved": self._saved.listed()}

    def export(self, said: Said) -> Mapping[str, object]:
        """Begin an export of images by their numbers."""
        return self._leaving.begin(self._ids(said), said)

    def statement(self, said: Said) -> Mapping[str, object]:
        """The SQL of what is shown or, of `numbers`, of what is selected. Raises BadRequest for too many images."""
        sql = self._sql(said)
        if len(sql) > LONGEST_STATEMENT:
            raise BadRequest(400, "these are too many to name each: save them as a view, or give them a tag")
        return {"sql": sql}

    def save(self, said: Said) -> Mapping[str, object]:
        """Save, rename or delete a view."""
        act, name = said.get("act"), said.get("name")
        if act == "rename":
            return {"name": self._saved.rename(name, said.get("new"))}
        if act == "delete":
            self._saved.delete(name)
            return {"name": None}
        sql = self._sql(said)
        return {"name": self._saved.save(name, sql, f"{'images' if sql.startswith('with') else 'a filter'}")}

    def _sql(self, said: Said) -> str:
        given = said.get("view")
        view = GridView.of(given) if isinstance(given, dict) else None
        if view is not None and says_all(view):
            return statement_of(view, saved=None if view.saved is None else self._saved.sql(view.saved))
        return statement_about(self._ids(said))

    def _ids(self, said: Said) -> list[str]:
        found: list[str] = (
            self._frame.table["image_id"].take(rows_of(self._frame, numbers_in(said.get("numbers")))).to_pylist()
        )
        if not found:
            raise BadRequest(404, "no image that is here is named")
        return found

    def cards(self, said: Said) -> Mapping[str, object]:
        """What is said of some images, in order; those that are gone are left out."""
        frame, numbers = self._frame, numbers_in(said.get("numbers"))
        self._first_shown_at = self._first_shown_at or time.monotonic()
        if numbers.size > MOST_CARDS:
            raise BadRequest(400, f"at most {MOST_CARDS} images at a time")
        rows = rows_of(frame, numbers)
        found: list[dict[str, Any]] = frame.table.select(CARD).take(rows).to_pylist()
        tags = self.decisions.tags.of_rows(frame, rows)
        for row, card, tagged in zip(rows.tolist(), found, tags, strict=True):
            card["number"] = int(frame.numbers[row])
            card["tags"] = tagged
        return {"generation": frame.generation, "cards": found}

    def search(self, said: Said) -> Mapping[str, object]:
        """The images nearest to words or to images: their numbers and cosines, the nearest first."""
        return self._search.asked(*self._lake(), said)

    def search_image(self, data: bytes) -> Mapping[str, object]:
        """The same of an image that is no part of the lake."""
        return self._search.sent(*self._lake(), data)

    def save_policy(self, said: Said) -> Mapping[str, object]:
        """Make a policy of a cut, when no decisions are being recorded."""
        with self.decisions.recording:
            return save_policy(self._context, self._frame, said)

    def single(self, said: Said) -> Mapping[str, object]:
        """All that helps to decide about one image."""
        with self._reading:
            return look_at(self._context, self._frame, said)

    def nights(self, said: Said) -> Mapping[str, object]:
        """How the nights went, the oldest first."""
        with self._reading:
            return show_nights(self._context.layout, self._frame, said)

    def make_ready(self) -> None:
        """Make the thumbnails that the page begins with, so that it need not wait for them."""
        frame, view = self._frame, GridView.of({"sort": "queue", "groups": True})
        rows = shown(frame, view, decisions=frame.decisions, clusters=None, met=None)[:FIRST]
        places = [frame.place_of(number) for number in frame.numbers[rows].tolist()]
        with ThreadPoolExecutor(max(1, self._context.looker_processes)) as threads:
            list(threads.map(self._thumbnails.small, [place for place in places if place is not None]))

    def picture(self, image_id: str, *, large: bool) -> bytes | None:
        number = self._numbers.of.get(image_id)
        place = None if number is None else self._frame.place_of(number)
        if place is None:
            with self._reading:
                place = place_elsewhere(self._context, image_id)
        if place is None:
            return None
        return self._thumbnails.large(place) if large else self._thumbnails.small(place)

    def close(self) -> bool:
        """Record the last decisions. False when they are left to the next command, because another run writes."""
        self._banks.close()
        self._projections.close()
        return self.decisions.close()


def _bring_up_to_date(context: Context) -> None:
    """Publish a snapshot of an earlier release anew, with what this one asks of it; unless another run writes, which
    does it at its end."""
    with reading(context.layout) as database:
        behind = is_behind(database)
    if behind:
        with suppress(WorkspaceLocked), writing(context, "app", {"upgrade": True}, needs_vectors=False):
            pass


def _state_of(snapshot: Path) -> tuple[int, int, int] | None:
    """What changes when another snapshot is put in place."""
    try:
        found = snapshot.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def keep_up(desk: AppDesk, *, is_time_to_record: bool) -> None:
    """Follow the snapshot, and record what waits. A fault of the disk must not end the app: decisions are in the
    journal, and what was loaded stays."""
    try:
        if is_time_to_record:
            desk.decisions.record()
        desk.follow()
        if desk.is_quiet:
            desk.look_around()
    except CuratorError as fault:
        log.warning("%s", fault.message)

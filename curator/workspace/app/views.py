"""What is shown, and in which order: conditions on columns of a frame, and one in SQL, which goes through the sealed
door."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curator.app.guard import BadRequest
from curator.app.server import Said
from curator.errors import StoreError
from curator.workspace.app.frame import CODES, NOWHERE, LakeFrame, Numbers
from curator.workspace.layout import Layout
from curator.workspace.published import reading

SORTS = ("queue", "score", "p_value", "time", "name", "cluster", "given")
NEAR_DUPLICATE, UNMEASURED = "near_duplicate", "unmeasured"
QUALITY = ("dark", "bright", "blurry", "low_information", "odd_aspect", NEAR_DUPLICATE, UNMEASURED)
CHOICES = {"night": "first_run_id", "source": "source", "label": "source_label", "name": "name"}
REVIEWED = ("open", "decided", *list(CODES)[1:])
SQL_SECONDS = 30.0  # that a condition may take
LONGEST_SQL = 10_000  # characters
MOST_CHOICES = 500  # of each kind that are listed


@dataclass(frozen=True, slots=True)
class GridView:
    """What is asked to be shown. among: numbers of images to choose from, in the order of `given`; None for all.

    groups: one image for all that look nearly the same. quality: facts of which one must hold, if there are any.
    saved: the name of a saved view to choose from.
    """

    sort: str
    descending: bool
    groups: bool
    flagged: bool | None
    reviewed: str | None
    chosen: Mapping[str, str]
    cluster: int | None
    where: str
    among: NDArray[np.int64] | None
    tag: str | None
    quality: tuple[str, ...]
    saved: str | None

    @classmethod
    def of(cls, said: Said) -> GridView:
        """Raises BadRequest for what is no view."""
        sort, reviewed = said.get("sort", "queue"), said.get("reviewed") or None
        flagged, cluster, where = said.get("flagged"), said.get("cluster"), said.get("where") or ""
        if sort not in SORTS:
            raise BadRequest(400, f"the order is none of {', '.join(SORTS)}")
        if reviewed is not None and reviewed not in REVIEWED:
            raise BadRequest(400, f"reviewed is none of {', '.join(REVIEWED)}")
        if not (flagged is None or isinstance(flagged, bool)) or not (cluster is None or isinstance(cluster, int)):
            raise BadRequest(400, "flagged is true, false or null; a cluster is a number")
        if not isinstance(where, str) or len(where) > LONGEST_SQL:
            raise BadRequest(400, f"a condition is a text of at most {LONGEST_SQL} characters")
        chosen = {name: value for name in CHOICES if isinstance(value := said.get(name), str)}
        among = None if said.get("among") is None else numbers_in(said["among"])
        tag, saved, quality = said.get("tag"), said.get("saved"), said.get("quality") or ()
        if not isinstance(tag, str | None) or not isinstance(saved, str | None):
            raise BadRequest(400, "a tag and a saved view are texts")
        if not isinstance(quality, list | tuple) or not all(fact in QUALITY for fact in quality):
            raise BadRequest(400, f"quality is a list of {', '.join(QUALITY)}")
        return cls(str(sort), said.get("descending") is True, said.get("groups") is True, flagged,
                   reviewed and str(reviewed), chosen, cluster, where, among, tag, tuple(quality), saved)  # fmt: skip


def numbers_in(given: object) -> NDArray[np.int64]:
    """A list of numbers of images. Raises BadRequest."""
    if not isinstance(given, list) or not all(type(number) is int and 0 <= number < 1 << 32 for number in given):
        raise BadRequest(400, "images are a list of their numbers")
    return np.array(given, np.int64)


def rows_of(frame: LakeFrame, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """The rows of images, in order, without those that are gone."""
    found = frame.rows[numbers[numbers < len(frame.rows)]]
    return found[found >= 0]


def shown(
    frame: LakeFrame,
    view: GridView,
    *,
    decisions: NDArray[np.uint8],
    clusters: NDArray[np.uint8] | None,
    met: NDArray[np.bool_] | None,
) -> NDArray[np.int64]:
    """The rows of a view in its order. decisions: codes by row, as they are now. met: where its SQL condition holds."""
    mask = np.ones(len(frame), bool) if met is None else met.copy()
    if view.flagged is not None:
        mask &= frame.flagged == view.flagged
    for name, value in view.chosen.items():
        mask &= frame.texts[CHOICES[name]].is_in(value)
    if view.cluster is not None:
        mask &= (clusters == view.cluster) if clusters is not None else False
    if view.reviewed is not None:
        mask &= _reviewed(view.reviewed, decisions)
    if view.quality:
        mask &= np.logical_or.reduce([frame.quality[fact] for fact in view.quality])
    if view.sort == "queue":
        mask &= frame.queue != NOWHERE
    if view.among is not None:
        rows = rows_of(frame, view.among)
        rows = rows[mask[rows]]
    else:
        rows = np.flatnonzero(mask)
    if view.sort != "given":
        rows = rows[np.argsort(_key(frame, view.sort, clusters)[rows], kind="stable")]
    if view.descending:
        rows = rows[::-1]
    return first_of_groups(frame, rows) if view.groups else rows


def _reviewed(asked: str, decisions: NDArray[np.uint8]) -> NDArray[np.bool_]:
    decided = (decisions != 0) & (decisions != CODES["disputed"])
    found: NDArray[np.bool_] = {"open": ~decided, "decided": decided}.get(asked, decisions == CODES.get(asked))
    return found


def _key(frame: LakeFrame, sort: str, clusters: NDArray[np.uint8] | None) -> NDArray[Any]:
    keys: dict[str, NDArray[Any]] = {"queue": frame.queue, "score": frame.log_odds, "time": frame.seen}
    names = frame.texts["name"]
    keys |= {"p_value": frame.p_values, "name": names.codes}
    # Within a cluster what is called the same stands together.
    keys["cluster"] = frame.log_odds if clusters is None else clusters * np.int64(len(names.known)) + names.codes
    return keys[sort]


def first_of_groups(frame: LakeFrame, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Of images that look nearly the same the first, in order."""
    first = np.unique(frame.texts["group_id"].codes[rows], return_index=True)[1]
    return rows[np.sort(first)]


def facets(frame: LakeFrame) -> dict[str, object]:
    """What can be chosen of each kind, with how many images it has."""
    every = np.ones(len(frame), bool)
    found: dict[str, object] = {
        name: frame.texts[column].counts(every)[:MOST_CHOICES] for name, column in CHOICES.items() if name != "night"
    }
    counted = dict(frame.texts["first_run_id"].counts(every))
    nights = [[row["run_id"], frame.night_name(row), counted.get(row["run_id"], 0)] for row in frame.nights]
    quality = {fact: int(mask.sum()) for fact, mask in frame.quality.items()}
    return {**found, "night": [night for night in nights if night[2]], "quality": quality}


def met_by(
    layout: Layout, frame: LakeFrame, numbers: Numbers, condition: str, *, saved: bool = False
) -> NDArray[np.bool_]:
    """Where an SQL condition on report.scores holds, by row; or, with `saved`, which images a query finds by their
    `image_id`. Raises StoreError, also for one that takes too long."""
    with reading(layout, sealed=True) as database:
        timer = threading.Timer(SQL_SECONDS, database.interrupt)
        timer.start()
        try:
            if saved:
                ids = database.arrow(f"select image_id from (\n{condition}\n)")["image_id"].to_pylist()
            else:
                ids = database.filtered_ids("report.scores", condition)
        except StoreError as fault:
            if not timer.is_alive():
                raise BadRequest(400, f"the condition took more than {SQL_SECONDS:g} s") from fault
            raise
        finally:
            timer.cancel()
    found = np.zeros(len(frame), bool)
    found[rows_of(frame, np.array([numbers.of[name] for name in ids if name in numbers.of], np.int64))] = True
    return found

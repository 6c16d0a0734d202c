"""Banks: what a version holds and what its labels decide, two versions side by side, and one proposed from decisions.

All of it is what `curator bank` and `curator score` do, for the page."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from math import isfinite
from typing import Any, Concatenate

from curator.app.guard import BadRequest
from curator.app.server import Answer, Said
from curator.banks.diff import LabelChange
from curator.config import Config
from curator.methods.spec import short_form, short_forms
from curator.printable import text_fault
from curator.store.tables import Row
from curator.workspace.app.apart import Given, Result, apart, is_large
from curator.workspace.app.decisions import Decisions
from curator.workspace.app.frame import LakeFrame, Numbers
from curator.workspace.app.work import LongWork
from curator.workspace.calibrate.rescoring import run_scoring
from curator.workspace.context import Context
from curator.workspace.judge.suited import suited_method
from curator.workspace.layout import Layout
from curator.workspace.look.banks import guard_of, report_diff
from curator.workspace.published import reading
from curator.workspace.review.propose import propose_bank

LONGEST_TEXT = 500  # of a label, an address or a name
MOST_LABELS = 200  # that are listed of a version, those that decide most
MOST_CHANGES = 200  # of labels, of each kind and role, that are listed of two versions
MOST_BEHIND = 20  # labels that are said to be behind changes of flags
WAIT_SECONDS = 30.0  # for another run that writes


class BankDesk:
    """What the page asks about banks. frame: the newest. Long work is done one piece at a time, apart; `close` it."""

    def __init__(
        self,
        context: Context,
        numbers: Numbers,
        frame: Callable[[], LakeFrame],
        decisions: Decisions,
        one: threading.Lock,
    ) -> None:
        """one: held while the snapshot is read."""
        self._layout, self._config = context.layout, context.config
        self._numbers, self._frame, self._decisions, self._reading = numbers, frame, decisions, one
        self._work = LongWork()
        self.shown: Mapping[str, Callable[[], Answer]] = {"banks": self.versions, "work": self.work}
        self.asked: Mapping[str, Callable[[Said], Answer]] = {
            "bank": self.version,
            "decided": self.decided,
            "compare": self.compare,
            "propose": self.propose,
            "score": self.score,
            "stop": lambda said: self._work.stop(),
        }

    def _read(
        self, work: Callable[Concatenate[Layout, Given], Result], *args: Given.args, **more: Given.kwargs
    ) -> Result:
        """What a look at the snapshot finds; apart where that takes long, and then nobody waits for it."""
        with nullcontext() if is_large(self._layout) else self._reading:
            return apart(self._layout, work, self._layout, *args, **more)

    def versions(self) -> Mapping[str, object]:
        with self._reading:
            return list_versions(self._layout, self._config)

    def version(self, said: Said) -> Mapping[str, object]:
        return self._read(show_version, text_of(said, "bank"), text_of(said, "text", needed=False))

    def decided(self, said: Said) -> Mapping[str, object]:
        """The numbers of the images that a label decided."""
        asked = [text_of(said, name) for name in ("bank", "role", "label")]
        return {"numbers": self._here(self._read(images_decided, *asked))}

    def compare(self, said: Said) -> Mapping[str, object]:
        old, new, is_equal = text_of(said, "old"), text_of(said, "new"), said.get("equal")
        if not (is_equal is None or isinstance(is_equal, bool)):
            raise BadRequest(400, "equal is true, false or null")
        found = self._read(compare, self._config, old, new, is_equal)
        changed = {
            side: {
                "numbers": self._here([row["image_id"] for row in rows]),
                "labels": Counter(row["label"] for row in rows if row["label"]).most_common(MOST_BEHIND),
            }
            for side, rows in found["changed"].items()
        }
        return {**found, "changed": changed}

    def propose(self, said: Said) -> Mapping[str, object]:
        """Begin to propose a bank from what was decided until now; with `build`, to make a version of it."""
        parent, name = text_of(said, "parent"), text_of(said, "name", needed=False)
        is_build = said.get("build") is True
        note = "" if self._decisions.record() else "another run writes: decisions of the last minutes do not count yet"
        what = "build what is proposed" if is_build else "propose a bank"
        return self._work.begin(what, propose, self._layout, self._config, parent, name, is_build, note=note)

    def score(self, said: Said) -> Mapping[str, object]:
        """Begin to score the lake under a version."""
        return self._work.begin("score the lake", score, self._layout, self._config, text_of(said, "bank"))

    def work(self) -> Mapping[str, object]:
        """How far the work is, or what came of it; images by their numbers."""
        state = dict(self._work.state())
        if isinstance(result := state["result"], dict) and "candidates" in result:
            candidates = [{**item, "numbers": self._here(item["images"])} for item in result["candidates"]]
            state["result"] = {**result, "candidates": candidates, "method": short_form(result["method_id"])}
        return state

    def _here(self, image_ids: Sequence[str]) -> list[int]:
        """The numbers of those that are in the frame, in order."""
        rows = self._frame().rows
        found = (self._numbers.of.get(image_id, -1) for image_id in image_ids)
        return [number for number in found if 0 <= number < len(rows) and rows[number] >= 0]

    def close(self) -> None:
        self._work.stop()


def list_versions(layout: Layout, config: Config) -> Mapping[str, object]:
    """The bank versions, the one that rules first. suited: the method that one is scored by when that is asked for."""
    with reading(layout) as database:
        rows = database.rows("app_banks")
    methods = short_forms({row["method_id"] for row in rows if row["method_id"]})
    versions = [
        {**row, "address": address_of(row), "method": methods.get(row["method_id"]), "suited": suited(row, config)}
        for row in rows
    ]
    return {"versions": [{key: value for key, value in one.items() if key != "spec"} for one in versions]}


def suited(version: Row, config: Config) -> str:
    return suited_method(json.loads(version["spec"]), version["id_count"], config)


def address_of(row: Row) -> str:
    return f"{row['name']}@{row['bank_digest']}"


def text_of(said: Said, name: str, *, needed: bool = True) -> str:
    """A text that is said. Raises BadRequest for none."""
    text = said.get(name) or ""
    if not isinstance(text, str) or (needed and not text) or (text and text_fault(text, longest=LONGEST_TEXT)):
        raise BadRequest(400, f"{name} is a text of at most {LONGEST_TEXT} characters")
    return text


def _version(layout: Layout, address: str) -> Row:
    with reading(layout) as database:
        found = next((row for row in database.rows("app_banks") if address_of(row) == address), None)
    if found is None:
        raise BadRequest(404, "there is no such bank version")
    return found


def show_version(layout: Layout, address: str, text: str) -> Mapping[str, object]:
    """What a version holds: by the source of its labels, and the labels that decide most of those that have a text in
    them."""
    row = _version(layout, address)
    with reading(layout) as database:
        labels = database.rows("app_bank_labels", bank_digest=row["bank_digest"], scoring=row["scoring"])
        guard = guard_of(database, row["bank_digest"])
    found = [label for label in labels if text.casefold() in label["text"].casefold()]
    return {
        "sources": by_source(labels),
        "labels": sorted(found, key=lambda label: -label["images"])[:MOST_LABELS],
        "found": len(found),
        **guard,
    }


def by_source(labels: Sequence[Row]) -> list[Mapping[str, object]]:
    """Of each source and role: labels, those of them that decided an image, and how many images they decided."""
    sums = {name: Counter[tuple[str, str]]() for name in ("labels", "deciding", "images")}
    for label in labels:
        key = label["role"], label["source"]
        sums["labels"][key] += 1
        sums["deciding"][key] += label["images"] > 0
        sums["images"][key] += label["images"]
    return [
        {"role": role, "source": source, **{name: sums[name][role, source] for name in sums}}
        for role, source in sums["labels"]
    ]


def images_decided(layout: Layout, address: str, role: str, label: str) -> list[str]:
    """The ids of the images that a label decided."""
    row = _version(layout, address)
    with reading(layout) as database:
        found = database.table("app_decided_by", scoring=row["scoring"], role=role, label=label)
    ids: list[str] = found["image_id"].to_pylist()
    return ids


def compare(layout: Layout, config: Config, old: str, new: str, is_equal: bool | None) -> Mapping[str, Any]:
    """Two versions side by side; `changed`: images that one flags and the other keeps, where both were scored.

    is_equal: the newer is held to the cut of the older, as the next night would use it; None: where it has none of its
    own but the default. `cut`: that of the older, None where they have not one common scale and cut.
    """
    found = report_diff(Context(layout, config), old, new)
    changed: dict[str, list[Row]] = {"flagged": [], "kept": []}
    cut = None
    if found.flags.note is None:
        pair = {"old_scoring": found.flags.old, "new_scoring": found.flags.new}
        with reading(layout) as database:
            before, after = (database.row("app_scoring_cut", scoring=name) or {} for name in pair.values())
            if before["method_id"] == after["method_id"] and before["cut"] is not None and isfinite(before["cut"]):
                cut = before["cut"]
            if is_equal is None:
                is_equal = after["is_default"] and not before["is_default"]
            is_equal = is_equal and cut is not None
            for row in database.rows("app_flag_changes", **pair, cut=cut if is_equal else None):
                changed["flagged" if row["flagged"] else "kept"].append(row)
    return {
        "counts": found.counts(),
        "changes": [asdict(change) for change in first_of_kinds(found.diff.changes)],
        "spec": {key: [str(old), str(new)] for key, (old, new) in found.diff.spec.items()},
        "note": found.flags.note,
        "images": found.flags.images,
        "cut": cut,
        "equal": is_equal,
        "changed": changed,
    }


def first_of_kinds(changes: Sequence[LabelChange]) -> list[LabelChange]:
    """The first MOST_CHANGES of each kind and role, in their order: many that went hide none that came."""
    seen = Counter[tuple[str, str]]()
    found = []
    for change in changes:
        seen[change.change, change.role] += 1
        if seen[change.change, change.role] <= MOST_CHANGES:
            found.append(change)
    return found


def propose(layout: Layout, config: Config, parent: str, name: str, build: bool) -> Mapping[str, Any]:
    """What the decisions say about a bank, as `curator bank propose` finds it; build: a version of it is made."""
    context = Context(layout, config)
    return propose_bank(
        context, parent, name=name or None, method=None, write=build, build=build, wait_seconds=WAIT_SECONDS
    ).as_json()


def score(layout: Layout, config: Config, address: str) -> Mapping[str, Any]:
    """Score the lake under a version, as `curator score` does, by the method that suits it; what rules stays so."""
    methods = [suited(_version(layout, address), config)]
    return run_scoring(Context(layout, config), banks=[address], methods=methods).as_json()

"""Nights to make pages of: small ones that are made up, and a ledger with as many images as are wanted."""

from __future__ import annotations

import io
from functools import cache
from typing import Any

import numpy as np
from PIL import Image

from curator.report.night_map import NO_CLUSTER, MapPoints
from curator.report.night_page import NightView, night_page
from curator.report.pages import Thumbnail


def picture(colour: str = "red") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (40, 30), colour).save(buffer, "WEBP")
    return buffer.getvalue()


def item(number: int, *, text: str = "fog", cluster: int | None = 0, **more: Any) -> dict[str, Any]:
    return {
        "image_id": f"{number:032x}", "uri": f"/lake/{text}-{number}.png", "id_score": 0.01, "log_odds": -9.0 + number,
        "name": text, "name_margin": 0.75, "top_id": "cat", "top_id_cosine": 0.1, "top_negative": text,
        "top_negative_cosine": 0.3, "source_label": text, "group_id": f"{number:032x}", "present": True,
        "margin": -9.7 + number, "alike": 1, "cluster": cluster,
        "reason": reason(text, decides=number == 0), **more,
    }  # fmt: skip


def reason(text: str, *, decides: bool = True, note: str | None = None, made: bool = True) -> dict[str, Any]:
    """Why an image is flagged: by a label that a generator made."""
    made_by = {
        "concerns": text, "call_id": text, "role": text, "model": text, "revision": text, "prompt": text,
        "prompt_version": 3, "seed": 5, "output": text, "finished_at": "2026-11-25T23:00:00",
        "pictures": [text], "asked_about": [{"image_id": "0" * 32, "uri": text}, {"image_id": text, "uri": None}],
    }  # fmt: skip
    label = {
        "label": text, "role": "negative", "source": text, "cosine": 0.3, "share": 0.125, "id_score_without": 0.5,
        "changes_flag": decides, "decides": decides, "made_by": made_by if made else None,
    }  # fmt: skip
    return {"deciding": text if decides else None, "tried": 40, "note": note, "label": label}


def data(*, text: str = "fog", flags: int = 6, **more: Any) -> dict[str, Any]:
    """The data of a night with six flagged images of twelve, all of whose texts are `text`."""
    rate = {"flag_rate": 0.5, "low": 0.25, "high": 0.75} if flags else dict.fromkeys(("flag_rate", "low", "high"))
    certain = [item(number, text=text, cluster=number % 2) for number in range(flags)][: (flags + 1) // 2]
    doubtful = [item(number, text=text, cluster=number % 2) for number in range(flags)][(flags + 1) // 2 :][::-1]
    night = {"night": "2026-11-26", "run_id": "20261126T020000-aaaaaa", "images": 12, "rejects": 1, "scored": 12}
    drift: dict[str, Any] = {"psi": 0.3, "psi_by_chance": 0.1, "ks": 0.2, "ks_p": 0.004, "mmd": 0.01, "mmd_p": 0.002}
    pinned = {"night": text, "night_run_id": text, "images": 9, "baseline_number": 1, "encoder_id": text}
    read = dict.fromkeys(("objects_listed", "objects_new", "objects_changed", "objects_unchanged", "objects_gone"), 1)
    read |= {"data_read": 14, "images": 12, "duplicates": 1, "rejects": 1, "decoded": 12}
    clusters = [
        {"name": text, "images": 3, "new": new, "before": 0 if new else 4, "examples": certain[:2]}
        for new in (True, False)
    ]
    made = {
        "night": {"night": "2026-11-26", "run_id": text, "status": text, "seconds": 2.5, "error": text,
                  "started_at": "2026-11-26T02:00:00.125", "finished_at": "2026-11-26T02:00:02.625"},
        "ruled_by": {"bank": text, "policy": text, "method_id": f"neglabel({'group_count=100,' * 5}{text})"},
        "decided_by": {"encoder_id": text, "method_id": text, "policy_name": text, "min_log_odds": 0.7},
        "accounting": read,
        "lake": {"objects": 9, "data": 20, "images": 15, "duplicates": 3, "rejects": 2},
        "flags": {"scored": 12, "flagged": flags} | rate,
        "nights": [
            {**night, "name": "2026-11-25", "run_id": "before", "flagged": 1} | rate,
            {**night, "name": "2026-11-26", "run_id": text, "flagged": 6} | rate,
        ],
        "scores": {
            "edges": [-1.0, 0.0, 1.0],
            "shares": {"tonight": [0.5, 0.5], "reference": [0.1, 0.9], "baseline": [0.2, 0.8]},
            "counts": {"tonight": 12, "reference": 30, "baseline": 9},
        },
        "drift": drift | {"baseline": pinned, "images": 12, "mmd_images": [9, 12]},
        "map": {"images": 12, "shown": 12, "explained": [0.5, 0.25]},
        "clusters": clusters if flags else [],
        "certain": certain,
        "doubtful": doubtful,
        "rejects": [{"rejects": 1, "stage": "decode", "reason": text, "example": text, "detail": text}],
        "passed_over": [{"place": "listing", "heading": text, "files": 3, "example": text}],
        "stages": [{"stage": text, "seconds": 2.0, "share": 0.8}],
        "shards": [
            {"shard_id": text, "kind": "file", "data": 14, "rejects": 1, "milliseconds_per_datum": 3.0,
             "decode_seconds": 0.1, "encode_seconds": 0.2},
        ],
        "broken_limits": [text],
    }  # fmt: skip
    return made | more


def points(count: int = 12, *, flagged: int = 6, text: str = "fog") -> MapPoints:
    """So many images in two clouds, the flagged ones first."""
    generator = np.random.default_rng(7)
    is_flagged = np.arange(count) < flagged
    places = generator.normal(np.where(is_flagged, 20000, 45000)[:, None], 4000, size=(count, 2))
    return MapPoints(
        places=places.clip(0, 65535).astype(np.uint16),
        flagged=is_flagged,
        cluster=np.where(is_flagged, np.arange(count) % 2, NO_CLUSTER).astype(np.uint8),
        log_odds=np.arange(count) - 9.0,
        top_ids=["cat" if number % 2 else "dog" for number in range(count)],
        names=[text if number % 3 else "rain" for number in range(count)],
        uris=[f"/lake/{text}-{number}.png" for number in range(count)],
        clusters=[text, "rain"],
    )


def view(*, text: str = "fog", flags: int = 6, **more: Any) -> NightView:
    made = data(text=text, flags=flags, **more)
    ids = [f"{number:032x}" for number in range(12)]
    thumbnails = {image_id: Thumbnail(picture()) for image_id in ids} | {ids[1]: Thumbnail(None, text)}
    return NightView(made, points(flagged=flags, text=text), thumbnails)


@cache
def usual_page() -> str:
    """The page of `view()`, made once: its charts take a second."""
    return night_page(view())

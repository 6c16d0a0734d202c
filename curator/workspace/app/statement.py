"""What the app shows, or what is selected there, as one SQL statement: the very rows, in their order."""

from __future__ import annotations

from collections.abc import Sequence

from curator.store.database import quoted
from curator.workspace.app.views import NEAR_DUPLICATE, UNMEASURED, GridView

BY_ID = "scores.image_id"
KEYS = {
    "queue": "queue.position",
    "score": "scores.log_odds",
    "p_value": "p_values.p_value",
    "time": "scores.first_seen",
    "name": "coalesce(scores.name, '')",
}
JOINS = {
    "queue": "join report.review_queue as queue on queue.image_id = scores.image_id",
    "p_values": "left join report.p_values as p_values on p_values.image_id = scores.image_id",
    "members": "join report.group_members as members on members.image_id = scores.image_id",
    "reviewed": "left join report.reviewed_images as reviewed on reviewed.image_id = scores.image_id",
    "objects": "left join main.source_object as objects on objects.object_uri = scores.object_uri\n"
    "    and objects.role = 'lake'",
}
CHOSEN = {
    "night": "scores.first_run_id",
    "label": "coalesce(scores.source_label, '')",
    "name": "coalesce(scores.name, '')",
    "source": "if(objects.kind = 'file', regexp_replace(scores.object_uri, '/[^/]*$', ''), scores.object_uri)",
}
REVIEWED = {
    "open": "reviewed.decision is null",
    "decided": "reviewed.decision is not null",
    "disputed": "reviewed.disputed",
}


def says_all(view: GridView) -> bool:
    """Whether a view can be said in SQL: clusters, and what a search has found, are known to the app only."""
    return view.among is None and view.cluster is None and view.sort != "cluster"


def statement_of(view: GridView, *, saved: str | None = None) -> str:
    """The statement of a view of which `says_all` holds. saved: the SQL of the saved view that it chooses from."""
    conditions = _conditions(view, saved)
    order = _order(view)
    used = "\n".join([*conditions, order]) + ("members." if view.groups else "")
    joins = [join for name, join in JOINS.items() if f"{name}." in used or (name == "queue" and view.sort == "queue")]
    # A condition is on the columns of this one view, and may end in a comment.
    source = (
        f"(\n    select *\n    from report.scores\n    where {view.where.strip()}\n)"
        if view.where.strip()
        else "report.scores"
    )
    lines = ["select scores.*", f"from {source} as scores", *joins]
    lines += ["where " + "\n    and ".join(conditions)] if conditions else []
    if view.groups:
        lines.append(f"qualify row_number() over (partition by members.group_id order by {order}) = 1")
    return "\n".join([*lines, f"order by {order}"])


def _order(view: GridView) -> str:
    key = KEYS.get(view.sort)
    turn, empty = (" desc", " nulls first") if view.descending else ("", " nulls last")
    return f"{key}{turn}{empty}, {BY_ID}{turn}" if key else f"{BY_ID}{turn}"


def _conditions(view: GridView, saved: str | None) -> list[str]:
    found = []
    if view.flagged is not None:
        found.append(f"coalesce(scores.flagged, false) = {str(view.flagged).lower()}")
    found += [f"{CHOSEN[name]} = {quoted(value)}" for name, value in view.chosen.items()]
    if view.reviewed is not None:
        found.append(REVIEWED.get(view.reviewed, f"reviewed.decision = {quoted(view.reviewed)}"))
    if view.tag is not None:
        found.append(f"scores.image_id in (select image_id from report.tags where tag = {quoted(view.tag)})")
    if view.quality:
        found.append(f"({' or '.join(map(_of_quality, view.quality))})")
    if saved is not None:
        found.append(f"scores.image_id in (select image_id from (\n{saved}\n))")
    return found


def _of_quality(fact: str) -> str:
    if fact == NEAR_DUPLICATE:
        return "scores.image_id in (select image_id from report.quality where near_duplicate)"
    return "scores.dark is null" if fact == UNMEASURED else f"coalesce(scores.{fact}, false)"


def statement_about(image_ids: Sequence[str]) -> str:
    """The statement of some images, in this order."""
    names = " ".join(image_ids)
    chosen = f"unnest(range({len(image_ids)})) as position, unnest(string_split('{names}', ' ')) as image_id"
    return f"""with chosen as (
    select {chosen}
)

select scores.*
from chosen
join report.scores as scores on scores.image_id = chosen.image_id
order by chosen.position"""

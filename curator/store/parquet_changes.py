"""What the views with a row an image have that the Parquet copy before has not, so that a copy costs what a night
brings.

What their rows follow from is summed up by the run that wrote it: which runs have other rows than before says which
images to look at, and only these are computed, by the views themselves over tables that have no others. What judges
all images, such as a policy, has all of them computed anew.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from curator.store.database import Database
from curator.store.migrate import shipped_views
from curator.store.parquet_files import Generation, View, parquet

# The views with a row an image from which the others are computed, and which of their rows in the copy before are not
# taken over.
STALE = {
    "locations": "run_id in (from main.changed_runs)",
    "images": "image_id in (from main.touched)",
    "scores": "image_id in (from main.touched)",
}
OF_IMAGES = ("image", "location", "score", "image_name")  # tables that are narrowed to the images that were touched
BY_RUN = ("locations", "policy_night")  # inputs of which earlier runs may have other rows than before
GROWING = ("image", "score", "image_name")  # and of which they have no others in a night, only in a repair


def inputs_of(database: Database) -> dict[str, str]:
    """What the rows follow from, each with a fingerprint."""
    rows = {
        f"{row['input']}/{row['run_id']}": f"{row['rows']}-{row['total']}" for row in database.rows("inputs_of_copy")
    }
    return {**rows, "definitions/": shipped_views()[1]}


def make_fresh(
    database: Database, views: Mapping[str, View], inputs: Mapping[str, str], former: Generation | None
) -> bool:
    """Make main.fresh_locations, main.fresh_images and main.fresh_scores: of all rows, or of those that the copy
    before has not, where there is one to go on from. Returns whether it is the latter."""
    changed = _changed_runs(former.inputs, inputs) if former else None
    if former and changed is not None:
        _find_touched(database, views["locations"], former, changed)
    else:
        database.execute("create table main.fresh_locations as from report.locations")
        database.execute("create or replace view report.locations as from main.fresh_locations")
    database.execute("create table main.fresh_images as from report.images")
    database.execute("create or replace view report.images as from main.fresh_images")
    database.execute("create table main.fresh_scores as from report.scores")
    for table in OF_IMAGES:
        database.execute(f'create or replace view main."{table}" as from published.main."{table}"')
    return changed is not None


def _changed_runs(before: Mapping[str, str], now: Mapping[str, str]) -> dict[str, list[str]] | None:
    """The runs whose rows differ, by input; None where all images have to be looked at."""
    found = defaultdict[str, list[str]](list)
    for key in sorted(before.keys() | now.keys()):
        if before.get(key) != now.get(key):
            name, _, run_id = key.partition("/")
            if name not in (*BY_RUN, *GROWING) or (name in GROWING and key in before):
                return None
            found[name].append(run_id)
    return found


def _find_touched(database: Database, locations: View, former: Generation, changed: Mapping[str, list[str]]) -> None:
    """The rows of report.locations of changed runs, and main.touched, the images that rows which differ are about."""
    runs = {"runs": changed["locations"]}
    database.execute("create table main.changed_runs as select unnest($runs::varchar[]) as run_id", runs)
    database.execute(f"create table main.fresh_locations as from report.locations where {STALE['locations']}")
    there = parquet(former, list(former.of(locations)))
    images = parquet(former, [file for file in former.parts if file.startswith("images.parquet/")])
    database.execute(
        f"""create table main.touched as
        with now as (select image_id, hash({locations.named}) as digest from main.fresh_locations),
        before as (select image_id, hash({locations.named}) as digest from {there} where {STALE["locations"]}),
        found as (
            select image_id from now anti join before using (image_id, digest)
            union all select image_id from before anti join now using (image_id, digest)
            union all select image_id from main.image where list_contains($image, run_id)
            union all select image_id from main.score where list_contains($score, run_id)
            union all select image_id from main.image_name where list_contains($image_name, run_id)
            union all
            select image_id from {images} where list_contains($policy_night, first_run_id)
        )
        select distinct image_id from found where image_id is not null""",
        {name: changed[name] for name in (*GROWING, "policy_night")},
    )
    for table in OF_IMAGES:
        database.execute(
            f'create or replace view main."{table}" as from published.main."{table}" '
            "where image_id in (from main.touched)"
        )

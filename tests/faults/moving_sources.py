"""A lake that changes while it is read. Whatever this night makes of it, the next one must bring the truth."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from typing import Any

from curator.store import Database
from tests.faults.laboratory import Laboratory, Trial, snapshot
from tests.faults.lakes import picture, write_parquet, write_tar
from tests.faults.ledger_tables import faults_in

# What happens to which object, as Python that the scan itself runs; `new` holds other objects of the same names.
CHANGES = {
    "file replaced": "import shutil; shutil.copyfile('{new}/red-05.png', '{lake}/red-05.png')",
    "file replaced by rename": "import os; os.replace('{new}/red-05.png', '{lake}/red-05.png')",
    "file truncated": "import os; os.truncate('{lake}/red-05.png', 30)",
    "file grown": "open('{lake}/red-05.png', 'ab').write(b'more')",
    "file deleted": "import os; os.unlink('{lake}/red-05.png')",
    "folder renamed": "import os; os.rename('{lake}/inner', '{lake}/other')",
    "tar rewritten": "import shutil; shutil.copyfile('{new}/y-shard.tar', '{lake}/y-shard.tar')",
    "tar replaced by rename": "import os; os.replace('{new}/y-shard.tar', '{lake}/y-shard.tar')",
    "tar cut": "import os; os.truncate('{lake}/y-shard.tar', 1500)",
    "parquet rewritten": "import shutil; shutil.copyfile('{new}/z-rows.parquet', '{lake}/z-rows.parquet')",
    "parquet replaced by rename": "import os; os.replace('{new}/z-rows.parquet', '{lake}/z-rows.parquet')",
    "parquet deleted": "import os; os.unlink('{lake}/z-rows.parquet')",
}
DATA = 26  # of the lake; all are read when the reader has met so many


def change(lab: Laboratory, rng: random.Random, *, what: str | None = None, at: int | None = None) -> Trial:
    what = what or rng.choice(list(CHANGES))
    at = rng.randint(0, DATA) if at is None else at
    trial = Trial("source changes while read", f"{what} after {at} data", runs=3)
    with lab.workspace("built") as workspace, lab.workspace("built") as fresh:
        lake, new = workspace.parent / "lake", workspace.parent / "new"
        shutil.copytree(lab.lake, lake)
        make_other_state(lake, new)
        code = CHANGES[what].format(lake=lake, new=new)
        ended = lab.runs.run("-w", workspace, "scan", lake, meanwhile={"at": at, "code": code})
        trial.expect(ended.status == 0, f"status {ended.status}: {ended.stderr[-1500:]}")
        trial.losses += faults_in(workspace)
        for folder in (workspace, fresh):
            ended = lab.runs.run("-w", folder, "scan", lake)
            trial.expect(ended.status == 0, f"status {ended.status}: {ended.stderr[-1500:]}")
            trial.losses += faults_in(folder)
        found, truth = shown(workspace), shown(fresh)
        for name in truth:
            trial.expect(found[name] == truth[name], f"{name}: shows {found[name]} instead of {truth[name]}")
    return trial


def make_other_state(lake: Path, new: Path) -> None:
    """A folder in the lake, and beside it what will take the place of some objects."""
    (lake / "inner").mkdir()
    (lake / "inner" / "blue-50.png").write_bytes(picture("blue", 50))
    (lake / "red-05.png").write_bytes(picture("red", 51))
    new.mkdir()
    (new / "red-05.png").write_bytes(picture("black", 52))
    write_tar(new / "y-shard.tar", [picture("green", number) for number in range(60, 67)])
    write_parquet(new / "z-rows.parquet", [picture("yellow", number) for number in range(70, 79)])


def shown(workspace: Path) -> dict[str, list[dict[str, Any]]]:
    """What the lake looks like to a reader."""
    queries = {
        "images": "select uri, image_id from report.locations where image_id is not null order by all",
        "rejects": "select uri, stage, reason from report.rejects order by all",
        "scores": "select image_id, id_score, flagged from report.scores order by all",
    }
    with Database.open_reader(snapshot(workspace)) as database:
        return {name: database.arrow(query).to_pylist() for name, query in queries.items()}

"""Workspaces of every released format open, migrate and go on with today's code; those of later ones are refused.

The archives of tests/golden/releases were made by the releases themselves (make.py there says how).
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import tarfile
from pathlib import Path

import boto3
import pytest

from curator.encoders import SHIPPED
from curator.errors import EncoderError, StoreError
from curator.store import Database
from curator.store.migrate import migrate, shipped_migrations
from curator.workspace import Workspace
from curator.workspace.judge.in_force import ruled_lines
from tests import interpreter
from tests.patience import BRAKE_SECONDS

RELEASES = sorted((Path(__file__).parents[1] / "golden" / "releases").glob("schema-*.tar.xz"))
KEPT = {  # tables of the first format, in columns that tell what was computed
    "score": "image_id, encoder_id, bank_digest, method_id, id_score, log_odds, id_label, run_id",
    "policy": "policy_id, method_id, min_log_odds, run_id",
    "vector": "image_id, encoder_id, vector_file, row_index, run_id",
    "location": "uri, role, image_id, run_id",
    "reject": "uri, role, stage, reason, run_id",
    "label": "bank_digest, label_index, text, role",
}

# Migrates and kills itself at the n-th statement.
MIGRATE_AND_DIE = """
import os, signal, sys
import curator.store.database as module
from curator.store import Database
from curator.store.migrate import migrate

events, execute = int(sys.argv[2]), Database.execute

def counted(self, *args, **kwargs):
    global events
    events -= 1
    if events == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return execute(self, *args, **kwargs)

Database.execute = counted
with Database.open(sys.argv[1]) as database:
    migrate(database)
print("left", events)
"""


def rows_of(ledger: Path) -> dict[str, list[dict[str, object]]]:
    with Database.open(ledger) as database:
        return {
            name: database.arrow(f"select {cols} from {name} order by all").to_pylist() for name, cols in KEPT.items()
        }


def applied(ledger: Path) -> list[str]:
    with Database.open(ledger) as database:
        return [row["name"] for row in database.arrow("select name from schema_migration order by number").to_pylist()]


@pytest.fixture
def unpack(tmp_path):
    def unpack(archive: Path) -> Path:
        with tarfile.open(archive) as packed:
            packed.extractall(tmp_path, filter="data")
        return tmp_path / "workspace"

    return unpack


@pytest.fixture
def released_lake(tmp_path, s3_server, monkeypatch):
    """The pictures of the archive in the object store that they were scanned from."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    store = boto3.client("s3", endpoint_url=s3_server)
    store.create_bucket(Bucket="released")

    def fill() -> str:
        for path in (tmp_path / "lake").rglob("*.png"):
            key = path.relative_to(tmp_path / "lake").as_posix()
            store.put_object(Bucket="released", Key=key, Body=path.read_bytes())
        return "s3://released/lake"

    yield fill
    for item in store.list_objects_v2(Bucket="released").get("Contents", ()):
        store.delete_object(Bucket="released", Key=item["Key"])
    store.delete_bucket(Bucket="released")


NEVER_ALONE = {5, 6, 7}  # came together with 8


def test_there_is_an_archive_of_every_format_but_the_one_in_the_making():
    numbers = {int(path.name[7:11]) for path in RELEASES}
    assert numbers | NEVER_ALONE == set(range(1, max(numbers) + 1))
    assert len(shipped_migrations()) - max(numbers) <= 1, "make the archive of the format before: see make.py"


@pytest.mark.parametrize(  # in the default run the oldest, which all migrations change, and the newest
    "archive",
    [
        pytest.param(path, marks=[] if path in (RELEASES[0], RELEASES[-1]) else pytest.mark.slow, id=path.name[:11])
        for path in RELEASES
    ],
)
def test_workspace_of_a_release_goes_on(archive, unpack, released_lake):
    workspace = Workspace.open(unpack(archive))
    before, old = rows_of(workspace.layout.ledger), applied(workspace.layout.ledger)
    assert len(old) == int(archive.name[7:11]) and before["score"] and before["policy"] and before["reject"]
    summary = workspace.scan(released_lake())
    assert (summary.data_read, summary.decoded, summary.rescored, summary.scored) == (0, 0, 0, 6)
    assert summary.policy == "keep-0.9"
    assert applied(workspace.layout.ledger) == [migration.name for migration in shipped_migrations()]
    assert rows_of(workspace.layout.ledger) == before
    assert [item.message for item in workspace.doctor(check=True) if item.state == "failed"] == []


@pytest.mark.slow
def test_migration_killed_at_any_statement_leaves_the_old_state_or_the_new(unpack, tmp_path):
    ledger = unpack(RELEASES[0]) / "ledger.duckdb"
    untouched, before = tmp_path / "untouched.duckdb", rows_of(ledger)
    shutil.copy(ledger, untouched)
    names = [migration.name for migration in shipped_migrations()]
    command = [*interpreter.command(), "-c", MIGRATE_AND_DIE, str(ledger)]
    seen = set()
    for event in (4, 5, 6):  # the statements of the first migration that is pending: begin, its text, its record
        shutil.copy(untouched, ledger)
        died = subprocess.run([*command, str(event)], capture_output=True, timeout=BRAKE_SECONDS)
        assert died.returncode == -signal.SIGKILL, died.stderr
        with Database.open(ledger) as database:
            tables = {
                row["name"] for row in database.arrow("select table_name as name from duckdb_tables()").to_pylist()
            }
        found = applied(ledger)
        assert found == names[: len(found)]
        assert ("evaluation" in tables) == ("0002_evaluation" in found)
        seen.add(len(found))
        with Database.open(ledger) as database:
            migrate(database)
        assert applied(ledger) == names and rows_of(ledger) == before
    assert 1 in seen, "no kill fell into the first migration"


def test_workspace_of_a_later_release_is_refused_and_nothing_is_changed(unpack, tmp_path):
    root = unpack(RELEASES[-1])
    with Database.open(root / "ledger.duckdb") as database:
        migrate(database)
        database.execute("insert into schema_migration values (9999, '9999_later', 'x', now()::timestamp)")
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file() and path.name != ".lock"}
    workspace = Workspace.open(root)
    for attempt in (
        lambda: workspace.scan(tmp_path / "lake" / "lake"),
        lambda: workspace.collect_garbage(remove=True),
        lambda: workspace.backup(tmp_path / "backups"),
    ):
        with pytest.raises(StoreError, match="schema 9999, this release knows") as caught:
            attempt()
        assert "\n" not in str(caught.value) and "upgrade" in str(caught.value)
    assert before == {path: path.read_bytes() for path in root.rglob("*") if path.is_file() and path.name != ".lock"}


@pytest.fixture
def former(unpack):
    """A workspace whose images the embedded encoder of version 1 has embedded."""
    return Workspace.open(unpack(RELEASES[0].parent / "mini-1.tar.xz"))


def encoders_of(workspace: Workspace) -> dict[str, int]:
    return {row["encoder_id"]: row["n"] for row in workspace.sql(
        "select encoder_id, count(*) as n from vector group by encoder_id").to_pylist()}  # fmt: skip


@pytest.mark.slow
def test_a_workspace_of_the_former_embedded_encoder_is_read_as_before(former, released_lake, tmp_path, monkeypatch):
    monkeypatch.setattr("curator.workspace.context.load_encoder", lambda options: pytest.fail("an encoder was loaded"))
    released_lake()
    former.publish()  # in the format of today, as the first run that writes does
    (encoder_id,) = encoders_of(former)
    assert encoder_id.startswith("mini@") and encoder_id != SHIPPED["mini"]
    assert former.in_force().policy == "keep-0.9"
    assert former.query("flagged").num_rows + former.query("kept").num_rows == 6
    assert former.explain("red.png").neighbours
    assert f"Ruled by {former.in_force().said}." in former.report().as_html()
    assert former.export("kept", to=tmp_path / "out", format="csv").images == former.query("kept").num_rows
    assert former.reviews.export_to(tmp_path / "review.csv").items > 0
    assert former.search(image="red.png", k=2).num_rows == 2, "by a vector that is stored"
    others = tmp_path / "lake" / "lake" / "blue.png"
    for ask in (
        lambda: former.search(text="red"),
        lambda: former.search(image=others),
        lambda: former.explain(others),
        lambda: former.score(method="mcm"),
        lambda: former.use("base", "mcm"),
        lambda: former.calibrate(keep=0.5),
    ):
        with pytest.raises(
            EncoderError, match=f"embedded by {encoder_id}, and encoder mini is {SHIPPED['mini']} now"
        ) as no:
            ask()
        assert no.value.hint == "`curator scan`, with every source of the lake, embeds them again, once"


@pytest.mark.slow
def test_the_next_scan_embeds_by_the_encoder_of_today_once_and_says_so(former, released_lake, caplog, monkeypatch):
    monkeypatch.setattr("curator.workspace.context.Context._vocabulary", lambda self, bank: None)  # thousands of nouns
    former.publish()
    (before,) = encoders_of(former)
    lake, first = released_lake(), former.in_force()
    (warning,) = [item for item in former.doctor() if item.subject == "encoder" and item.state == "warning"]
    assert f"embedded by {before}, and encoder mini is {SHIPPED['mini']} now" in warning.message
    night = former.scan(lake)
    assert (
        f"encoder mini is {SHIPPED['mini']} now, and was {before}: every image is embedded again, once" in caplog.text
    )
    assert (night.data_read, night.decoded, night.scored) == (8, 7, 6) and night.encoder_id == SHIPPED["mini"]
    assert night.ruled_before == first and night.ruled_by.bank == "base@v2" and night.ruled_by.policy == "default"
    assert ruled_lines(night.ruled_by, night.ruled_before)[1].endswith(
        "`curator calibrate --reference SRC --keep 0.9` makes one of what rules now"
    )
    assert encoders_of(former)[SHIPPED["mini"]] == 6
    again = former.scan(lake)
    assert (again.data_read, again.decoded, again.ruled_before) == (0, 0, None)
    assert former.search(text="red", k=1).num_rows == 1
    assert former.calibrate("s3://released/known", keep=0.9).rules
    found = [item for item in former.doctor(check=True) if item.state == "failed" or item.subject == "encoder"]
    assert [item.state for item in found] == ["ok"]

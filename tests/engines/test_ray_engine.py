"""The Ray engine on a real cluster of several worker processes: the outcomes are those of the local engine, bit for
bit, whatever is killed on the way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from unittest import mock

import pytest

from curator.config import RaySection
from curator.decode import DecodeOptions
from curator.encoders import EncoderOptions, load_encoder
from curator.engines.decode_pool import DecodePool
from curator.engines.known import KnownContents, id_table
from curator.engines.local import LocalEngine
from curator.engines.ray_engine import RayEngine
from curator.engines.ray_workers import WorkerSetup
from curator.errors import EngineError
from curator.lake import ReadOptions, open_source, plan_shards
from curator.store import Database
from curator.types import Shard, ShardOutcome, SourceObject
from curator.workspace import ScanSummary, Workspace
from curator.workspace.judge.scoring import Scorer
from tests.patience import BRAKE_SECONDS, wait_for

ROOT = Path(__file__).parents[2]

ray = pytest.importorskip("ray")

OPTIONS = RaySection(encoders=1, decoders=3, encoder_cpus=1)
MEMORY = 2 << 30


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """A cluster of this machine that gives itself four cores."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray.init(address="local", num_cpus=4, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    yield
    ray.shutdown()


@pytest.fixture
def copies(lake: Path, pictures: dict[str, bytes]) -> Path:
    """The lake, with copies of good and of bad images that lie in other shards than the first of their kind."""
    for number, (name, data) in enumerate(list(pictures.items())[:6]):
        (lake / f"y-copy-{number}-{name}").write_bytes(data)
    (lake / "y-copy-truncated.png").write_bytes((lake / "x-truncated.png").read_bytes())
    return lake


def shards_of(lake: Path, *, files: int) -> list[Shard]:
    objects = [item for item in open_source(str(lake)).list() if isinstance(item, SourceObject)]
    return list(plan_shards(objects, files_per_shard=files))


def setup_of(address: str = "fake") -> WorkerSetup:
    options = EncoderOptions(address=address, device="cpu", dtype="float32", batch_size=4)
    encoder = load_encoder(options)
    return WorkerSetup(options, encoder.encoder_id, encoder.preprocess, DecodeOptions(), ReadOptions(), MEMORY)


def run_locally(setup: WorkerSetup, shards: list[Shard], known: KnownContents) -> list[ShardOutcome]:
    pool = DecodePool(workers=0, preprocess=setup.preprocess, options=setup.decode)
    return list(LocalEngine(load_encoder(setup.encoder), pool, read=setup.read).run(shards, known=known))


def plain(outcome: ShardOutcome) -> dict[str, object]:
    """An outcome without its times, in values that compare."""
    fields = {name: getattr(outcome, name) for name in ShardOutcome.__slots__ if not name.endswith("_seconds")}
    return fields | {"vectors": outcome.vectors.tobytes(), "shape": outcome.vectors.shape}


def same(found: list[ShardOutcome], expected: list[ShardOutcome]) -> bool:
    return list(map(plain, found)) == list(map(plain, expected))


def tables_of(workspace: Workspace) -> dict[str, list[dict[str, object]]]:
    """What a scan leaves, but for who ran, when, and how long it took."""
    columns = {
        "source_object": "* exclude (run_id)",
        "location": "* exclude (run_id)",
        "image": "* exclude (run_id)",
        "reject": "* exclude (run_id)",
        "passed_member": "* exclude (run_id)",
        "vector": "* exclude (run_id)",
        "score": "* exclude (run_id)",
        "near_duplicate": "* exclude (run_id)",
        "group_member": "* exclude (run_id)",
        "shard": "* exclude (run_id, finished_at, decode_seconds, encode_seconds)",
    }
    with Database.open_reader(workspace.layout.snapshot) as database:
        return {
            table: database.arrow(f"select {names} from {table} order by all").to_pylist()
            for table, names in columns.items()
        }


def worker_processes(name: str) -> list[int]:
    """Processes of this machine that are actors of a class."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            title = (path / "cmdline").read_text()
        except OSError:
            continue
        if title.startswith(f"ray::{name}"):
            found.append(int(path.name))
    return sorted(found)


def kill_workers(name: str) -> None:
    """Kill every actor of a class; those that were killed before may only be coming back."""
    for process in wait_for(lambda: worker_processes(name)):
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.parametrize("address", ["fake", "mini"])
def test_outcomes_are_those_of_the_local_engine_bit_for_bit(address, copies, cluster):
    setup, shards = setup_of(address), shards_of(copies, files=3)
    expected = run_locally(setup, shards, KnownContents())
    assert sum(outcome.duplicate_count for outcome in expected) >= 7
    with RayEngine(setup, OPTIONS) as engine:
        assert same(list(engine.run(shards, known=KnownContents())), expected)


@pytest.mark.slow
def test_known_contents_are_not_decoded_again(copies, cluster):
    setup, shards = setup_of(), shards_of(copies, files=4)
    images = [image.image_id for outcome in run_locally(setup, shards, KnownContents()) for image in outcome.images]
    before = id_table(images[::2])
    expected = run_locally(setup, shards, KnownContents(before))
    with RayEngine(setup, OPTIONS) as engine:
        found = list(engine.run(shards, known=KnownContents(before)))
    assert same(found, expected)
    assert sum(len(outcome.images) for outcome in found) == len(images) - len(images[::2])


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["ShardDecoder", "ShardEncoder"])
def test_killed_workers_cost_nothing_but_time(victim, copies, cluster):
    setup, shards = setup_of(), shards_of(copies, files=1)
    expected = run_locally(setup, shards, KnownContents())
    found = []
    with RayEngine(setup, OPTIONS) as engine:
        for number, outcome in enumerate(engine.run(shards, known=KnownContents())):
            found.append(outcome)
            if number in (1, 9):
                kill_workers(victim)
    assert same(found, expected)


@pytest.mark.slow
def test_workers_are_gone_when_the_run_is_over(copies, cluster):
    setup = setup_of()
    with RayEngine(setup, OPTIONS) as engine:
        outcomes = engine.run(shards_of(copies, files=1), known=KnownContents())
        next(outcomes)
        assert worker_processes("ShardEncoder")
        outcomes.close()
    wait_for(lambda: not worker_processes("Shard"))


@pytest.mark.slow
def test_shards_are_handed_out_a_few_at_a_time(copies, cluster):
    """Memory stays flat because no more is under way, or waits to be taken, than the lanes have room for."""
    handed_out = 0

    def counted(shards: list[Shard]) -> Iterator[Shard]:
        nonlocal handed_out
        for shard in shards:
            handed_out += 1
            yield shard

    shards = shards_of(copies, files=1)
    with RayEngine(setup_of(), RaySection(encoders=1, decoders=1, encoder_cpus=1)) as engine:
        for taken, _ in enumerate(engine.run(counted(shards), known=KnownContents()), 1):
            time.sleep(0.05)
            assert handed_out <= taken + 4, f"{handed_out} shards handed out when {taken} were taken"
    assert handed_out == len(shards) > 8


@pytest.mark.slow
def test_other_weights_on_a_node_end_the_run_before_any_work(copies, cluster):
    setup = replace(setup_of(), encoder_id="fake@000000000000")
    with RayEngine(setup, OPTIONS) as engine, pytest.raises(EngineError, match="has other weights: fake@"):
        next(engine.run(shards_of(copies, files=4), known=KnownContents()))


@pytest.mark.slow
def test_cluster_without_room_is_one_line(copies, cluster):
    with RayEngine(setup_of(), RaySection(decoders=64)) as engine, pytest.raises(EngineError) as caught:
        next(engine.run(shards_of(copies, files=4), known=KnownContents()))
    assert caught.value.message.startswith("the cluster has 4 cores and 0 GPUs: no room for 1 encoders (2 cores each)")


def ray_scan(workspace: Workspace, lake: Path, *, files: int = 3) -> ScanSummary:
    ray_options = {"scan.engine": "ray", "ray.encoders": 1, "ray.decoders": 3, "ray.encoder_cpus": 1}
    overrides = {"scan.files_per_shard": files, **ray_options}
    return Workspace.open(workspace.layout.root, overrides=overrides).scan(lake)


@pytest.mark.slow
def test_tables_are_those_of_a_local_scan(copies, cluster, tmp_path, make_workspace):
    local, distributed = make_workspace(tmp_path / "local"), make_workspace(tmp_path / "ray")
    Workspace.open(local.layout.root, overrides={"scan.files_per_shard": 3}).scan(copies)
    with mock.patch.object(Scorer, "score_tables", side_effect=AssertionError("scored by the driver")):
        ray_scan(distributed, copies)
    assert tables_of(distributed) == tables_of(local)
    assert [result.name for result in distributed.check() if not result.healthy] == []
    assert ray_scan(distributed, copies).data_read == 0


@pytest.mark.slow
def test_cluster_that_is_not_there_is_one_line(lake, tmp_path, make_workspace):
    """In a process of its own, which has not joined the cluster of the other tests."""
    workspace = make_workspace(tmp_path / "workspace")
    environment = os.environ | {"CURATOR_RAY_ADDRESS": "127.0.0.1:1"}
    command = [sys.executable, "-m", "curator", "-w", str(workspace.layout.root), "scan", str(lake), "--engine", "ray"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=BRAKE_SECONDS, env=environment)
    assert result.returncode == 1
    assert "the Ray cluster at 127.0.0.1:1 cannot be used" in result.stderr
    assert "Traceback" not in result.stderr + result.stdout


SCAN = """
import sys
from curator.workspace import Workspace

options = {"scan.engine": "ray", "ray.encoders": 1, "ray.decoders": 1, "ray.encoder_cpus": 1, "scan.files_per_shard": 1}
Workspace.open(sys.argv[1], overrides=options | {"ray.address": sys.argv[3]}).scan(sys.argv[2])
"""


@pytest.mark.slow
def test_driver_that_is_killed_is_run_again_and_nothing_is_doubled(copies, tmp_path, make_workspace, cluster):
    local, distributed = make_workspace(tmp_path / "local"), make_workspace(tmp_path / "ray")
    Workspace.open(local.layout.root, overrides={"scan.files_per_shard": 1}).scan(copies)
    address = ray.get_runtime_context().gcs_address
    command = [sys.executable, "-c", SCAN, str(distributed.layout.root), str(copies), address]
    for _ in range(3):
        files = len(list(distributed.layout.root.glob("vectors/*/*.safetensors")))
        driver = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while len(list(distributed.layout.root.glob("vectors/*/*.safetensors"))) < files + 2 and driver.poll() is None:
            time.sleep(0.01)
        driver.kill()
        driver.wait()
    subprocess.run(command, check=True, timeout=BRAKE_SECONDS, capture_output=True)
    assert tables_of(distributed) == tables_of(local)
    assert [result.name for result in distributed.check() if not result.healthy] == []


@pytest.mark.slow
def test_node_that_is_lost_costs_nothing_but_time(copies, tmp_path):
    """In a process of its own: one process can join one cluster only."""
    command = [sys.executable, "-m", "tests.engines.test_ray_engine", str(copies)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=BRAKE_SECONDS, cwd=ROOT)
    said = f"status {result.returncode}\n--- stdout\n{result.stdout}\n--- stderr\n{result.stderr}"
    assert "the outcomes are the same" in result.stdout.splitlines(), said
    assert result.returncode == 0, said


def lose_a_node(lake: Path) -> None:
    """Two nodes; the second is lost in the middle of the run, and a third one comes."""
    from ray.cluster_utils import Cluster

    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False})
    second = nodes.add_node(num_cpus=2)
    ray.init(address=nodes.address, log_to_driver=False, logging_level="ERROR")
    setup, shards = setup_of(), shards_of(lake, files=1)
    expected = run_locally(setup, shards, KnownContents())
    found = []
    with RayEngine(setup, OPTIONS) as engine:
        for number, outcome in enumerate(engine.run(shards, known=KnownContents())):
            found.append(outcome)
            if number == 2:
                nodes.remove_node(second, allow_graceful=False)
                nodes.add_node(num_cpus=2)
    assert same(found, expected)
    print("the outcomes are the same", flush=True)
    # In this order: Ray ends a driver whose cluster is taken away with status 1 and without a word, as its own hooks at
    # the end of a process may do.
    ray.shutdown()
    nodes.shutdown()


if __name__ == "__main__":
    lose_a_node(Path(sys.argv[1]))

"""Fixtures that every test may use."""

from __future__ import annotations

import atexit
import functools
import gc
import io
import os
import random
import shlex
import shutil
import signal
import sys
import tarfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, settings
from PIL import Image

from curator.banks.wordnet import Candidate, PartOfSpeech, WordNet
from curator.cli import cli
from curator.durable import durable, remove_leftovers
from curator.engines import decode_pool
from curator.store import publish
from curator.store.database import Database
from curator.store.migrate import migrate
from curator.types import Vectors
from curator.workspace import Workspace, session
from curator.workspace.keep import recover
from curator.workspace.layout import Layout
from curator.workspace.scan import run as scan_run
from curator.workspace.stored.presence import has_ledger
from tests import interpreter
from tests.decode_zygote import Zygote
from tests.held_snapshot import CONNECT, HeldSnapshot
from tests.other_machine import sitecustomize as other_machine
from tests.timing import Timing

SMALL_BANK = """\
name = "base"

[id]
labels = "labels.txt"

[negatives.wordnet]
include = ["noun.shape", "noun.motive"]

[mining]
method = "neglabel"
"""

LONG = ("test_workspace_kill", "test_workspace_makefile", "test_models", "test_shared", "test_endpoint_learning")
LEFT_OUT = ("gpu", "slow", "torture", "network", "bench")  # of the default run
ROOT = Path(__file__).resolve().parents[1]
ROOM_BYTES = 4 << 30  # several times what the files of a run ever fill

MAKE_LEDGER = session.make_ledger
COPY_REPORT = session.copy_report
START_PROCESS = decode_pool.start_process
READ_BACK, REQUIRE_WHOLE = publish.read_back, Database.require_whole

# No example has to be fast, nor to be found fast: a busy machine would fail it.
# A few dozen examples find what a hundred do, most of the time, and other ones are drawn at each run; after a change to
# what they are about, make test ARGS="tests/ROOM --hypothesis-profile thorough".
for profile, examples in (("curator", 30), ("thorough", 500)):
    settings.register_profile(
        profile, deadline=None, max_examples=examples, suppress_health_check=[HealthCheck.too_slow]
    )
settings.load_profile("curator")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real development images beside the repository; tests that want it skip where it is missing."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the development images (../shared/data) are not on this machine")
    return folder


@pytest.fixture(scope="session", autouse=True)
def forked_decoding() -> Iterator[None]:
    """Decode processes are forked from one, except where a test asks for `real_decoding`."""
    with Zygote() as zygote, pytest.MonkeyPatch.context() as patch:
        patch.setattr(decode_pool, "start_process", zygote.start)
        yield


@pytest.fixture
def real_decoding(forked_decoding: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Decode processes are interpreters of their own, as they are for users."""
    monkeypatch.setattr(decode_pool, "start_process", START_PROCESS)


@pytest.fixture(scope="session")
def empty_ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger as the migrations make it, to copy: making it takes a hundred times longer."""
    path = tmp_path_factory.mktemp("template") / "ledger.duckdb"
    with Database.open(path) as database:
        migrate(database)
    path.chmod(0o400)
    return path


@pytest.fixture(scope="session", autouse=True)
def copied_ledgers(empty_ledger: Path) -> Iterator[None]:
    """A new ledger is a copy of the empty one, except where a test asks for `real_ledgers`."""

    def make_ledger(layout: Layout) -> None:
        if not has_ledger(layout):
            remove_leftovers(layout.ledger)
            with durable(layout.ledger) as temporary:
                shutil.copyfile(empty_ledger, temporary)

    with pytest.MonkeyPatch.context() as patch:
        for module in (session, recover):
            patch.setattr(module, "make_ledger", make_ledger)
        yield


@pytest.fixture(scope="session", autouse=True)
def kept_lemmas() -> Iterator[None]:
    """What WordNet has is collected once for all banks, a tenth of a small bank's time."""
    collect = functools.cache(WordNet.lemmas)

    def lemmas(
        wordnet: WordNet,
        part_of_speech: PartOfSpeech,
        *,
        lexnames: Iterable[str] | None = None,
        exclude: Iterable[str] = (),
        first_only: bool = False,
    ) -> list[Candidate]:
        chosen = None if lexnames is None else tuple(lexnames)
        return list(collect(wordnet, part_of_speech, lexnames=chosen, exclude=tuple(exclude), first_only=first_only))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(WordNet, "lemmas", lemmas)
        yield


@pytest.fixture(scope="session", autouse=True)
def kept_tokenizers() -> Iterator[None]:
    """open_clip's tokenizer reads its file once, not for each of many tiny models: a third of loading one."""
    with pytest.MonkeyPatch.context() as patch:
        if (factory := sys.modules.get("open_clip.factory")) is not None:
            patch.setattr(factory, "SimpleTokenizer", functools.cache(factory.SimpleTokenizer))
        yield


@pytest.fixture(scope="session", autouse=True)
def kept_services() -> Iterator[None]:
    """botocore reads what it knows of S3 once, not for each client, and a client of HTTP the certificates of the world:
    nine tenths of making one."""
    with pytest.MonkeyPatch.context() as patch:
        for module, name in (("botocore.session", "create_loader"), ("httpcore2", "default_ssl_context")):
            if (library := sys.modules.get(module)) is not None:
                patch.setattr(library, name, functools.cache(getattr(library, name)))
        yield


@pytest.fixture(scope="session", autouse=True)
def counted_once() -> Iterator[None]:
    """No scan asks how much is left alone by the collector, which counts a million objects: it is all that there was
    when the tests were collected."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scan_run, "rest_left_alone", nullcontext)
        yield


@pytest.fixture
def real_ledgers(copied_ledgers: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new ledger is made by the migrations, as it is for users: of one first scan at least."""
    for module in (session, recover):
        monkeypatch.setattr(module, "make_ledger", MAKE_LEDGER)


@pytest.fixture(scope="session", autouse=True)
def without_parquet() -> Iterator[None]:
    """No Parquet copy is made, a third of a small night's time, except where a test asks for `real_parquet`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "copy_report", lambda *_, **__: None)
        yield


@pytest.fixture
def real_parquet(without_parquet: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every run leaves its Parquet copy, as it does for users: of one first scan at least."""
    monkeypatch.setattr(session, "copy_report", COPY_REPORT)


@pytest.fixture(scope="session", autouse=True)
def trusted_copies() -> Iterator[None]:
    """What is published is neither read back nor opened for a try, a third of a night's time, except where a test asks
    for `real_publishing`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(publish, "read_back", lambda _: None)
        patch.setattr(Database, "require_whole", lambda _: None)
        yield


@pytest.fixture
def real_publishing(trusted_copies: None, real_parquet: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each block of a snapshot is read before it is published, and its Parquet copy is made, as it is for users."""
    monkeypatch.setattr(publish, "read_back", READ_BACK)
    monkeypatch.setattr(Database, "require_whole", REQUIRE_WHOLE)


@pytest.fixture(scope="session", autouse=True)
def held_snapshot() -> Iterator[HeldSnapshot]:
    """The snapshot that was read last stays open, except where a test asks for `real_reading`."""
    held = HeldSnapshot()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Database, "_connect", held.connect)
        yield held
    held.release()


@pytest.fixture
def real_reading(held_snapshot: HeldSnapshot, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each reader opens the snapshot for itself, as it is for users."""
    held_snapshot.release()
    monkeypatch.setattr(Database, "_connect", CONNECT)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite tests/golden from what the code gives now")
    parser.addoption(
        "--one-of-each", action="store_true", help="run the first case of each test only, if the default run has none"
    )
    parser.addoption("--shuffle", type=int, metavar="SEED", help="run files, and the tests in each, in a random order")
    parser.addoption(
        "--duckdb-threads", type=int, metavar="N", help="DuckDB on N threads, rows without `order by` in any order"
    )


def files_in_memory() -> None:
    """Files of tests lie in memory where there is room for them: a sixth of the time is the disk's. `TMPDIR` rules."""
    memory = Path("/dev/shm")
    told = os.environ.keys() & {"PYTEST_DEBUG_TEMPROOT", "TMPDIR"}
    if not told and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free >= ROOM_BYTES:
        os.environ["PYTEST_DEBUG_TEMPROOT"] = str(memory)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(specs: Sequence[Any]) -> None:
    """Processes that run a part of the tests have in common what they import: else that takes each of them 10 s."""
    for spec in specs:
        spec.python = spec.python or shlex.join(interpreter.command(heavy=True))


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    config.add_cleanup(lambda: leave(config))  # comes last, being the first
    files_in_memory()
    gc.disable()  # until the tests are collected, which takes a fifth longer with it
    # A shell hands SIGINT down ignored to what it starts in the background, and so would we to the processes of tests.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if threads := config.getoption("--duckdb-threads"):
        other_machine.rule(threads)
    config.pluginmanager.register(Timing())


def without_case(item: pytest.Item) -> str:
    """The name of a test without that of its case."""
    return item.nodeid.partition("[")[0]


@pytest.hookimpl(wrapper=True, tryfirst=True)  # what markers leave out is left out in between
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Iterator[None]:
    """Files that take long go first, so that of several processes none is left with them at the end."""
    by_default = {without_case(item) for item in items if not any(item.get_closest_marker(name) for name in LEFT_OUT)}
    yield
    if config.getoption("--one-of-each"):
        first = {without_case(item): item for item in reversed(items)}
        kept = {item for test, item in first.items() if test not in by_default}
        config.hook.pytest_deselected(items=[item for item in items if item not in kept])
        items[:] = [item for item in items if item in kept]
    seed = config.getoption("--shuffle")
    if seed is None:
        items.sort(key=lambda item: not item.path.stem.startswith(LONG))
        return
    mixed = random.Random(seed)
    mixed.shuffle(items)
    files = sorted({item.path for item in items})
    place = dict(zip(files, mixed.sample(range(len(files)), len(files)), strict=True))
    items.sort(key=lambda item: place[item.path])


def pytest_collection_finish() -> None:
    """What is there by now stays, and garbage may gather: its collector takes a tenth of the processor time otherwise,
    most of it for what libraries keep. To look for garbage among it takes a second of each process and frees nothing
    to speak of."""
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
    gc.enable()


def is_one_of_several(config: pytest.Config) -> bool:
    """Whether this process runs a part of the tests for another one."""
    return hasattr(config, "workeroutput")


@pytest.hookimpl(trylast=True)  # when the processes of xdist have ended
def pytest_sessionfinish(session: pytest.Session) -> None:
    if not is_one_of_several(session.config):
        gc.unfreeze()  # what libraries hold ends with them
        interpreter.end()


def leave(config: pytest.Config) -> None:
    """One of several processes ends at once: to take all libraries apart takes it seconds, and nothing hangs on it."""
    if is_one_of_several(config):
        atexit._run_exitfuncs()
        os._exit(0)


@pytest.fixture
def golden(request: pytest.FixtureRequest):
    """Compare text with a file of tests/golden; a missing file fails unless --update-golden is given."""

    def compare(name: str, text: str) -> None:
        path = ROOT / "tests" / "golden" / name
        if request.config.getoption("--update-golden"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert path.is_file(), f"{path.name} is missing: run pytest --update-golden and read the diff"
        assert text == path.read_text(encoding="utf-8"), f"differs from tests/golden/{name}"

    return compare


@pytest.fixture(scope="session")
def unit() -> Callable[[npt.ArrayLike], Vectors]:
    """Rows divided by their norms, float32."""

    def divide(rows: npt.ArrayLike) -> Vectors:
        vectors: npt.NDArray[np.float64] = np.asarray(rows, dtype=np.float64)
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)

    return divide


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """The URL of a real S3-protocol server on loopback. One for the whole session: fsspec keeps its clients."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="session")
def pictures() -> dict[str, bytes]:
    """Twelve small pictures of one colour with a mark that makes each its own content, by name."""
    made = {}
    for number, colour in enumerate(["red", "green", "blue", "yellow"] * 3):
        image = Image.new("RGB", (40, 30), colour)
        image.putpixel((number, 0), (1, 2, 3))
        buffer = io.BytesIO()
        image.save(buffer, "PNG")
        made[f"{colour}-{number:02d}.png"] = buffer.getvalue()
    return made


@pytest.fixture
def lake(tmp_path: Path, pictures: dict[str, bytes]) -> Path:
    """A lake of sixteen files and a tar: twelve good pictures, a duplicate, a truncated, a tiny and an empty one; the
    tar holds three of the good ones again, a new one, and a text that calls itself a picture."""
    return make_lake(tmp_path / "lake", pictures)


def make_lake(folder: Path, pictures: dict[str, bytes]) -> Path:
    folder.mkdir()
    for name, data in pictures.items():
        (folder / name).write_bytes(data)
    first = next(iter(pictures.values()))
    (folder / "x-duplicate.png").write_bytes(first)
    (folder / "x-truncated.png").write_bytes(first[: len(first) // 2])
    (folder / "x-empty.jpg").write_bytes(b"")
    buffer = io.BytesIO()
    Image.new("L", (1, 1), 200).save(buffer, "PNG")
    (folder / "x-tiny.png").write_bytes(buffer.getvalue())
    (folder / "notes.txt").write_text("not a picture")
    extra = io.BytesIO()
    Image.new("RGB", (50, 50), "purple").save(extra, "JPEG")
    with tarfile.open(folder / "z-shard.tar", "w") as archive:
        members = [*list(pictures.items())[:3], ("new.jpg", extra.getvalue()), ("text.jpg", b"not a picture")]
        for number, (name, data) in enumerate(members):
            for suffix, content in ((Path(name).suffix, data), (".cls", str(number).encode())):
                info = tarfile.TarInfo(f"{number:04d}{suffix}")
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return folder


@pytest.fixture(scope="session")
def make_workspace() -> Callable[[Path], Workspace]:
    """Make a workspace on the fake encoder that knows red and green, with a small bank, so that it takes no time."""

    def make(folder: Path) -> Workspace:
        made = Workspace.create(folder, labels=["red", "green"], encoder="fake")
        made.layout.bank_spec("base").write_text(SMALL_BANK, encoding="utf-8")
        return made

    return make


@pytest.fixture
def workspace(tmp_path: Path, make_workspace: Callable[[Path], Workspace]) -> Workspace:
    """A workspace as `make_workspace` makes it."""
    return make_workspace(tmp_path / "workspace")


@pytest.fixture(scope="session")
def first_night_once(
    tmp_path_factory: pytest.TempPathFactory, pictures: dict[str, bytes], make_workspace: Callable[[Path], Workspace]
) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("scanned")
    lake = make_lake(folder / "lake", pictures)
    made = make_workspace(folder / "workspace")
    made.scan(lake)
    with Database.open(made.layout.ledger) as database:  # no change times, as a lake gets others when it is put back
        for table, column in (
            ("source_object", "version"),
            ("location", "object_version"),
            ("reject", "object_version"),
        ):
            database.execute(f"update {table} set {column} = regexp_extract({column}, '^\\d+-\\d+')")
    publish.publish_snapshot(made.layout.ledger, made.layout.snapshot)
    return made.layout.root, lake


@pytest.fixture
def first_night(tmp_path: Path, first_night_once: tuple[Path, Path]) -> tuple[Workspace, Path]:
    """A workspace of its own that has scanned a lake like `lake`; and that lake, which is not to be changed."""
    root, lake = first_night_once
    return Workspace.open(shutil.copytree(root, tmp_path / "workspace")), lake


@pytest.fixture
def own_night(first_night: tuple[Workspace, Path], tmp_path: Path) -> Iterator[tuple[Workspace, Path]]:
    """As `first_night`, with a lake that may be changed where it is: afterwards it is as it was."""
    _, lake = first_night
    kept = shutil.copytree(lake, tmp_path / "as-it-was")
    yield first_night
    shutil.rmtree(lake)
    shutil.copytree(kept, lake)


@pytest.fixture
def run_cli(tmp_path: Path) -> Callable[..., Result]:
    """Run the command line as a user would; fails the test on a traceback."""

    def run(
        *arguments: str | Path, folder: Path | None = None, code: int | None = 0, stdin: str | None = None
    ) -> Result:
        where = ["-w", str(folder)] if folder else []
        result = CliRunner().invoke(cli, [*where, *map(str, arguments)], input=stdin)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert code is None or result.exit_code == code, result.output
        return result

    return run

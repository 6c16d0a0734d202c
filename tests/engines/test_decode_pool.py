"""The decode pool with real processes that really die."""

from __future__ import annotations

import importlib
import io
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from concurrent.futures import CancelledError
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from curator.decode import REASONS, DecodeOptions, prepare
from curator.engines import decode_patience
from curator.engines.decode_messages import DecodeReply
from curator.engines.decode_pool import Decoded, DecodeFault, DecodePool
from curator.engines.messages import BadReply
from curator.errors import CuratorError
from curator.types import ImageFacts, Preprocess, Quality
from tests.patience import BRAKE_SECONDS, wait_for

PREPROCESS, OPTIONS = Preprocess(32), DecodeOptions()
pytestmark = pytest.mark.usefixtures("real_decoding")
SETTINGS = {"preprocess": PREPROCESS, "options": OPTIONS}


def picture(shade: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (48, 40), (shade, 2 * shade % 256, 0)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def crash_on_magic(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    return importlib.import_module("crashing_task").crash_on_magic


def shades(batch):
    return [int(item.pixels[0, 0, 0]) if isinstance(item, Decoded) else item.reason for item in batch.items]


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_batches_come_back_in_order_and_equal_direct_decoding(workers):
    batches = [[picture(10 * i + j) for j in range(5)] for i in range(6)]
    batches[2][3] = b"no image"
    with DecodePool(workers=workers, **SETTINGS) as pool:
        results = [pending.result() for pending in [pool.submit(batch) for batch in batches]]
    for batch, result in zip(batches, results, strict=True):
        for data, item in zip(batch, result.items, strict=True):
            if data == b"no image":
                assert item == DecodeFault("text", "begins with 'no image'")
            else:
                pixels, facts = prepare(data, PREPROCESS, OPTIONS)
                assert np.array_equal(item.pixels, pixels)
                assert item.facts == facts
        assert len(result.items) == len(batch)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_batch_says_what_processor_time_it_took(workers):
    buffer = io.BytesIO()
    Image.effect_noise((900, 900), 80).save(buffer, "PNG")
    with DecodePool(workers=workers, **SETTINGS) as pool:
        started = time.perf_counter()
        batch = pool.submit([buffer.getvalue()] * 8).result()
    assert 0.02 < batch.cpu_seconds <= time.perf_counter() - started + 0.02  # some kernels count in steps of 10 ms


def test_an_empty_batch_and_a_batch_of_rejects_are_batches():
    with DecodePool(workers=1, **SETTINGS) as pool:
        assert pool.submit([]).result().items == []
        assert shades(pool.submit([b"", b"x"]).result()) == ["empty", "text"]


def test_pixels_travel_as_one_writable_array():
    with DecodePool(workers=1, **SETTINGS) as pool:
        first, _, third = pool.submit([picture(1), b"", picture(3)]).result().items
    assert first.pixels.base is third.pixels.base
    assert first.pixels.flags.writeable


@pytest.mark.parametrize(("magic", "detail"), [(b"KILL", "SIGKILL"), (b"SEGV", "SIGSEGV"), (b"EXIT", "status 7")])
def test_a_crash_costs_the_guilty_image_only(crash_on_magic, magic, detail):
    batches = [[picture(5 * i + j) for j in range(5)] for i in range(6)]
    batches[1][2] = batches[4][0] = magic
    expected = [list(range(5 * i, 5 * i + 5)) for i in range(6)]
    expected[1][2] = expected[4][0] = "decoder_crashed"
    with DecodePool(workers=2, task=crash_on_magic, **SETTINGS) as pool:
        results = [pending.result() for pending in [pool.submit(batch) for batch in batches]]
        assert [shades(result) for result in results] == expected
        assert detail in results[1].items[2].detail
        assert shades(pool.submit([picture(9)]).result()) == [9]
    assert "decoder_crashed" in REASONS


def test_a_process_killed_from_outside_costs_nothing(crash_on_magic):
    with DecodePool(workers=1, task=crash_on_magic, **SETTINGS) as pool:
        first = pool.submit([b"PID"]).result().items[0]
        os.kill(int(first.detail), signal.SIGKILL)
        assert shades(pool.submit([picture(1), picture(2)]).result()) == [1, 2]
        assert pool.submit([b"PID"]).result().items[0] != first


def test_an_image_that_never_ends_is_ended(crash_on_magic):
    with DecodePool(workers=1, task=crash_on_magic, cpu_seconds_per_image=0.3, **SETTINGS) as pool:
        batch = pool.submit([picture(1), b"SPIN", picture(2)]).result()
    assert shades(batch) == [1, "decoder_timeout", 2]
    assert "0.3 s" in batch.items[1].detail


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is Linux's")
def test_memory_is_limited_to_what_is_allowed_beyond_the_start(crash_on_magic):
    with DecodePool(workers=1, task=crash_on_magic, memory_limit_bytes=200 << 20, **SETTINGS) as pool:
        assert shades(pool.submit([b"BOMB%d" % (300 << 20), picture(4)]).result()) == ["out_of_memory", 4]
        assert pool.submit([b"BOMB%d" % (100 << 20)]).result().items[0].reason == "text"  # fits; then no image


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the limit is Linux's")
def test_a_real_picture_that_does_not_fit_is_a_reject():
    buffer = io.BytesIO()
    Image.new("RGB", (6000, 6000)).save(buffer, "PNG")
    with DecodePool(workers=1, memory_limit_bytes=100 << 20, **SETTINGS) as pool:
        assert shades(pool.submit([buffer.getvalue(), picture(4)]).result()) == ["out_of_memory", 4]
    with DecodePool(workers=1, memory_limit_bytes=300 << 20, **SETTINGS) as pool:
        assert shades(pool.submit([buffer.getvalue()]).result()) == [0]


def noise(format_: str, **parameters: object) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (2500, 2500), (9, 8, 7)).save(buffer, format_, **parameters)
    return buffer.getvalue()


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is Linux's")
def test_a_limit_that_a_library_hits_without_a_word_is_no_damage():
    settings = SETTINGS | {"options": DecodeOptions(scaled=False)}
    data = [noise("JPEG", progressive=True), noise("WEBP"), noise("JPEG2000"), picture(4)]
    with DecodePool(workers=1, memory_limit_bytes=36 << 20, **settings) as pool:
        batch = pool.submit(data).result()
    assert shades(batch) == ["out_of_memory"] * 3 + [4]
    assert all("decode.memory_limit_bytes" in item.detail for item in batch.items[:3])


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is Linux's")
def test_bytes_that_do_not_fit_into_a_process_are_out_of_memory():
    with DecodePool(workers=1, memory_limit_bytes=20 << 20, **SETTINGS) as pool:
        batch = pool.submit([picture(1), bytes(60 << 20), picture(2)]).result()
    assert shades(batch) == [1, "out_of_memory", 2]


def test_an_image_that_brings_a_bug_to_light_is_a_reject_that_names_it(crash_on_magic):
    with DecodePool(workers=1, task=crash_on_magic, **SETTINGS) as pool:
        batch = pool.submit([picture(1), b"RAISE", picture(2)]).result()
        assert shades(batch) == [1, "decoder_crashed", 2]
        assert batch.items[1].detail == "KeyError: 'a programming error'"
        assert shades(pool.submit([picture(1)]).result()) == [1]


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("magic", [b"SLEEP", pytest.param(b"STOP", marks=pytest.mark.slow)])
def test_an_image_that_blocks_without_using_the_processor_is_ended(crash_on_magic, magic):
    with DecodePool(workers=1, task=crash_on_magic, idle_looks=2, **SETTINGS) as pool:
        batch = pool.submit([picture(1), magic, picture(2)]).result()
    assert shades(batch) == [1, "decoder_timeout", 2]
    assert batch.items[1].detail == "did nothing for 2 s"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_an_image_that_switches_its_limit_off_is_ended_from_outside(crash_on_magic):
    with DecodePool(workers=1, task=crash_on_magic, cpu_seconds_per_image=0.2, **SETTINGS) as pool:
        assert shades(pool.submit([b"BLIND", picture(2)]).result()) == ["decoder_timeout", 2]


def test_work_and_a_process_that_gets_no_core_are_not_idleness(monkeypatch):
    ours, theirs = socket.socketpair()
    looks = iter([("R", 0.0)] * 5 + [("S", 0.0), ("S", 0.1)] * 5 + [("D", 9.0)] * 5 + [("S", 9.0)] * 3)
    monkeypatch.setattr(decode_patience, "process_state", lambda _: next(looks))
    with ours, theirs:
        patience = decode_patience.Patience(1, cpu_seconds=None, look_seconds=0.001, idle_looks=3)
        with pytest.raises(decode_patience.Hanging, match="did nothing"):
            patience.until(ours, select.POLLIN)
    assert next(looks, None) is None  # all of them were needed


def message(content, *, size=None):
    """A message of a decode process as it travels; `size` claims another than is sent."""
    text = json.dumps(content).encode() if isinstance(content, dict) else content
    return struct.pack("<Q", len(text) if size is None else size) + text


ONE = {"count": 1, "width": [1], "height": [1], "quality": [[0.5, 1.0, 8.0, 99.5, 16.0]], "kind": [0],
       "kinds": [["PNG", "RGB", False, ""]], "faults": [], "cpu_seconds": 0.0}  # fmt: skip
BAD = ONE | {"width": [], "height": [], "quality": [], "kind": [], "kinds": []}
NONSENSE = {
    "an exabyte": message(b"", size=1 << 60),
    "more than there can be": message(b"", size=1 << 20),
    "no JSON": message(b"{"),
    "deep JSON": message(b"[" * 100_000),
    "a number with many digits": message(b"1" * 5000),
    "a list": message(b"[]"),
    "no outcome": message(BAD | {"count": 0}),
    "an outcome that is missing": message(BAD),
    "two outcomes": message(
        ONE | {"count": 2, "width": [1, 1], "height": [1, 1], "quality": [None, None], "kind": [0, 0]}
    ),
    "two outcomes for one": message(ONE | {"width": [1, 1], "height": [1, 1], "quality": [None] * 2, "kind": [0, 0]}),
    "facts and a fault for one": message(ONE | {"faults": [[0, "text", ""]]}),
    "a fault of nobody": message(BAD | {"faults": [[1, "text", ""]]}),
    "two faults of one": message(BAD | {"faults": [[0, "text", ""]] * 2}),
    "a fault of true": message(BAD | {"faults": [[False, "text", ""]]}),
    "columns of two lengths": message(ONE | {"height": []}),
    "no kind": message(ONE | {"kind": []}),
    "a kind that is not there": message(ONE | {"kind": [1]}),
    "an unknown reason": message(BAD | {"faults": [[0, "x", ""]]}),
    "a detail of two lines": message(BAD | {"faults": [[0, "text", "a\nb"]]}),
    "a detail without end": message(BAD | {"faults": [[0, "text", "a" * 5000]]}),
    "a width of 10**30": message(ONE | {"width": [10**30]}),
    "a width of 0": message(ONE | {"width": [0]}),
    "a height of half a pixel": message(ONE | {"height": [0.5]}),
    "a brightness that is no number": message(ONE | {"quality": [[float("nan"), 1.0, 8.0, 99.5, 16.0]]}),
    "a brightness beyond white": message(ONE | {"quality": [[0.5, 1.1, 8.0, 99.5, 16.0]]}),
    "an entropy below none": message(ONE | {"quality": [[0.5, 1.0, -0.1, 99.5, 16.0]]}),
    "edges without end": message(ONE | {"quality": [[0.5, 1.0, 8.0, float("inf"), 16.0]]}),
    "a measure in words": message(ONE | {"quality": [[0.5, 1.0, 8.0, 99.5, "16"]]}),
    "a truth value for a measure": message(ONE | {"quality": [[0.5, True, 8.0, 99.5, 16.0]]}),
    "a measure too few": message(ONE | {"quality": [[0.5, 1.0, 8.0, 99.5]]}),
    "measures of nobody": message(ONE | {"quality": [None, None]}),
    "a format of surrogates": message(ONE | {"kinds": [["\ud800", "RGB", False, ""]]}),
    "a truth value that is none": message(ONE | {"kinds": [["PNG", "RGB", 3, ""]]}),
    "a remark of two lines": message(ONE | {"kinds": [["PNG", "RGB", False, "a\nb"]]}),
    "unknown facts": message(ONE | {"kinds": [["PNG", "RGB", False, "", 1]]}),
    "no time": message(ONE | {"cpu_seconds": float("nan")}),
}


@pytest.mark.parametrize("quality", [None, Quality(0.5, 1.0, 8.0, 99.5, 16.0)])
def test_measures_arrive_as_they_were_sent(quality):
    reply = DecodeReply((ImageFacts(1, 1, "PNG", "RGB", False, "", quality),), 0.0)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        reply.send(theirs)
        assert DecodeReply.receive(ours, count=1) == reply


@pytest.mark.parametrize("said", NONSENSE.values(), ids=NONSENSE)
def test_a_reply_that_does_not_fit_is_refused_before_memory_is_given_to_it(said):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        threading.Thread(target=theirs.sendall, args=[said], daemon=True).start()
        with pytest.raises(BadReply):
            DecodeReply.receive(ours, count=1)


@pytest.mark.skipif(sys.platform != "linux", reason="finds its socket through /proc")
def test_a_decode_process_that_sends_nonsense_costs_one_reject(crash_on_magic):
    said = b"SAY" + NONSENSE["an exabyte"]
    with DecodePool(workers=1, task=crash_on_magic, **SETTINGS) as pool:
        batch = pool.submit([picture(1), said, picture(2)]).result()
        assert shades(batch) == [1, "decoder_crashed", 2]
        assert batch.items[1].detail.startswith("its decode process sent nonsense: a message of")
        (item,) = pool.submit([b"SAY" + message(ONE)]).result().items
        assert isinstance(item, Decoded)  # wrong pixels are all it can do


def test_closing_does_not_wait_for_what_is_running(crash_on_magic):
    with DecodePool(workers=1, task=crash_on_magic, cpu_seconds_per_image=None, **SETTINGS) as pool:
        pool.submit([picture(1)]).result()
        running, waiting = pool.submit([b"SPIN"]), pool.submit([picture(2)])  # it would never end
        wait_for(running.running)
    for pending in (running, waiting):
        with pytest.raises(CancelledError):
            pending.result()
    with pytest.raises(RuntimeError, match="closed"):
        pool.submit([])
    pool.close()


def test_processes_end_with_the_pool(crash_on_magic):
    with DecodePool(workers=2, task=crash_on_magic, **SETTINGS) as pool:
        pids = {int(pool.submit([b"PID"]).result().items[0].detail) for _ in range(8)}
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_process_that_cannot_start_is_an_error_of_the_run(monkeypatch, tmp_path, capfd):
    (tmp_path / "numpy.py").write_text("raise ImportError('this numpy is broken')")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    with DecodePool(workers=1, **SETTINGS) as pool, pytest.raises(CuratorError, match="cannot start"):
        pool.submit([picture(1)]).result()
    assert "this numpy is broken" in capfd.readouterr().err


PROGRAM = """
import sys
from curator.decode import DecodeOptions
from curator.engines.decode_pool import DecodePool
from curator.types import ImageFacts, Preprocess, Quality
import crashing_task
print("main runs")
pool = DecodePool(workers=2, preprocess=Preprocess(8), options=DecodeOptions(), task=crashing_task.crash_on_magic)
{body}
"""


def program(tmp_path, body, **parameters):
    """A script without the guard that `multiprocessing` wants."""
    script = tmp_path / "script.py"
    script.write_text(PROGRAM.format(body=body))
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    return subprocess.Popen(
        [sys.executable, str(script)],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a background shell hands it down ignored
        **parameters,
    )


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_the_main_program_is_not_run_again_and_workers_hold_no_heavy_package(tmp_path):
    body = """
import subprocess
pid = pool.submit([b"PID"]).result().items[0].detail
maps = open(f"/proc/{pid}/maps").read()
print("torch" in maps, "PIL" in maps)
pool.close()
"""
    out, err = program(tmp_path, body).communicate(timeout=BRAKE_SECONDS)
    assert (out, err) == ("main runs\nFalse True\n", "")


@pytest.mark.parametrize("settled", [True, False])
def test_ctrl_c_prints_one_traceback_and_leaves_no_process(tmp_path, settled):
    body = """
with pool:
    {first}
    pending = pool.submit([b"SPIN"])
    print("ready", flush=True)
    pending.result()
"""
    first = 'print(pool.submit([b"PID"]).result().items[0].detail, flush=True)' if settled else ""
    process = program(tmp_path, body.format(first=first), start_new_session=True)
    lines = []
    while not lines or lines[-1] not in ("ready\n", ""):
        lines.append(process.stdout.readline())
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the whole group
    _, err = process.communicate(timeout=BRAKE_SECONDS)
    assert err.count("Traceback") == err.count("KeyboardInterrupt") == 1
    if settled:
        assert not alive(int(lines[1]))


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_processes_end_when_the_parent_is_killed(tmp_path):
    body = """
print(pool.submit([b"PID"]).result().items[0].detail, flush=True)
sys.stdin.read()
"""
    process = program(tmp_path, body)
    pid = int([process.stdout.readline() for _ in range(2)][1])
    assert alive(pid)
    process.kill()
    process.communicate()
    wait_for(lambda: not alive(pid))

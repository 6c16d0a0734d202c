"""A process that is forked is, for who has started it, as one of an interpreter that begins."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.interpreter import command
from tests.patience import BRAKE_SECONDS, wait_for

KINDS = {"real": lambda: [sys.executable], "forked": command, "heavy": lambda: command(heavy=True)}
SURROUNDINGS = (
    "import os, sys; print(os.getcwd(), os.environ['WORD'], sys.argv, sys.stdin.read(), os.umask(0), sys.path[:2])"
)
ENDS = {
    "pass": 0,
    "raise SystemExit(7)": 7,
    "raise SystemExit('why')": 1,
    "1 / 0": 1,
    "import os; os._exit(3)": 3,
    "import os, signal; os.kill(os.getpid(), signal.SIGKILL)": -signal.SIGKILL,
    "raise KeyboardInterrupt": -signal.SIGINT,
    "import atexit, os; atexit.register(lambda: os._exit(4))": 4,
    "from concurrent.futures import ThreadPoolExecutor as Pool; pool = Pool(1); pool.submit(print).result()": 0,
    "import threading, time, os; threading.Thread(target=lambda: (time.sleep(0.1), os._exit(5))).start()": 5,
}


@pytest.fixture(params=KINDS)
def python(request) -> list[str]:
    return KINDS[request.param]()


@pytest.mark.parametrize("code", ENDS)
def test_it_ends_as_its_code_says(python, code):
    assert subprocess.run([*python, "-c", code], capture_output=True, timeout=BRAKE_SECONDS).returncode == ENDS[code]


def test_it_has_the_surroundings_of_who_starts_it(tmp_path):
    said = [
        subprocess.run(
            [*python(), "-c", SURROUNDINGS, "a", "-b"],
            input="of stdin", capture_output=True, text=True, check=True, cwd=tmp_path, umask=0o027,
            env=os.environ | {"WORD": "größe", "PYTHONPATH": "/nowhere"},
        ).stdout
        for python in KINDS.values()
    ]  # fmt: skip
    assert len(set(said)) == 1 and str(tmp_path) in said[0]


def test_a_module_and_a_file_are_run_as_ever(python, tmp_path):
    (tmp_path / "beside.py").write_text("NAME = 'beside'\n")
    (tmp_path / "program.py").write_text("import beside, sys\nprint(__name__, beside.NAME, sys.argv[1:])\n")
    for words in (["program.py", "x"], ["-m", "program", "x"]):
        done = subprocess.run([*python, *words], capture_output=True, text=True, check=True, cwd=tmp_path)
        assert done.stdout == "__main__ beside ['x']\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_reaches_it(python, number):
    listening = f"import signal, sys; signal.pthread_sigmask(signal.SIG_BLOCK, [{number:d}]); print(flush=True)"
    waiting = f"sys.exit(9 if signal.sigwait([{number:d}]) else 1)"  # whenever it comes: no line has to be under way
    process = subprocess.Popen([*python, "-c", f"{listening}; {waiting}"], stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process.stdout as said:
        assert said.readline()
        process.send_signal(number)
        assert process.wait(BRAKE_SECONDS) == 9


def test_it_dies_with_the_process_that_stands_for_it():
    process = subprocess.Popen(
        [*command(), "-c", "import os, time; print(os.getpid(), flush=True); time.sleep(600)"], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    with process.stdout as said:
        forked = Path("/proc") / said.readline().decode().strip()
    assert forked.exists()
    process.kill()
    assert process.wait(BRAKE_SECONDS) == -signal.SIGKILL
    wait_for(lambda: not forked.exists())

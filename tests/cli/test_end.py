"""The end of the process: a thread of a library that is still at work must not abort what is done."""

from __future__ import annotations

import subprocess
import sys

import pytest

# DuckDB comes back from a query to an interpreter that takes itself apart: without more ado, that aborts nearly always.
PROGRAM = """
import collections, os, sys, threading
import duckdb
import pyarrow
import curator.workspace
from curator.__main__ import main

def work(begun):
    connection = duckdb.connect()
    while True:
        connection.sql("select range as a, hash(range) as b from range(400000)").to_arrow_table()
        begun.set()

codes = collections.Counter()
for _ in range(3):
    process = os.fork()
    if process == 0:
        begun = threading.Event()
        threading.Thread(target=work, args=(begun,), daemon=True).start()
        begun.wait()
        sys.argv = ["curator", *sys.argv[1:]]
        main()
    codes[os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])] += 1
print(dict(codes))
"""


@pytest.mark.slow
@pytest.mark.parametrize(("words", "code"), [(["-w", "/", "config"], 2), (["--version"], 0), (["--nonsense"], 2)])
def test_thread_of_a_library_that_is_at_work_does_not_abort_the_end(words, code):
    done = subprocess.run([sys.executable, "-c", PROGRAM, *words], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == str({code: 3}), done.stderr


def test_bug_ends_with_1_and_its_traceback():
    program = "import curator.__main__ as it; it.cli = lambda **_: 1 // 0; it.main()"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 1 and "ZeroDivisionError" in done.stderr

"""The guide to messages: each stands in the source as it is quoted, and every reject reason has its line."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from curator.decode import REASONS
from curator.store.queries import shipped_queries

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
MESSAGES, _, REJECTS = GUIDE.partition("## Reject reasons")
REASON = re.compile("[a-z]+(_[a-z]+)*")
STAGES = {"list", "read", "decode", "encode"}
MAKERS = {"Reject", "_reject", "_container_reject", "container_reason", "Fault", "Unfit", "_WorkerFailed"}


@cache
def nodes() -> list[ast.AST]:
    files = sorted((ROOT / "curator").rglob("*.py"))
    return [node for path in files for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))]


def texts() -> Iterator[str]:
    """Every text of the program, with … for what is filled in."""
    for node in nodes():
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield re.sub(r"%[sdg]", "…", node.value)
    makefile = (ROOT / "curator" / "workspace" / "workspace.mk").read_text(encoding="utf-8")
    yield re.sub(r"\$\$\w+", "…", makefile)


def first_cells(part: str) -> list[str]:
    rows = re.findall(r"^\| (.*?) \| .* \|$", part, re.MULTILINE)
    return [row for row in rows if row.startswith("`")]


def test_every_message_is_one_that_the_program_has():
    as_printed = re.compile("`([a-z_]+)`")  # a parameter, which the command line prints as its option
    known = as_printed.sub(lambda found: f"--{found[1].replace('_', '-')}", "\n".join(texts()))
    quoted = [text for cell in first_cells(MESSAGES) for text in re.findall(r"`([^`]+)`", cell)]
    assert len(quoted) >= 40 and len(set(quoted)) == len(quoted)
    assert [text for text in quoted if not occurs(text, known)] == []


def occurs(quoted: str, known: str) -> bool:
    """A bracket at the end, `(…)`, is how a hint is shown."""
    text = quoted.removesuffix(" (…)")
    assert len(text.replace("…", "").strip()) >= 8, f"{quoted} says too little"
    return text in known


def test_every_row_says_what_it_means_and_what_to_do():
    rows = [line for line in GUIDE.splitlines() if line.startswith("| `")]
    assert all(line.count(" | ") == 2 and all(cell.strip() for cell in line.strip("|").split(" | ")) for line in rows)


def reasons_in_the_source() -> set[str]:
    """The codes that rejects are made with, wherever they are made."""
    found: set[str] = set()
    for node in nodes():
        parts: list[ast.AST] = []
        if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) in MAKERS:
            parts = [*node.args]
        elif isinstance(node, ast.FunctionDef) and node.name in ("failure_reason", "archive_reason"):
            parts = [part.value for part in ast.walk(node) if isinstance(part, ast.Return) and part.value]
        elif isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "damaged":
            parts = [node.value]
        codes = {text.value for part in parts for text in choices(part)}
        found |= {code for code in codes if isinstance(code, str) and REASON.fullmatch(code)}
    return found - STAGES


def choices(node: ast.AST) -> list[ast.Constant]:
    """A constant itself, or the two of `a if … else b`."""
    if isinstance(node, ast.IfExp):
        return choices(node.body) + choices(node.orelse)
    return [node] if isinstance(node, ast.Constant) else []


def test_every_reject_reason_has_its_line():
    named = [name for cell in first_cells(REJECTS) for name in re.findall(r"`([a-z_]+)`", cell)]
    made = reasons_in_the_source()
    assert {"dangling_link", "not_finite", "read_failed", "truncated_archive", "unreadable_parquet"} <= made
    assert sorted(named) == sorted(made | set(REASONS))


def test_reasons_that_are_tried_again_are_marked():
    marked = {name for cell in first_cells(REJECTS) if cell.endswith("*") for name in re.findall(r"`([a-z_]+)`", cell)}
    (listed,) = {
        found[1]
        for query in shipped_queries().values()
        if (found := re.search(r"\$retry_rejects\s+or reason in \(([^)]+)\)", query.sql))
    }
    assert marked == set(re.findall(r"'([a-z_]+)'", listed))

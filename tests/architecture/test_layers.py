"""What single rooms keep to themselves: click, duckdb, the decoding of images; and what the start may load."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import curator
from tests.architecture.tree import Module, Tree

PACKAGE = Path(curator.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))

KEPT = {"click": "cli", "duckdb": "store"}  # what only one room may import


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.fixture(scope="module")
def parsed() -> dict[Path, Module]:
    return {module.path: module for module in Tree(PACKAGE).modules.values()}


def test_click_stays_in_cli_and_duckdb_in_store(parsed):
    offenders = [
        f"{module.name} imports {name}"
        for module in parsed.values()
        for name in module.imported()
        if KEPT.get(name.partition(".")[0]) not in (None, part_of(module.path))
    ]
    assert offenders == []


def test_importing_the_command_line_loads_nothing_heavy():
    code = (
        "import sys, curator, curator.cli; "
        "heavy = {'torch', 'faiss', 'open_clip', 'transformers', 'duckdb', 'pyarrow', 'numpy', 'PIL', 'rich'}; "
        "print(sorted(set(sys.modules) & heavy))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_every_package_is_in_the_list_that_the_wheel_is_made_from():
    import tomllib

    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text())
    listed = set(project["tool"]["setuptools"]["packages"])
    folders = {path.parent.relative_to(PACKAGE.parent) for path in MODULES}
    data = {"curator.indexes", "curator.sql"} | {
        f"curator.sql.{path.name}" for path in (PACKAGE.parent / "sql").iterdir() if any(path.glob("*.sql"))
    }
    assert listed == {".".join(folder.parts) for folder in folders} | data


def test_every_file_beside_the_code_is_in_the_wheel():
    import tomllib

    tools = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text())["tool"]
    patterns = tools["setuptools"]["package-data"]
    shipped = {
        path
        for name, globs in patterns.items()
        for glob in globs
        for path in PACKAGE.parent.joinpath(*name.split(".")).glob(glob)
    }
    beside = {path for path in PACKAGE.rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")}
    assert len(beside) > 20 and not beside - shipped


DECODING = {"decode_image", "prepare", "prepare_sampled", "look", "open_image"}
# Where images may be decoded in the calling process: the package itself, what runs in decode processes, the default of
# pictures that are trusted, and the photographs of the sample lake, which come with a package.
MAY_DECODE = {"decode", "engines/decode_messages.py", "engines/decode_pool.py", "engines/decode_worker.py", "demo"}
TASKS = {
    "generators/requests.py",
    "workspace/looking.py",
    "workspace/scan/engine.py",
}  # who name such a function as a task or as a default


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_images_are_decoded_in_processes_of_their_own_only(path, parsed):
    name = str(path.relative_to(PACKAGE))
    if part_of(path) in MAY_DECODE or name in MAY_DECODE:
        return
    tree = parsed[path].tree
    imported = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("curator.decode")
        for alias in node.names
    }
    assert not imported & DECODING or name in TASKS
    opened = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr == "open"]
    assert not any(isinstance(node.value, ast.Name) and node.value.id in ("Image", "ImageFile") for node in opened)


def test_pictures_of_a_workspace_are_never_decoded_in_its_process(parsed):
    for path in (PACKAGE / "workspace").rglob("*.py"):
        for node in ast.walk(parsed[path].tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Picture":
                assert any(keyword.arg == "decode" for keyword in node.keywords), path
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "DecodePool":
                assert any(keyword.arg == "memory_limit_bytes" for keyword in node.keywords), path

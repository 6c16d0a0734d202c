"""The architecture, held by tests: who may import whom, how big things may grow, how fast help answers."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import curator

PACKAGE = Path(curator.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))

# From the bottom up; a module imports only from its own layer or below.
LAYERS = [
    {
        "resources",
        "registry",
        "config",
        "types",
        "errors",
        "durable",
        "metrics",
        "protocols",
        "printable",
        "urls",
        "ranges",
        "paths",
        "version",
    },
    {"store"},
    {"lake", "decode", "encoders", "vectors", "banks", "methods", "policy", "evaluation", "demo"} | {"generators"},
    {"engines", "systems", "report", "export", "review"},
    {"workspace"},
    {"cli", "__main__", "__init__"},
]
HEAVY = {"torch", "faiss", "open_clip", "transformers", "diffusers", "timm"}


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def layer_of(part: str) -> int:
    return next(number for number, parts in enumerate(LAYERS) if part in parts)


def imports_of(path: Path) -> set[str]:
    """Every module imported anywhere in a file but under `if TYPE_CHECKING`."""
    found = set()
    tree = ast.parse(path.read_text())
    typing_only = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and getattr(block.test, "id", "") == "TYPE_CHECKING"
        for node in ast.walk(block)
    }
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_downwards_only(path):
    part = part_of(path)
    for name in imports_of(path):
        top, _, rest = name.partition(".")
        if top == "curator" and rest:
            assert layer_of(rest.partition(".")[0]) <= layer_of(part), f"{part} imports {name}"
        assert top != "click" or part == "cli", "click stays in cli"
        assert top != "duckdb" or part == "store", "duckdb stays in store"


def test_functions_and_modules_stay_small():
    offenders = []
    for path in MODULES:
        text = path.read_text()
        name = path.relative_to(PACKAGE)
        if text.count("\n") > 400:
            offenders.append(f"{name}: {text.count(chr(10))} lines")
        offenders += [
            f"{name}:{node.lineno} {node.name}"
            for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.FunctionDef) and (node.end_lineno or 0) - node.lineno > 50
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


DECODING = {"decode_image", "prepare", "look", "open_image"}
# Where images may be decoded in the calling process: the package itself, what runs in decode processes, the default of
# pictures that are trusted, and the photographs of the sample lake, which come with a package.
MAY_DECODE = {"decode", "engines/decode_messages.py", "engines/decode_pool.py", "engines/decode_worker.py", "demo"}
TASKS = {"generators/requests.py", "workspace/looking.py"}  # who name such a function as a task or as a default


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_images_are_decoded_in_processes_of_their_own_only(path):
    name = str(path.relative_to(PACKAGE))
    if part_of(path) in MAY_DECODE or name in MAY_DECODE:
        return
    tree = ast.parse(path.read_text())
    imported = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("curator.decode")
        for alias in node.names
    }
    assert not imported & DECODING or name in TASKS
    opened = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr == "open"]
    assert not any(isinstance(node.value, ast.Name) and node.value.id in ("Image", "ImageFile") for node in opened)


def test_pictures_of_a_workspace_are_never_decoded_in_its_process():
    for path in (PACKAGE / "workspace").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Picture":
                assert any(keyword.arg == "decode" for keyword in node.keywords), path
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "DecodePool":
                assert any(keyword.arg == "memory_limit_bytes" for keyword in node.keywords), path

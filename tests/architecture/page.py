"""ARCHITECTURE.md: what it says of the code, and the parts of it that are written from the code."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.architecture.floors import FLOORS
from tests.architecture.tree import Tree

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "ARCHITECTURE.md"
STEP = re.compile(r"`([\w/]+\.(?:py|sql)):([\w.]+)`")  # `path:function`


def written(text: str, tree: Tree) -> str:
    """The page with its lists as the code has them now."""
    for name, lines in (("floors", _floors()), ("rooms", _rooms(tree))):
        start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
        before, _, rest = text.partition(start)
        text = f"{before}{start}\n" + "\n".join(lines) + f"\n{end}{rest.partition(end)[2]}"
    return text


def sections(text: str) -> dict[str, str]:
    """Heading, of whatever depth, to what stands under it."""
    parts = re.split(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def _floors() -> Iterator[str]:
    yield "```"
    for number, names in reversed(list(enumerate(FLOORS["."], 1))):
        yield f"{number:3}  " + "  ".join("curator" if name == "__init__" else name for name in sorted(names))
    yield "```"


def _rooms(tree: Tree) -> Iterator[str]:
    """Every folder, and the modules that stand beside the rooms of the package."""
    places = {module.path.relative_to(tree.root): module for module in tree.modules.values()}
    rooms = {str(path.parent / "_")[:-1]: module for path, module in places.items() if path.name == "__init__.py"}
    beside = {str(path): module for path, module in places.items() if len(path.parts) == 1}
    named = {name: module for name, module in {**rooms, **beside}.items() if name not in ("", "__init__.py")}
    for name, module in sorted(named.items(), key=lambda item: (item[0] in beside, item[0])):
        line = (ast.get_docstring(module.tree) or "").splitlines()[0]
        yield f"{'  ' * (name.count('/') - 1)}- `{name}`: {line}"

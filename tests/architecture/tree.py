"""A package as rooms and arrows, read from its source without importing it.

A room is a folder of modules. What a reader meets in it are its sub-rooms and the modules beside them: its entries. An
arrow goes from one entry to another that it imports anything of, also inside functions; imports for annotations alone
(`if TYPE_CHECKING`) are none. Nor are two others:

- importing `a.b.c` runs `a/__init__.py` and `a/b/__init__.py` first. A façade there imports what lies below it, so
  these runs would make a circle of every package; only a façade that is named (`from a.b import name`) is imported.
- a registry names its members as text and loads them when one is asked for.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

Graph = Mapping[str, set[str]]


@dataclass(frozen=True)
class Module:
    """One file. name: its dotted name; `package.__init__` for a façade."""

    path: Path
    name: str
    tree: ast.Module
    lines: int

    def functions(self) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
        return (node for node in ast.walk(self.tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))

    def imported(self) -> Iterator[str]:
        """Dotted names, of modules or of what is in them; none that is imported for annotations alone."""
        typing_only = {
            id(node)
            for block in ast.walk(self.tree)
            if isinstance(block, ast.If) and getattr(block.test, "id", "") == "TYPE_CHECKING"
            for node in ast.walk(block)
        }
        for node in ast.walk(self.tree):
            if id(node) in typing_only:
                continue
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                yield from (f"{node.module}.{alias.name}" for alias in node.names)

    def registered(self) -> Iterator[str]:
        """The modules that registries of this file name as `package.module:attribute`."""
        for call in ast.walk(self.tree):
            if not isinstance(call, ast.Call) or getattr(call.func, "id", "") != "Registry":
                continue
            for node in ast.walk(call):
                if isinstance(node, ast.Constant) and isinstance(node.value, str) and ":" in node.value:
                    yield node.value.partition(":")[0]


class Tree:
    """All modules of one package. root: its folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.modules = {
            module.name: module for path in sorted(root.rglob("*.py")) for module in [_read(path, root.parent)]
        }

    @cached_property
    def folders(self) -> dict[str, list[Module]]:
        """Folder, relative to the root (`.` is the root itself), to its modules."""
        found: defaultdict[str, list[Module]] = defaultdict(list)
        for module in self.modules.values():
            found[str(module.path.parent.relative_to(self.root))].append(module)
        return dict(found)

    @cached_property
    def imports(self) -> dict[str, set[str]]:
        """Module to the modules that it imports, of this package alone."""
        return {
            module.name: {target for name in module.imported() if (target := self._module_of(name)) is not None}
            for module in self.modules.values()
        }

    def entries(self, folder: str) -> dict[str, set[str]]:
        """The entries of a folder, each with those that it imports."""
        found: defaultdict[str, set[str]] = defaultdict(set)
        for name, targets in self.imports.items():
            if (entry := self.entry_of(name, folder)) is not None:
                found[entry] |= {self.entry_of(target, folder) for target in targets} - {None, entry}
        return dict(found)

    def entry_of(self, name: str, folder: str) -> str | None:
        """The entry of a folder that a module is, or is in; None where it lies elsewhere."""
        path = self.modules[name].path.with_suffix("").relative_to(self.root).parts
        above = () if folder == "." else tuple(folder.split("/"))
        return path[len(above)] if path[: len(above)] == above and len(path) > len(above) else None

    def circles(self) -> list[str]:
        """The entries that come back to themselves, one circle a line. No circle of modules goes without one."""
        return [
            f"{folder}: {' '.join(group)}" for folder in sorted(self.folders) for group in circles(self.entries(folder))
        ]

    @cached_property
    def registered(self) -> set[str]:
        """The modules that hold one registered thing each."""
        return {name for module in self.modules.values() for name in module.registered()}

    def _module_of(self, name: str) -> str | None:
        """The module of this package that a dotted name is, or is in."""
        while name:
            if name in self.modules:
                return name
            if f"{name}.__init__" in self.modules:
                return f"{name}.__init__"
            name = name.rpartition(".")[0]
        return None


def _read(path: Path, above: Path) -> Module:
    text = path.read_text()
    return Module(path, ".".join(path.relative_to(above).with_suffix("").parts), ast.parse(text), text.count("\n"))


def circles(graph: Graph) -> list[list[str]]:
    """Groups of nodes of which each reaches the others, sorted."""
    reached = {node: _reached(graph, node) for node in graph}
    groups = {
        tuple(sorted(other for other in found if node in reached.get(other, ()))) for node, found in reached.items()
    }
    return sorted(list(group) for group in groups if group)


def floors(graph: Graph) -> dict[str, int]:
    """Node to the length of the longest way down from it, from 1. Nodes in circles stand on floor 0."""
    in_circles = {node for group in circles(graph) for node in group}
    found: dict[str, int] = dict.fromkeys(in_circles, 0)

    def floor(node: str) -> int:
        if node not in found:
            found[node] = 1 + max(map(floor, graph.get(node, ())), default=0)
        return found[node]

    for node in graph:
        floor(node)
    return found


def _reached(graph: Graph, start: str) -> set[str]:
    found: set[str] = set()
    waiting = [start]
    while waiting:
        new = graph.get(waiting.pop(), set()) - found
        found |= new
        waiting += new
    return found

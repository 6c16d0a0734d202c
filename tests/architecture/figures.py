"""The figures of a package: lines, files, rooms, arrows, floors, circles, and what is largest."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tests.architecture.tree import Tree, circles, floors, within

LARGEST = 8  # of each kind are listed


def figures(root: Path) -> Iterator[str]:
    """Lines of text. root: the folder of the package; `sql` beside it is counted too."""
    tree = Tree(root)
    sql = [path.read_text().count("\n") for path in sorted((root.parent / "sql").rglob("*.sql"))]
    lines = sum(module.lines for module in tree.modules.values())
    yield f"{lines} lines in {len(tree.modules)} files of {root.name}, {sum(sql)} in {len(sql)} of sql"
    yield _graph("the house", tree, list(tree.arrows))
    for top in sorted({room.partition("/")[0] for room in tree.arrows if "/" in room}):
        yield _graph(f"{top}/", tree, [room for room in tree.arrows if room.startswith(f"{top}/")])
    found = [*circles(tree.imports), *circles(tree.arrows)]
    yield f"{len(found)} circles" + "".join(f"\n  {' '.join(group)}" for group in found)
    yield _largest("rooms, in files", {folder: len(modules) for folder, modules in tree.folders.items()})
    yield _largest("modules, in lines", {_place(tree, module.path): module.lines for module in tree.modules.values()})
    sizes = {
        f"{_place(tree, module.path)}:{node.lineno} {node.name}": (node.end_lineno or 0) - node.lineno + 1
        for module in tree.modules.values()
        for node in module.functions()
    }
    yield _largest("functions, in lines", sizes)


def _graph(name: str, tree: Tree, rooms: list[str]) -> str:
    graph = within(tree.arrows, rooms)
    arrows = sum(map(len, graph.values()))
    return f"{name:14} {len(graph):4} rooms {arrows:4} arrows {max(floors(graph).values()):3} floors"


def _largest(what: str, sizes: dict[str, int]) -> str:
    order = sorted(sizes.items(), key=lambda item: (-item[1], item[0]))
    return f"largest {what}:" + "".join(f"\n{size:6}  {name}" for name, size in order[:LARGEST])


def _place(tree: Tree, path: Path) -> str:
    return str(path.relative_to(tree.root))

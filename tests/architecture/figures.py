"""The figures of a package: lines, files, rooms, arrows, floors, circles, and what is largest."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tests.architecture.tree import Tree, floors

LARGEST = 8  # of each kind are listed


def figures(root: Path) -> Iterator[str]:
    """Lines of text. root: the folder of the package; `sql` beside it is counted too."""
    tree = Tree(root)
    sql = [path.read_text().count("\n") for path in sorted((root.parent / "sql").rglob("*.sql"))]
    lines = sum(module.lines for module in tree.modules.values())
    yield f"{lines} lines in {len(tree.modules)} files of {root.name}, {sum(sql)} in {len(sql)} of sql"
    yield "what a reader meets in a folder: sub-rooms and modules beside them"
    for folder in [".", *sorted(folder for folder in tree.folders if "/" not in folder and folder != ".")]:
        graph = tree.entries(folder)
        rooms = sum(name.startswith(f"{folder}/") for name in tree.folders) if folder != "." else len(tree.folders) - 1
        arrows = sum(map(len, graph.values()))
        yield (
            f"{folder:12} {len(graph):4} entries {arrows:4} arrows {max(floors(graph).values()):3} floors "
            f"{rooms:4} sub-rooms"
        )
    found = tree.circles()
    yield f"{len(found)} circles" + "".join(f"\n  {circle}" for circle in found)
    yield _largest("rooms, in files", {folder: len(modules) for folder, modules in tree.folders.items()})
    yield _largest("modules, in lines", {_place(tree, module.path): module.lines for module in tree.modules.values()})
    sizes = {
        f"{_place(tree, module.path)}:{node.lineno} {node.name}": (node.end_lineno or 0) - node.lineno + 1
        for module in tree.modules.values()
        for node in module.functions()
    }
    yield _largest("functions, in lines", sizes)


def _largest(what: str, sizes: dict[str, int]) -> str:
    order = sorted(sizes.items(), key=lambda item: (-item[1], item[0]))
    return f"largest {what}:" + "".join(f"\n{size:6}  {name}" for name, size in order[:LARGEST])


def _place(tree: Tree, path: Path) -> str:
    return str(path.relative_to(tree.root))

"""How big rooms, modules and functions may grow."""

from __future__ import annotations

from tests.architecture.tree import Tree

ROOM_FILES = 25  # more only where each file but the façade is one registered thing
MODULE_LINES = 400
FUNCTION_LINES = 50  # after the first, docstring and all


def crowded_rooms(tree: Tree) -> list[str]:
    """Folders of more files than a reader takes in."""
    return [
        f"{folder}: {len(modules)} files"
        for folder, modules in sorted(tree.folders.items())
        if len(modules) > ROOM_FILES
        and not all(module.name in tree.registered or module.path.stem == "__init__" for module in modules)
    ]


def long_modules(tree: Tree) -> list[str]:
    return [f"{module.name}: {module.lines} lines" for module in tree.modules.values() if module.lines > MODULE_LINES]


def long_functions(tree: Tree) -> list[str]:
    return [
        f"{module.name}:{node.lineno} {node.name}"
        for module in tree.modules.values()
        for node in module.functions()
        if (node.end_lineno or 0) - node.lineno > FUNCTION_LINES
    ]

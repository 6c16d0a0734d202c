"""What classes are called."""

from __future__ import annotations

import ast
from collections import defaultdict

from tests.architecture.tree import Tree


def shared_names(tree: Tree) -> list[str]:
    """Names that classes of several modules have: in a message, a search or an import nobody could tell them apart."""
    places: dict[str, list[str]] = defaultdict(list)
    for module in tree.modules.values():
        for node in module.tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(module.name)
    return [f"{name}: {', '.join(sorted(where))}" for name, where in sorted(places.items()) if len(where) > 1]

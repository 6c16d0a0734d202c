"""The floors of the house, from the bottom up: what stands on one imports only from floors below it.

Under each folder, everything in it stands on one floor: a sub-room by its name, a module beside sub-rooms by its. Rooms
on one floor know nothing of each other. Folders that are not here have no sub-rooms, or few: there only circles are
forbidden.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tests.architecture.tree import Tree

Floors = Sequence[set[str]]

FLOORS: Mapping[str, Floors] = {
    # Foundations; stores and readers; what a domain knows; what works on it; the workspace; its first user.
    ".": [
        {"durable", "errors", "printable", "progress", "protocols", "resources", "types", "version"},
        {"endings", "metrics", "paths", "registry", "store", "urls"},
        {"decode", "demo", "encoders", "ranges"},
        {"config", "lake", "methods", "review", "vectors"},
        {"banks", "engines", "export", "policy", "report"},
        {"app", "evaluation", "generators"},
        {"systems"},
        {"workspace"},
        {"cli", "__init__"},
        {"__main__"},
    ],
    "lake": [
        {"encodings", "kinds", "options", "patience", "signatures", "versions"},
        {"passed"},
        {"s3"},
        {"files"},
        {"parquet", "sources", "tar"},
        {"read", "shards"},
        {"images"},
        {"__init__"},
    ],
    "methods": [
        {"grouping", "layers", "maths", "measures"},
        {"registry", "statistics"},
        {"spec"},
        {"kernels"},
        {"__init__", "attribution", "members"},
    ],
    "generators": [
        {"__init__", "model_files", "painter_settings", "prompts", "refusals", "surroundings"},
        {"requests"},
        {"answers", "pictures"},
        {"asking", "chat", "diffusion", "embedded"},
        {"planning"},
    ],
    "systems": [
        {"__init__", "proposals", "registry", "settings"},
        {"cleaning", "spec"},
        {"conversations", "world"},
        {"stream"},
        {"adaneg", "eoe", "interneg", "mmood", "negrefine", "oodd", "synood", "tanl"},
        {"ants"},
    ],
    "workspace": [
        {"judge", "layout", "logs", "looking", "mishaps", "names", "stamps"},
        {"config_file", "context", "lock", "makefile", "outputs", "stored"},
        {"create", "published", "session"},
        {"keep", "look", "reference_labels", "results"},
        {"scan"},
        {"calibrate", "learn", "night"},
        {"evaluate"},
        {"reader", "review"},
        {"app"},
        {"facade"},
        {"__init__"},
    ],
}


def arrows_up(tree: Tree, floors: Mapping[str, Floors] = FLOORS) -> list[str]:
    """Imports that do not go down, one a line."""
    found = []
    for folder, levels in floors.items():
        floor = {entry: number for number, entries in enumerate(levels, 1) for entry in entries}
        for name, targets in tree.imports.items():
            for target in targets:
                above, below = tree.entry_of(name, folder), tree.entry_of(target, folder)
                if above != below and floor.get(above, 99) <= floor.get(below, 0):
                    found.append(f"{name} (floor {floor[above]}) imports {target} (floor {floor[below]})")
    return sorted(found)


def unplaced(tree: Tree, floors: Mapping[str, Floors] = FLOORS) -> list[str]:
    """What stands on no floor, on two, or is on one and not there."""
    found = []
    for folder, levels in floors.items():
        names = [name for level in levels for name in level]
        entries = set(tree.entries(folder))
        found += [f"{folder}/{name}: on no floor" for name in entries - set(names)]
        found += [f"{folder}/{name}: not there" for name in set(names) - entries]
        found += [f"{folder}/{name}: on two floors" for name in set(names) if names.count(name) > 1]
    return sorted(found)

"""The one door to files that ship beside the code: SQL, index recipes, package data."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import as_file, files
from pathlib import Path


@cache
def read_folder(package: str, folder: str = "", *, suffix: str) -> Mapping[str, str]:
    """Texts of all files of a data package's folder, by stem, in order. Example: `curator.sql`, `views`, `.sql`.

    Read once a process: a run that finds nothing new reads a hundred files of SQL otherwise.
    """
    root = files(package).joinpath(folder) if folder else files(package)
    entries = sorted((entry for entry in root.iterdir() if entry.name.endswith(suffix)), key=lambda entry: entry.name)
    return {entry.name.removesuffix(suffix): entry.read_text(encoding="utf-8") for entry in entries}


def data_file(package: str, name: str) -> Path:
    """The path of one data file. The packages are always installed unzipped, so the path stays valid."""
    with as_file(files(package).joinpath(name)) as path:
        return path

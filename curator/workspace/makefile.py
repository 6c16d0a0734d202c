"""The workspace's Makefile: which files and banks each bank must be newer than, in make's own language.

The file itself is `workspace.mk`, shipped beside this module. It asks `curator bank deps NAME` for what a spec names.
"""

from __future__ import annotations

import re

from curator.banks.spec import read_spec
from curator.errors import BankError
from curator.resources import data_file
from curator.systems.spec import read_system_spec
from curator.workspace.layout import Layout


def makefile_text() -> str:
    """The Makefile of a new workspace."""
    return data_file("curator.workspace", "workspace.mk").read_text(encoding="utf-8")


def dependency_rules(layout: Layout, name: str) -> str:
    """Rules for make, run in the workspace: the stamp of a bank needs the files and banks that its spec names.

    A file gets an empty rule of its own, as from `gcc -MP`: when it is gone, the build says so, not make. A bank that
    has no spec is left to the build too, and a version that is named by its digest never changes. Raises BankError when
    the bank has no spec, ConfigError for a bad one.
    """
    path = layout.bank_spec(name)
    if not path.is_file():
        raise BankError(f"{path}: no such bank spec", hint=f"write it, or copy {layout.bank_spec('base')}")
    spec = read_system_spec(path) or read_spec(path)
    others = [address for address in spec.banks if "@" not in address]
    banks = [_stamp(bank) for bank in others if bank != name and layout.bank_spec(bank).is_file()]
    files = [_escape(file) for file in spec.files]
    targets = [file.replace("%", r"\%") for file in files]  # in a target alone a percent sign would be a pattern
    rules = [f"{_stamp(name)}: {' '.join((*files, *banks))}", *(f"{target}:" for target in targets)]
    return "\n".join(rules) + "\n"


def _stamp(bank: str) -> str:
    return f"banks/.stamps/{bank}.built"


def _escape(path: str) -> str:
    """A path as a prerequisite of GNU make."""
    return re.sub(r"([ #:\\])", r"\\\1", path).replace("$", "$$")

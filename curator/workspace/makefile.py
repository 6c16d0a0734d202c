"""The Makefile of a workspace: which banks a night builds, and what each must be newer than, in the language of make.

The file itself is `workspace.mk`, shipped beside this module. It asks `curator bank deps` for both.
"""

from __future__ import annotations

import re

from curator.banks.spec import BankSpec, read_spec
from curator.config import Config
from curator.errors import BankError
from curator.resources import data_file
from curator.systems.spec import SystemSpec, read_system_spec
from curator.workspace.layout import Layout
from curator.workspace.stamps import stamp_of


def makefile_text() -> str:
    """The Makefile of a new workspace."""
    return data_file("curator.workspace", "workspace.mk").read_text(encoding="utf-8")


def night_rules(layout: Layout, config: Config) -> str:
    """The variable BANKS, the banks that a night builds: that of [scan] and those that [night] names; and the rules of
    each and of all that they take labels from. One version of a bank, as `base@v2`, and a bank that has no spec yet are
    left to the scan. Raises as `dependency_rules`.
    """
    scanned = config.scan.bank
    by_scan = [scanned] if "@" not in scanned and layout.bank_spec(scanned).is_file() else []
    banks = list(dict.fromkeys([*by_scan, *config.night.banks]))
    wanted = list(banks)
    for name in wanted:  # grows by what each takes labels from
        wanted += [other for other in _parents(layout, name, _spec(layout, name)) if other not in wanted]
    return "".join((f"BANKS := {' '.join(banks)}\n", *(dependency_rules(layout, name) for name in wanted)))


def dependency_rules(layout: Layout, name: str) -> str:
    """Rules for make, run in the workspace: the stamp of a bank needs the files and banks that its spec names.

    A file gets an empty rule of its own, as from `gcc -MP`: when it is gone, the build says so, not make. A bank that
    has no spec is left to the build too, and a version that is named by its digest never changes. Raises BankError when
    the bank has no spec, ConfigError for a bad one.
    """
    spec = _spec(layout, name)
    banks = [stamp_of(bank) for bank in _parents(layout, name, spec)]
    files = [_escape(file) for file in spec.files]
    targets = [file.replace("%", r"\%") for file in files]  # in a target alone a percent sign would be a pattern
    rules = [f"{stamp_of(name)}: {' '.join((*files, *banks))}", *(f"{target}:" for target in targets)]
    return "\n".join(rules) + "\n"


def _spec(layout: Layout, name: str) -> BankSpec | SystemSpec:
    path = layout.bank_spec(name)
    if not path.is_file():
        raise BankError(f"{path}: no such bank spec", hint=f"write it, or copy {layout.bank_spec('base')}")
    return read_system_spec(path) or read_spec(path)


def _parents(layout: Layout, name: str, spec: BankSpec | SystemSpec) -> list[str]:
    """The banks whose newest version it takes labels from."""
    return [bank for bank in spec.banks if "@" not in bank and bank != name and layout.bank_spec(bank).is_file()]


def _escape(path: str) -> str:
    """A path as a prerequisite of GNU make."""
    return re.sub(r"([ #:\\])", r"\\\1", path).replace("$", "$$")

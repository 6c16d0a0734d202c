"""Names to implementations, imported on first use.

A registry lists its names without importing anything, so `curator --help` never loads torch. Adding an
implementation is one file and one line; taking a name twice raises.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from curator.errors import CuratorError, UsageError
from curator.printable import said_by


class Registry:
    """A map from name to `package.module:attribute`. `kind` names what is registered, for messages."""

    def __init__(self, kind: str, targets: dict[str, str]) -> None:
        self.kind = kind
        self._targets: dict[str, str] = {}
        for name, target in targets.items():
            self.register(name, target)

    def register(self, name: str, target: str) -> None:
        if name in self._targets:
            raise ValueError(f"{self.kind} {name!r} is already registered as {self._targets[name]}")
        self._targets[name] = target

    def names(self) -> list[str]:
        return sorted(self._targets)

    def check(self, name: str) -> None:
        """Raises UsageError with the known names for an unknown one. Imports nothing."""
        if name not in self._targets:
            raise UsageError(f"no {self.kind} is called {name!r}", hint=f"known: {', '.join(self.names())}")

    def get(self, name: str) -> Any:
        """The registered object. Raises UsageError as `check` does, and for one that cannot be imported."""
        self.check(name)
        target = self._targets[name]
        try:
            return load(target)
        except CuratorError:
            raise
        except Exception as fault:  # of a module of somebody else's, which may raise anything as it is imported
            raise UsageError(
                f"{self.kind} {name!r} is registered as {target!r}, which cannot be imported: "
                f"{type(fault).__name__}: {said_by(fault, whole=True)}",
                hint="a target is package.module:Name, where Python finds the package; -v shows the traceback",
            ) from fault


def load(target: str) -> Any:
    """What `package.module:attribute` names."""
    module, _, attribute = target.partition(":")
    return getattr(import_module(module), attribute)

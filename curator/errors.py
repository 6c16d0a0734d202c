"""Every error a user can meet, in one tree.

CuratorError                 base: one clear line (what, where) and a hint (what to do)
├── UsageError               a bad argument or option
│   └── ConfigError          a bad configuration or spec file
├── WorkspaceError           no workspace, or one that cannot be used
│   ├── NoWorkspace          there is none here
│   ├── WorkspaceLocked      another run holds it
│   ├── BackupError          a backup that cannot be made, or is not whole
│   └── StoreError           the ledger refused a statement
│       └── MigrationChanged a released migration was edited
├── SourceError              a lake source that cannot be listed at all
├── OutputError              an output that cannot be put where it was to go
├── EngineError              a cluster that cannot be used, or that lost its workers
├── EncoderError             an encoder that cannot be built or run
│   └── WeightsMissing       its weights are not on this machine
├── VectorFault              a vector file that is missing or damaged
├── IndexFault               an index or recipe that cannot be used
├── BankError                a bank that cannot be built or found
│   └── BankDamaged          a version that is missing, or not what was built
├── GeneratorError           a model or service that cannot be used at all
│   └── BudgetSpent          no further call is allowed; what was answered is kept
├── MissingExtra             an optional dependency is not installed
└── RunInterrupted           stopped by the user; resumable

A datum that cannot be processed is not an error but a `Reject` (see types.py).
"""

from __future__ import annotations

from typing import Literal

# Whose fault a StoreError is: that of the statement, of a file, a disk or the memory. "broken": DuckDB has given up, as
# it does for damage, and for some statements.
StoreFault = Literal["statement", "damaged", "broken", "full", "refused", "memory"]


class CuratorError(Exception):
    """Base of all errors. `message` is one line; `hint` says what to do and may name a command."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class UsageError(CuratorError):
    """A bad argument or option. A parameter is named in backticks, which the command line makes its option of."""


class ConfigError(UsageError):
    """A bad configuration or spec file; the message names the file and the key."""


class WorkspaceError(CuratorError):
    """The workspace is missing or cannot be used."""


class NoWorkspace(WorkspaceError):
    """There is no workspace where one was looked for."""


class WorkspaceLocked(WorkspaceError):
    """Another process is writing to the workspace."""


class BackupError(WorkspaceError):
    """A backup cannot be made, is not whole, or is not what was written."""


class StoreError(WorkspaceError):
    """DuckDB refused a statement; the message carries its first line, `detail` the others (candidates, the place)."""

    def __init__(
        self, message: str, *, hint: str | None = None, kind: StoreFault = "statement", detail: str | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.kind = kind
        self.detail = detail

    def __str__(self) -> str:
        return f"{super().__str__()}\n{self.detail}" if self.detail else super().__str__()


class MigrationChanged(StoreError):
    """A migration that was already applied differs from the file shipped now."""


class SourceError(CuratorError):
    """A lake source does not exist, cannot be listed, or is of no known kind."""


class OutputError(CuratorError):
    """An output cannot be written to the folder or store it was to go to; the workspace has it still."""


class EngineError(CuratorError):
    """A cluster cannot be reached, has no room, or lost what it needs to go on."""


class EncoderError(CuratorError):
    """An encoder cannot be built or run."""


class WeightsMissing(EncoderError):
    """The weights of an encoder are not on this machine."""


class VectorFault(CuratorError):
    """A vector file is missing, damaged, or cannot be written."""


class IndexFault(CuratorError):
    """An index recipe or file cannot be used."""


class BankError(CuratorError):
    """A bank cannot be built, read or found."""


class BankRefused(BankError):
    """A version is not made, or not kept, as nothing shows that it would be better. What was there before stands."""


class BankDamaged(BankError):
    """The files of a bank version are missing, or no longer what was built."""


class GeneratorError(CuratorError):
    """A model or service that describes, reasons or paints cannot be used at all."""


class BudgetSpent(GeneratorError):
    """No further call is allowed. What was answered is kept, and the same command goes on from there."""


class MissingExtra(CuratorError):
    """An optional dependency is not installed: one of an extra, or one that is nobody's but the caller's."""

    def __init__(self, package: str, *, extra: str | None = None, needed_for: str) -> None:
        super().__init__(
            f"{needed_for} needs the package {package!r}, which is not installed",
            hint=f"pip install 'ood-curator[{extra}]'" if extra else f"pip install {package}",
        )


class RunInterrupted(CuratorError):
    """The user stopped the run; what was committed stays, and the same command resumes it."""

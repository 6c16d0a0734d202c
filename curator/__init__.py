"""curator: find the images in a data lake that do not belong.

    import curator

    workspace = curator.create("my-lake", labels=["cat", "dog"])
    workspace.scan("/data/incoming")
    print(workspace.sql("select uri, id_score from report.flagged order by id_score").to_pylist())

Importing this package is cheap; torch, FAISS and the encoders load when they are used.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from curator.errors import CuratorError
from curator.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from curator.workspace import Workspace

__all__ = ["CuratorError", "Workspace", "__version__", "create", "open"]
__version__ = VERSION


def __getattr__(name: str) -> object:
    if name == "Workspace":
        from curator.workspace import Workspace

        return Workspace
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__


def create(folder: Path | str, *, labels: Path | str | Sequence[str], encoder: str = "mini") -> Workspace:
    """Make a workspace: see `curator.workspace.Workspace.create`."""
    from curator.workspace import Workspace

    return Workspace.create(folder, labels=labels, encoder=encoder)


def open(folder: Path | str = ".", *, overrides: Mapping[str, Any] | None = None) -> Workspace:
    """Open the workspace at `folder` or above it: see `curator.workspace.Workspace.open`."""
    from curator.workspace import Workspace

    return Workspace.open(folder, overrides=overrides)

"""A workspace and everything one can do with it: `Workspace`, and what its methods take and give.

The façade and all behind it are imported when a name of it is first asked for, so that a part of this package does not
bring the whole (`curator.workspace.results`, for `curator sql`).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from curator.workspace.facade import (
        AuditReport as AuditReport,
    )
    from curator.workspace.facade import (
        BackupSummary as BackupSummary,
    )
    from curator.workspace.facade import (
        CalibrationCheck as CalibrationCheck,
    )
    from curator.workspace.facade import (
        CalibrationSummary as CalibrationSummary,
    )
    from curator.workspace.facade import (
        DiffReport as DiffReport,
    )
    from curator.workspace.facade import (
        EvaluationSummary as EvaluationSummary,
    )
    from curator.workspace.facade import (
        Explanation as Explanation,
    )
    from curator.workspace.facade import (
        ExportSummary as ExportSummary,
    )
    from curator.workspace.facade import (
        Finding as Finding,
    )
    from curator.workspace.facade import (
        InForce as InForce,
    )
    from curator.workspace.facade import (
        LearnSummary as LearnSummary,
    )
    from curator.workspace.facade import (
        Leftovers as Leftovers,
    )
    from curator.workspace.facade import (
        NightReport as NightReport,
    )
    from curator.workspace.facade import (
        Reproduction as Reproduction,
    )
    from curator.workspace.facade import (
        ReproductionRequest as ReproductionRequest,
    )
    from curator.workspace.facade import (
        ScanPlan as ScanPlan,
    )
    from curator.workspace.facade import (
        ScanSummary as ScanSummary,
    )
    from curator.workspace.facade import (
        ScanWatcher as ScanWatcher,
    )
    from curator.workspace.facade import (
        ScoreSummary as ScoreSummary,
    )
    from curator.workspace.facade import (
        UseSummary as UseSummary,
    )
    from curator.workspace.facade import (
        Workspace as Workspace,
    )


_FACADE = "curator.workspace.facade"


def __getattr__(name: str) -> object:
    if not name.startswith("_") and name in (facade := import_module(_FACADE)).__all__:
        return getattr(facade, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*import_module(_FACADE).__all__]

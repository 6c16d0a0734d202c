"""What open_clip is to build an encoder of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class OpenClipModel:
    """What open_clip is to build.

    name: an architecture, or `local-dir:<folder>`. checkpoint: the weights; None where the folder holds them, and for
    random weights, which `seed` then is for. preprocess: keys of open_clip's PreprocessCfg that overrule its own.
    """

    name: str
    checkpoint: Path | None = None
    seed: int | None = None
    quick_gelu: bool = False
    preprocess: Mapping[str, Any] = field(default_factory=dict)

"""`python -m tests.architecture [PACKAGE]`: the figures of the house, or of the package in another folder."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.architecture.figures import figures

if __name__ == "__main__":
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[2] / "curator"
    print("\n".join(figures(root)))

"""`python -m tests.architecture [PACKAGE]`: the figures of the house, or of the package in another folder.

`python -m tests.architecture --write` brings the lists of ARCHITECTURE.md up to date.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.architecture.figures import figures
from tests.architecture.page import PAGE, ROOT, written
from tests.architecture.tree import Tree

if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        PAGE.write_text(written(PAGE.read_text(), Tree(ROOT / "curator")))
    else:
        print("\n".join(figures(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "curator")))

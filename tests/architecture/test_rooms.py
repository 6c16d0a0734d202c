"""The shape of the house: no circle, no arrow up, rooms and modules of a size to be taken in; and that each is seen."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest

import curator
from tests.architecture.figures import figures
from tests.architecture.floors import arrows_up, unplaced
from tests.architecture.names import shared_names
from tests.architecture.sizes import crowded_rooms, long_functions, long_modules
from tests.architecture.tree import Tree, circles, floors

PACKAGE = Path(curator.__file__).parent
HOUSE = {
    ".": [{"errors"}, {"store"}, {"lake"}, {"cli", "__init__"}],
    "lake": [{"kinds"}, {"tar", "parquet"}, {"__init__"}],
}
GOOD = {
    "__init__": "",
    "errors": "",
    "store/__init__": "",
    "store/ledger": "from house.errors import Fault",
    "lake/__init__": "",
    "lake/kinds": "import house.errors",
    "lake/tar/__init__": "",
    "lake/tar/reading": "from house.lake.kinds import kind_of",
    "lake/parquet/__init__": "",
    "lake/parquet/reading": "from house.lake import kinds",
    "cli/__init__": "def scan():\n    from house.store.ledger import Ledger",
}


@pytest.fixture(scope="module")
def tree() -> Tree:
    return Tree(PACKAGE)


def test_no_module_and_no_room_comes_back_to_itself(tree):
    assert tree.circles() == []
    assert circles(tree.imports) == []


def test_arrows_point_down_only(tree):
    assert unplaced(tree) == []
    assert arrows_up(tree) == []


def test_rooms_modules_and_functions_stay_small(tree):
    assert crowded_rooms(tree) == []
    assert long_modules(tree) == []
    assert long_functions(tree) == []


def test_no_two_classes_have_one_name(tree):
    assert shared_names(tree) == []


@pytest.fixture
def build(tmp_path):
    """Writes the good house with some of its modules replaced or added."""

    def write(changes: Mapping[str, str] = MappingProxyType({})) -> Tree:
        for name, text in {**GOOD, **changes}.items():
            path = tmp_path / "house" / f"{name}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return Tree(tmp_path / "house")

    return write


def faults(tree: Tree) -> list[str]:
    """All that the rules find."""
    small = [*crowded_rooms(tree), *long_modules(tree), *long_functions(tree), *shared_names(tree)]
    return [*tree.circles(), *arrows_up(tree, HOUSE), *unplaced(tree, HOUSE), *small]


def test_a_good_house_has_no_fault(build):
    tree = build()
    assert faults(tree) == []
    assert tree.entries("lake") == {"__init__": set(), "kinds": set(), "tar": {"kinds"}, "parquet": {"kinds"}}
    assert floors(tree.entries("."))["cli"] == 3


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"store/tables": "import house.store.ledger", "store/ledger": "from house.store import tables"},
         ["store: ledger tables"]),
        ({"lake/parquet/reading": "import house.lake.tar.reading"},
         ["house.lake.parquet.reading (floor 2) imports house.lake.tar.reading (floor 2)"]),
        ({"store/ledger": "def publish():\n    from house.lake.kinds import kind_of"},
         ["house.store.ledger (floor 2) imports house.lake.kinds (floor 3)"]),
        ({"errors": "from house.cli import scan", "cli/__init__": "from house.errors import Fault"},
         [".: cli errors", "house.errors (floor 1) imports house.cli.__init__ (floor 4)"]),
        ({"lake/kinds": "import house.lake.tar.members", "lake/tar/members": "",
          "lake/tar/reading": "import house.lake.kinds"},
         ["lake: kinds tar", "house.lake.kinds (floor 1) imports house.lake.tar.members (floor 2)"]),
        ({"attic/__init__": "", "lake/web/__init__": ""}, ["./attic: on no floor", "lake/web: on no floor"]),
        ({"lake/kinds": "\n" * 401}, ["house.lake.kinds: 401 lines"]),
        ({"cli/__init__": "def scan():" + "\n    pass" * 51}, ["house.cli.__init__:1 scan"]),
        ({f"cli/c{number}": "" for number in range(25)}, ["cli: 26 files"]),
        ({"lake/kinds": "class Found: ...", "store/ledger": "class Found: ...\nclass _Own: ..."},
         ["Found: house.lake.kinds, house.store.ledger"]),
    ],
    ids=["circle-in-a-room", "same-floor", "up", "circle-of-rooms", "circle-of-rooms-without-one-of-modules",
         "no-floor", "long-module", "long-function", "crowded", "name"],
)  # fmt: skip
def test_each_fault_of_a_house_is_found(build, changes, found):
    assert faults(build(changes)) == found


def test_a_room_of_registered_things_may_hold_more(build):
    targets = ", ".join(f"'{name}': 'house.cli.c{name}:Command'" for name in range(25))
    tree = build(
        {f"cli/c{number}": "" for number in range(25)} | {"errors": f"COMMANDS = Registry('c', {{{targets}}})"}
    )
    assert faults(tree) == []


def test_imports_for_annotations_are_no_arrows_and_facades_are_not_run(build):
    tree = build({
        "store/ledger": "if TYPE_CHECKING:\n    from house.cli import scan",
        "lake/__init__": "from house.lake.tar.reading import read_tar",
        "lake/tar/__init__": "from house.lake.tar.reading import read_tar",
    })  # fmt: skip
    assert tree.circles() == []
    assert "house.cli.__init__" not in tree.imports["house.store.ledger"]


def test_the_figures_count_what_is_there(build, tmp_path):
    (tmp_path / "sql").mkdir()
    (tmp_path / "sql" / "a.sql").write_text("select 1;\n")
    lines = list(figures(build({"lake/kinds": "\n" * 7}).root))
    assert lines[0] == f"8 lines in {len(GOOD)} files of house, 1 in 1 of sql"
    assert any(line.split()[:3] == ["lake", "4", "entries"] for line in lines)
    assert "0 circles" in lines

"""The systems by name: what each is called, what its command says, and where its settings and its learning are.

A system is a package `curator.systems.<name>` whose `SYSTEM` is registered here with one line. Nothing heavy is
imported before a system is put to work, so that `curator bank --help` can tell of all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from curator.registry import Registry, load

if TYPE_CHECKING:
    from curator.generators.asking import Asking
    from curator.systems.proposals import Learned
    from curator.systems.settings import SystemSettings
    from curator.systems.world import World

SYSTEMS = Registry(
    "system",
    {
        "adaneg": "curator.systems.adaneg:SYSTEM",
        "ants": "curator.systems.ants:SYSTEM",
        "eoe": "curator.systems.eoe:SYSTEM",
        "interneg": "curator.systems.interneg:SYSTEM",
        "mmood": "curator.systems.mmood:SYSTEM",
        "negrefine": "curator.systems.negrefine:SYSTEM",
        "oodd": "curator.systems.oodd:SYSTEM",
        "synood": "curator.systems.synood:SYSTEM",
        "tanl": "curator.systems.tanl:SYSTEM",
    },
)
Mode: TypeAlias = Literal["frozen", "online"]
Rule: TypeAlias = Literal["excess", "published"]


@dataclass(frozen=True, slots=True)
class Choice:
    """A setting that has an option of its own on the command line: its values, and what the option says."""

    values: tuple[str, ...]
    help: str


MODE = Choice(get_args(Mode), "Learn and freeze, or score as it learns.")


@dataclass(frozen=True, slots=True)
class System:
    """A published system that makes banks. help: of `curator bank <name>`. choices: settings with an option there.

    from_lake: whether it takes images of the lake for OOD and learns from them. by_class: whether it learns from ID
    images by the ID label of each. like_neglabel: its method is NegLabel's after the learning, at the same temperature.
    settings_class, learning: `package.module:attribute` of a SystemSettings, and of what `learn` calls.
    """

    name: str
    settings_class: str
    learning: str
    help: str
    from_lake: bool = False
    by_class: bool = False
    like_neglabel: bool = False
    choices: Mapping[str, Choice] = field(default_factory=dict)

    @property
    def settings(self) -> type[SystemSettings]:
        found: type[SystemSettings] = load(self.settings_class)
        return found

    def learn(self, world: World, asking: Asking, settings: SystemSettings) -> Learned:
        """Put the system to work. Raises BankError where nothing can be learnt, and what `asking` raises."""
        learned: Learned = load(self.learning)(world, asking, settings)
        return learned


def find_system(name: str) -> System:
    """The system of this name. Raises UsageError for an unknown one."""
    found: System = SYSTEMS.get(name)
    return found

"""Which system is measured on streams, and how: `adaneg:proxies=sample,batch=256`."""

from __future__ import annotations

from dataclasses import dataclass

from curator.errors import UsageError
from curator.methods.spec import MethodSpec
from curator.ranges import hints_of
from curator.systems.registry import SYSTEMS, System, find_system
from curator.systems.settings import SystemSettings

# As authors publish: all that passes is learnt from, and the figures are of one pass.
ONLINE = {"mode": "online", "suspects": "published", "orders": 0}
NO_MATTER = (*ONLINE, "sample")  # of a stream, so no part of its id


@dataclass(frozen=True, slots=True)
class StreamRecipe:
    """A system that scores as it learns, with its settings. asked: as it was named."""

    asked: str
    system: System
    settings: SystemSettings

    @classmethod
    def parse(cls, asked: str) -> StreamRecipe:
        """Raises UsageError for an unknown system, one that does not learn in passing, and a bad setting."""
        spec = MethodSpec.parse(asked)
        system = find_system(spec.name)
        if "mode" not in system.choices:
            able = [name for name in SYSTEMS.names() if "mode" in find_system(name).choices]
            raise UsageError(f"{spec.name} does not learn from what it scores", hint=f"one of {', '.join(able)}")
        known = hints_of(system.settings)
        given = {name: value for name, value in ONLINE.items() if name in known}
        settings = system.settings.resolve({**spec.parameters, **given}, source=asked)
        return cls(asked, system, settings)

    def named(self, order: int) -> str:
        """What figures of one order are called."""
        return f"{self.asked}, order {order}"

    def method_id(self, order: int) -> str:
        """The id of its scores in one order: every setting that matters to them, and the seed of the order."""
        table = {name: value for name, value in self.settings.as_table().items() if name not in NO_MATTER}
        parameters = {name: value if isinstance(value, int | float) else str(value) for name, value in table.items()}
        spec = MethodSpec(f"{self.system.name}-online", {**parameters, "order": order})
        return spec.method_id

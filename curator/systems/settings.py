"""Settings of systems: frozen dataclasses whose fields are the keys of a table in a spec, with what each may hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Annotated, ClassVar, Self, TypeAlias

from curator.banks.prompts import Template, resolve_template
from curator.errors import ConfigError, UsageError
from curator.generators.requests import Role
from curator.ranges import Place, Range, read_table
from curator.types import Bank

Natural: TypeAlias = Annotated[int, Range(0)]
Count: TypeAlias = Annotated[int, Range(1)]
Share: TypeAlias = Annotated[float, Range(0, 1, above=True)]
Fraction: TypeAlias = Annotated[float, Range(0, 1)]
Cosine: TypeAlias = Annotated[float, Range(-1, 1)]
Weight: TypeAlias = Annotated[float, Range(0)]
Positive: TypeAlias = Annotated[float, Range(0, above=True)]


@dataclass(frozen=True, slots=True)
class TemplateText:
    """The name of a template, one of its own, or several; kept as it was written (see banks/prompts.py)."""

    accepted = "a template that holds {} once, the name of one, or a list of them"
    hidden = False

    def complaint(self, value: str | tuple[str, ...]) -> str | None:
        try:
            resolve_template(value if isinstance(value, str) else list(value))
        except UsageError as fault:
            return f"is no template: {fault.message}"
        return None


Wording: TypeAlias = Annotated[str | tuple[str, ...], TemplateText()]


@dataclass(frozen=True, slots=True)
class SystemSettings:
    """What the settings of all systems have in common. `system`: the name of their table. `images_setting`: of the one
    that says how many ID images of each class take part; None where none do."""

    system = ""
    images_setting: ClassVar[str | None] = None

    @classmethod
    def resolve(cls, table: Mapping[str, object], *, source: str = "settings") -> Self:
        """Of a table that comes from `source`. Raises ConfigError that names an unknown key or a bad value."""
        return read_table(cls, table, Place(source, cls.system))

    def as_table(self) -> dict[str, object]:
        """All settings as JSON values, for the spec of a bank; those that are None are left out."""
        found = {item.name: getattr(self, item.name) for item in fields(self)}
        return {
            key: list(value) if isinstance(value, tuple) else value for key, value in found.items() if value is not None
        }

    @property
    def roles(self) -> tuple[Role, ...]:
        """The generators that the system will ask."""
        return ()


def id_template(given: str | tuple[str, ...] | None, parent: Bank, system: str) -> Template:
    """The template of the parent's ID labels, which outliers that are compared with them in one softmax must have too.
    Raises ConfigError where another one was given: the difference of form would enter every score."""
    own = template_for(None, parent)
    if given is not None and template_for(given, parent) != own:
        raise ConfigError(
            f"{system}.template is {given!r}, but the ID labels of bank {parent.name} have {own!r}, and outliers take "
            "the same",
            hint=f"leave it out, or set it as template in [id] of banks/{parent.name}.toml and build that bank",
        )
    return own


def template_for(given: str | tuple[str, ...] | None, parent: Bank) -> Template:
    """The template of generated labels: the one given, or that of the parent's ID labels, so that they differ from
    these in meaning alone."""
    asked = given or parent.spec.get("id", {}).get("template") or "photo"
    return resolve_template(asked if isinstance(asked, str) else list(asked))

"""How values show themselves: in a notebook as tables, at a prompt as lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, is_dataclass
from typing import Any, ClassVar, cast

from curator.printable import printable
from curator.report.words import Row, brief, setting

MOST_ROWS = 20
FRAME = ("notebook", "frame")


class Shown:
    """A dataclass (`repr=False`) that shows its facts, and in a table what it has several of."""

    __slots__ = ()
    __dataclass_fields__: ClassVar[dict[str, Any]]  # as dataclasses have it

    def shown(self) -> tuple[Mapping[str, object], Sequence[Row]]:
        """Facts by name, and rows under the names of their columns."""
        facts: dict[str, object] = {}
        rows: list[Row] = []
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, tuple | list) and value and is_dataclass(value[0]):
                rows += [asdict(cast(Any, item)) for item in value]
            elif field.repr and value not in (None, "", (), [], {}):
                facts[field.name] = value
        return facts, rows

    def __repr__(self) -> str:
        facts, rows = self.shown()
        return "\n".join([type(self).__name__, *_pairs(facts), *text_table(rows)])

    def _repr_html_(self) -> str:
        facts, rows = self.shown()
        title = type(self).__name__
        return in_notebook("notebook", "summary", title=title, facts=facts, rows=rows[:MOST_ROWS], count=len(rows))


def in_notebook(template: str, macro: str, **values: object) -> str:
    """A piece of a notebook: a macro of a template."""
    from curator.report.pages import templates

    content, frame = (getattr(templates().get_template(name).module, of) for name, of in ((template, macro), FRAME))
    return str(frame(content(**values)))


def _pairs(facts: Mapping[str, object]) -> list[str]:
    told = {name: text for name, value in facts.items() if (text := brief(value))}
    width = max(map(len, told), default=0)
    return [f"  {setting(name).ljust(width)}  {printable(text)}" for name, text in told.items()]


def text_table(rows: Sequence[Row]) -> list[str]:
    """The first rows as lines under the names of their columns."""
    if not rows:
        return []
    table = [list(rows[0]), *([printable(brief(value)) for value in row.values()] for row in rows[:MOST_ROWS])]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = ["  " + "  ".join(map(str.ljust, row, widths)).rstrip() for row in table]
    return lines if len(rows) <= MOST_ROWS else [*lines, f"  … {len(rows)} rows"]

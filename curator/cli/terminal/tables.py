"""Tables for a terminal: what fits its width and is still read at a glance.

Long text is shortened, addresses in the middle, digests and methods to what tells them apart. Where all columns do not
fit, the ones that say least to a person are left out, which is said; or each record is a block of lines.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import TYPE_CHECKING, Literal

from curator.cli.terminal.rows import cell, row_values
from curator.printable import printable

if TYPE_CHECKING:
    import pyarrow as pa

Look = Literal["fitted", "chosen", "blocks", "wide"]
GAP = "  "
LENGTHS = (10_000, 80, 60, 48, 40, 34, 28)  # of text, the longest first that lets all columns fit
PROSE = {"meaning", "holds", "description", "evidence"}  # as a last column it goes on in lines below, uncut
PROSE_WIDTH = 30
NARROW = 40  # of text where columns have to be left out
FEW_RECORDS = 2  # that are read as blocks where they do not fit
DIGEST = re.compile(r"[0-9a-f]{16,}")
METHOD_COLUMNS = {"method", "method_id"}
MINOR = re.compile(  # columns that are left out first
    r"(image|run|policy|calibration|encoder|call|export|scoring)_id|.*_run_id|.*digest|object_uri|member|byte_offset"
    r"|by_class|own_cuts|bank_name|bank_version|byte_size|width|height|source|aupr_.*|id_n|ood_n|log_odds|min_log_odds|created_at|first_seen|first_run_id"
)
ADDRESS = re.compile(r"|.*uri|path|artefact|source|address")


@dataclass(frozen=True, slots=True)
class Column:
    """One column as text: its heading, in one line or several, its cells, and whether they are numbers."""

    name: str
    heading: tuple[str, ...]
    cells: tuple[str, ...]
    is_number: bool

    @property
    def width(self) -> int:
        return max(cells_wide(line) for text in (*self.heading, *self.cells) for line in text.split("\n"))

    def cut(self, length: int) -> Column:
        """Its text no longer than this."""
        if self.is_number or any("\n" in text for text in self.cells):
            return self
        shorten = in_the_middle if ADDRESS.fullmatch(self.name) else at_the_end
        return replace(self, cells=tuple(shorten(text, length) for text in self.cells))

    def folded(self) -> Column:
        """Its heading on several lines where it is wider than the cells."""
        room, lines = max(map(cells_wide, ("", *self.cells))), [""]
        for piece in re.findall(r"[^_ ]+[_ ]?|[_ ]", self.name):
            if lines[-1] and len(lines[-1] + piece.strip()) > max(room, 8):
                lines.append("")
            lines[-1] += piece
        return replace(self, heading=tuple(line.strip() for line in lines))


def table_text(table: pa.Table, width: int, look: Look) -> str:
    """The lines of a table within so many columns of the terminal.

    fitted: every column, in blocks where they do not fit. chosen: as many columns as fit, and a line that says so; few
    records in blocks. blocks: a record a block. wide: every column, however wide.
    """
    columns = list(columns_of(table, short=look != "wide"))
    if look in ("fitted", "chosen") and columns and columns[-1].name in PROSE:
        columns[-1] = in_room(columns[-1], width - total_width([*columns[:-1], replace(columns[-1], cells=())]))
    if table.num_rows == 0 or look == "wide":
        return "".join(lines_of(columns)) + ("" if table.num_rows else "(no rows)\n")
    if look != "blocks":
        for length in LENGTHS:
            for form in (Column.cut, lambda column, length: column.cut(length).folded()):
                fitting = [form(column, length) for column in columns]
                if total_width(fitting) <= width:
                    return "".join(lines_of(fitting))
        if look == "chosen" and table.num_rows > FEW_RECORDS:
            kept = chosen([column.cut(min(NARROW, width)).folded() for column in columns], width)
            said = f"({len(kept)} of {len(columns)} columns; all of them: --wide, or -x for a record a block)"
            return "".join((*lines_of(kept), *(f"{line}\n" for line in in_lines(said, width))))
    return "".join(blocks_of(list(columns_of(table, short=False)), width))


def columns_of(table: pa.Table, *, short: bool) -> Iterator[Column]:
    from pyarrow import types

    rows = list(row_values(table))
    for place, (name, field) in enumerate(zip(table.column_names, table.schema, strict=True)):
        values = [row[place] for row in rows]
        texts = tuple(map(cell, values))
        if short and name in METHOD_COLUMNS | {"scoring"}:
            texts = short_methods(texts)
        if short:
            texts = tuple(DIGEST.sub(lambda found: found[0][:12], text) for text in texts)
        is_number = types.is_integer(field.type) or types.is_floating(field.type) or types.is_decimal(field.type)
        yield Column(name, (printable(name),), texts, bool(is_number))


def short_methods(texts: Sequence[str]) -> tuple[str, ...]:
    """Ids of methods as people write them; one that stands behind a bank (`bank/method`) too."""
    from curator.methods.spec import short_forms

    pairs = [text.rpartition("/") for text in texts]
    known = short_forms({method for *_, method in pairs})
    return tuple(f"{bank}{slash}{known[method]}" for bank, slash, method in pairs)


def chosen(columns: Sequence[Column], width: int) -> list[Column]:
    """As many columns as fit, in their order; the first of them in any case, and minor ones only if there is room."""
    minor = [place for place, column in enumerate(columns) if MINOR.fullmatch(column.name)]
    major = [place for place in range(len(columns)) if place not in minor] or [minor.pop(0)]
    kept: set[int] = set()
    for places in (major, minor):
        for place in places:
            if not kept or total_width([columns[other] for other in sorted({*kept, place})]) <= width:
                kept.add(place)
        if not kept >= set(places):
            break
    return [columns[place] for place in sorted(kept)]


def in_room(column: Column, more: int) -> Column:
    """Prose in lines of what the other columns leave. more: columns of the terminal beside its heading."""
    room = max(PROSE_WIDTH, cells_wide(column.name) + more)
    return replace(column, cells=tuple("\n".join(in_lines(text, room)) for text in column.cells))


def total_width(columns: Sequence[Column]) -> int:
    return sum(column.width for column in columns) + len(GAP) * (len(columns) - 1)


def lines_of(columns: Sequence[Column]) -> Iterator[str]:
    """Heading, a rule, and a line a record."""
    widths = [column.width for column in columns]
    height = max((len(column.heading) for column in columns), default=0)
    headings = [("",) * (height - len(column.heading)) + column.heading for column in columns]
    rule = tuple("─" * width for width in widths)
    for line in (*zip(*headings, strict=True), rule, *zip(*(column.cells for column in columns), strict=True)):
        for part in zip_longest(*(text.split("\n") for text in line), fillvalue=""):
            cells = (
                padded(text, width, right=column.is_number)
                for text, width, column in zip(part, widths, columns, strict=True)
            )
            yield GAP.join(cells).rstrip() + "\n"


def blocks_of(columns: Sequence[Column], width: int) -> Iterator[str]:
    """A line a value, long ones on several, and a rule with its number before each record."""
    names = max(cells_wide(column.heading[0]) for column in columns)
    for number, record in enumerate(zip(*(column.cells for column in columns), strict=True), start=1):
        yield f"─── {number} ".ljust(min(width, 40), "─") + "\n"
        for column, text in zip(columns, record, strict=True):
            for name, line in zip_longest(
                [column.heading[0]], in_lines(text, max(20, width - names - 2)), fillvalue=""
            ):
                yield f"{padded(name, names)}  {line}".rstrip() + "\n"


def in_lines(text: str, width: int) -> list[str]:
    """Text in lines of at most so many columns; words stay whole unless one is longer than a line."""
    import textwrap

    return textwrap.wrap(text, width, break_on_hyphens=False) or [""]


def in_the_middle(text: str, length: int) -> str:
    """`/data/…/cat/17.jpg`: the end of an address tells more than its beginning."""
    head = length // 3
    return text if len(text) <= length else f"{text[: head - 1]}…{text[-(length - head) :]}"


def at_the_end(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"


def cells_wide(text: str) -> int:
    """How many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(sign) else 1 + (unicodedata.east_asian_width(sign) in "WF") for sign in text)


def padded(text: str, width: int, *, right: bool = False) -> str:
    space = " " * (width - cells_wide(text))
    return space + text if right else text + space

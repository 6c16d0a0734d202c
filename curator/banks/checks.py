"""What the keys of a bank spec may hold, beyond plain kinds and ranges: labels, templates, names out of a list."""

from __future__ import annotations

from functools import partial
from typing import Annotated, TypeAlias

from curator.banks.labels import checked_labels
from curator.banks.prompts import Template, resolve_template
from curator.printable import text_fault
from curator.ranges import Parsed, Range

PLAIN_TEXT = "a text without control characters"
SOME_TEXTS = "a list of texts"


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.strip() or text_fault(value, lines=True):
        raise ValueError(PLAIN_TEXT)
    return value


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError(SOME_TEXTS)
    return tuple(checked_labels(((f"item {place}", item.strip()) for place, item in enumerate(value, 1)), "the list"))


def _labels(value: object) -> str | tuple[str, ...]:
    return _texts(value) if isinstance(value, list) else _text(value)


def _template(value: object) -> Template:
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return resolve_template(value)
    return resolve_template(_text(value))


def _some_of(value: object, known: tuple[str, ...], *, at_least: int) -> tuple[str, ...]:
    names = set(map(str, value)) if isinstance(value, list) else set()
    if not isinstance(value, list) or not at_least <= len(value) == len(names) or not names <= set(known):
        raise ValueError
    return tuple(value)


def some_of(*known: str, at_least: int = 0) -> Parsed:
    """Distinct names out of a list."""
    least = f" with at least {'one' if at_least == 1 else at_least}" if at_least else " of distinct names out"
    return Parsed(partial(_some_of, known=known, at_least=at_least), f"a list{least} of {', '.join(known)}")


Text: TypeAlias = Annotated[str, Parsed(_text, PLAIN_TEXT)]
Texts: TypeAlias = Annotated[tuple[str, ...], Parsed(_texts, SOME_TEXTS)]  # labels, each once; one at least
# The same, or an empty list.
TextsOrNone: TypeAlias = Annotated[
    tuple[str, ...], Parsed(lambda value: () if value == [] else _texts(value), SOME_TEXTS)
]
Labels: TypeAlias = Annotated[str | tuple[str, ...], Parsed(_labels, "the path of a file, or a list of texts")]
TemplateText: TypeAlias = Annotated[Template, Parsed(_template, "a template, or a list of them")]
Share: TypeAlias = Annotated[float, Range(0, 1, above=True)]

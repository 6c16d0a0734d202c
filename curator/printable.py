"""Text from elsewhere on its way to a terminal or a log: names, labels and model output must not steer either.

Escape sequences can recolour, overwrite and retitle a terminal, and type into some; marks of direction make a name look
like another one. So whatever is not printable is written as the escape that Python or JSON has for it.
"""

from __future__ import annotations

import json
from collections.abc import Callable


def printable(text: str) -> str:
    """`text` on one line, with all that is not printable as escapes."""
    return _escaped(text, lambda character: repr(character)[1:-1])


def printable_lines(text: str) -> str:
    """As `printable`, line by line."""
    return "\n".join(map(printable, text.split("\n")))


def printable_json(text: str) -> str:
    """The same for the text of a JSON document, which stays the same document."""
    return "\n".join(_escaped(line, lambda character: json.dumps(character)[1:-1]) for line in text.split("\n"))


def _escaped(text: str, escape: Callable[[str], str]) -> str:
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else escape(character) for character in text)

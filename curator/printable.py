"""Text from elsewhere: what may come in, and how it goes out to a terminal or a log, which it must not steer.

Escape sequences can recolour, overwrite and retitle a terminal, and type into some; marks of direction make a name look
like another one. So whatever is not printable is written as the escape that Python or JSON has for it. What people
write is refused at the door instead, where they can still mend it; names of the lake are what they are, so they come in
with escapes.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

OF_LINES = "\t\n\r"  # the only control characters that a text of several lines may have
LONGEST = 1_000_000  # characters, where no field says less
LONGEST_FAULT = 300  # characters of a foreign error
SHOWN = 20  # characters on either side of a fault
SECRET_PARAMETER = re.compile(
    r"([?&;](?:x-amz-(?:signature|security-token|credential)|x-goog-(?:signature|credential)|awsaccesskeyid|signature|"
    r"sig|password|secret|token|access_token|api[_-]?key)=)[^&;\s'\"<>]*",
    re.IGNORECASE,
)
USER = re.compile(r"(?<=://)[^/?#@\s'\"<>]+@")


def text_fault(text: str, *, longest: int = LONGEST, lines: bool = False) -> str | None:
    """What keeps a text out, as the rest of a sentence that begins with its name; None where it may come in.

    lines: it may have several, and marks of direction, which right-to-left scripts need. Half a surrogate pair, as JSON
    can spell it and Python stands for a byte that is no UTF-8, fits into no file and no ledger.
    """
    if len(text) > longest:
        return f"has {len(text)} characters, more than {longest}"
    place = next((place for place, sign in enumerate(text) if not _may_come_in(sign, lines=lines)), None)
    if place is None:
        return None
    near = printable(text[max(place - SHOWN, 0) : place + SHOWN])
    if _is_surrogate(text[place]):
        return f"is no UTF-8 text: '{near}'"
    return f"holds the control character {printable(text[place])}: '{near}'"


def _may_come_in(sign: str, *, lines: bool) -> bool:
    is_control = sign < " " or "\x7f" <= sign <= "\x9f"  # the category Cc
    return sign.isprintable() or (lines and not _is_surrogate(sign) and (not is_control or sign in OF_LINES))


def _is_surrogate(sign: str) -> bool:
    return "\ud800" <= sign <= "\udfff"


def readable(name: str) -> str:
    """`name` as text that UTF-8 can encode: what it cannot becomes backslash escapes, such as `\\xff`."""
    if name.isascii():
        return name
    try:
        name.encode()
    except UnicodeEncodeError:
        escaped = name.encode("utf-8", "surrogateescape" if _only_escaped_bytes(name) else "backslashreplace")
        return escaped.decode("utf-8", "backslashreplace")
    return name


def readable_json(value: Any) -> str:
    """A value as JSON of such text: paths of a command line may be of any bytes."""
    text = json.dumps(value, sort_keys=True, default=str, ensure_ascii=False)
    return "".join(json.dumps(readable(sign))[1:-1] if _is_surrogate(sign) else sign for sign in text)


def _only_escaped_bytes(name: str) -> bool:
    """Whether all surrogates stand for bytes that were not UTF-8 (PEP 383), as in the names of local files."""
    return all("\udc80" <= sign <= "\udcff" for sign in name if _is_surrogate(sign))


def one_line(text: str, *, longest: int | None = None) -> str:
    """`text` on one line, a space for whatever is not printable, cut at `longest` characters: quoted, never obeyed."""
    line = " ".join("".join(character if character.isprintable() else " " for character in text).split())
    return line if longest is None or len(line) <= longest else f"{line[: longest - 1]}…"


def said_by(fault: BaseException, *, whole: bool = False) -> str:
    """What a foreign error says, as UTF-8 text of at most 300 characters without secrets; its type if it says nothing.

    By default what the system says of an OSError, without its file, or the first line; whole: all of it, on one line.
    """
    text = one_line(str(fault)) if whole else str(getattr(fault, "strerror", None) or fault).strip()
    return readable(without_secrets((text or type(fault).__name__).splitlines()[0]))[:LONGEST_FAULT]


def without_secrets(text: str) -> str:
    """A message of someone else's without the credentials of the URLs in it: a client may have been sent on to a
    signed URL, or to an endpoint that was given with a password."""
    return SECRET_PARAMETER.sub(r"\1…", USER.sub("…@", text))


def printable(text: str) -> str:
    """`text` on one line, with all that is not printable as escapes."""
    return _escaped(text, lambda character: repr(character)[1:-1])


def printable_lines(text: str) -> str:
    """As `printable`, line by line."""
    return "\n".join(map(printable, text.split("\n")))


def printable_json(text: str) -> str:
    """The same for the text of a JSON document, which stays the same document."""
    return "\n".join(_escaped(line, lambda character: json.dumps(character)[1:-1]) for line in text.split("\n"))


def finite(value: Any) -> Any:
    """A value with None for NaN and the infinities, which JSON does not have."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {name: finite(item) for name, item in value.items()}
    return [finite(item) for item in value] if isinstance(value, list | tuple) else value


def _escaped(text: str, escape: Callable[[str], str]) -> str:
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else escape(character) for character in text)

"""ID labels as a user writes them: one a line in a text file, or a list in a bank spec; checked, never repaired.

A repeated label is an error rather than kept once: it would count twice in every sum of the score, and the user's own
numbering of classes would silently shift. Published lists have some, and are to count as they are published.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from curator.banks.wordnet.lexicon import word_key
from curator.errors import ConfigError
from curator.printable import text_fault

LONGEST_LABEL = 200  # characters; text encoders read about 77 tokens


def read_labels(path: Path, *, repeats: bool = False) -> list[str]:
    """The labels of a UTF-8 text file in its order, outer spaces removed. repeats: one may stand there twice.

    Blank lines and lines that begin with `#` are skipped; a byte order mark and Windows line ends are accepted.
    Raises ConfigError, naming the line, for what is no label, for a repeated one, and when there is none.
    """
    text = decode(path)
    split = enumerate(re.split("\r\n|\r|\n", text), start=1)  # not at what Python also takes for the end of a line
    lines = ((f"{path}: line {number}", line.strip(" \t")) for number, line in split)
    placed = ((where, line) for where, line in lines if line and not line.startswith("#"))
    return checked_labels(placed, str(path), repeats=repeats)


def decode(path: Path) -> str:
    """The text of a UTF-8 file without its byte order mark. Raises ConfigError."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot read the labels {path}: {error.strerror}", hint="one label a line, UTF-8") from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}: line {line} is not UTF-8 text", hint="save the file as UTF-8") from error


def checked_labels(placed: Iterable[tuple[str, str]], source: str, *, repeats: bool = False) -> list[str]:
    """placed: (where it stands, label). The labels, if all are sound and, but with `repeats`, distinct, and there is at
    least one."""
    seen: dict[str, str] = {}
    labels = []
    for where, label in placed:
        if (fault := label_fault(label)) is not None:
            raise ConfigError(f"{where} {fault}", hint="a label is a name such as: sea horse")
        if (first := seen.setdefault(word_key(label), where)) != where and not repeats:
            raise ConfigError(f"{where} repeats {label!r} of {first}", hint="remove one of the two")
        labels.append(label)
    if not labels:
        raise ConfigError(f"{source} holds no labels", hint="write the names of what belongs, one a line")
    return labels


def label_fault(label: str) -> str | None:
    """What is wrong with a label, as the rest of a sentence; None if nothing is."""
    if (fault := text_fault(label, longest=LONGEST_LABEL)) is not None:
        return fault
    if not any(character.isalnum() for character in label):
        return f"has no letter or digit: {label!r}"
    return None

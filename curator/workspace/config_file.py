"""Writes options into `curator.toml`, and leaves every other byte of it as it is."""

from __future__ import annotations

import json
import os
import re
import stat
import tomllib
from collections.abc import Mapping
from pathlib import Path

from curator.durable import durable
from curator.errors import ConfigError
from curator.printable import said_by

HEADER = re.compile(r"\s*\[\s*([\w-]+)\s*\]\s*(#.*)?")


def write_options(path: Path, section: str, options: Mapping[str, str]) -> None:
    """Set options of a section; a file that says so already is not touched.

    Raises ConfigError where it cannot be written, or not without rewriting what the user wrote.
    """
    wanted = ", ".join(f"{key} = {_quoted(value)}" for key, value in options.items())
    hint = f"write there, under [{section}]: {wanted}"
    try:
        before = path.read_bytes().decode("utf-8")
        after = with_options(before, section, options)
        if after == before:
            return
        if not os.access(path, os.W_OK):
            raise PermissionError("it is read-only")
        target = path.resolve()  # a link stays one
        with durable(target) as temporary:
            temporary.write_bytes(after.encode())
            temporary.chmod(stat.S_IMODE(target.stat().st_mode))
    except (OSError, ValueError) as fault:
        raise ConfigError(f"{path}: cannot be changed: {said_by(fault)}", hint=hint) from fault


def with_options(text: str, section: str, options: Mapping[str, str]) -> str:
    """The text of a TOML file with these options of a section, and all else as it was.

    Raises ValueError where that cannot be done line by line.
    """
    document = tomllib.loads(text)
    known = document.get(section, {})
    new = {key: value for key, value in options.items() if known.get(key) != value}
    if not new:
        return text
    lines = text.splitlines(keepends=True)
    first = _place_of(lines, section)
    if first is None:
        lines += ["\n" if lines and not lines[-1].endswith("\n") else "", f"\n[{section}]\n"]
        first = len(lines)
    for key in reversed(new):
        line = f"{key} = {_quoted(new[key])}"
        place = next((n for n in range(first, _end_of(lines, first)) if _key_of(lines[n]) == key), None)
        if place is None:
            lines.insert(first, f"{line}\n")
        else:
            lines[place] = _with_value(lines[place], line)
    changed = "".join(lines)
    if tomllib.loads(changed) != {**document, section: {**known, **options}}:
        raise ValueError("its options do not stand one a line")
    return changed


def _place_of(lines: list[str], section: str) -> int | None:
    """Where the options of a section begin."""
    headers = (n + 1 for n, line in enumerate(lines) if (m := HEADER.fullmatch(line.rstrip())) and m[1] == section)
    return next(headers, None)


def _end_of(lines: list[str], first: int) -> int:
    """Where the next section begins."""
    return next((n for n in range(first, len(lines)) if lines[n].lstrip().startswith("[")), len(lines))


def _key_of(line: str) -> str | None:
    name, equals, _ = line.partition("=")
    return name.strip() if equals else None


def _with_value(line: str, option: str) -> str:
    """A line with the option, and its comment and the end of the line as they were."""
    end = line[len(line.rstrip("\r\n")) :]
    found = re.fullmatch(r"""\s*[\w-]+\s*=\s*(?:"[^"\\]*"|'[^']*')(\s*#.*)?""", line.rstrip())
    return f"{option}{(found and found[1]) or ''}{end}"


def _quoted(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)

"""What every page is made of: one look, one policy, and the escaping of all that is text.

A page is one file without network. Everything that comes from labels, lakes or models is text and is escaped; nothing
of it becomes markup. Were that ever to fail, the page's own policy still forbids all requests, and every style and
script but those that the page itself was written with.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, TypeAlias

from curator.resources import read_folder

Row: TypeAlias = Mapping[str, Any]  # of a query or of JSON, which know no types of their values
NONE = "–"  # in place of a number that there is none of
PERCENT = re.compile(r"[\d.,]+\s?%")
KINDS = {b"\x89PNG": "image/png", b"RIFF": "image/webp"}


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A small picture, or the reason why there is none."""

    data: bytes | None
    reason: str | None = None


def source_hash(text: str) -> str:
    """The hash by which a page's policy allows one inline style or script."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def content_policy(style: str, script: str | None = None) -> str:
    """The policy of a page: images that are inside it, this style, this script, and nothing else."""
    scripts = "" if script is None else f" script-src {source_hash(script)};"
    allowed = f"img-src data:; style-src {source_hash(style)};{scripts}"
    return f"default-src 'none'; {allowed} base-uri 'none'; form-action 'none'"


def document(title: str, body: Iterable[str], *, own: str = "") -> str:
    """The whole page. body: markup. own: the name of its own style and script, beside `page.css`, the style of all.

    The script runs once the page is there.
    """
    styles, scripts = (read_folder("curator.report", suffix=suffix) for suffix in (".css", ".js"))
    style, script = styles["page"] + styles.get(own, ""), scripts.get(own)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{content_policy(style, script)}">'
        f"<title>{escape(title)}</title>"
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{style}</style></head>\n'
        f"<body><main>{''.join(body)}</main>{'' if script is None else f'<script>{script}</script>'}</body></html>\n"
    )


def facts(values: Mapping[str, object]) -> str:
    """Names and values as a table of two columns; what is empty is left out."""
    rows = ((name, value) for name, value in values.items() if value not in (None, "", {}, []))
    return f'<table class="facts"><tbody>{"".join(_fact(name, value) for name, value in rows)}</tbody></table>'


def _fact(name: str, value: object) -> str:
    shown = name if "." in name else name.replace("_", " ")  # one with a dot is a setting, as it is written
    return f'<tr><th scope="row">{escape(shown)}</th><td>{escape(brief(value))}</td></tr>'


def brief(value: object) -> str:
    """A value for a person's eye; not escaped yet."""
    if isinstance(value, list | tuple):
        more = f" … and {len(value) - 20} more" if len(value) > 20 else ""
        return ", ".join(map(str, value[:20])) + more
    return f"{value:.4g}" if isinstance(value, float) else _text(value)


def _text(value: object) -> str:
    return {None: "", True: "yes", False: "no"}[value] if value is None or isinstance(value, bool) else str(value)


def table(columns: Iterable[str], rows: Sequence[Mapping[str, object]]) -> str:
    """Rows under the names of their columns, with spaces for underscores."""
    kinds = {name: _kind([row.get(name) for row in rows]) for name in columns}
    head = "".join(f'<th scope="col"{kind}>{escape(name.replace("_", " "))}</th>' for name, kind in kinds.items())
    cells = ("".join(_cell(row.get(name), kind) for name, kind in kinds.items()) for row in rows)
    body = "".join(f"<tr>{row}</tr>" for row in cells)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _kind(values: Sequence[object]) -> str:
    """The attribute of a column: numbers stand below each other, with their heading."""
    given = [value for value in values if value not in (None, "", NONE)]
    return ' class="number"' if given and all(map(_is_number, given)) else ""


def _is_number(value: object) -> bool:
    if isinstance(value, str):
        return PERCENT.fullmatch(value) is not None
    return isinstance(value, int | float) and not isinstance(value, bool)


def _cell(value: object, kind: str) -> str:
    text = f"{value:.3f}" if isinstance(value, float) else _text(value)
    return f"<td{kind}>{escape(text)}</td>"


def image(data: bytes, alt: str, *, when: str = 'loading="lazy"') -> str:
    """A picture inside the page, by its bytes. when: the attribute that says when it is decoded."""
    kind = KINDS.get(data[:4], "image/jpeg")
    return f'<img alt="{escape(alt)}" {when} src="data:{kind};base64,{base64.b64encode(data).decode()}">'


def shown(thumbnail: Thumbnail, alt: str) -> str:
    """A small picture, or in its place the reason why there is none."""
    if thumbnail.data is not None:
        return image(thumbnail.data, alt, when='decoding="async"')
    return f'<div class="none muted">no picture: {escape(thumbnail.reason or "not read")}</div>'

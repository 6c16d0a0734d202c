"""What every page is made of: templates in which all that is text is escaped, one look, one policy.

A page is one file without network. Everything that comes from labels, lakes or models is text and is escaped; nothing
of it becomes markup. Were that ever to fail, the page's own policy still forbids all requests, and every style and
script but those that the page itself was written with.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from markupsafe import Markup

from curator.report.words import NONE, Row, brief, cell, moment, origin_facts, p_value, percent, setting
from curator.resources import read_folder

if TYPE_CHECKING:
    from jinja2 import Environment

PERCENT = re.compile(r"[\d.,]+\s?%")
KINDS = {b"\x89PNG": "image/png", b"RIFF": "image/webp"}


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A small picture, or the reason why there is none."""

    data: bytes | None
    reason: str | None = None


@cache
def templates(package: str = "curator.report") -> Environment:
    """The templates of a package. What they are given is escaped unless it is Markup, which text from elsewhere
    never is; a name that they are not given is an error."""
    from jinja2 import DictLoader, Environment, StrictUndefined

    made = Environment(
        loader=DictLoader(read_folder(package, suffix=".html")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.policies["json.dumps_kwargs"] = {"allow_nan": False}
    generic = (brief, cell, data_url, filled, moment, numeric, origin_facts, p_value, percent, setting, thousands)
    made.filters |= {one.__name__: one for one in generic}
    return made


def render(name: str, **values: object) -> str:
    """The page of a template, with `page.css`, the style of all pages, and the style and script of its own name. The
    script runs once the page is there."""
    styles, scripts = (read_folder("curator.report", suffix=suffix) for suffix in (".css", ".js"))
    style, script = styles["page"] + styles.get(name, ""), scripts.get(name)
    ours = {"style": style, "script": script, "policy": content_policy(style, script)}
    return templates().get_template(name).render(values, **{key: text and Markup(text) for key, text in ours.items()})


def source_hash(text: str) -> str:
    """The hash by which a page's policy allows one inline style or script."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def content_policy(style: str, script: str | None = None) -> str:
    """The policy of a page: images that are inside it, this style, this script, and nothing else."""
    scripts = "" if script is None else f" script-src {source_hash(script)};"
    allowed = f"img-src data:; style-src {source_hash(style)};{scripts}"
    return f"default-src 'none'; {allowed} base-uri 'none'; form-action 'none'"


# The filters of the templates.


def data_url(data: bytes) -> str:
    """A picture as an address, by its bytes."""
    return f"data:{KINDS.get(data[:4], 'image/jpeg')};base64,{base64.b64encode(data).decode()}"


def filled(rows: Sequence[Row], columns: Iterable[str]) -> list[str]:
    """Those of the columns that have something in them."""
    return [name for name in columns if any(row.get(name) not in (None, "") for row in rows)]


def numeric(rows: Sequence[Row], columns: Iterable[str]) -> dict[str, bool]:
    """Which columns have numbers only: they stand below each other, with their heading."""
    given = {name: [value for row in rows if (value := row.get(name)) not in (None, "", NONE)] for name in columns}
    return {name: bool(values) and all(map(_is_number, values)) for name, values in given.items()}


def _is_number(value: object) -> bool:
    if isinstance(value, str):
        return PERCENT.fullmatch(value) is not None
    return isinstance(value, int | float) and not isinstance(value, bool)


def thousands(number: int) -> str:
    return f"{number:,}"

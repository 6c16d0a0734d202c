"""The page of a bank version: its facts, how it was made, its labels by source, and the pictures made for it.

One file without network: pictures are inside, as data. Everything that comes from labels, lakes or models is text and
is escaped; nothing of it becomes markup. Were that ever to fail, the page's own policy still forbids every script, all
requests, and every style but the one below.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8881; --accent: #2563eb; }
@media (prefers-color-scheme: dark) { :root { --accent: #93b4ff; } }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 72rem; padding: 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2.2rem; border-bottom: 1px solid var(--line); }
table { border-collapse: collapse; width: 100%; font-size: 0.92rem; }
th, td { text-align: left; padding: 0.3rem 0.6rem; border-bottom: 1px solid var(--line); vertical-align: top; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
.wide { overflow-x: auto; } .muted { opacity: 0.75; }
.gallery { display: grid; grid-template-columns: repeat(auto-fill, minmax(11rem, 1fr)); gap: 1rem; padding: 0; }
figure { margin: 0; border: 1px solid var(--line); border-radius: 8px; overflow: hidden; }
figure img { width: 100%; display: block; } figcaption { padding: 0.5rem; font-size: 0.85rem; }
.none { background: var(--soft); display: grid; place-items: center; aspect-ratio: 1; padding: 1rem; }
details > summary { cursor: pointer; color: var(--accent); }
th, td, p, summary, figcaption { unicode-bidi: isolate; }  /* no text turns its neighbours around */
"""
STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
POLICY = f"default-src 'none'; img-src data:; style-src 'sha256-{STYLE_HASH}'; base-uri 'none'; form-action 'none'"
MOST_LABELS = 2000  # of each source; the rest is in SQL
MOST_PICTURES = 200
LABEL_COLUMNS = ("label", "concerns", "nearest_id", "nearest_id_cosine", "model", "prompt")


@dataclass(frozen=True, slots=True)
class PagePicture:
    """What was painted: `data` of an image, or None where a vector stands in its place; provenance as text."""

    label: str
    data: bytes | None
    provenance: Mapping[str, Any]


def bank_page(
    facts: Mapping[str, Any],
    labels: Sequence[Mapping[str, Any]],
    pictures: Sequence[PagePicture],
    doubtful: Sequence[Mapping[str, Any]] = (),
    details: Mapping[str, Any] | None = None,
) -> str:
    """The whole page. facts: name, version and what else matters; details: all the rest, folded away at the end.

    labels: rows with role, source and evidence. doubtful: rows of an audit.
    """
    title = f"Bank {facts['name']} v{facts['version']}"
    negatives = [label for label in labels if label["role"] == "negative"]
    ids = [label["text"] for label in labels if label["role"] == "id"]
    sources = dict.fromkeys(label["source"] for label in negatives)
    parts = [
        f"<h1>{escape(title)}</h1>",
        _facts(facts),
        _pictures(pictures),
        f"<h2>Negative labels ({len(negatives)})</h2>",
        *(_labels(source, [label for label in negatives if label["source"] == source]) for source in sources),
        _doubtful(doubtful),
        f"<h2>ID labels ({len(ids)})</h2><p>{escape(', '.join(ids))}</p>",
        f"<h2>Settings and account</h2><details><summary>show</summary>{_facts(details or {})}</details>",
    ]
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style></head>\n'
        f"<body><main>{''.join(parts)}</main></body></html>\n"
    )


def _facts(facts: Mapping[str, Any]) -> str:
    rows = ((name, value) for name, value in facts.items() if value not in (None, "", {}, []))
    return (
        f'<div class="wide"><table><tbody>{"".join(_fact(name, value) for name, value in rows)}</tbody></table></div>'
    )


def _fact(name: str, value: Any) -> str:
    shown = value if isinstance(value, str) else _brief(value)
    return f'<tr><th scope="row">{escape(name)}</th><td>{escape(shown)}</td></tr>'


def _brief(value: Any) -> str:
    if isinstance(value, list | tuple):
        more = f" … and {len(value) - 20} more" if len(value) > 20 else ""
        return ", ".join(map(str, value[:20])) + more
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _pictures(pictures: Sequence[PagePicture]) -> str:
    if not pictures:
        return ""
    shown = "".join(map(_figure, pictures[:MOST_PICTURES]))
    left = f'<p class="muted">and {len(pictures) - MOST_PICTURES} more, in generated/ of the workspace</p>'
    more = left if len(pictures) > MOST_PICTURES else ""
    return f'<h2>Made for it ({len(pictures)})</h2><div class="gallery">{shown}</div>{more}'


def _figure(picture: PagePicture) -> str:
    label = escape(picture.label)
    if picture.data is None:
        shown = '<div class="none muted">a vector, not a picture</div>'
    else:
        encoded = base64.b64encode(picture.data).decode()
        shown = f'<img alt="{label}" loading="lazy" src="data:{_kind(picture.data)};base64,{encoded}">'
    provenance = "".join(f"<br>{escape(name)}: {escape(_brief(value))}" for name, value in picture.provenance.items())
    caption = f'<strong>{label}</strong><span class="muted">{provenance}</span>'
    return f"<figure>{shown}<figcaption>{caption}</figcaption></figure>"


def _kind(data: bytes) -> str:
    return "image/png" if data.startswith(b"\x89PNG") else "image/jpeg"


def _labels(source: str, labels: Sequence[Mapping[str, Any]]) -> str:
    rows = [{**label, "label": label["text"]} for label in labels[:MOST_LABELS]]
    columns = [name for name in LABEL_COLUMNS if any(row.get(name) is not None for row in rows)]
    left = f'<p class="muted">and {len(labels) - MOST_LABELS} more, see report.generated_labels</p>'
    more = left if len(labels) > MOST_LABELS else ""
    opened = " open" if len(labels) <= 200 else ""
    heading = f"<summary>{escape(source)} ({len(labels)})</summary>"
    return f"<details{opened}>{heading}{_table(columns, rows)}{more}</details>"


def _doubtful(rows: Sequence[Mapping[str, Any]]) -> str:
    if not rows:
        return ""
    columns = ("label", "reason", "concerns", "cosine", "source")
    return f"<h2>Labels in doubt ({len(rows)})</h2>{_table(columns, rows)}"


def _table(columns: Iterable[str], rows: Sequence[Mapping[str, Any]]) -> str:
    names = list(columns)
    head = "".join(f'<th scope="col">{escape(name.replace("_", " "))}</th>' for name in names)
    body = "".join(f"<tr>{''.join(_cell(row.get(name)) for name in names)}</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f'<td class="number">{value:.3f}</td>'
    return f"<td>{escape('' if value is None else str(value))}</td>"

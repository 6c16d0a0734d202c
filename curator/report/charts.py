"""Charts as SVG that belongs to its page: drawn by matplotlib, coloured by the page, readable by a screen reader.

matplotlib, because a static picture of a few kilobytes is all that is wanted: plotly, Bokeh and Vega bring one to four
megabytes of script into every file, and Vega wants to evaluate code, which the page's policy forbids. Its SVG has fixed
colours and inline styles; both are turned here into attributes that name the variables of the page's style, so that a
chart follows light and dark and passes the policy. Each has a title and a description in words.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import numpy as np
from markupsafe import Markup

from curator.report.words import Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SVG = "http://www.w3.org/2000/svg"
LINK = "{http://www.w3.org/1999/xlink}href"
# What charts are drawn in, and the variable of the page that it becomes.
INK, LINE, TONIGHT, REFERENCE, BASELINE, CUT = (f"#0{number}0{number}0{number}" for number in range(1, 7))
VARIABLES = {
    INK: "currentColor",
    LINE: "var(--line)",
    TONIGHT: "var(--tonight)",
    REFERENCE: "var(--reference)",
    BASELINE: "var(--baseline)",
    CUT: "var(--cut)",
}


@dataclass(frozen=True, slots=True)
class Palette:
    """The colours of a chart: of the night that it is about, of what it is compared with, and of the cut."""

    tonight: str = TONIGHT
    reference: str = REFERENCE
    baseline: str = BASELINE
    cut: str = CUT


PAGE = Palette()
SETTINGS: Any = {  # matplotlib types each name
    "svg.fonttype": "none",  # text stays text: it is read aloud, found, and in the page's own font
    "svg.hashsalt": "curator",
    "font.size": 9,
    "text.color": INK,
    "axes.edgecolor": LINE,
    "axes.labelcolor": INK,
    "axes.grid": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": LINE,
    "grid.linewidth": 0.5,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
}
MOST_NAMES = 5  # of nights along the axis, the last among them
STYLES = {"tonight": "solid", "reference": "dashed", "baseline": "dashdot"}


def rate_chart(nights: Sequence[Row], description: str) -> Markup:
    """Flag rates with their intervals, the last night emphasised. nights: name, flag_rate, low, high."""
    return _chart("rates", "Flag rate of the nights", description, lambda axes: draw_rates(axes, nights, PAGE))


def draw_rates(axes: Axes, nights: Sequence[Row], palette: Palette) -> None:
    places = np.arange(len(nights))
    rates, low, high = (np.array([night[key] for night in nights], float) for key in ("flag_rate", "low", "high"))
    for chosen, colour, size in ((places[:-1], palette.baseline, 5), (places[-1:], palette.tonight, 8)):
        axes.errorbar(
            places[chosen],
            100 * rates[chosen],
            yerr=100 * np.maximum(np.stack([rates - low, high - rates])[:, chosen], 0),
            fmt="o",
            color=colour,
            markersize=size,
            capsize=3,
        )
    shown = places[:: -math.ceil(len(places) / MOST_NAMES)][::-1]
    axes.set_xticks(shown, [str(nights[place]["name"]).replace(" ", "\n") for place in shown])
    axes.set_xlim(-0.5, len(nights) - 0.5)
    axes.set_ylim(bottom=0)
    axes.set_ylabel("flagged, %")


def score_chart(
    edges: Sequence[float], shares: Mapping[str, Sequence[float]], cut: float | None, description: str
) -> Markup:
    """Distributions of log-odds by side: the share of images in each bin between the edges."""
    title = "Distribution of the scores"
    return _chart("scores", title, description, lambda axes: draw_scores(axes, edges, shares, cut, PAGE))


def draw_scores(
    axes: Axes, edges: Sequence[float], shares: Mapping[str, Sequence[float]], cut: float | None, palette: Palette
) -> None:
    for side, values in shares.items():
        style = {"color": getattr(palette, side), "linestyle": STYLES[side], "linewidth": 2}
        axes.stairs(100 * np.asarray(values), edges, label=side, **style)
    if cut is not None:
        axes.axvline(cut, color=palette.cut, linewidth=1.5, linestyle="dotted", label="flagged below")
    axes.set_xlabel("log-odds: the further right, the more ID")
    axes.set_ylabel("images, %")
    axes.legend()


def draw_auroc(axes: Axes, rows: Sequence[Row], palette: Palette) -> None:
    """AUROC with its interval, the first row on top. rows: of an evaluation; bank is None for a published figure."""
    for place, row in enumerate(reversed(rows)):
        value, low, high = (row[name] for name in ("auroc", "auroc_low", "auroc_high"))
        error = None if low is None else [[value - low], [high - value]]
        colour = palette.baseline if row["bank"] is None else palette.tonight
        axes.errorbar(value, place, xerr=error, fmt="o", color=colour, capsize=3)
    names = [f"{row['bank'] or 'published'} {row['method']}\n{row['ood']}" for row in reversed(rows)]
    axes.set_yticks(range(len(rows)), names)
    axes.axvline(0.5, color=palette.cut, linewidth=1, linestyle="dotted")
    axes.set_xlim(right=1)
    axes.set_xlabel("AUROC; 0.5 is chance")


def _chart(name: str, title: str, description: str, draw: Callable[[Axes], None]) -> Markup:
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with mpl.rc_context(SETTINGS):
        figure = Figure(figsize=(5.5, 2.6), layout="constrained", facecolor="none")
        FigureCanvasSVG(figure)
        axes = figure.subplots()
        axes.set_facecolor("none")
        draw(axes)
        return Markup(_at_home(_svg_of(figure), name, title, description))


def _svg_of(figure: Figure) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


def _at_home(svg: str, name: str, title: str, description: str) -> str:
    """matplotlib's SVG as a part of a page: no styles, no fixed colours, ids of its own, a title and a description."""
    ElementTree.register_namespace("", SVG)
    root = ElementTree.fromstring(svg)
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in (f"{{{SVG}}}metadata", f"{{{SVG}}}style"):
                parent.remove(child)
    for element in root.iter():
        _restyle(element, name)
    root.attrib = {
        "viewBox": root.get("viewBox", ""),
        "class": "chart",
        "role": "img",
        "aria-labelledby": f"{name}-title {name}-description",
    }
    for place, (tag, text) in enumerate((("title", title), ("desc", description))):
        element = ElementTree.Element(
            f"{{{SVG}}}{tag}", {"id": f"{name}-{'title' if tag == 'title' else 'description'}"}
        )
        element.text = text
        root.insert(place, element)
    return ElementTree.tostring(root, encoding="unicode", short_empty_elements=False)


def _restyle(element: ElementTree.Element, name: str) -> None:
    for part in element.attrib.pop("style", "").split(";"):
        key, _, value = (item.strip() for item in part.partition(":"))
        if key and not key.startswith("font"):
            element.set(key, VARIABLES.get(value, value))
    for key in ("fill", "stroke"):
        if key in element.attrib:
            element.set(key, VARIABLES.get(element.attrib[key], element.attrib[key]))
    if "id" in element.attrib:
        element.set("id", f"{name}-{element.attrib['id']}")
    if LINK in element.attrib:
        element.set("href", f"#{name}-{element.attrib.pop(LINK).removeprefix('#')}")
    if "clip-path" in element.attrib:
        element.set("clip-path", element.attrib["clip-path"].replace("url(#", f"url(#{name}-"))
    if element.tag == f"{{{SVG}}}text":
        element.set("fill", "currentColor")

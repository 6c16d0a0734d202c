"""The page of a night as a parser sees it: all is in it, text stays text, nothing is fetched, the policy is strict."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import pytest

from curator.report.charts import rate_chart
from curator.report.night_page import SECTIONS, night_page
from curator.report.pages import Thumbnail, templates
from curator.resources import read_folder
from tests.report.nights import data, item, points, reason, usual_page, view

PAYLOADS = [
    "<script>alert(1)</script>", "</script><script>alert(1)</script>", "</style><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>', "' onmouseover='alert(1)", '" autofocus onfocus="alert(1)',
    "<svg/onload=alert(1)>",
    "<a href=javascript:alert(1)>x</a>", "<!--<script>", "-->", "]]>", "&lt;script&gt;", "\u202e<gpj.tpircs>", "$x^2$",
    "\u2028<script>", "<title>x</title>", "</desc></svg><img src=x>",
]  # fmt: skip


class Reader(HTMLParser):
    """All tags with their attributes, and all texts."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        assert len({name for name, _ in attrs}) == len(attrs), "an attribute twice"
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.texts.append(data)

    def all_of(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def spoken(reader):
    """All texts, with one space between them."""
    return re.sub("[ \n]+", " ", " ".join(reader.texts))


def table(columns, rows):
    return templates().get_template("blocks").module.table(columns, rows)


def card(item, thumbnail):
    return templates().get_template("gallery").module.card(item, thumbnail)


def test_a_page_has_every_section_and_all_figures():
    page = usual_page()
    reader = Reader(page)
    assert [attributes["id"] for attributes in reader.all_of("section")] == list(SECTIONS)
    said = spoken(reader)
    for text in (
        "Night of 2026-11-26", "14 data read = 12 images + 1 duplicates + 1 rejects", "between 25.0\xa0% and 75.0\xa0%",
        "On the night before it was", "Kolmogorov", "0.004", "0.002", "large (rule of thumb", "3 images", "new",
        "4 like it before", "9.7 below the cut", "came as fog", "no picture: fog", "12 of 12 images of tonight",
        "a folder that was not entered counts as one",
    ):  # fmt: skip
        assert text in said, text
    assert len(reader.all_of("figure")) == 6 and len(reader.all_of("option")) == 3


def test_a_card_says_which_label_decides_what_it_weighs_and_how_it_was_made():
    cards = {
        "decides": item(0, reason=reason("fog", made=True)),
        "none": item(1, reason=reason("fog", decides=False, made=False)),
        "note": item(2, reason=reason("fog", decides=False, made=False, note="a stream gave this score")),
        "unknown": item(3, reason=None),
    }
    texts = {name: spoken(Reader(card(row, Thumbnail(None)))) for name, row in cards.items()}
    weight = "“ fog ” has 12.5% of the weight of all negative labels; it is from fog"
    assert "“ fog ” decides: without it the image would be kept" in texts["decides"] and weight in texts["decides"]
    for told in ("how “ fog ” was made", "made by : fog fog (fog)", "fog v3, seed 5", "fog, 2026-11-25 23:00 UTC"):
        assert told in texts["decides"], told
    assert "no single label decides" in texts["none"] and weight in texts["none"]
    assert "a stream gave this score" in texts["note"] and "decides" not in texts["note"]
    assert "was made" not in texts["none"] + texts["note"] + texts["unknown"]
    assert "weight" not in texts["unknown"] and "nearest ID label: “ cat ”" in texts["unknown"]
    assert all(text.index("fog id_score") < text.index("details") for text in texts.values())


def test_filters_find_the_label_that_decides():
    row = item(0, reason=reason("a grey slab")) | {"name": "pebble", "top_negative": "rain"}
    (figure,) = Reader(card(row, Thumbnail(None))).all_of("figure")
    assert figure["data-labels"].split("\n") == ["pebble", "cat", "rain", "a grey slab"]


def shape(reader):
    return [(tag, set(attributes)) for tag, attributes in reader.tags]


@pytest.mark.parametrize("payload", PAYLOADS)
def test_text_of_lakes_and_models_stays_text(payload, monkeypatch):
    for chart in ("rate_chart", "score_chart"):  # they take a second, and no text from outside
        monkeypatch.setattr(f"curator.report.night_page.{chart}", lambda *_: "")
    plain, reader = Reader(night_page(view(text="text"))), Reader(night_page(view(text=payload)))
    assert shape(reader) == shape(plain) and payload in reader.texts
    assert not any(name.startswith("on") or name == "style" for _, found in reader.tags for name in found)
    (map_data,) = [text for text in reader.texts if text.startswith('{"count"')]
    assert json.loads(map_data)["clusters"] == [payload, "rain"]


def test_the_whole_page_with_all_payloads_at_once():
    reader = Reader(night_page(view(text=" ".join(PAYLOADS))))
    assert shape(reader) == shape(Reader(night_page(view(text="text"))))


def test_the_policy_allows_the_pages_own_style_and_script_and_nothing_else():
    page = usual_page()
    (policy,) = [found["content"] for found in Reader(page).all_of("meta") if found.get("http-equiv")]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))

    def digest(pattern):
        text = re.search(pattern, page, re.DOTALL)[1]
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    assert rules == {
        "default-src": "'none'",
        "img-src": "data:",
        "style-src": digest("<style>(.*?)</style>"),
        "script-src": digest("<script>(.*?)</script>"),
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    assert page.index("http-equiv") < page.index("<title>")


def test_nothing_is_fetched_and_every_id_is_there_once_and_every_reference_leads_somewhere():
    page = usual_page()
    reader = Reader(page)
    ids = [found["id"] for _, found in reader.tags if "id" in found]
    assert len(ids) == len(set(ids))
    for _, found in reader.tags:
        assert str(found.get("src", "data:image/")).startswith("data:image/")
        for name in ("href", "aria-labelledby", "aria-describedby", "clip-path"):
            for target in re.sub(r"url\((.*)\)", r"\1", found.get(name) or "").split():
                assert target.removeprefix("#") in ids, target
    assert not re.search(r"(?<!/www\.w3\.org/)https?:", page.replace("http://www.w3.org/", ""))


def test_pictures_and_charts_speak_to_a_screen_reader():
    reader = Reader(usual_page())
    assert all(found.get("alt") for found in reader.all_of("img"))
    charts = reader.all_of("svg")
    assert len(charts) == 2 and all(found["role"] == "img" and found["aria-labelledby"] for found in charts)
    assert reader.all_of("html") == [{"lang": "en"}] and len(reader.all_of("h1")) == 1
    assert {found.get("role") for found in reader.all_of("p")} >= {"status", "alert"}


def test_charts_take_their_colours_from_the_page():
    chart = rate_chart(data()["nights"], "said")
    assert "style" not in chart and not re.search(r"#[0-9a-f]{6}", chart)
    assert "var(--tonight)" in chart and "currentColor" in chart and ">2026-11-26</text>" in chart


def test_scans_of_one_date_have_names_of_their_own_on_the_chart_and_in_the_table():
    nights = [{**night, "name": f"2026-11-26 {hour:02d}:00"} for hour in range(12) for night in data()["nights"][-1:]]
    chart = rate_chart(nights, "said")
    named = re.findall(r">(\d\d:\d\d)</text>", chart)
    assert named == ["02:00", "05:00", "08:00", "11:00"], "as many as have room, tonight among them"
    page = night_page(view(nights=nights))
    assert all(f"<td>{night['name']}</td>" in page for night in nights)


def test_numbers_stand_below_each_other_with_their_heading():
    rows = [{"label": "5 of them", "count": 3, "share": "12.5\xa0%"}, {"label": "7", "count": None, "share": "–"}]
    assert table(("label", "count", "share"), rows).count('class="number"') == 6
    assert '<th scope="col">label</th>' in table(("label",), rows)


def test_what_the_stages_leave_of_a_night_is_told():
    said = spoken(Reader(usual_page()))
    assert "all else: starting, loading models, publishing 0.500 20.0\xa0%" in said


def test_a_night_without_anything_is_a_page_too():
    nothing = {"edges": [], "shares": {}, "counts": {}}
    drift = dict.fromkeys(("psi", "psi_by_chance", "ks", "ks_p", "mmd", "mmd_p")) | {"baseline": None, "images": 0}
    empty = view(
        flags=0,
        scores=nothing,
        drift=drift,
        nights=[],
        rejects=[],
        passed_over=[],
        stages=[],
        shards=[],
        broken_limits=[],
    )
    bare = type(empty)(empty.data, points(0, flagged=0))
    said = spoken(Reader(night_page(bare)))
    for text in (
        "no baseline",
        "curator baseline pin",
        "No image that arrived",
        "There are no scores",
        "None.",
        "not timed",
    ):
        assert text in said, text


def test_json_in_a_script_cannot_end_it():
    text = templates().from_string("{{ content | tojson }}").render(content={"a": "</script><!--&\u2028"})
    assert not set("<>&\u2028") & set(text) and json.loads(text) == {"a": "</script><!--&\u2028"}


def test_no_template_turns_the_escaping_off():
    sources = read_folder("curator.report", suffix=".html")
    assert {"night", "bank", "explain"} <= sources.keys()
    for name, source in sources.items():
        assert not re.search(r"\bsafe\b|autoescape|\|\s*forceescape|Markup", source), name

"""The page of a bank, filled with payloads and read by a real HTML parser: text stays text, and nothing is fetched."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curator.report.bank_page import PagePicture, bank_page

PAYLOADS = [
    "<script>alert(1)</script>",
    "</style><script>alert(1)</script>",
    "</title></head><body onload=alert(1)>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    '" autofocus onfocus="alert(1)',
    "<svg/onload=alert(1)>",
    "<a href=javascript:alert(1)>x</a>",
    "<iframe src=data:text/html;base64,PHNjcmlwdD4=>",
    '<meta http-equiv="refresh" content="0;url=http://127.0.0.1/">',
    "<base href=//127.0.0.1/>",
    "<link rel=stylesheet href=http://127.0.0.1/x.css>",
    "<form action=http://127.0.0.1/><input name=a></form>",
    "<!--", "-->", "<![CDATA[", "]]>", "<?php", "&lt;script&gt;", "&#60;script&#62;", "&", "<", "\0<script>",
    "<scr\0ipt>", "\u202e<gpj.tpircs>", "<\u0130mg>", "\ud800<script>", "{{7*7}}", "${7*7}", "javascript:alert(1)",
    "@import 'http://127.0.0.1/x.css';", "expression(alert(1))", "\u2028<script>", "+ADw-script+AD4-",
]  # fmt: skip
TAGS = {
    "html", "head", "meta", "title", "style", "body", "main", "h1", "h2", "p", "div", "table", "thead", "tbody", "tr",
    "th", "td", "figure", "figcaption", "img", "strong", "span", "br", "details", "summary",
    "script",  # one, with a hash in the policy
}  # fmt: skip
ATTRIBUTES = {
    "id",
    "data-open",
    "lang",
    "charset",
    "name",
    "content",
    "http-equiv",
    "scope",
    "class",
    "alt",
    "loading",
    "src",
    "open",
}


class Reader(HTMLParser):
    """All tags, attributes and texts of a page, each character reference resolved as a browser does."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.comments = 0
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        assert len({name for name, _ in attrs}) == len(attrs), "an attribute twice"
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.texts.append(data)

    def handle_comment(self, data):
        self.comments += 1

    unknown_decl = handle_pi = handle_comment


def full_page(text: str) -> str:
    """A page with the text in every place that takes one."""
    label = {"text": text, "role": "negative", "source": text, "concerns": text, "nearest_id": text, "model": text}
    label |= {"prompt": text, "nearest_id_cosine": 0.5}
    facts = {"name": text, "version": 1, text: text, "list": [text], "table": {text: text}}
    doubt = {"label": text, "reason": text, "concerns": text, "cosine": 1.0, "source": text}
    pictures = [PagePicture(text, data, {text: text, "model": [text]}) for data in (b"\xff\xd8", None)]
    return bank_page(facts, [label, {**label, "role": "id"}], pictures, [doubt], {text: {text: text}})


def check(page: str) -> Reader:
    reader = Reader(page)
    assert {tag for tag, _ in reader.tags} <= TAGS
    assert {name for _, attributes in reader.tags for name in attributes} <= ATTRIBUTES
    assert reader.comments == 0
    for _, attributes in reader.tags:
        assert str(attributes.get("src", "data:image/")).startswith("data:image/")
    return reader


PLAIN = [(tag, set(attributes)) for tag, attributes in Reader(full_page("text")).tags]


@pytest.mark.parametrize("payload", PAYLOADS)
def test_a_payload_adds_no_tag_and_no_attribute_and_is_shown_as_it_is(payload):
    reader = check(full_page(payload))
    assert [(tag, set(attributes)) for tag, attributes in reader.tags] == PLAIN
    assert payload in reader.texts
    assert [attributes["alt"] for tag, attributes in reader.tags if tag == "img"] == [payload]


@given(st.text(alphabet=st.one_of(st.sampled_from("<>\"'&;/=!-?\0\n"), st.characters()), min_size=1, max_size=30))
def test_no_text_adds_a_tag(text):
    assert [(tag, set(attributes)) for tag, attributes in check(full_page(text)).tags] == PLAIN


def test_the_page_forbids_requests_and_every_script_and_style_but_its_own():
    page = full_page(PAYLOADS[0])
    tags = Reader(page).tags
    policies = [attributes["content"] for _, attributes in tags if attributes.get("http-equiv")]
    assert len(policies) == 1
    rules = dict(rule.strip().split(" ", 1) for rule in policies[0].split(";"))
    digests = {}
    for tag in ("style", "script"):
        (text,) = re.findall(f"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        digests[tag] = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    assert rules == {
        "default-src": "'none'",
        "img-src": "data:",
        "style-src": f"'sha256-{digests['style']}'",
        "script-src": f"'sha256-{digests['script']}'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    assert page.index("http-equiv") < page.index("<title>"), "a policy holds for what comes after it"

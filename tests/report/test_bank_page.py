"""The page of a bank: everything is in it, and nothing of what models say becomes markup."""

from __future__ import annotations

import base64
import hashlib
from html.parser import HTMLParser

from curator.report.bank_page import MOST_LABELS, PagePicture, bank_page

FACTS = {
    "name": "ants",
    "version": 2,
    "bank_digest": "d" * 32,
    "learned.ens_weight": 0.25,
    "account.classes": ["a", "b"],
}
EVIL = '<script>alert("x")</script>'


def label(text, source="ants:ens", role="negative", **more):
    return {"text": text, "role": role, "source": source, "nearest_id": "cat", "nearest_id_cosine": 0.5, **more}


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        assert not any(name.startswith("on") for name, _ in attrs)


def tags_of(page):
    parser = Tags()
    parser.feed(page)
    return parser.tags


def test_a_page_holds_facts_labels_by_source_and_pictures_with_their_provenance():
    picture = PagePicture("moon", b"\xff\xd8jpeg", {"model": "diffusers:x", "seed": 3})
    page = bank_page(
        FACTS,
        [
            label("cat", role="id", source="labels.txt"),
            label("a grey slab", model="scripted"),
            label("lion", "ants:vsnl"),
        ],
        [picture, PagePicture("sun", None, {})],
        [{"label": "lion", "reason": "near", "concerns": "cat", "cosine": 0.9, "source": "ants:vsnl"}],
    )
    for text in (
        "Bank ants v2",
        "0.25",
        "a grey slab",
        "ants:vsnl (1)",
        "diffusers:x",
        "a vector",
        "Labels in doubt (1)",
    ):
        assert text in page
    assert tags_of(page).count("img") == 1 and "data:image/jpeg;base64," in page


def test_text_of_models_and_lakes_is_escaped_everywhere():
    row = label(EVIL, source=EVIL, concerns=EVIL, nearest_id=EVIL, model=EVIL, prompt=EVIL)
    page = bank_page(
        {**FACTS, "spec": EVIL},
        [row, label(EVIL, role="id")],
        [PagePicture(EVIL, b"\xff\xd8", {"prompt": EVIL, EVIL: EVIL})],
        [{"label": EVIL, "reason": EVIL, "concerns": EVIL, "cosine": 1.0, "source": EVIL}],
    )
    assert tags_of(page).count("script") == 1 and EVIL not in page


def test_the_policy_of_a_page_allows_its_own_script_and_style_and_no_other():
    page = bank_page(FACTS, [label("word")], [])
    policy = page.partition('content="')[2].partition('"')[0]
    for kind in ("script", "style"):
        text = page.partition(f"<{kind}>")[2].partition(f"</{kind}>")[0]
        assert f"{kind}-src 'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" in policy
    assert "unsafe" not in policy and "default-src 'none'" in policy


def test_the_labels_that_flagged_images_are_nearest_to_come_first():
    page = bank_page(FACTS, [label("quiet", flags=0), label("busy", flags=7), label("idle", flags=2)], [])
    busiest = page.partition("Nearest to flagged images (2 labels)")[2].partition("<h2")[0]
    assert busiest.index("busy") < busiest.index("idle") and "quiet" not in busiest


def test_a_page_needs_no_network_and_a_large_bank_stays_small():
    page = bank_page(FACTS, [label(f"word {n}") for n in range(MOST_LABELS + 3)], [])
    assert "http:" not in page and "https:" not in page
    assert len(page) < 2_000_000 and "and 3 more" in page

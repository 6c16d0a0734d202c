"""How values show themselves at a prompt and in a notebook: short, in words, and nothing of a text becomes markup."""

from __future__ import annotations

from dataclasses import dataclass, field

from curator.report.notebook import MOST_ROWS, Shown, text_table
from tests.report.test_report_page import PAYLOADS, Reader, shape


@dataclass(frozen=True)
class Part:
    name: str
    share: float


@dataclass(frozen=True, slots=True, repr=False)
class Made(Shown):
    """A summary of everything that summaries have."""

    run_id: str
    flagged: int = 0
    is_whole: bool = False
    seconds: dict[str, float] = field(default_factory=dict)
    parts: tuple[Part, ...] = ()
    note: str | None = None
    secret: str = field(default="not shown", repr=False)


def test_a_summary_is_facts_in_words_and_a_table_of_its_parts():
    made = Made("r1", flagged=3, seconds={"list": 0.125}, parts=(Part("cat", 0.25), Part("dog", 1.0)))
    assert repr(made).splitlines() == [
        "Made",
        "  run id    r1",
        "  flagged   3",
        "  is whole  no",
        "  seconds   list 0.125",
        "  name  share",
        "  cat   0.25",
        "  dog   1",
    ]
    reader = Reader(made._repr_html_())
    assert [tag for tag, _ in reader.tags].count("table") == 2
    assert {"Made", "run id", "r1", "cat", "list 0.125"} <= set(reader.texts)


def test_long_tables_say_how_long_they_are():
    rows = [{"number": number} for number in range(MOST_ROWS + 5)]
    assert text_table(rows)[-1] == f"  … {MOST_ROWS + 5} rows" and len(text_table(rows)) == MOST_ROWS + 2
    made = Made("r1", parts=tuple(Part(str(number), 0.0) for number in range(MOST_ROWS + 5)))
    assert f"{MOST_ROWS} of {MOST_ROWS + 5} rows" in made._repr_html_()


def test_text_from_elsewhere_steers_neither_a_notebook_nor_a_terminal():
    def shown(text: str) -> Reader:
        return Reader(Made(text, note=text, seconds={text: 1.0}, parts=(Part(text, 0.0),))._repr_html_())

    for payload in PAYLOADS:
        assert shape(shown(payload)) == shape(shown("text")) and payload in shown(payload).texts
    assert "\x1b" not in repr(Made("\x1b[2J", parts=(Part("\x1b[2J", 0.0),)))

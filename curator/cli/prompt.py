"""The prompt of `curator sql`: statements over several lines, a history, completion, and words that begin with a dot.

Each statement goes through the same sealed door as one on the command line, to the snapshot that is published when it
is sent. The history is in the user's state folder, since a workspace may be another's.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from curator.cli.app import App
from curator.cli.options import Show
from curator.cli.output import echo_rows, say
from curator.endings import ending_of
from curator.errors import CuratorError, StoreError, UsageError

if TYPE_CHECKING:
    from prompt_toolkit import PromptSession
    from prompt_toolkit.completion import Completer
    from prompt_toolkit.history import History

    from curator.workspace.results import Results

HELP = """\
.tables            the views and what each is for
.describe NAME     the columns of a view or table: type, meaning, unit
.expanded          one record a block of lines, on or off (as -x)
.wide              every column, however wide, on or off (as --wide)
.help              this
.quit              end; so does Ctrl-D

A statement ends with a semicolon and may have several lines. Tab completes;
the arrows go through what was asked before. Ctrl-C drops what is typed, and
ends a query that runs. No statement reaches a file."""
WORD = re.compile(r"[\w.]*$")
UNREAD = re.compile(
    r"--[^\n]*|/\*.*?(?:\*/|$)|'[^']*(?:'|$)|\"[^\"]*(?:\"|$)", re.DOTALL
)  # comments and what is quoted
AFTER_RELATION = re.compile(r"\b(from|join|describe)\s+[\w.]*$", re.IGNORECASE)


@dataclass
class SqlPrompt:
    """A session at the prompt. show: prints rows."""

    app: App
    results: Results
    show: Show
    words: dict[str, str] = field(default_factory=dict)

    def run(self) -> None:
        """Until Ctrl-D, or a word that ends it."""
        say(f"{self.results.layout.snapshot}, read-only; .help says what there is, Ctrl-D ends")
        self.app.ruling(self.results)
        session = make_session(self.results)
        while True:
            try:
                text = session.prompt("sql> ")
            except KeyboardInterrupt:
                continue
            except EOFError:
                return
            try:
                if self.answer(text.strip()):
                    return
            except KeyboardInterrupt:
                say("interrupted", err=True)
            except CuratorError as fault:
                detail = fault.detail if isinstance(fault, StoreError) else None
                self.app.complain(fault.message, ending=ending_of(fault), hint=fault.hint, detail=detail)

    def answer(self, text: str) -> bool:
        """Answer a statement or a word. Returns whether it ends the session. Raises CuratorError."""
        if not text.startswith("."):
            if text.strip("; \n"):
                self.show(self.results.sql(text))
            return False
        word, _, rest = text.rstrip(";").partition(" ")
        answers: dict[str, Callable[[str], None]] = {
            ".help": lambda _: say(HELP),
            ".tables": lambda _: echo_rows(self.results.describe()),
            ".describe": lambda name: echo_rows(self.results.describe(name.strip() or None)),
            ".expanded": lambda _: self.turn("blocks"),
            ".wide": lambda _: self.turn("wide"),
        }
        if word in (".quit", ".exit"):
            return True
        if word not in answers:
            raise UsageError(f"{word} is no word of this prompt", hint=f"known: {', '.join(answers)}, .quit")
        answers[word](rest)
        return False

    def turn(self, look: str) -> None:
        """Let tables look so from now on, or as they come."""
        from functools import partial

        now = "chosen" if isinstance(self.show, partial) and self.show.keywords.get("look") == look else look
        self.show = partial(self.show, look=now)
        said = {"chosen": "as many columns as fit", "blocks": "one record a block", "wide": "every column"}
        say(said[now])


def is_whole(text: str) -> bool:
    """Whether what is typed can be sent: a word with a dot, nothing, or SQL that ends with a semicolon."""
    text = text.strip()
    if not text or text.startswith("."):
        return True
    read = UNREAD.sub(lambda found: "" if found[0].startswith("--") or found[0].endswith("*/") else "'", text)
    return read.rstrip().endswith(";")


def make_session(results: Results) -> PromptSession[str]:
    from prompt_toolkit import PromptSession
    from prompt_toolkit.application import get_app
    from prompt_toolkit.filters import Condition

    return PromptSession(
        history=make_history(),
        completer=make_completer(results),
        complete_while_typing=False,
        multiline=Condition(lambda: not is_whole(get_app().current_buffer.text)),
        prompt_continuation="...> ",
    )


def history_file() -> Path:
    """`~/.local/state/curator/sql_history`, or below XDG_STATE_HOME."""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "curator" / "sql_history"


def make_history() -> History:
    """In a file that only its owner reads; in memory where there can be none."""
    from prompt_toolkit.history import FileHistory, InMemoryHistory

    path = history_file()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        with path.open("a"):
            return FileHistory(str(path))
    except OSError:
        return InMemoryHistory()


def make_completer(results: Results) -> Completer:
    from prompt_toolkit.completion import Completer, Completion
    from prompt_toolkit.document import Document

    known = KnownNames.of(results)

    class NamesCompleter(Completer):
        def get_completions(self, document: Document, complete_event: object) -> Iterator[Completion]:
            before = document.text_before_cursor
            start = -len(WORD.search(before)[0])  # type: ignore[index]  # it matches nothing, too
            for word, kind in known.completions(before, document.text):
                yield Completion(word, start_position=start, display_meta=kind)

    return NamesCompleter()


@dataclass(frozen=True)
class KnownNames:
    """What can be typed: relations with their columns, and SQL's own words."""

    columns: dict[str, list[str]]
    keywords: list[str]

    @classmethod
    def of(cls, results: Results) -> KnownNames:
        found: dict[str, list[str]] = {}
        for row in results.sql(
            "select if(schema_name = 'report', 'report.', '') || table_name as relation, column_name as name "
            "from duckdb_columns() where schema_name in ('report', 'main') and not internal order by all"
        ).to_pylist():
            found.setdefault(row["relation"], []).append(row["name"])
        words = results.sql("select distinct keyword_name as word from duckdb_keywords() order by all")
        return cls(found, words["word"].to_pylist())

    def completions(self, before: str, text: str) -> Iterator[tuple[str, str]]:
        """Each word that goes on with what stands before the cursor, and what it is: relations after `from`, else
        columns of the relations that the statement names, or of all, and keywords."""
        typed = WORD.search(before)[0]  # type: ignore[index]
        if before.lstrip().startswith(".") and " " not in before.lstrip():
            return (yield from self.matching(typed, re.findall(r"^\.\w+", HELP, re.MULTILINE), "word"))
        if AFTER_RELATION.search(before):
            return (yield from self.matching(typed, self.columns, "relation"))
        named = [name for name in self.columns if re.search(rf"\b{re.escape(name)}\b", text)]
        prefix, dot, _ = typed.rpartition(".")
        names = sorted({column for name in named or self.columns for column in self.columns[name]})
        yield from self.matching(typed, (f"{prefix}{dot}{name}" for name in names), "column")
        if typed:
            yield from self.matching(typed, self.columns, "relation")
            yield from self.matching(typed, self.keywords, "keyword")
        return None

    @staticmethod
    def matching(typed: str, words: Iterable[str], kind: str) -> Iterator[tuple[str, str]]:
        """Views are found without `report.`, too."""
        low = typed.lower()
        for word in words:
            if any(form.lower().startswith(low) for form in (word, word.removeprefix("report."))):
                yield word, kind

"""The forms of an answer: what a model must send, how it is read, and what is wrong with it.

A reply is JSON by a schema that the model is given. Models that cannot be held to one send lists in prose, so bullets,
numbers and commas are read as well; what is neither is refused with a reason that the model is shown on the next try.
An answer is never guessed at: a list too short is returned as short as it is, one that holds no label is a fault. Of a
list that was cut, as at the limit of a model's new tokens, the complete items are kept and what was begun is left out.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from curator.generators.prompts import AnswerKind, Prompt
from curator.generators.refusals import MARKUP, PAGE, REFUSAL
from curator.generators.requests import Message, Request
from curator.printable import one_line

LONGEST_REPLY = 50_000  # characters; a longer one is no answer, and reading it would take longer than it is worth
LONGEST = 60  # characters of a label
LONGEST_DESCRIPTION = 200
EXCUSE = re.compile(r"(?:i|i'm|i’m|sorry|unfortunately|as an)\b", re.IGNORECASE)  # how refusals in prose begin
MOST_LABELS = 500
FENCED = re.compile(r"```(?:json)?(.*?)```", re.DOTALL)  # stripped later: `\s*` here would take quadratic time
BULLET = re.compile(r"^\s*(?:[*+]\s+|[-•–]\s*|\(?(\d{1,3})[.):](?!\d)\s*)(.+)$")
THOUGHT = re.compile(  # templates open it, cut replies never end it; the others are Magistral's and Kimi's marks
    r"^.*(?:</think(?:ing)?>|\[/THINK\]|◁/think▷)|(?:<think(?:ing)?>|\[THINK\]|◁think▷).*$", re.DOTALL
)
# A description that is too long: how it begins before it says anything, and what no phrase ends with.
LEAD_IN = re.compile(
    r"(?:(?:this|the|an?) )?(?:image|photo(?:graph)?|picture|scene) "
    r"(?:shows|depicts|features|displays|captures|is of|of)\s+",
    re.IGNORECASE,
)
OPEN_ENDS = {
    *("a", "an", "the", "its", "their", "and", "or", "is", "are", "that", "which"),
    *("of", "in", "on", "at", "with", "to", "from", "by", "for", "near", "under", "over"),
}
VERDICT = re.compile(r"\W*(yes|no)\b", re.IGNORECASE)
UNFINISHED = re.compile(r'\{\s*"description"\s*:\s*"((?:[^"\\]|\\.)*)$', re.DOTALL)
EDGES = " \"'`*_.;,:!“”‘’«»"
FEWEST_BETWEEN_COMMAS = 3  # with fewer it may be a sentence: "I am sorry, I cannot see it."
JSON_STARTS = 20  # places at which the JSON between other words is sought
TOKENS: dict[AnswerKind, int] = {
    "description": 96,
    "labels": 1024,
    "groups": 2048,
    "verdict": 32,
}  # at most, of an answer
THOUGHT_TOKENS = 4096  # on top, where a model thinks before it answers and cannot be told not to
FORMS: dict[AnswerKind, str] = {
    "labels": '{"labels": ["...", "..."]}',
    "description": '{"description": "..."}',
    "groups": '{"groups": [{"name": "...", "members": ["...", "..."]}]}',
    "verdict": '{"verdict": "..."}',
}


class AnswerFault(ValueError):
    """What is wrong with a reply, as the rest of the sentence `that answer cannot be used: …`."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply that was understood. `labels` of a list, a description, yes or no, or the names of groups; `groups` with
    members.

    `dropped` counts what was left out, by reason: items of a list that were repeated, too_long, too_many_words,
    not_text, refusals, markup or too_many; cut: 1 where the reply ended within the list; words_cut from a description.
    """

    labels: tuple[str, ...]
    groups: Mapping[str, tuple[str, ...]]
    dropped: Mapping[str, int]

    def as_json(self) -> dict[str, object]:
        groups = {name: list(members) for name, members in self.groups.items()}
        return {"labels": list(self.labels), "groups": groups, "dropped": dict(self.dropped)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Answer:
        groups = {name: tuple(members) for name, members in data["groups"].items()}
        return cls(tuple(data["labels"]), groups, dict(data["dropped"]))


def schema_of(prompt: Prompt) -> dict[str, object]:
    """The JSON schema of an answer. Counts and lengths are checked here, since services differ in what they enforce."""
    text = {"type": "string"}
    texts = {"type": "array", "items": text}
    group = _object(name=text, members=texts)
    fields: dict[AnswerKind, dict[str, object]] = {
        "labels": {"labels": texts},
        "description": {"description": text},
        "groups": {"groups": {"type": "array", "items": group}},
        "verdict": {"verdict": {"type": "string", "enum": ["yes", "no"]}},
    }
    return _object(**fields[prompt.answer])


def messages_with_form(request: Request) -> list[Message]:
    """The conversation of a request, its last message with the form of the answer.

    Told in words as well where a service enforces the schema: some ignore it silently, and a model that knows what is
    wanted answers better than one that is merely held to it.
    """
    *before, last = request.messages()
    text = f"{last.text}\n\nAnswer only with JSON of this form: {FORMS[request.prompt.answer]}"
    return [*before, replace(last, text=text)]


def _object(**properties: object) -> dict[str, object]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def thought_length(text: str) -> int:
    """How many characters of a reply are thoughts, which are no part of the answer."""
    return sum(len(match[0]) for match in THOUGHT.finditer(text))


def without_thoughts(text: str) -> str:
    return THOUGHT.sub("", text)


def room_beside(max_new_tokens: int, context: int) -> int:
    """Tokens that a conversation may have where the model holds `context` with its answer. Half at least: where answers
    may be longer than that, few are."""
    return max(context - (max_new_tokens or TOKENS["labels"]), context // 2)


def read_answer(prompt: Prompt, text: str, *, cut: bool = False, most: int | None = None) -> Answer:
    """Reads a reply in the form of its prompt. cut: the model says that it had more to say. most: labels of a list that
    are taken, the first ones. Raises AnswerFault."""
    said = without_thoughts(text).strip()
    if len(said) > LONGEST_REPLY:
        raise AnswerFault(f"it has {len(said)} characters, at most {LONGEST_REPLY} are read")
    if not said:
        raise AnswerFault("it is empty")
    if PAGE.match(said):
        raise AnswerFault("it is a page, not an answer")
    if prompt.answer == "verdict":
        return _read_verdict(said)
    if prompt.answer == "labels":
        return _read_labels(prompt, said, cut and not text.endswith("\n"), min(most or MOST_LABELS, MOST_LABELS))
    return _read_description(prompt, said) if prompt.answer == "description" else _read_groups(said)


def _read_verdict(said: str) -> Answer:
    """Yes or no, as its one label: what a reply begins with, whatever it goes on to say."""
    data, _ = _json(said)
    found = data.get("verdict") if isinstance(data, dict) else said
    verdict = VERDICT.match(found) if isinstance(found, str) else None
    if verdict is None:
        raise AnswerFault("it says neither yes nor no")
    return Answer((verdict[1].lower(),), {}, {})


def _read_labels(prompt: Prompt, said: str, cut: bool, most: int) -> Answer:
    data, ended = _json(said)
    if data is None:
        items = list_items(said)
        return _checked(prompt, items[:-1] if cut else items, cut, most)
    found = data.get("labels") if isinstance(data, dict) else data
    if not isinstance(found, list):
        raise AnswerFault('it is JSON without a list under "labels"')
    return _checked(prompt, found, not ended, most)


def _checked(prompt: Prompt, items: Sequence[object], cut: bool, most: int) -> Answer:
    kept: dict[str, str] = {}
    reasons = ("not_text", "refusals", "markup", "too_long", "too_many_words", "repeated", "too_many")
    dropped = dict.fromkeys(reasons, 0) | {"cut": int(cut)}
    for item in items:
        label = clean_label(_without_bullet(item)) if isinstance(item, str) else ""
        if not _says_something(label):
            dropped["not_text"] += 1
        elif REFUSAL.search(label):
            dropped["refusals"] += 1
        elif MARKUP.search(label):
            dropped["markup"] += 1
        elif len(label) > LONGEST:
            dropped["too_long"] += 1
        elif prompt.max_words and len(label.split()) > prompt.max_words:
            dropped["too_many_words"] += 1
        elif label.casefold() in kept:
            dropped["repeated"] += 1
        elif len(kept) == most:
            dropped["too_many"] += 1
        else:
            kept[label.casefold()] = label
    if not kept:
        counted = ", ".join(f"{count} {reason}" for reason, count in dropped.items() if count) or "the list is empty"
        raise AnswerFault(f"it holds no usable label ({counted})")
    return Answer(tuple(kept.values()), {}, {reason: count for reason, count in dropped.items() if count})


def _read_description(prompt: Prompt, said: str) -> Answer:
    """A description that is too long is cut: what it says first is what it was asked for."""
    begun = UNFINISHED.search(said)
    data = None if begun else _json(said)[0]
    if data is not None:
        found = data.get("description") if isinstance(data, dict) else None
        if not isinstance(found, str):
            raise AnswerFault('it is JSON without a text under "description"')
        said = found
    if begun:  # its last word may be half of one
        said = begun[1].replace('\\"', '"').rpartition(" ")[0]
    sentence = clean_label(said)
    if (data is None and EXCUSE.match(sentence)) or REFUSAL.search(sentence):
        raise AnswerFault("it is an excuse, not a description")
    if MARKUP.search(sentence):
        raise AnswerFault("it has tags or bars of a table")
    kept = shortened(sentence, prompt.max_words)
    if not _says_something(kept):
        raise AnswerFault(f"the description must be one short phrase, not {len(sentence)} characters")
    cut = len(sentence.split()) - len(kept.split()) + (begun is not None)
    return Answer((kept,), {}, {"words_cut": cut} if cut else {})


def shortened(sentence: str, max_words: int) -> str:
    """Its first words, at most `max_words` (0: any number) and LONGEST_DESCRIPTION characters; all of it if it fits.

    What only says that it describes is no part of them, nor are articles and prepositions that nothing follows.
    """
    words = sentence.split()
    if len(sentence) <= LONGEST_DESCRIPTION and not 0 < max_words < len(words):
        return sentence
    words = LEAD_IN.sub("", sentence, count=1).split()[: max_words or None]
    while words and (len(" ".join(words)) > LONGEST_DESCRIPTION or words[-1].lower() in OPEN_ENDS):
        words.pop()
    return clean_label(" ".join(words))


def _read_groups(said: str) -> Answer:
    data, ended = _json(said)
    items = data.get("groups") if isinstance(data, dict) else data
    if not isinstance(items, list) or not items:
        raise AnswerFault('it is not JSON with a list under "groups"')
    names: dict[str, str] = {}
    members: dict[str, dict[str, str]] = {}
    for item in items[:MOST_LABELS]:
        name, texts = _group(item)
        names.setdefault(name.casefold(), name)  # a group that is named twice is one group
        known = members.setdefault(name.casefold(), {})
        for text in texts[:MOST_LABELS]:
            known.setdefault(text.casefold(), text)
    groups = {name: tuple(members[key].values()) for key, name in names.items()}
    return Answer(tuple(groups), groups, {} if ended else {"cut": 1})


def _group(item: object) -> tuple[str, list[str]]:
    name, members = (item.get("name"), item.get("members")) if isinstance(item, dict) else (None, None)
    if not isinstance(name, str) or not isinstance(members, list) or not _says_something(clean_label(name)):
        raise AnswerFault('every group must have a text under "name" and a list under "members"')
    if REFUSAL.search(clean_label(name)) or MARKUP.search(name):
        raise AnswerFault("the name of a group is an excuse, or has tags or bars of a table")
    if len(clean_label(name)) > LONGEST:
        raise AnswerFault(f"the name of a group has {len(clean_label(name))} characters, at most {LONGEST} are allowed")
    texts = [clean_label(member) for member in members if isinstance(member, str)]
    return clean_label(name), [text for text in texts if text and len(text) <= LONGEST_DESCRIPTION]


def list_items(said: str) -> list[str]:
    """The items of a list in prose: lines with bullets or numbers, else one line of items between commas.

    Each reply is read by itself: joining those of several turns would fuse the last item of one with the first of the
    next, as in EOE's code. An item of a bulleted line that holds another bullet (`Foo- Bar`) is not taken apart; a line
    that goes on counting (`1. Foo 2. Bar`) is.
    """
    bulleted = [item for line in said.splitlines() if (match := BULLET.match(line)) for item in _counted(match)]
    if bulleted:
        return bulleted
    lines = [line for line in said.splitlines() if line.strip()]
    items = lines[0].rpartition(":")[2].split(",") if len(lines) == 1 else []
    if len(items) < FEWEST_BETWEEN_COMMAS:
        raise AnswerFault("it is neither JSON by the schema nor a list")
    return [*items[:-1], re.sub(r"^\s*(?:and|or)\s", "", items[-1])]


def _counted(match: re.Match[str]) -> list[str]:
    """The items of one line: more than one where the number that it begins with is counted on within it."""
    number, rest = match.groups()
    items = []
    while number is not None:
        number = str(int(number) + 1)
        further = re.search(rf"\s\(?{number}[.):]\s+(?=\S)", rest)
        if further is None:
            break
        items.append(rest[: further.start()])
        rest = rest[further.end() :]
    return [*items, rest]


def clean_label(text: str) -> str:
    """One line in Unicode's composed form, without quotes, emphasis and closing punctuation; the case stays."""
    return one_line(unicodedata.normalize("NFC", text)).strip(EDGES)


def _without_bullet(item: str) -> str:
    match = BULLET.match(item)
    return match[2] if match else item


def _says_something(text: str) -> bool:
    return any(map(str.isalnum, text))


def _json(said: str) -> tuple[object, bool]:
    """The JSON object or array of a reply, fenced or bare or between other words, and whether it ended; None when there
    is none. One whose end is missing holds what was complete.

    Between other words an object goes before an array, which may be a mark such as [1]. Raises AnswerFault for JSON
    that was begun and is broken: a part of it is not taken for the whole.
    """
    fenced = FENCED.search(said)
    text = fenced[1].strip() if fenced else said
    if text.startswith(("{", "[")):
        try:
            return _decoded(text, 0), True
        except ValueError as fault:
            if (part := _complete_part(text)) is not None:
                return part, False
            raise AnswerFault(f"it is not valid JSON ({fault})") from fault
    starts = [match.start() for match in islice(re.finditer(r"[{\[]", text), JSON_STARTS)]
    found = []
    for start in starts:
        with suppress(ValueError):
            found.append(_decoded(text, start))
    objects = [value for value in found if isinstance(value, dict)]
    arrays = [value for value in found if isinstance(value, list) and any(isinstance(item, str) for item in value)]
    if objects or arrays:
        return next(iter([*objects, *arrays])), True
    parts = (part for start in starts if (part := _complete_part(text[start:])) is not None)
    return next(parts, None), False


def _complete_part(text: str) -> object:
    """What JSON whose end is missing holds up to its last complete text or object in a list; None for any other."""
    open_ones: list[str] = []
    ends, within, escaped = "", False, False  # ends: what closes all that is open where `kept` stops
    kept = 0
    for place, sign in enumerate(text):
        if within:
            within = escaped or sign != '"'
            escaped = sign == "\\" and not escaped
            complete = not within and open_ones[-1] == "]"
        else:
            within = sign == '"'
            if sign in "{[":
                open_ones.append("}" if sign == "{" else "]")
            elif sign in "}]" and (not open_ones or open_ones.pop() != sign or not open_ones):
                return None  # it ended, or is broken
            complete = sign in "}]"
        if complete:
            kept, ends = place + 1, "".join(reversed(open_ones))
    with suppress(ValueError):
        return _decoded(text[:kept] + ends, 0) if kept else None
    return None


def _decoded(text: str, start: int) -> object:
    try:
        return json.JSONDecoder().raw_decode(text, start)[0]
    except RecursionError as fault:
        raise ValueError("nested too deeply") from fault

"""A model that is scripted and talks as real ones do: behind OpenAI's interface, on loopback.

It understands what it is asked by the form that the request carries and the numbers in its text, and answers from a
vocabulary of things, in the length and disorder that real models show: JSON, JSON with words around it, bullets,
numbers, commas, thoughts before the answer, lists that ramble on until they are cut at the limit of tokens, names of ID
classes, repeats of what it said before. What it says depends on the request alone, so a second run says the same. Like
vLLM it refuses a request that may not fit into its context.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.generators import fault_server as faults

BYTES_A_TOKEN = 3.6  # as tokenizers cut lists of names
TURN_TOKENS = 6
IMAGE_TOKENS = 576  # LLaVA-1.5
NUMBER = re.compile(r"\b(?:name|choose the|into|list)\b[^\d]{0,40}?(\d+)", re.IGNORECASE)
LISTED = re.compile(r": ([^:]+?)\.(?: |$)")  # the items of a slot, as prompts list them
QUALITIES = (
    *("red", "old", "wooden", "striped", "glass", "paper", "frozen", "rusty", "woven", "tiny", "painted", "broken"),
    *("stone", "velvet", "plastic", "floating", "folded", "dusty", "golden", "hollow", "wet", "burnt", "silver", "toy"),
)


@dataclass
class TalkingModel:
    """vocabulary: what it may name. context: tokens that it holds. Counts what passed through it."""

    vocabulary: Sequence[str]
    id_labels: Sequence[str]
    context: int = 4096
    requests: int = 0
    refused: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    largest: int = 0
    largest_said: str = ""
    seen: dict[str, int] = field(default_factory=dict)  # forms of answers, and how often each was given

    def action(self, number: int, received: faults.Received) -> faults.Action:
        """What it does about a request."""
        del number
        received_tokens = tokens_of(received.body["messages"])
        most = received.body.get("max_tokens", 512)
        self.requests += 1
        if received_tokens > self.largest:
            self.largest, self.largest_said = received_tokens, received.said[:40]
        if received_tokens + most > self.context:
            self.refused += 1
            said = (
                f"This model's maximum context length is {self.context} tokens, {received_tokens + most} were asked for"
            )
            return faults.refuse(400, said)
        whole = self.answer(received)
        limit = int(most * BYTES_A_TOKEN)
        text = whole.encode()[:limit].decode(errors="ignore")
        tokens = max(1, int(len(text.encode()) / BYTES_A_TOKEN))
        self.prompt_tokens += received_tokens
        self.completion_tokens += tokens
        return self._sent(text, cut=text != whole, prompt=received_tokens, completion=tokens)

    def _sent(self, text: str, *, cut: bool, prompt: int, completion: int) -> faults.Action:
        body: dict[str, Any] = faults.completion(text)
        body["choices"][0]["finish_reason"] = "length" if cut else "stop"
        body["usage"] = {"prompt_tokens": prompt, "completion_tokens": completion}
        self._count("cut" if cut else "whole")

        def action(handler: BaseHTTPRequestHandler, received: faults.Received) -> None:
            faults.send(handler, 200, json.dumps(body).encode())

        return action

    def answer(self, received: faults.Received) -> str:
        form = received.body["response_format"]["json_schema"]["name"]
        digest = hashlib.sha256(json.dumps(received.body["messages"]).encode()).digest()
        chance = random.Random(digest)
        before = "<think>" + self._prose(chance, 40) + "</think>\n" if chance.random() < 0.1 else ""
        self._count("thoughts" if before else "at once")
        if form == "description":
            return before + self._description(chance)
        asked = received.said.partition("Answer only with JSON")[0]
        return before + (self._groups(chance, asked) if form == "groups" else self._list(chance, asked, received))

    def _list(self, chance: random.Random, asked: str, received: faults.Received) -> str:
        """About as many items as asked for; one in twelve answers rambles on."""
        found = NUMBER.search(asked)
        count = int(found[1]) if found else 8
        rambles = chance.random() < 1 / 12
        count = 10 * count if rambles else max(1, round(count * chance.uniform(0.7, 1.15)))
        choices = listed(asked) if "entries of the list only" in asked else []
        said = re.findall(
            r'"([^"]+)"|- (.+)', " ".join(map(str, (m["content"] for m in received.body["messages"][:-1])))
        )
        earlier = [one or other for one, other in said][:200]
        items = [self._item(chance, choices, earlier) for _ in range(count)]
        self._count("rambling" if rambles else "of length")
        return self._written(chance, items)

    def _item(self, chance: random.Random, choices: Sequence[str], earlier: Sequence[str]) -> str:
        draw = chance.random()
        if choices:
            return chance.choice(choices)
        if earlier and draw < 0.15:
            return chance.choice(earlier)
        if draw < 0.2:
            return chance.choice(self.id_labels)
        thing = chance.choice(self.vocabulary)
        if draw < 0.24:
            return f"{thing} that stands in the corner of a very large room"
        return thing if draw < 0.5 else f"{chance.choice(QUALITIES)} {thing}"

    def _written(self, chance: random.Random, items: Sequence[str]) -> str:
        style = chance.choice(("json", "json", "fenced", "indented", "bullets", "numbers", "bold numbers", "commas"))
        self._count(style)
        if style in ("json", "fenced", "indented"):
            text = json.dumps({"labels": list(items)}, indent=2 if style == "indented" else None)
            return f"Sure! Here is the list:\n```json\n{text}\n```\nLet me know!" if style == "fenced" else text
        if style == "commas":
            return ", ".join(items) + "."
        marks = {"bullets": "- {}", "numbers": "{n}. {}", "bold numbers": "{n}. **{}**"}[style]
        lines = [marks.replace("{n}", str(number)).replace("{}", item) for number, item in enumerate(items, 1)]
        return "Here are some that come to mind:\n\n" + "\n".join(lines)

    def _groups(self, chance: random.Random, asked: str) -> str:
        """Each class in a group, but for some that are forgotten or spelt otherwise."""
        lists = listed(asked)
        found = NUMBER.search(asked)
        if "Put each of the following" in asked:
            names = re.findall(r"photographs show: (.+?)\. Put", asked)[0].split("; ")
            classes = re.findall(r"as they stand: (.+)\.", asked)[0].split("; ")
        else:
            classes = lists
            names = [f"{chance.choice(QUALITIES)} things {n}" for n in range(int(found[1]) if found else 1)]
        members: dict[str, list[str]] = {name: [] for name in names}
        for text in classes:
            if chance.random() > 0.05:
                members[chance.choice(names)].append(text.title() if chance.random() < 0.2 else text)
        groups = [{"name": name, "members": texts} for name, texts in members.items()]
        text = json.dumps({"groups": groups})
        return f"```json\n{text}\n```" if chance.random() < 0.5 else text

    def _description(self, chance: random.Random) -> str:
        said = (
            f"a {chance.choice(QUALITIES)} {chance.choice(self.vocabulary)} beside a {chance.choice(self.vocabulary)}"
        )
        if chance.random() < 0.3:
            said = f"The image shows {said}, {self._prose(chance, 12)}"
        return json.dumps({"description": said}) if chance.random() < 0.6 else said

    def _prose(self, chance: random.Random, words: int) -> str:
        return " ".join(chance.choice(self.vocabulary) for _ in range(words))

    def _count(self, what: str) -> None:
        self.seen[what] = self.seen.get(what, 0) + 1


def listed(asked: str) -> list[str]:
    """The longest list of a question, as prompts write them."""
    lists = [found.split("; ") for found in LISTED.findall(asked + " ")]
    return max(lists, key=len, default=[])


def tokens_of(messages: Sequence[dict[str, Any]]) -> int:
    total = 0.0
    for message in messages:
        content = message["content"]
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
        for part in parts:
            total += len(part["text"].encode()) / BYTES_A_TOKEN if part["type"] == "text" else IMAGE_TOKENS
        total += TURN_TOKENS
    return int(total)


@contextmanager
def talking(model: TalkingModel) -> Iterator[str]:
    """The address of a service with that model."""
    with faults.running() as server:

        def script(number: int, received: faults.Received) -> faults.Action:
            server.received.clear()  # pictures would fill the memory
            return model.action(number, received)

        server.script = script
        yield server.url

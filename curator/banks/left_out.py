"""What the rules of a bank's spec left out of WordNet and of its other sources: how many words by rule, examples, and
the key of the spec that brings them back. For banks that are mined; one that was learnt has its parent's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from curator.banks.kinship import Kinship, Subcategories
from curator.banks.published import Published
from curator.banks.refine import Reason
from curator.banks.rules import RuleName
from curator.banks.sources import WordNetSource
from curator.banks.wordnet import WordNet
from curator.ranges import Place
from curator.types import Bank

EXAMPLES = 3
# What brings back all that a rule left out; single words are named in KEEP or LIST.
RESTORE: Mapping[str, str] = {
    "lexicographer_file": "negatives.wordnet.include",
    "adjective": 'negatives.wordnet.adjectives = "all"',
    "proper_noun": "mining.remove_proper_nouns = false",
    "subcategory": "mining.remove_subcategories = false",
    "id_name": "mining.remove_id_names = false",
    "given_synonym": 'mining.remove_id_names = "exact"',
    "wordnet_synonym": 'mining.remove_id_names = "exact"',
    "removed": "mining.remove_labels",
    **dict.fromkeys(("refined_proper_noun", "refined_equal", "refined_subcategory"), "mining.refine = false"),
}
KEEP, LIST = "mining.keep_labels", "[[negatives.lists]] with mine = true"
Rule: TypeAlias = RuleName | Reason | Literal["lexicographer_file", "adjective"]
Concerned: TypeAlias = Callable[[str], str | None]  # the ID label that a word was left out for


@dataclass(frozen=True, slots=True)
class LeftOut:
    """The words that one rule left out, in the order of their source. `examples` are the first few, with the ID label
    that each concerns in brackets; `restore` is the key that brings all back, `restore_one` where one can be named."""

    rule: Rule
    words: Sequence[str]
    examples: tuple[str, ...]
    restore: str
    restore_one: str | None


def left_out(bank: Bank, wordnet: WordNet) -> list[LeftOut]:
    """By rule, in the order in which they are asked; rules that left out nothing are not there."""
    concerned = _concerned(bank, wordnet)
    by_rule = {**_not_asked_for(bank.spec, wordnet), **bank.lineage.get("dropped", {})}
    return [_of_rule(rule, words, concerned) for rule, words in by_rule.items() if words]


def _of_rule(rule: Rule, words: Sequence[str], concerned: Mapping[str, Concerned]) -> LeftOut:
    step = max(1, len(words) // EXAMPLES)
    shown = words[::step][:EXAMPLES]
    look_up = concerned.get(rule)
    labels = [None if look_up is None else look_up(word) for word in shown]
    examples = tuple(
        word if label in (None, word) else f"{word} ({label})" for word, label in zip(shown, labels, strict=True)
    )
    one = {"lexicographer_file": LIST, "adjective": LIST, "removed": None}.get(rule, KEEP)
    return LeftOut(rule, words, examples, RESTORE[rule], one)


def _concerned(bank: Bank, wordnet: WordNet) -> dict[str, Concerned]:
    kinship = Kinship(bank.id_texts, bank.lineage.get("id", {}).get("synonyms", {}), wordnet)
    subcategories = Subcategories(bank.id_texts, wordnet)

    def by_name(word: str) -> str | None:
        return next((bank.id_texts[kin.id_index] for kin in kinship.of(word) if kin.rank <= 0), None)

    names = dict.fromkeys(("id_name", "given_synonym", "wordnet_synonym"), by_name)
    asked_for = bank.lineage.get("refined", {}).get("dropped_for", {}).get
    return {**names, "subcategory": subcategories.id_label, "refined_subcategory": asked_for}


def _not_asked_for(spec: Mapping[str, Any], wordnet: WordNet) -> dict[Rule, list[str]]:
    """WordNet's words in files that the spec does not take, and adjectives of the others that say nothing of looks."""
    table = spec.get("negatives", {}).get("wordnet")
    if table is None:
        return {}
    source = WordNetSource.parse(table, Place("the spec of the bank"), Published())
    taken = {word.text for word in source.candidates(wordnet)}
    of_files = [word.text for word in replace(source, adjectives="all").candidates(wordnet)]
    every = [word.text for word in replace(source, include=(), exclude=(), adjectives="all").candidates(wordnet)]
    others = set(every) - set(of_files)
    return {
        "lexicographer_file": [word for word in every if word in others],
        "adjective": [word for word in of_files if word not in taken],
    }

"""What a spec takes out of its sources before anything is mined, by rule: what it removes by name, names of ID labels,
and of the candidates for mining proper nouns and subcategories of ID labels.

The last two are the questions of NegRefine's filter (is it a proper noun? is it a subcategory of a class?), answered by
WordNet instead of by a language model: as far as WordNet knows, and without its errors of judgement.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias

from curator.banks.id_names import DropReason, split_equal_names, split_id_names
from curator.banks.kinship import Subcategories
from curator.banks.sources import SourceLabel
from curator.banks.spec import MiningSpec
from curator.banks.wordnet import load_wordnet
from curator.banks.wordnet.lexicon import word_key
from curator.errors import ConfigError

# In the order in which they are asked; a label goes for the first that takes it out.
RuleName: TypeAlias = DropReason | Literal["removed", "proper_noun", "subcategory"]
Dropped: TypeAlias = Mapping[RuleName, Sequence[SourceLabel]]


class Rules:
    """The rules of a spec for its ID labels. synonyms: other names of them, by label."""

    def __init__(self, mining: MiningSpec, id_texts: Sequence[str], synonyms: Mapping[str, Sequence[str]]) -> None:
        self._mining = mining
        self._id_texts = id_texts
        self._synonyms = synonyms
        self._wordnet = load_wordnet()
        self._removed = set(map(word_key, mining.remove_labels))
        self._spared = set(map(word_key, mining.keep_labels))
        self._subcategories = Subcategories(id_texts, self._wordnet) if mining.remove_subcategories else None

    def split(self, labels: Sequence[SourceLabel], *, mined: bool) -> tuple[list[SourceLabel], Dropped]:
        """The labels of one source that are left, in their order, and the others by rule. mined: they are candidates;
        only from those are proper nouns and subcategories taken out, as what is kept without mining was named."""
        dropped: dict[RuleName, Sequence[SourceLabel]] = {}
        if self._removed:
            dropped["removed"] = [label for label in labels if word_key(label.text) in self._removed]
        dropped |= self._id_names([label for label in labels if word_key(label.text) not in self._removed])
        if mined:
            gone = {label for names in dropped.values() for label in names}
            dropped |= self._by_kind([label for label in labels if label not in gone])
        spared = {rule: [label for label in names if self._is_spared(rule, label)] for rule, names in dropped.items()}
        left_out = {rule: [label for label in names if label not in spared[rule]] for rule, names in dropped.items()}
        gone = {label for names in left_out.values() for label in names}
        return [label for label in labels if label not in gone], left_out

    def _is_spared(self, rule: RuleName, label: SourceLabel) -> bool:
        return rule != "removed" and word_key(label.text) in self._spared

    def _id_names(self, labels: list[SourceLabel]) -> dict[RuleName, Sequence[SourceLabel]]:
        if self._mining.remove_id_names is False:
            return {}
        if self._mining.remove_id_names == "exact":
            return dict(split_equal_names(labels, self._id_texts)[1].items())
        return dict(split_id_names(labels, self._id_texts, self._synonyms, self._wordnet)[1].items())

    def _by_kind(self, labels: list[SourceLabel]) -> dict[RuleName, Sequence[SourceLabel]]:
        """Nouns alone are names or kinds: `orange` the adjective stays where fruit is an ID label."""
        nouns = [label for label in labels if label.part_of_speech == "noun"]
        found: dict[RuleName, Sequence[SourceLabel]] = {}
        if self._mining.remove_proper_nouns:
            found["proper_noun"] = [label for label in nouns if self._wordnet.is_proper(label.text)]
        if self._subcategories is not None:
            proper = set(found.get("proper_noun", ()))
            kinds = [label for label in nouns if self._subcategories.id_label(label.text) is not None]
            found["subcategory"] = [label for label in kinds if label not in proper]
        return found


def refuse_unknown(mining: MiningSpec, name: str, found: Sequence[SourceLabel]) -> None:
    """Raises ConfigError for a label to remove or to keep that no source has: it is misspelt, or a source has changed.

    name: of the bank; found: what all its sources offer.
    """
    known = {word_key(label.text) for label in found}
    for key, texts in (("remove_labels", mining.remove_labels), ("keep_labels", mining.keep_labels)):
        for text in texts:
            if word_key(text) not in known:
                raise ConfigError(
                    f"bank {name}: mining.{key} names {text!r}, which no source has",
                    hint="take it out of the list, or mend its spelling",
                )

"""Finds candidates that name an ID label: as negatives they would take score from the images that belong.

The papers keep such names (NegLabel's released list holds 31 exact ImageNet classes) or remove exact strings only.
Here names are compared without case, spaces, underscores, hyphens and plural endings, and every WordNet synonym of
every sense of a label counts as its name: losing a negative too many costs nothing, keeping one costs ID images.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, Protocol, TypeAlias, TypeVar

from curator.banks.wordnet.lexicon import WordNet, word_key

DropReason: TypeAlias = Literal["id_name", "given_synonym", "wordnet_synonym"]


class Named(Protocol):
    """What has names to compare: a phrase made of a word has both."""

    @property
    def names(self) -> tuple[str, ...]: ...


AnyNamed = TypeVar("AnyNamed", bound=Named)


def split_id_names(
    candidates: Sequence[AnyNamed], labels: Sequence[str], synonyms: Mapping[str, Sequence[str]], wordnet: WordNet
) -> tuple[list[AnyNamed], dict[DropReason, list[AnyNamed]]]:
    """The candidates that name no ID label, in their order, and the others by reason."""
    reason_of = id_name_keys(labels, synonyms, wordnet)
    kept: list[AnyNamed] = []
    dropped: dict[DropReason, list[AnyNamed]] = {"id_name": [], "given_synonym": [], "wordnet_synonym": []}
    for candidate in candidates:
        keys = {key for name in candidate.names for key in name_keys(name, wordnet)}
        reasons = [reason_of[key] for key in keys if key in reason_of]
        if reasons:
            dropped[min(reasons, key=list(dropped).index)].append(candidate)
        else:
            kept.append(candidate)
    return kept, dropped


def split_equal_names(
    candidates: Sequence[AnyNamed], labels: Sequence[str]
) -> tuple[list[AnyNamed], dict[DropReason, list[AnyNamed]]]:
    """The same, dropping only what is an ID label letter for letter (case and underscores aside), as NegLabel's later
    benchmark code does."""
    equal = set(map(word_key, labels))
    kept = [candidate for candidate in candidates if not equal & set(map(word_key, candidate.names))]
    dropped = [candidate for candidate in candidates if equal & set(map(word_key, candidate.names))]
    return kept, {"id_name": dropped}


def id_name_keys(
    labels: Iterable[str], synonyms: Mapping[str, Sequence[str]], wordnet: WordNet
) -> dict[str, DropReason]:
    """Every key under which an ID label is known, and why."""
    labels = list(labels)
    given = [name for names in synonyms.values() for name in names]
    known = [name for label in labels + given for name in wordnet_synonyms(label, wordnet)]
    reason_of: dict[str, DropReason] = {}
    sources: list[tuple[DropReason, list[str]]] = [("id_name", labels), ("given_synonym", given)]
    for reason, names in [*sources, ("wordnet_synonym", known)]:
        for name in names:
            for key in name_keys(name, wordnet):
                reason_of.setdefault(key, reason)
    return reason_of


def wordnet_synonyms(label: str, wordnet: WordNet) -> list[str]:
    """Synonyms of a label in all its senses, whether it is written apart, hyphenated, joined or in the plural."""
    return [name for form in written_forms(label, wordnet) for name in wordnet.synonyms(form)]


def written_forms(label: str, wordnet: WordNet) -> list[str]:
    """The ways in which WordNet may write a label: apart, hyphenated or joined, each also in the singular."""
    word = word_key(label)
    apart = word.replace("-", " ")
    spellings = dict.fromkeys((word, apart, apart.replace(" ", "-"), apart.replace(" ", "")))
    forms = (form for spelling in spellings for form in (spelling, *wordnet.singulars(spelling)))
    return list(dict.fromkeys(forms))


def name_keys(name: str, wordnet: WordNet) -> set[str]:
    """What a name is compared by: its letters and digits alone, as written and in the singular."""
    return {squash(name), *map(squash, wordnet.singulars(name))}


def squash(name: str) -> str:
    return "".join(character for character in name.casefold() if character.isalnum())

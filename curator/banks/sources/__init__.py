"""Where negatives come from, by the name of their table in a bank spec. Another kind is one file and one line here."""

from __future__ import annotations

from curator.banks.sources.banks import BankSource
from curator.banks.sources.lists import ListSource
from curator.banks.sources.source import FindBank, Inputs, LabelSource, ReadLabels, SourceLabel, no_banks
from curator.banks.sources.wordnet import WordNetSource

# In this order they follow each other in a bank.
SOURCES: dict[str, type[LabelSource]] = {"wordnet": WordNetSource, "lists": ListSource, "banks": BankSource}

__all__ = [
    "SOURCES",
    "BankSource",
    "FindBank",
    "Inputs",
    "LabelSource",
    "ListSource",
    "ReadLabels",
    "SourceLabel",
    "WordNetSource",
    "no_banks",
]

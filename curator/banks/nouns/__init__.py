"""Common words for what can be seen, as data: what people, describers and reasoners call things. See LICENSE."""

from __future__ import annotations

from functools import cache

from curator.resources import data_file

DATA_FILE = data_file("curator.banks.nouns", "nouns.tsv")


@cache
def common_nouns() -> dict[str, str]:
    """Each word, in alphabetical order, with the id of its WordNet sense; empty where WordNet has none."""
    lines = DATA_FILE.read_text(encoding="ascii").splitlines()
    return {text: sense for text, _, sense in (line.partition("\t") for line in lines)}

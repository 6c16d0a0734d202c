"""WordNet 3.0, nouns and adjectives, as data and as a small graph. See LICENSE for its notice."""

from __future__ import annotations

from curator.banks.wordnet.lexicon import Candidate, PartOfSpeech, Synset, WordNet, load_wordnet

__all__ = ["Candidate", "PartOfSpeech", "Synset", "WordNet", "load_wordnet"]

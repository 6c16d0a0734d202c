"""`[[negatives.lists]]`: words of the user's own, from a file or in the spec."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import ClassVar

from curator.banks.checks import TemplateText, Text, Texts
from curator.banks.labels import read_labels
from curator.banks.prompts import TEMPLATES, fill
from curator.banks.published import Published
from curator.banks.sources.source import Inputs, ReadLabels, SourceLabel
from curator.banks.wordnet import PartOfSpeech
from curator.errors import ConfigError
from curator.ranges import Place, read_table


@dataclass(frozen=True, slots=True)
class ListSource:
    """Either `file` (one word a line, relative to the workspace) or `words`.

    A mined list is put in alphabetical order, so the order of its lines changes nothing; one that is kept as it is
    keeps its order, which grouping depends on. Adjectives stand as they are written: superclasses are WordNet's alone.
    `source`: what its labels are said to come from, by which methods of systems choose.
    """

    file: Text | None = None
    words: Texts = ()
    part_of_speech: PartOfSpeech = "noun"
    template: TemplateText = TEMPLATES["nice"]
    mine: bool = False
    source: Text | None = None

    repeats: ClassVar[bool] = True
    given_by: ClassVar[tuple[str, ...]] = ("file", "words")
    banks: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def parse(cls, table: Mapping[str, object], place: Place, published: Published) -> ListSource:
        adjectives = table.get("part_of_speech") == "adjective"
        template = published.adjective_template if adjectives else published.template
        found = read_table(cls, table, place, defaults={"template": template})
        if (found.file is None) == (not found.words):
            raise ConfigError(f"{place} needs one of the keys file and words")
        return found

    @property
    def files(self) -> tuple[str, ...]:
        return () if self.file is None else (self.file,)

    def as_mapping(self) -> Mapping[str, object]:
        """With only that of `file` and `words` which was given."""
        return {key: value for key, value in asdict(self).items() if value not in (None, ())}

    def read(self, inputs: Inputs) -> ReadLabels:
        if self.file is None:
            words, facts = list(self.words), {"list": "spec"}
        else:
            path = inputs.root / self.file
            words = read_labels(path)
            facts = {"list": self.file, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
        if self.mine:
            words.sort()
        origin = self.source or f"list:{facts['list']}"
        labels = (SourceLabel(word, self.part_of_speech, origin, fill(self.template, word)) for word in words)
        return ReadLabels(tuple(labels), facts)

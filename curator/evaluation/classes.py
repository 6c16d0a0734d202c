"""What the ID images of a protocol show: its classes by name, with the keys that folders of images go by.

ImageNet-1k ships, as `imagenet1k`: 1,000 WordNet ids in the order of the class numbers, with the names published with
CLIP, of which 998 are distinct. How the list is made: tests/evaluation/derive_imagenet.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, TypeAlias

from curator.banks.wordnet.lexicon import word_key
from curator.errors import ConfigError, UsageError
from curator.evaluation.labels import LabelMap
from curator.ranges import NAME, TEXT
from curator.resources import read_folder

ClassList: TypeAlias = Annotated[str, NAME] | tuple[Annotated[str, TEXT], ...]


@dataclass(frozen=True, slots=True)
class Classes:
    """Classes in order. keys: what their images are labelled by, such as WordNet ids, each once; or their names."""

    keys: tuple[str, ...]
    names: tuple[str, ...]

    def renamed(self, given: Mapping[str, str]) -> Classes:
        """With other names, by key (see `read_label_map`). Raises UsageError unless each key has one."""
        missing = [key for key in self.keys if word_key(key) not in given]
        if missing:
            raise UsageError(
                f"the names lack {len(missing)} of {len(self.keys)} classes, first: {missing[0]}",
                hint="a table of key,label with each key once, such as: n01440764,tench",
            )
        return Classes(self.keys, tuple(given[word_key(key)] for key in self.keys))

    @property
    def label_map(self) -> LabelMap:
        """Names of the labels that images come with; an image may also be labelled by the name itself."""
        return LabelMap({word_key(key): name for key, name in zip(self.keys, self.names, strict=True)})


def class_list(given: ClassList, *, where: str) -> Classes:
    """A shipped list by its name, or names. Raises ConfigError for none, an unknown list, or a key that repeats."""
    if isinstance(given, str):
        shipped = read_folder("curator.protocols", suffix=".tsv")
        if given not in shipped:
            raise ConfigError(f"{where}: no list of classes is called {given!r}", hint=f"known: {', '.join(shipped)}")
        pairs = [line.split("\t") for line in shipped[given].splitlines()]
        found = Classes(tuple(key for key, _ in pairs), tuple(name for _, name in pairs))
    else:
        found = Classes(tuple(given), tuple(given))
    if not found.keys or len(set(map(word_key, found.keys))) < len(found.keys):
        raise ConfigError(f"{where}: `id.classes` must name the classes, each key once")
    return found

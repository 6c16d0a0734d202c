"""Published protocols: which lists of images, how many, under which encoder, and the figures printed for them.

One TOML file each (`curator/protocols/*.toml`, or a path). Every key is checked. A published figure keeps the positive
class of its FPR95: figures of the two definitions are never put in one column. A row that can be made again says how:
its recipe (see recipes.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Annotated, Literal, TypeAlias

from curator.errors import ConfigError, UsageError
from curator.evaluation.classes import Classes, ClassList, class_list
from curator.evaluation.figures import AVERAGES, Group
from curator.evaluation.recipes import RowRecipe, check_recipe
from curator.paths import expanded
from curator.ranges import TEXT, Form, Place, Range, parse_toml, read_table
from curator.resources import read_folder

PublishedPositive: TypeAlias = Literal["id", "ood", "unstated"]
Name: TypeAlias = Annotated[str, TEXT]
Percentage: TypeAlias = Annotated[float, Range(0, 100, "percent")]
FilePattern: TypeAlias = Annotated[
    str, Form(r"[^{}/]*\{(:0\d{1,2})?\}[^{}/]*", "the name of a file with {} or {:08} for its number")
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageList:
    """A list of images: its name, which is also its folder in the data folder, and how many images it holds, 0
    where no source says.

    files: the names of its files, where these are known: a pattern whose `{}` stands for the numbers from 1 to
    `images`, as `ILSVRC2012_val_{:08}.JPEG`. categories: where they are, the first parts of the names, up to the last
    `_`, each with as many files.
    """

    name: Name
    title: Name
    images: int
    files: FilePattern | None = None
    categories: tuple[Name, ...] = ()

    def unlike(self, found: Collection[str]) -> str:
        """How names of files differ from the list's, in a line; empty where they do not, or are not known."""
        if self.files is not None:
            wanted = Counter({self.files.format(number): 1 for number in range(1, self.images + 1)})
            there, what = Counter(dict.fromkeys(found, 1)), "files"
        elif self.categories:
            wanted = Counter(dict.fromkeys(self.categories, self.images // len(self.categories)))
            there, what = Counter(name.rpartition("_")[0] for name in found), "files by category"
        else:
            return ""
        missing, others = wanted - there, there - wanted
        said = [f"{missing.total()} are missing, first {min(missing)}"] if missing else []
        said += [f"{others.total()} are not of it, first {min(others)}"] if others else []
        return f"{self.name}: of the {self.images} {what} of the list {' and '.join(said)}" if said else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class IdList(ImageList):
    """The list of ID images. classes: the names of what it shows, or the name of a shipped list of them."""

    classes: ClassList = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OodList(ImageList):
    """A list of OOD images, near to the ID images or far from them."""

    group: Group


@dataclass(frozen=True, slots=True)
class PublishedFigures:
    """AUROC and FPR95 as printed, in percent; None where the source does not give it."""

    auroc: Percentage | None = None
    fpr95: Percentage | None = None


@dataclass(frozen=True, slots=True)
class PublishedRow:
    """One row of a table: the method's name, where it is printed, the positive class of its FPR95, and its figures by
    the name of an OOD list or `average`, `near`, `far`. recipe: how it is made again; not_run: why it cannot be."""

    method: Name
    source: Name
    positive: PublishedPositive
    figures: Mapping[str, PublishedFigures]
    note: str = ""
    recipe: RowRecipe | None = None
    not_run: str = ""


@dataclass(frozen=True, slots=True)
class Protocol:
    """A checked protocol."""

    name: Name
    title: Name
    encoder: Name
    id: IdList
    ood: tuple[OodList, ...]
    published: tuple[PublishedRow, ...] = ()

    @property
    def groups(self) -> dict[str, Group]:
        return {item.name: item.group for item in self.ood}

    @property
    def classes(self) -> Classes:
        """What its ID images show. Raises ConfigError where it does not say."""
        return class_list(self.id.classes, where=self.name)


def load_protocol(address: str) -> Protocol:
    """A shipped protocol by name, or one of your own by the path of its `.toml` file.

    Raises UsageError for an unknown name, ConfigError that names file and key for a bad file.
    """
    shipped = read_folder("curator.protocols", suffix=".toml")
    if address in shipped:
        return parse_protocol(shipped[address], where=f"{address}.toml")
    if not address.endswith(".toml"):
        close = get_close_matches(address, shipped, n=1)
        hint = f"did you mean {close[0]}?" if close else f"known: {', '.join(shipped)}; or the path of a .toml file"
        raise UsageError(f"no protocol is called {address!r}", hint=hint)
    try:
        return parse_protocol(expanded(address).read_text(encoding="utf-8"), where=address)
    except (OSError, UnicodeDecodeError) as fault:
        raise ConfigError(f"{address}: the protocol cannot be read: {fault}") from fault


def parse_protocol(text: str, *, where: str) -> Protocol:
    """From the text of a file; `where` names it in messages. Raises ConfigError."""
    protocol = read_table(Protocol, parse_toml(text, where=where), Place(where, strict=True))
    _check_names(protocol, where)
    return protocol


def _check_names(protocol: Protocol, where: str) -> None:
    names = [item.name for item in protocol.ood]
    if not names or len(set(names)) < len(names) or {protocol.id.name, *AVERAGES} & set(names):
        raise ConfigError(f"{where}: the OOD lists need names of their own, none of {', '.join(AVERAGES)}")
    for row in protocol.published:
        if row.recipe is not None:
            check_recipe(row.recipe, f"{where}: {row.method}")
        if unknown := row.figures.keys() - {*names, *AVERAGES}:
            raise ConfigError(f"{where}: {row.method} has figures for {', '.join(sorted(unknown))}, which is no list")

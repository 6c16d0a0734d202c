"""Makes the package's `wordnet.tsv.xz` from the plain files of WordNet 3.0 (Debian: package `wordnet-base` 1:3.0).

    python -m tests.banks.derive_wordnet /usr/share/wordnet

Only what label banks need is kept: nouns and adjectives with their lemmas, lexicographer files, sense ranks and
hypernyms, and the irregular plurals. Glosses, verbs, adverbs and the other relations stay behind, which takes the 28 MB
of the original to about 1 MB. The same input gives the same bytes. Formats: wndb(5WN), lexnames(5WN).

Lines, fields between tabs (lemmas keep their case and have spaces, not underscores):
    S  part (n, a, s = satellite adjective)  lexicographer file  offset  lemmas  hypernyms
    X  plural  singulars
`lemmas` are joined by `|`, each followed by `#rank` where the synset is not its first sense; `hypernyms` are line
numbers relative to the current line, joined by commas, with an `i` before those of an instance.
"""

from __future__ import annotations

import lzma
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from curator.banks.wordnet.lexicon import DATA_FILE, LEXNAMES
from curator.errors import SourceError, UsageError

PARTS = ("noun", "adj")
HYPERNYM_MARKS = {"@": "", "@i": "i"}
# Where an adjective may stand: predicative, before a noun, only right after a noun.
SYNTACTIC_MARKER = re.compile(r"\((?:a|p|ip)\)$")


@dataclass(frozen=True, slots=True)
class Entry:
    """One synset of a data file; `hypernyms` are (mark, offset)."""

    part: str
    offset: int
    lexname: str
    lemmas: tuple[str, ...]
    hypernyms: tuple[tuple[str, int], ...]


def read_lines(path: Path) -> Iterator[str]:
    """The lines of a WordNet file without its licence header, whose lines begin with two spaces."""
    try:
        text = path.read_text(encoding="ascii")
    except OSError as error:
        raise SourceError(
            f"cannot read {path}: {error.strerror}", hint="give the folder of Debian's wordnet-base, /usr/share/wordnet"
        ) from error
    return (line for line in text.splitlines() if not line.startswith("  "))


def parse_entry(line: str) -> Entry:
    """One line of a data file: `offset lexfile part count (lemma id)* count (symbol offset part st)* | gloss`."""
    fields = line.partition(" | ")[0].split()
    count = int(fields[3], 16)
    lemmas = tuple(SYNTACTIC_MARKER.sub("", lemma) for lemma in fields[4 : 4 + 2 * count : 2])
    pointers = fields[5 + 2 * count :]
    links = ((HYPERNYM_MARKS.get(symbol), int(to)) for symbol, to in zip(pointers[::4], pointers[1::4], strict=False))
    hypernyms = tuple((mark, to) for mark, to in links if mark is not None)
    return Entry(fields[2], int(fields[0]), LEXNAMES[int(fields[1])], lemmas, hypernyms)


def read_ranks(path: Path) -> dict[tuple[str, int], int]:
    """(lower-case lemma, offset) → rank of that sense among the lemma's senses, from 0, most frequent first."""
    ranks: dict[tuple[str, int], int] = {}
    for line in read_lines(path):
        fields = line.split()
        offsets = fields[-int(fields[2]) :]
        ranks.update({(fields[0], int(offset)): rank for rank, offset in enumerate(offsets)})
    return ranks


def format_part(folder: Path, part: str) -> Iterator[str]:
    """The S lines of one part of speech, in offset order."""
    ranks = read_ranks(folder / f"index.{part}")
    entries = sorted(map(parse_entry, read_lines(folder / f"data.{part}")), key=lambda entry: entry.offset)
    row_of = {entry.offset: row for row, entry in enumerate(entries)}
    for row, entry in enumerate(entries):
        hypernyms = ",".join(f"{mark}{row_of[offset] - row}" for mark, offset in entry.hypernyms)
        lemmas = "|".join(format_lemma(lemma, ranks[lemma.lower(), entry.offset]) for lemma in entry.lemmas)
        yield "\t".join(("S", entry.part, entry.lexname, str(entry.offset), lemmas, hypernyms))


def format_lemma(lemma: str, rank: int) -> str:
    spaced = lemma.replace("_", " ")
    return f"{spaced}#{rank}" if rank else spaced


def format_plurals(folder: Path) -> Iterator[str]:
    """The X lines: the irregular plurals of noun.exc, in its order."""
    for line in read_lines(folder / "noun.exc"):
        plural, *singulars = (field.replace("_", " ") for field in line.split())
        yield "\t".join(("X", plural, "|".join(singulars)))


def derive(folder: Path) -> bytes:
    """The bytes of the data file. Raises SourceError when a file of WordNet is missing."""
    lines = [line for part in PARTS for line in format_part(folder, part)]
    text = "\n".join([*lines, *format_plurals(folder)]) + "\n"
    return lzma.compress(text.encode("ascii"), preset=9 | lzma.PRESET_EXTREME)


def main(arguments: list[str]) -> None:
    if len(arguments) != 1:
        raise UsageError("one argument is needed", hint="python -m tests.banks.derive_wordnet /usr/share/wordnet")
    data = derive(Path(arguments[0]))
    DATA_FILE.write_bytes(data)
    print(f"{DATA_FILE}: {len(data):,} bytes", file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1:])

"""`python -m tests.bench.names ../shared/data`: how often a name is right, by set and by margin, and what naming costs.

Right: WordNet has the name under or beside the true label (see true_names.py). The labels that decide scores stand
beside: the nearest label of the default bank, and of the one mined as published, with the same ID labels. The cut of
sql/macros/shown_name.sql is to be seen in the table of margins, of every second image.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from curator.banks import DEFAULT_SPEC, PUBLISHED_SPECS, TextCache, build_bank, read_spec
from curator.banks.naming import NameVocabulary
from curator.encoders import EncoderOptions, load_encoder
from curator.types import Bank, Vectors
from tests.bench.true_names import embedded, is_right, photographs

ID_LABELS = ("cat", "cup of coffee", "rocket")
CUT = 0.3
MARGINS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.75, 1.01)


def nearest_label(bank: Bank, vectors: Vectors) -> list[str]:
    """The text of the label that lies nearest to each image."""
    return [bank.labels[place].text for place in (vectors @ bank.vectors.T).argmax(axis=1)]


def share(right: Sequence[bool]) -> str:
    return f"{100 * float(np.mean(right)):.1f} %" if len(right) else "–"


def main(data: Path) -> None:
    encoder = load_encoder(EncoderOptions())
    with tempfile.TemporaryDirectory() as folder:
        root, cache = Path(folder), TextCache(Path(folder) / "texts")
        (root / "labels.txt").write_text("\n".join(ID_LABELS), encoding="utf-8")
        banks = {}
        for name, text in {"base": DEFAULT_SPEC, "neglabel-paper": PUBLISHED_SPECS["neglabel-paper"]}.items():
            (root / f"{name}.toml").write_text(text, encoding="utf-8")
            banks[name] = build_bank(read_spec(root / f"{name}.toml"), encoder, root=root, text_cache=cache)
        vocabulary = NameVocabulary.of(banks["base"], encoder, cache)
    print(f"{len(vocabulary.words)} words\n")
    print("| set | images | names right, of all | named | right, of named | labels right: base | neglabel-paper |")
    print("|---|---|---|---|---|---|---|")
    margins, rights, seconds = [], [], np.zeros(2)
    for name, images in photographs(data).items():
        labels = [label for label, _ in images]
        started = time.perf_counter()
        vectors = embedded(encoder, [image for _, image in images])
        read = time.perf_counter()
        names, found = vocabulary.names(vectors)
        seconds += np.array([read - started, time.perf_counter() - read])
        right = np.array([is_right(*pair) for pair in zip(names, labels, strict=True)])
        clear = found >= CUT
        by_label = [
            share([is_right(*pair) for pair in zip(nearest_label(bank, vectors), labels, strict=True)])
            for bank in banks.values()
        ]
        cells = (name, len(images), share(right & clear), share(clear), share(right[clear]), *by_label)
        print(f"| {' | '.join(map(str, cells))} |")
        margins.append(found)
        rights.append(right)
    margin, right = np.concatenate(margins)[1::2], np.concatenate(rights)[1::2]
    print("\n| margin | odd images | names right |\n|---|---|---|")
    for low, high in pairwise(MARGINS):
        within = (margin >= low) & (margin < high)
        print(f"| {low} to {min(high, 1.0)} | {within.sum()} | {share(right[within])} |")
    print(f"\nnaming takes {100 * seconds[1] / seconds[0]:.1f} % of the time of decoding and encoding")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "../shared/data"))

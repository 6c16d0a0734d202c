"""Label banks: from a spec to an immutable, digest-named set of ID labels and mined negatives with their vectors.

`read_spec` reads the TOML, `build_bank` encodes and mines, `save_bank` and `load_bank` keep versions on disk.
"""

from __future__ import annotations

from curator.banks.build import build_bank
from curator.banks.digest import bank_digest
from curator.banks.labels import read_labels
from curator.banks.mining import MINERS
from curator.banks.spec import BankSpec, parse_spec, read_spec
from curator.banks.spec_texts import DEFAULT_SPEC, PUBLISHED_SPECS
from curator.banks.storage import load_bank, save_bank
from curator.banks.text_cache import TextCache

__all__ = [
    "DEFAULT_SPEC",
    "MINERS",
    "PUBLISHED_SPECS",
    "BankSpec",
    "TextCache",
    "bank_digest",
    "build_bank",
    "load_bank",
    "parse_spec",
    "read_labels",
    "read_spec",
    "save_bank",
]

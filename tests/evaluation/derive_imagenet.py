"""Makes `curator/protocols/imagenet1k.tsv`, the 1,000 classes of ILSVRC 2012, from what installed packages ship.

    python -m tests.evaluation.derive_imagenet

The ids and their order are facts of the challenge (timm has them). The names are those that were published with CLIP
(Radford et al. 2021), by which the papers on zero-shot OOD detection label ImageNet (open_clip has them): 816 are a
lemma of the class in WordNet 3.0, the others were chosen to be told apart by people. Two stand twice, `missile` and
`sunglasses`, as published: 998 are distinct. The notice of CLIP is in curator/protocols/LICENSE.

Lines: WordNet id, tab, name, in the order of the ids, which is that of the class numbers.
"""

from __future__ import annotations

import ast
from importlib.util import find_spec
from pathlib import Path

from curator.resources import data_file


def installed(package: str, name: str) -> Path:
    """A file of an installed package, without importing it."""
    spec = find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / name


def clip_names() -> list[str]:
    """As open_clip has them, in the order of class numbers."""
    tree = ast.parse(installed("open_clip", "zero_shot_metadata.py").read_text(encoding="utf-8"))
    (found,) = (
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "IMAGENET_CLASSNAMES"
    )
    return list(ast.literal_eval(found))


def wnids() -> list[str]:
    """As timm has them, in the order of class numbers."""
    return installed("timm", "data/_info/imagenet_synsets.txt").read_text(encoding="ascii").split()


def text() -> str:
    """The file."""
    return "".join(f"{wnid}\t{name}\n" for wnid, name in zip(wnids(), clip_names(), strict=True))


if __name__ == "__main__":
    data_file("curator.protocols", "imagenet1k.tsv").write_text(text(), encoding="utf-8")

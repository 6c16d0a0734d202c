"""Encoders: images and texts into one space, behind `curator.types.Encoder`.

An encoder is named by an address, `<family>` or `<family>:<rest>`:

    mini                                      the embedded default: small, offline, ships in the package
    open_clip:ViT-B-16/openai                 an architecture and a known tag of open_clip
    open_clip:ViT-B-16/openai@<revision>      the same, pinned to a commit of its repository
    open_clip:ViT-B-32/weights/mine.safetensors   a checkpoint file; an absolute path gives `ViT-B-32//data/mine.pt`
    open_clip:ViT-B-32/random?seed=0          random weights: to measure speed with, of no other use
    open_clip:hf-hub:<org>/<repo>             a repository in open_clip's layout; `@<revision>` pins it
    open_clip:local-dir:<folder>              a folder in that layout
    transformers:<org>/<repo> or <folder>     CLIP, SigLIP and SigLIP 2; `@<revision>` pins a repository
    fake, fake:<dimension>                    pixel statistics and hashed characters, for tests

and, to reproduce a published figure, with `#bilinear` or `#openood` behind it: the same weights on images that are
prepared as those of the paper (see options.py). Its vectors are others, so it is another encoder by its id.

Importing this package is cheap: a family's module loads when it is asked for, torch when an encoder is built.
Decoding images is not done here; an encoder states in its `preprocess` what pixels it wants.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, cast

from curator.encoders.options import BATCH_TOLERANCE, EncoderOptions, SuitedScore, split_address, split_form
from curator.errors import UsageError
from curator.printable import text_fault
from curator.registry import Registry

if TYPE_CHECKING:
    from pathlib import Path

    from curator.encoders.options import Family
    from curator.types import Encoder

__all__ = [
    "BATCH_TOLERANCE", "ENCODERS", "SHIPPED", "EncoderOptions", "SuitedScore", "check_address", "fetch_weights",
    "list_models", "load_encoder", "placed_address", "suited_score",
]  # fmt: skip

ENCODERS = Registry(
    "encoder family",
    {
        "fake": "curator.encoders.fake_encoder:FakeFamily",
        "mini": "curator.encoders.mini.mini_encoder:MiniFamily",
        "open_clip": "curator.encoders.open_clip_address:OpenClipFamily",
        "transformers": "curator.encoders.transformers_address:TransformersFamily",
    },
)

# By address, the ids of encoders whose weights ship with this release: known without loading them.
SHIPPED = {"mini": "mini@1fc70f296d9c"}


def load_encoder(options: EncoderOptions) -> Encoder:
    """Build the encoder. Downloads weights that are not on this machine, unless `options.offline`.

    Raises UsageError for an address that cannot be, WeightsMissing with the command that gets the weights, EncoderError
    for a device, dtype or checkpoint that cannot be used.
    """
    family, rest = _checked(options.address)
    address, form = split_form(options.address)
    encoder = family.load(rest, replace(options, address=address))
    if not form:
        return encoder
    from curator.encoders.prepared import OtherwisePrepared

    return cast("Encoder", OtherwisePrepared(encoder, form))


def check_address(address: str) -> None:
    """Raise UsageError for an address that cannot be. Reads nothing but names; the weights may still be missing."""
    _checked(address)


def placed_address(address: str, root: Path) -> str:
    """The address as the configuration of a workspace at `root` keeps it, whose paths hold wherever a command is run.

    Raises UsageError for an address that cannot be, WeightsMissing for a path where there is no whole model.
    """
    if (fault := text_fault(address)) is not None:
        raise UsageError(f"the encoder address {fault}", hint="rename the folder or file")
    family, rest = _checked(address)
    if (place := getattr(family, "placed", None)) is None:
        return address
    base, form = split_form(address)
    return f"{base.removesuffix(rest)}{place(rest, root)}{f'#{form}' if form else ''}"


def suited_score(address: str, id_labels: int) -> SuitedScore:
    """The method that suits the encoder and so many ID labels, and why. Raises UsageError for an unknown family."""
    name, rest = split_address(address)
    return _family(name).suited_score(rest, id_labels)


def fetch_weights(address: str) -> str:
    """Download what the address needs, for work offline. Returns where it lies, or a line saying there is no need.

    Raises like `load_encoder`.
    """
    family, rest = _checked(address)
    return family.fetch(rest)


def list_models(family: str | None = None) -> list[str]:
    """The addresses known by name, of one family or of all. Checkpoint files and other repositories work as well."""
    families = [family] if family else ENCODERS.names()
    return [address for name in families for address in _family(name).known()]


def _checked(address: str) -> tuple[Family, str]:
    """The family of an address that can be, and what stands behind its name. Raises UsageError for another."""
    name, rest = split_address(address)
    family = _family(name)
    family.check(rest)
    return family, rest


def _family(name: str) -> Family:
    """The family of that name. One that somebody else registered is held to the contract as it runs."""
    make = ENCODERS.get(name)
    if getattr(make, "__module__", "").partition(".")[0] == __name__.partition(".")[0]:
        return cast("Family", make())
    from curator.encoders.contract import HeldFamily

    return cast("Family", HeldFamily(name, make))

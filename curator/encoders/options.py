"""Options and address of an encoder, and what each family must offer. Loads nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

from curator.errors import UsageError

if TYPE_CHECKING:
    from curator.types import Encoder, Preprocess

# How papers prepare images for the same weights: NegLabel's, CSP's and MCM's code with torchvision's default
# interpolation, that of OpenOOD with a shortest side of 256 pixels for a square of 224. CLIP's own is bicubic, to 224.
FORMS = ("bilinear", "openood")
OPENOOD_SIDE = 256 / 224
DTYPES = ("auto", "float32", "bfloat16", "float16")

# The most that a cosine between two vectors may change when only the batch size changes (matrix kernels sum in another
# order for another shape). Measured on a CPU with ViT-B-32 and mini, image to text: 1e-7 in float32, 3e-5 in bfloat16;
# text to text, where the padding changes as well: 5e-7 and 2e-3. float16, which is for GPUs only, was not measured.
BATCH_TOLERANCE: Mapping[str, float] = MappingProxyType({"float32": 1e-5, "bfloat16": 5e-3, "float16": 2e-3})


@dataclass(frozen=True, slots=True)
class EncoderOptions:
    """Which encoder, and how it runs. Only `address` has a say in its id. Raises UsageError for a bad value.

    device: auto (CUDA if there is a device), cpu, cuda, cuda:1 …
    dtype: auto is bfloat16 on GPUs and on CPUs that compute in it, else float32 (float16 on GPUs before Ampere).
    batch_size, text_batch_size: None gives a good value for the device. Results do not depend on it, within
    BATCH_TOLERANCE.
    compile: torch.compile for the image tower, for long scans only: on a CPU the first batch took 20 s (ViT-B-32),
    which then lost 8 %. Not measured with mini, whose tower is fused already, nor on a GPU: try it first.
    offline: never touch the network, not even to look for weights.
    root: the folder from which a relative path in the address is sought first: that of the workspace.
    """

    address: str = "mini"
    device: str = "auto"
    dtype: str = "auto"
    batch_size: int | None = None
    text_batch_size: int | None = None
    compile: bool = False
    offline: bool = False
    root: Path | None = None

    def __post_init__(self) -> None:
        if not self.address:
            raise UsageError("the encoder address is empty", hint="`curator models list` shows addresses")
        if self.dtype not in DTYPES:
            raise UsageError(f"encoder dtype is {self.dtype!r}", hint=f"one of {', '.join(DTYPES)}")
        for name, size in (("batch_size", self.batch_size), ("text_batch_size", self.text_batch_size)):
            if size is not None and size < 1:
                raise UsageError(f"encoder {name} is {size}", hint="give 1 or more")


@dataclass(frozen=True, slots=True)
class SuitedScore:
    """The method that suits an encoder, as `scan.method` takes it, and in a few words why."""

    method: str
    why: str


# Zero-shot OOD detection is published for CLIP with the weights of OpenAI; whatever else is like it is used alike.
OF_CLIP = SuitedScore("neglabel", "as published for CLIP")
LIKE_CLIP = SuitedScore("neglabel", "published for CLIP, not measured with this model: `curator evaluate` does")


class Family(Protocol):
    """What an encoder family offers. `rest` is the address behind `<family>:`, `check` is asked before the others.

    They raise as the package says. One whose addresses may be paths also has `placed`, as `placed_address` says.
    """

    def check(self, rest: str) -> None:
        """Raise UsageError for an address that cannot be."""

    def load(self, rest: str, options: EncoderOptions) -> Encoder:
        """Build the encoder."""

    def fetch(self, rest: str) -> str:
        """Download what is needed; say where it lies."""

    def suited_score(self, rest: str, id_labels: int) -> SuitedScore:
        """The method for a workspace of so many ID labels. Loads nothing."""

    @staticmethod
    def known() -> list[str]:
        """Whole addresses that are known by name."""


def split_address(address: str) -> tuple[str, str]:
    """`open_clip:ViT-B-16/openai` as `("open_clip", "ViT-B-16/openai")`; without a colon the second part is empty. How
    its pixels are prepared, behind a `#`, is no part of either."""
    family, _, rest = split_form(address)[0].partition(":")
    return family, rest


def split_form(address: str) -> tuple[str, str]:
    """The address without its last `#form`, and the form; that is empty where there is none of a known name."""
    base, mark, form = address.strip().rpartition("#")
    return (base, form) if mark and form in FORMS else (address.strip(), "")


def prepared_as(form: str, preprocess: Preprocess) -> Preprocess:
    """The preprocessing of an encoder in one of FORMS."""
    if form == "bilinear":
        return replace(preprocess, resize="shortest", interpolation="bilinear", resize_to=None)
    side = round(preprocess.size * OPENOOD_SIDE)
    return replace(preprocess, resize="shortest", interpolation="bicubic", resize_to=side)

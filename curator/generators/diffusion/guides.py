"""Guides: classifiers that say how a picture looks to a model of the ID classes, with gradients down to its pixels.

Any differentiable classifier will do. `zero-shot` is the workspace's own encoder over the ID labels, which needs no
further weights and pushes pictures towards the boundary that the scan itself draws; `transformers:<id or folder>` is an
image classifier of transformers (SynOOD: ResNet-50 trained on ImageNet-1k). Pictures are fitted with torch's own
antialiased resize, so that gradients pass; it follows Pillow's to within rounding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from curator.encoders.hub import CHECKPOINT_FILES, ONLY_DATA, no_network
from curator.errors import GeneratorError
from curator.generators.diffusion.guide_address import ZERO_SHOT, split_guide
from curator.generators.model_files import MODEL_MARKER, model_folder
from curator.generators.surroundings import Surroundings
from curator.printable import said_by
from curator.types import Preprocess

RESAMPLE: dict[int, Literal["bilinear", "bicubic"]] = {2: "bilinear", 3: "bicubic"}  # Pillow's numbers


class Guide(Protocol):
    """A classifier over `class_count` classes."""

    @property
    def class_count(self) -> int: ...

    def logits(self, images: Tensor) -> Tensor:
        """images: (B, 3, H, W) float in [0, 1], of any size and on any device. Returns (B, C) float32 with gradients
        to the images; to nothing else."""


@runtime_checkable
class DifferentiableEncoder(Protocol):
    """What of an encoder a guide needs: see `curator.encoders.torch_runtime.TorchEncoder`."""

    @property
    def preprocess(self) -> Preprocess: ...
    @property
    def logit_scale(self) -> float: ...

    def embed_pixels(self, images: Tensor) -> Tensor: ...


def make_guide(address: str, surroundings: Surroundings, *, device: torch.device, offline: bool) -> Guide:
    """Load the guide of that address. Raises UsageError for no such kind, GeneratorError for files that make none."""
    kind, rest = split_guide(address)
    if kind == ZERO_SHOT:
        return ZeroShotGuide.of(surroundings)
    return ClassifierGuide.load(rest, device=device, offline=offline)


@dataclass(frozen=True)
class ZeroShotGuide:
    """logits = logit_scale * cosine to the ID labels. label_vectors: (C, d) unit norm."""

    encoder: DifferentiableEncoder
    label_vectors: Tensor

    @classmethod
    def of(cls, surroundings: Surroundings) -> ZeroShotGuide:
        encoder = surroundings.encoder()
        if not isinstance(encoder, DifferentiableEncoder):
            raise GeneratorError(
                f"the encoder {surroundings.encoder_id} gives no gradients, so it cannot be a painter's guide",
                hint="use mini, open_clip:… or transformers:… as the encoder, or a guide transformers:<id or folder>",
            )
        return cls(encoder, torch.tensor(surroundings.id_vectors, dtype=torch.float32))

    @property
    def class_count(self) -> int:
        return len(self.label_vectors)

    def logits(self, images: Tensor) -> Tensor:
        vectors = self.encoder.embed_pixels(Fitting.of(self.encoder.preprocess).fit(images))
        return self.encoder.logit_scale * vectors @ self.label_vectors.to(vectors.device).T


@dataclass(frozen=True)
class ClassifierGuide:
    """An image classifier of transformers, in float32 and evaluation mode."""

    module: Any
    fitting: Fitting
    mean: Tensor
    std: Tensor
    class_count: int

    @classmethod
    def load(cls, rest: str, *, device: torch.device, offline: bool) -> ClassifierGuide:
        """Raises GeneratorError for files that are not there or make no image classifier."""
        import transformers

        address = f"guide transformers:{rest}"
        also = (MODEL_MARKER, "*.index.json", "preprocessor_config.json")
        folder = model_folder(
            rest, address=address, marker=MODEL_MARKER, offline=offline, any_of=CHECKPOINT_FILES, also=also
        )
        processors: Any = transformers.AutoImageProcessor
        try:
            with no_network(), torch.random.fork_rng(devices=[]):
                module, report = transformers.AutoModelForImageClassification.from_pretrained(
                    folder, dtype=torch.float32, weights_only=True, output_loading_info=True, **ONLY_DATA
                )
                processor = processors.from_pretrained(folder, **ONLY_DATA)
        # Broad on purpose: transformers and safetensors raise what they like on files that do not fit.
        except Exception as error:
            raise GeneratorError(
                f"{address}: {folder} makes no image classifier: {said_by(error, whole=True)}"
            ) from error
        if report["missing_keys"]:  # transformers only warns, and leaves them random: a backbone without its classifier
            raise GeneratorError(f"{address}: its weights lack {', '.join(sorted(report['missing_keys'])[:3])}")
        module.eval().requires_grad_(False).to(device)
        mean, std = _statistics(processor, address)
        return cls(module, read_fitting(processor, address), mean.to(device), std.to(device), module.config.num_labels)

    def logits(self, images: Tensor) -> Tensor:
        fitted = self.fitting.fit(images.to(self.mean.device, torch.float32))
        found: Tensor = self.module(pixel_values=(fitted - self.mean) / self.std).logits
        return found


@dataclass(frozen=True, slots=True)
class Fitting:
    """Resize, then cut the centre out. `shortest`: the short side becomes `resize`; else both sides do.

    resize, crop: in pixels, crop at most resize.
    """

    resize: int
    crop: int
    shortest: bool
    interpolation: Literal["bilinear", "bicubic"]

    @classmethod
    def of(cls, preprocess: Preprocess) -> Fitting:
        """As `curator.decode.fitting` does, but for its exception for very long images."""
        size = preprocess.size
        return cls(size, size, preprocess.resize == "shortest", preprocess.interpolation)

    def fit(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1] to (B, 3, crop, crop) in [0, 1]: bicubic overshoots, which Pillow clips as well."""
        height, width = images.shape[2:]
        short = min(height, width)
        wanted = tuple(self.resize * side // short if self.shortest else self.resize for side in (height, width))
        resized = nn.functional.interpolate(
            images, size=wanted, mode=self.interpolation, antialias=True, align_corners=False
        )
        top, left = (round((side - self.crop) / 2) for side in wanted)
        return resized[:, :, top : top + self.crop, left : left + self.crop].clamp(0, 1)


def read_fitting(processor: Any, address: str) -> Fitting:
    """An image processor's geometry. Raises GeneratorError for one that cannot be expressed."""
    size = dict(processor.size)
    shortest = size.get("shortest_edge")
    side = shortest or size.get("height")
    if not processor.do_resize or not side or (not shortest and size.get("width") != side):
        raise GeneratorError(f"{address}: its image processor resizes to {size}, and only squares are supported")
    if int(processor.resample) not in RESAMPLE:
        raise GeneratorError(f"{address}: its image processor resamples with Pillow's filter {processor.resample}")
    interpolation = RESAMPLE[int(processor.resample)]
    share = getattr(processor, "crop_pct", None)  # of ConvNeXt and ResNet: the crop is `size` of a larger picture
    if share:
        large = shortest is not None and shortest < 384  # above, they squash and cut nothing off
        return Fitting(int(side / share) if large else side, side, large, interpolation)
    crop = dict(processor.crop_size or {}) if getattr(processor, "do_center_crop", False) else {}
    return Fitting(side, int(crop.get("height") or side), bool(shortest), interpolation)


def _statistics(processor: Any, address: str) -> tuple[Tensor, Tensor]:
    """Mean and deviation, (1, 3, 1, 1), for pixels in [0, 1]."""
    if not processor.do_rescale or abs(processor.rescale_factor * 255 - 1) > 1e-3:
        raise GeneratorError(f"{address}: its image processor does not bring pixels to [0, 1]")
    plain = not processor.do_normalize
    mean = [0.0] * 3 if plain else processor.image_mean
    std = [1.0] * 3 if plain else processor.image_std
    return torch.tensor(mean).reshape(1, 3, 1, 1), torch.tensor(std).reshape(1, 3, 1, 1)

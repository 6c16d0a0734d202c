"""Guides: classifiers that say how a picture looks to a model of the ID classes, with gradients down to its pixels.

Any differentiable classifier will do, and it should not be the model that judges later what was painted: a picture that
moves until one model cannot place it tells that model nothing new. So `timm:resnet50.tv2_in1k` is the default, the very
weights that SynOOD's code takes from torchvision (`torchvision:resnet50`); classes that ImageNet does not have want a
classifier of their own, `transformers:<id or folder>`. `zero-shot` is the workspace's own encoder over the ID labels:
it needs no further weights, and a bank that was painted with it says so. Pictures are fitted with torch's own
antialiased resize, so that gradients pass; it follows Pillow's to within rounding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, cast, runtime_checkable

import torch
from torch import Tensor, nn

from curator.encoders.hub import CHECKPOINT_FILES, ONLY_DATA, no_network
from curator.errors import GeneratorError
from curator.generators.diffusion.guide_address import model_of, split_guide, torchvision_weights
from curator.generators.model_files import MODEL_MARKER, model_folder
from curator.generators.painter_settings import ZERO_SHOT
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
    loaders = {"timm": ClassifierGuide.of_timm, "torchvision": ClassifierGuide.of_torchvision}
    try:
        return loaders.get(kind, ClassifierGuide.load)(rest, device=device, offline=offline)
    except GeneratorError as error:
        hint = f'give another guide; generators.guide = "{ZERO_SHOT}" needs no weights, but is the encoder that judges'
        raise GeneratorError(error.message, hint=hint) from error


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
                hint="use mini, open_clip:… or transformers:… as the encoder, or a guide: timm:resnet50.tv2_in1k",
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
    """An image classifier, in float32 and evaluation mode."""

    module: Any
    fitting: Fitting
    mean: Tensor
    std: Tensor
    class_count: int

    @classmethod
    def load(cls, rest: str, *, device: torch.device, offline: bool) -> ClassifierGuide:
        """One of transformers, its wrapper of timm's among them. Raises GeneratorError for files that are not there or
        make no image classifier."""
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
        timm = getattr(processor, "data_config", None)
        fitting = timm_fitting(timm, address) if timm else read_fitting(processor, address)
        mean, std = (timm["mean"], timm["std"]) if timm else _statistics(processor, address)
        return cls.ready(module, fitting, mean, std, device=device, class_count=module.config.num_labels)

    @classmethod
    def of_timm(cls, rest: str, *, device: torch.device, offline: bool) -> ClassifierGuide:
        """From safetensors only: a pickle is never opened. Raises GeneratorError as `load` does."""
        import timm
        from timm.data.config import resolve_data_config

        address, weights = f"guide timm:{rest}", "model.safetensors"
        folder = model_folder(
            model_of("timm", rest),
            address=address,
            marker=MODEL_MARKER,
            offline=offline,
            any_of=[weights],
            also=[MODEL_MARKER],
        )
        if not (folder / weights).is_file():
            raise GeneratorError(f"{address}: {folder} holds no {weights}")
        try:
            with no_network(), torch.random.fork_rng(devices=[]):
                module = timm.create_model(f"local-dir:{folder}", pretrained=True)
        # Broad on purpose: timm, torch and safetensors raise what they like on files that do not fit.
        except Exception as error:
            raise GeneratorError(
                f"{address}: {folder} makes no image classifier: {said_by(error, whole=True)}"
            ) from error
        count = int(cast("int", module.num_classes))  # torch types attributes of a module as modules
        if not count:
            raise GeneratorError(f"{address}: {folder} makes no image classifier: it has no classes")
        shown = resolve_data_config(model=module)  # type: ignore[no-untyped-call]
        fitting = timm_fitting(shown, address)
        return cls.ready(module, fitting, shown["mean"], shown["std"], device=device, class_count=count)

    @classmethod
    def of_torchvision(cls, rest: str, *, device: torch.device, offline: bool) -> ClassifierGuide:
        """Raises GeneratorError for a name that torchvision does not have, and weights that cannot be had."""
        from torchvision import models

        name, weights = torchvision_weights(rest)
        address, file = f"guide torchvision:{rest}", Path(torch.hub.get_dir(), "checkpoints", Path(weights.url).name)
        if offline and not file.is_file():
            raise GeneratorError(f"{address}: {file} is not there, and offline mode forbids to download it")
        try:
            with torch.random.fork_rng(devices=[]):
                module = models.get_model(name)
            module.load_state_dict(weights.get_state_dict(progress=False, check_hash=True, weights_only=True))
        # Broad on purpose: connection and disk faults, and files that do not fit, come as classes of several libraries.
        except Exception as error:
            raise GeneratorError(f"{address}: cannot be loaded: {said_by(error, whole=True)}") from error
        shown = weights.transforms()
        fitting = Fitting(shown.resize_size[0], shown.crop_size[0], True, shown.interpolation.value)
        count = len(weights.meta["categories"])
        return cls.ready(module, fitting, shown.mean, shown.std, device=device, class_count=count)

    @classmethod
    def ready(
        cls,
        module: nn.Module,
        fitting: Fitting,
        mean: Sequence[float],
        std: Sequence[float],
        *,
        device: torch.device,
        class_count: int,
    ) -> ClassifierGuide:
        """mean, std: of the three colours, for pixels in [0, 1]."""
        module.eval().requires_grad_(False).to(device)
        shift, scale = (torch.tensor(values).reshape(1, 3, 1, 1).to(device) for values in (mean, std))
        return cls(module, fitting, shift, scale, class_count)

    def logits(self, images: Tensor) -> Tensor:
        fitted = self.fitting.fit(images.to(self.mean.device, torch.float32))
        found = self.module((fitted - self.mean) / self.std)
        logits: Tensor = getattr(found, "logits", found)  # of transformers a record, of torchvision the tensor itself
        return logits


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
        return cls(preprocess.side, preprocess.size, preprocess.resize == "shortest", preprocess.interpolation)

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


def timm_fitting(config: Mapping[str, Any], address: str) -> Fitting:
    """The geometry of timm's `data_config`. Raises GeneratorError for one that cannot be expressed."""
    _, height, width = config["input_size"]
    mode, interpolation = config["crop_mode"], config["interpolation"]
    if height != width or mode not in ("center", "squash") or interpolation not in RESAMPLE.values():
        raise GeneratorError(f"{address}: images of {width} x {height}, {mode} and {interpolation}, are not supported")
    return Fitting(int(height / config["crop_pct"]), height, mode == "center", interpolation)


def _statistics(processor: Any, address: str) -> tuple[Sequence[float], Sequence[float]]:
    """Mean and deviation of the three colours, for pixels in [0, 1]."""
    if not processor.do_rescale or abs(processor.rescale_factor * 255 - 1) > 1e-3:
        raise GeneratorError(f"{address}: its image processor does not bring pixels to [0, 1]")
    return (processor.image_mean, processor.image_std) if processor.do_normalize else ((0.0,) * 3, (1.0,) * 3)

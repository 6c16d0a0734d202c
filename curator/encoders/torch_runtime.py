"""The two towers of a model, run in batches: device, dtype, normalisation, order, memory. Knows no model family.

Global state stays as it was: no seed, no thread count, no default dtype or device is set here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from curator.encoders.fingerprint import fingerprint
from curator.encoders.options import EncoderOptions
from curator.encoders.tokens import PROBES, SAMPLES, ids_of, refuse_blind, refuse_unknown, tokenizer_digest
from curator.errors import EncoderError
from curator.printable import said_by
from curator.types import Pixels, Preprocess, Vectors

Tokens = Mapping[str, Tensor]  # each (n, length), integers

TEXTS_SORTED_TOGETHER = 16_384  # bounds the memory for tokens when texts come by the million


@dataclass(frozen=True, slots=True)
class Towers:
    """A model, as a family's adapter hands it over: in float32, on the CPU, in evaluation mode.

    castable: the part of `module` that takes the dtype of the encoder, most often all of it.
    embed_images: (n, 3, size, size) normalised pixels to (n, d), of any norm.
    embed_texts: tokens, as `tokenize` gives them but perhaps with fewer columns, to (n, d), of any norm.
    tokenizer: what `tokenize` asks, for its vocabulary. token_count: how many tokens the text tower has; None where it
    does not say.
    text_lengths: how many leading columns of its tokens each text depends on, (n,); None when every column counts, as
    in towers that attend both ways.
    """

    module: nn.Module
    castable: nn.Module
    embed_images: Callable[[Tensor], Tensor]
    embed_texts: Callable[[Tokens], Tensor]
    tokenize: Callable[[list[str]], Tokens]
    tokenizer: Any
    token_count: int | None
    text_lengths: Callable[[Tokens], Tensor] | None
    preprocess: Preprocess
    logit_scale: float
    fingerprint: str


class TorchEncoder:
    """The encoder of every family that runs on torch. See `curator.types.Encoder`."""

    def __init__(self, towers: Towers, options: EncoderOptions) -> None:
        self.device = resolve_device(options.device)
        self.dtype = resolve_dtype(options.dtype, self.device)
        self.encoder_id = f"{options.address}@{towers.fingerprint}"
        self._address = options.address
        self.logit_scale = towers.logit_scale
        self.preprocess = towers.preprocess
        self.batch_size = options.batch_size or default_batch_size(self.device, towers.preprocess.size)
        self.text_batch_size = options.text_batch_size or (1024 if self.device.type == "cuda" else 64)
        self._towers = towers
        self._pad_batches = options.compile  # a compiled tower is compiled again for every batch shape
        self._embed_images = torch.compile(towers.embed_images) if options.compile else towers.embed_images
        with _memory_guard():
            towers.castable.to(self.dtype)
            towers.module.to(self.device).to(memory_format=torch.channels_last)
        self._scale, self._shift = _normalisation(towers.preprocess, self.device)
        refuse_blind(towers.tokenize(list(PROBES)), address=options.address)
        self.dimension = int(self._encode_window(["a"]).shape[1])

    @cached_property
    def tokenizer_id(self) -> str:
        """Changes when texts become other tokens. It is no part of `encoder_id`, which is that of vectors of images."""
        return tokenizer_digest(self._towers.tokenizer, self._towers.tokenize(list(SAMPLES)))

    @property
    def pixel_buffer(self) -> Callable[[int], Pixels] | None:
        """Makes memory for images, (count, size, size, 3) uint8, that a GPU reads without another copy."""
        return self._pinned if self.device.type == "cuda" else None

    def _pinned(self, count: int) -> Pixels:
        shape = (count, self.preprocess.size, self.preprocess.size, 3)
        buffer: Pixels = torch.empty(shape, dtype=torch.uint8, pin_memory=True).numpy()
        return buffer

    def encode_images(self, pixels: Pixels) -> Vectors:
        size = self.preprocess.size
        if pixels.ndim != 4 or pixels.shape[1:] != (size, size, 3) or pixels.dtype != np.uint8:
            raise EncoderError(f"pixels are {pixels.dtype} {pixels.shape}, expected uint8 (n, {size}, {size}, 3)")
        with torch.inference_mode(), _memory_guard():
            batches = [
                self._encode_batch(pixels[start : start + self.batch_size])
                for start in range(0, len(pixels), self.batch_size)
            ]
            return self._to_host(batches)

    def encode_texts(self, texts: list[str], *, normalised: bool = True) -> Vectors:
        windows = [
            self._encode_window(texts[start : start + TEXTS_SORTED_TOGETHER], normalised=normalised)
            for start in range(0, len(texts), TEXTS_SORTED_TOGETHER)
        ]
        return np.concatenate([np.zeros((0, self.dimension), np.float32), *windows])

    def embed_pixels(self, images: Tensor) -> Tensor:
        """What `encode_images` does, for those who need gradients: they reach `images`, and no weight gets any.

        images: (n, 3, size, size) float in [0, 1], on any device. Returns (n, d) float32 unit norm, on the encoder's
        device. Computed in float32 whatever the dtype of the encoder, whose weights are widened for this call: so the
        vectors differ from those of `encode_images` by the rounding of that dtype.
        """
        size = self.preprocess.size
        if images.ndim != 4 or images.shape[1:] != (3, size, size) or not images.is_floating_point():
            raise EncoderError(f"images are {images.dtype} {tuple(images.shape)}, not float (n, 3, {size}, {size})")
        tower = _ImageTower(self._towers)
        weights = {
            name: value.detach().float() if value.is_floating_point() else value
            for name, value in (*tower.named_parameters(), *tower.named_buffers())
        }
        pixels = images.to(self.device, torch.float32) * 255.0 * self._scale + self._shift
        return _unit(torch.func.functional_call(tower, weights, (pixels,)))

    def _encode_batch(self, pixels: Pixels) -> Tensor:
        """(n, size, size, 3) uint8 to (n, d) unit norm float32, on the device."""
        n = len(pixels)
        if self._pad_batches and n < self.batch_size:
            pixels = np.concatenate([pixels, np.zeros((self.batch_size - n, *pixels.shape[1:]), np.uint8)])
        batch = self._to_device(torch.from_numpy(np.require(pixels, requirements=["C", "W"])))
        # A permuted view of (n, size, size, 3) is the channels-last layout that convolutions like best. The arithmetic
        # is done in float32: in a short dtype the mean and the deviation would be rounded as well.
        images = batch.permute(0, 3, 1, 2).float().mul_(self._scale).add_(self._shift).to(self.dtype)
        return _unit(self._embed_images(images)[:n])

    def _encode_window(self, texts: list[str], *, normalised: bool = True) -> Vectors:
        """Encode texts of like length together: short ones then need few columns. The order is restored at the end."""
        with torch.inference_mode(), _memory_guard():
            tokens = self._towers.tokenize([_well_formed(text) for text in texts])
            refuse_unknown(tokens, texts, known=self._towers.token_count, address=self._address)
            full = torch.full((len(texts),), ids_of(tokens).shape[1])
            lengths = self._towers.text_lengths(tokens) if self._towers.text_lengths else full
            order = torch.argsort(lengths, stable=True)
            batches = []
            for rows in torch.split(order, self.text_batch_size):
                columns = int(lengths[rows].max())
                batch = {name: self._to_device(part[rows, :columns]) for name, part in tokens.items()}
                vectors = self._towers.embed_texts(batch)
                batches.append(_unit(vectors) if normalised else vectors.float())
            sorted_vectors = self._to_host(batches)
        restored = np.empty_like(sorted_vectors)
        restored[order.numpy()] = sorted_vectors
        return restored

    def _to_device(self, part: Tensor) -> Tensor:
        if self.device.type != "cuda":
            return part.to(self.device)
        pinned = part if part.is_pinned() else part.pin_memory()
        return pinned.to(self.device, non_blocking=True)

    def _to_host(self, batches: list[Tensor]) -> Vectors:
        """One transfer, and so one wait for the device, however many batches there are."""
        if not batches:
            return np.zeros((0, self.dimension), np.float32)
        return np.ascontiguousarray(torch.cat(batches).cpu().numpy())


class _ImageTower(nn.Module):
    """The image tower as a module of its own, which torch.func can run with other weights than it has."""

    def __init__(self, towers: Towers) -> None:
        super().__init__()
        self.module = towers.module
        self._embed = towers.embed_images

    def forward(self, images: Tensor) -> Tensor:
        return self._embed(images)


def weights_fingerprint(
    module: nn.Module, preprocess: Preprocess, *, traits: Mapping[str, str | int | bool] | None = None
) -> str:
    """Of a model as it was loaded: in float32, on the CPU, before anything is folded or cast."""
    weights = ((name, value.detach().contiguous().numpy()) for name, value in module.state_dict().items())
    return fingerprint(weights, preprocess, traits=traits)


def resolve_device(name: str) -> torch.device:
    """`auto` is CUDA if there is a device, else the CPU. Raises EncoderError for one that is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device).cpu()  # of `meta` nothing comes back
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        here = devices_here()
        is_here = any(name in (there, there.partition(":")[0]) for there in here)
        why = said_by(error, whole=True) if is_here else f"there is none on this machine{_without_cuda(name)}"
        raise EncoderError(
            f"device {name!r} cannot be used: {why}", hint=f"here: {', '.join(here)}; or auto, the best of them"
        ) from error
    return device


def devices_here() -> list[str]:
    """The devices that this installation of torch can compute on, by the names that it takes."""
    mps = ["mps"] if torch.backends.mps.is_available() else []
    return ["cpu", *mps, *(f"cuda:{number}" for number in range(torch.cuda.device_count()))]


def _without_cuda(name: str) -> str:
    is_lacking = name.startswith("cuda") and torch.version.cuda is None
    return f" that torch {torch.__version__}, built without CUDA, could use" if is_lacking else ""


def resolve_dtype(name: str, device: torch.device) -> torch.dtype:
    """`auto` is the fastest dtype that the device computes in natively and that keeps float32's range if possible.

    Measured on two cores with AVX512-BF16: bfloat16 encodes images 3.6 times as fast as float32 with ViT-B-32 and 2.3
    times with mini, whose cosines to texts move by at most 0.012.
    """
    if name == "float16" and device.type == "cpu":
        raise EncoderError("float16 is not for CPUs", hint="use bfloat16 or float32")
    if name != "auto":
        return {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[name]
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.get_device_capability(device) >= (8, 0) else torch.float16
    return torch.bfloat16 if device.type == "cpu" and cpu_computes_bfloat16() else torch.float32


def cpu_computes_bfloat16() -> bool:
    """Whether this CPU multiplies bfloat16 in hardware (AVX512-BF16 or AMX); emulated, it is slower than float32."""
    probes = (getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    return any(probe() for probe in probes if probe is not None)


def default_batch_size(device: torch.device, size: int) -> int:
    """On CPUs more gains nothing, measured with ViT-B-32 and mini. On GPUs nothing was measured: 256 is customary."""
    if device.type == "cuda":
        return 256
    return 128 if size <= 128 else 32


@contextmanager
def _memory_guard() -> Iterator[None]:
    """An exhausted GPU becomes one clear line."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise EncoderError("the GPU has too little memory", hint="lower encoder.batch_size") from error


def _normalisation(preprocess: Preprocess, device: torch.device) -> tuple[Tensor, Tensor]:
    """(x / 255 - mean) / std as one product and one sum; both (1, 3, 1, 1)."""
    mean, std = (torch.tensor(part, dtype=torch.float64) for part in (preprocess.mean, preprocess.std))
    parts: Any = (1.0 / (255.0 * std), -mean / std)
    scale, shift = (part.float().reshape(1, 3, 1, 1).to(device) for part in parts)
    return scale, shift


def _unit(vectors: Tensor) -> Tensor:
    return nn.functional.normalize(vectors.float(), dim=-1)


def _well_formed(text: str) -> str:
    """Lone surrogates, which file names can bring, have no UTF-8 form and would stop a tokenizer."""
    return text.encode("utf-8", "replace").decode("utf-8")

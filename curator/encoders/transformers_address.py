"""Addresses of transformers models, and where their files lie. Building the model is `transformers_encoder`."""

from __future__ import annotations

import json
from pathlib import Path

from curator.encoders.hub import (
    CHECKPOINT_FILES,
    TOKENIZER_FILES,
    Access,
    Repository,
    is_path,
    placed,
    require_tokenizer,
    snapshot,
)
from curator.encoders.options import LIKE_CLIP, OF_CLIP, EncoderOptions, SuitedScore
from curator.errors import EncoderError, UsageError, WeightsMissing
from curator.paths import expanded
from curator.types import Encoder

CONFIG_NAME = "config.json"
OTHER_FILES = (CONFIG_NAME, "*.index.json", "preprocessor_config.json", "processor_config.json", *TOKENIZER_FILES)

# model_type in config.json. Fixed-resolution SigLIP 2 checkpoints say `siglip`; `siglip2` is NaFlex.
MODEL_TYPES = ("clip", "siglip", "siglip2")
EXAMPLES = (
    "openai/clip-vit-base-patch32",
    "openai/clip-vit-large-patch14",
    "google/siglip-base-patch16-224",
    "google/siglip2-base-patch16-224",
    "google/siglip2-base-patch16-naflex",
)


class TransformersFamily:
    """Addresses `transformers:<org>/<repo>[@<revision>]` and `transformers:<folder>`."""

    def check(self, rest: str) -> None:
        if not rest:
            raise UsageError("transformers: names no model", hint=f"for example transformers:{EXAMPLES[0]}")

    def load(self, rest: str, options: EncoderOptions) -> Encoder:
        folder = locate(rest, Access(options.address, options.offline, root=options.root))
        model_type = read_model_type(folder, address=options.address)
        from curator.encoders.transformers_encoder import load_transformers

        return load_transformers(folder, model_type, options)

    def fetch(self, rest: str) -> str:
        return str(locate(rest, Access(f"transformers:{rest}", renew=True)))

    def suited_score(self, rest: str, id_labels: int) -> SuitedScore:
        return OF_CLIP if rest.startswith("openai/clip-") else LIKE_CLIP

    def placed(self, rest: str, root: Path) -> str:
        if not (expanded(rest).is_dir() or is_path(rest)):
            return rest
        return placed(locate(rest, Access(f"transformers:{rest}", offline=True)), root)

    @staticmethod
    def known() -> list[str]:
        return [f"transformers:{name}" for name in EXAMPLES]


def locate(rest: str, access: Access) -> Path:
    """The folder of the files of a model of one of MODEL_TYPES. A folder that exists goes before a repository of that
    name."""
    folder = access.local(rest)
    if not folder.is_dir() and not is_path(rest):
        # The small file first: a repository without it is told apart before gigabytes are fetched.
        config, _ = snapshot(Repository.parse(rest), access, any_of=[CONFIG_NAME])
        read_model_type(config, address=access.address)
        folder, _ = snapshot(Repository.parse(rest), access, any_of=CHECKPOINT_FILES, also=OTHER_FILES)
    if not (folder / CONFIG_NAME).is_file() or not any(any(folder.glob(name)) for name in CHECKPOINT_FILES):
        raise WeightsMissing(
            f"{access.address}: there are no {CONFIG_NAME} and model.safetensors in {folder.absolute()}",
            hint="give a folder that save_pretrained wrote, or a repository of the Hugging Face hub",
        )
    read_model_type(folder, address=access.address)
    require_tokenizer(folder, access)
    return folder


def read_model_type(folder: Path, *, address: str) -> str:
    """One of MODEL_TYPES. Raises EncoderError, naming them, for any other model."""
    try:
        model_type = json.loads((folder / CONFIG_NAME).read_text(encoding="utf-8")).get("model_type")
    except (OSError, ValueError, AttributeError) as error:
        raise EncoderError(f"{address}: {folder / CONFIG_NAME} cannot be read: {error}") from error
    if model_type not in MODEL_TYPES:
        raise EncoderError(
            f"{address}: models of type {model_type!r} are not supported",
            hint="supported: CLIP (clip), SigLIP and SigLIP 2 (siglip, siglip2)",
        )
    return str(model_type)

"""Addresses of open_clip models, and where their files lie. Building the model is `open_clip_encoder`.

open_clip knows its architectures by configuration files and its weights by tags; every tag names a repository. All
that a model needs (weights, and for some its tokenizer or the configuration of its text tower) is brought here before
it is built.
"""

from __future__ import annotations

import difflib
import json
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from curator.encoders.hub import TOKENIZER_FILES, Access, Repository, placed, require_tokenizer, snapshot
from curator.encoders.options import LIKE_CLIP, OF_CLIP, EncoderOptions, SuitedScore
from curator.errors import EncoderError, UsageError, WeightsMissing
from curator.types import Encoder

CHECKPOINT_SUFFIXES = (".safetensors", ".pt", ".pth", ".bin")
HUB, FOLDER = "hf-hub:", "local-dir:"
CONFIG_NAME = "open_clip_config.json"
WEIGHT_FILES = ("open_clip_model.safetensors", "open_clip_pytorch_model.safetensors", "open_clip_pytorch_model.bin")


@dataclass(frozen=True, slots=True)
class OpenClipModel:
    """What open_clip is to build an encoder of.

    name: an architecture, or `local-dir:<folder>`. checkpoint: the weights; None where the folder holds them, and for
    random weights, which `seed` then is for. preprocess: keys of open_clip's PreprocessCfg that overrule its own.
    """

    name: str
    checkpoint: Path | None = None
    seed: int | None = None
    quick_gelu: bool = False
    preprocess: Mapping[str, Any] = field(default_factory=dict)


class OpenClipFamily:
    """Addresses `open_clip:<architecture>/<weights>`, `open_clip:hf-hub:<repo>`, `open_clip:local-dir:<folder>`."""

    def check(self, rest: str) -> None:
        if rest in (HUB, FOLDER):
            raise UsageError(f"open_clip:{rest} names nothing", hint=f"for example open_clip:{HUB}org/repo")
        if not rest.startswith((HUB, FOLDER)):
            architecture, weights = _split(rest)
            known = tags(architecture)
            is_checkpoint = Path(weights).suffix in CHECKPOINT_SUFFIXES
            if not (_seed(weights) is not None or _tag(weights) in known or is_checkpoint):
                near = difflib.get_close_matches(_tag(weights), known, n=3, cutoff=0) or ["random"]
                raise UsageError(
                    f"open_clip:{rest}: {weights!r} is neither a tag of {architecture} nor a checkpoint file",
                    hint=f"tags: {', '.join(near)}, …; `curator models list --family open_clip` shows all",
                )

    def load(self, rest: str, options: EncoderOptions) -> Encoder:
        model = locate(rest, Access(options.address, options.offline, root=options.root))
        from curator.encoders.open_clip_encoder import load_open_clip

        return load_open_clip(model, options)

    def fetch(self, rest: str) -> str:
        model = locate(rest, Access(f"open_clip:{rest}", renew=True))
        if model.seed is not None:
            return "random weights: nothing to fetch"
        return str(model.checkpoint or model.name.removeprefix(FOLDER))

    def suited_score(self, rest: str, id_labels: int) -> SuitedScore:
        return OF_CLIP if _tag(rest).endswith("/openai") else LIKE_CLIP

    def placed(self, rest: str, root: Path) -> str:
        access = Access(f"open_clip:{rest}", offline=True)
        if rest.startswith(FOLDER):
            model = _from_folder(access.local(rest.removeprefix(FOLDER)), access)
            return f"{FOLDER}{placed(Path(model.name.removeprefix(FOLDER)), root)}"
        architecture, _, weights = rest.partition("/")
        if rest.startswith(HUB) or _seed(weights) is not None or _tag(weights) in tags(architecture):
            return rest
        return f"{architecture}/{placed(_checkpoint(weights, access), root)}"

    @staticmethod
    def known() -> list[str]:
        return [f"open_clip:{architecture}/{tag}" for architecture in architectures() for tag in tags(architecture)]


def locate(rest: str, access: Access) -> OpenClipModel:
    """Find or fetch the files of an address that `check` has passed. Raises WeightsMissing."""
    if rest.startswith(HUB):
        return _from_hub(Repository.parse(rest.removeprefix(HUB)), access)
    if rest.startswith(FOLDER):
        return _from_folder(access.local(rest.removeprefix(FOLDER)), access)
    architecture, weights = _split(rest)
    _fetch_text_files(architecture, access)
    seed = _seed(weights)
    if seed is not None:
        return OpenClipModel(architecture, seed=seed, preprocess=_shared_preprocess(architecture))
    if _tag(weights) in tags(architecture):
        return _from_tag(architecture, weights, access)
    return OpenClipModel(architecture, _checkpoint(weights, access), preprocess=_shared_preprocess(architecture))


def _checkpoint(weights: str, access: Access) -> Path:
    """The file of weights that are neither random nor known by a tag."""
    checkpoint = access.local(weights)
    if not checkpoint.is_file():
        raise WeightsMissing(
            f"{access.address}: there is no file {checkpoint} (sought from {Path.cwd()})",
            hint="put the checkpoint there, or name a tag; `curator models list --family open_clip` shows them",
        )
    return checkpoint


def architectures() -> list[str]:
    """Names of the configuration files that open_clip ships, and of those added to it. Does not import open_clip."""
    if "open_clip" in sys.modules:
        return list(sys.modules["open_clip"].list_models())
    spec = find_spec("open_clip")
    folders = [Path(place) for place in (spec.submodule_search_locations or [])] if spec else []
    return sorted(path.stem for folder in folders for path in folder.glob("model_configs/*.json"))


def tags(architecture: str) -> list[str]:
    """The tags of weights that open_clip knows for the architecture."""
    from open_clip.pretrained import list_pretrained_tags_by_model

    return list(list_pretrained_tags_by_model(architecture))


def _split(rest: str) -> tuple[str, str]:
    architecture, _, weights = rest.partition("/")
    names = architectures()
    if architecture not in names:
        near = difflib.get_close_matches(architecture, names, n=3, cutoff=0.3)
        raise UsageError(
            f"open_clip:{rest}: open_clip has no architecture {architecture!r}",
            hint=f"near: {', '.join(near)}" if near else "`curator models list --family open_clip` shows all",
        )
    if not weights:
        raise UsageError(
            f"open_clip:{rest} names no weights", hint=f"for example open_clip:{architecture}/<tag>; see `models list`"
        )
    return architecture, weights


def _tag(weights: str) -> str:
    return weights.partition("@")[0]


def _seed(weights: str) -> int | None:
    """The seed of `random` or `random?seed=<n>`; None for anything else."""
    match = re.fullmatch(r"random(?:\?seed=(\d{1,18}))?", weights)
    return int(match[1] or 0) if match else None


def _from_tag(architecture: str, weights: str, access: Access) -> OpenClipModel:
    from open_clip.pretrained import get_pretrained_cfg

    tag, _, revision = weights.partition("@")
    config = get_pretrained_cfg(architecture, tag)
    name, _, filename = config["hf_hub"].rpartition("/")
    wanted = (f"{Path(filename).stem}.safetensors", filename) if filename else WEIGHT_FILES
    folder, found = snapshot(Repository(name, revision or None), access, any_of=wanted)
    # The tag knows how its weights were trained; open_clip itself only warns when the architecture says otherwise.
    quick_gelu = bool(config.get("quick_gelu", False))
    return OpenClipModel(architecture, folder / found, quick_gelu=quick_gelu, preprocess=config)


def _from_hub(repository: Repository, access: Access) -> OpenClipModel:
    """The files of the repository, then as a folder. A tokenizer is sought beside the weights."""
    config, _ = snapshot(repository, access, any_of=[CONFIG_NAME])
    _fetch_text_config(_read_config(config, access).get("text_cfg", {}), access)
    folder, _ = snapshot(repository, access, any_of=WEIGHT_FILES, also=(CONFIG_NAME, *TOKENIZER_FILES))
    return _from_folder(folder, access)


def _from_folder(folder: Path, access: Access) -> OpenClipModel:
    if not (folder / CONFIG_NAME).is_file():
        raise WeightsMissing(
            f"{access.address}: there is no {CONFIG_NAME} in {folder.absolute()}",
            hint="give the folder that open_clip's save_for_hf wrote, or a checkpoint: open_clip:<architecture>/<file>",
        )
    config = _read_config(folder, access)
    if not any(path.suffix in CHECKPOINT_SUFFIXES for path in folder.iterdir()):
        raise WeightsMissing(f"{access.address}: there are no weights in {folder}", hint="*.safetensors is sought")
    if config.get("text_cfg", {}).get("hf_tokenizer_name"):  # open_clip then takes it from this folder
        require_tokenizer(folder, access)
    return OpenClipModel(f"{FOLDER}{folder}")


def _fetch_text_files(architecture: str, access: Access) -> None:
    """The tokenizer and the text tower's configuration, for architectures that take them from other repositories."""
    import open_clip

    text: Mapping[str, Any] = open_clip.get_model_config(architecture)["text_cfg"]
    if text.get("hf_tokenizer_name"):
        wanted = ("tokenizer.json", "*.model", "vocab*")
        snapshot(Repository(text["hf_tokenizer_name"]), access, any_of=wanted, also=("config.json", *TOKENIZER_FILES))
    _fetch_text_config(text, access)


def _fetch_text_config(text: Mapping[str, Any], access: Access) -> None:
    if text.get("hf_model_name"):
        snapshot(Repository(text["hf_model_name"]), access, any_of=["config.json"])


def _read_config(folder: Path, access: Access) -> dict[str, Any]:
    path = folder / CONFIG_NAME
    try:
        config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["model_cfg"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise EncoderError(f"{access.address}: {path} is no configuration of open_clip: {error!r}") from error
    if _has_key(config, "trust_remote_code"):  # open_clip hands what stands here on, word by word
        raise EncoderError(
            f"{access.address}: {path} asks to run code that comes with the model", hint="no model here may do that"
        )
    return config


def _has_key(value: Any, key: str) -> bool:
    """Whether a key stands anywhere in what a JSON file holds."""
    if isinstance(value, dict):
        return key in value or any(_has_key(item, key) for item in value.values())
    return isinstance(value, list) and any(_has_key(item, key) for item in value)


def _shared_preprocess(architecture: str) -> dict[str, Any]:
    """What all tags of the architecture agree on, for weights that say nothing; where they differ, open_clip's own."""
    from open_clip.pretrained import get_pretrained_cfg

    configs: Iterable[Mapping[str, Any]] = (get_pretrained_cfg(architecture, tag) for tag in tags(architecture))
    keys = ("mean", "std", "interpolation", "resize_mode")
    kinds = {tuple(config.get(key) for key in keys) for config in configs}
    return dict(zip(keys, kinds.pop(), strict=True)) if len(kinds) == 1 else {}

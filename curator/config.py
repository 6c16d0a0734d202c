"""The configuration of a workspace: `curator.toml`, environment, and what a caller overrides.

An option given in the call goes before the environment (`CURATOR_<SECTION>_<KEY>`), that before the file, that
before the defaults here. An unknown section or key is an error: a misspelt option must not pass in silence.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, get_type_hints

from curator.errors import ConfigError, UsageError
from curator.urls import refuse_secrets

CONFIG_NAME = "curator.toml"
VARIABLE = re.compile("[A-Za-z_][A-Za-z0-9_]*")
MEMORY = re.compile(r"[1-9][0-9]*(\.[0-9]+)? ?(%|[KMGT]i?B)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class EncoderSection:
    """Which encoder embeds images and labels, and how it runs."""

    address: str = "mini"  # mini · open_clip:<arch>/<pretrained> · transformers:<id or path>
    device: str = "auto"  # auto · cpu · cuda · cuda:0 …
    dtype: str = "auto"  # auto · float32 · bfloat16 · float16
    batch_size: int = 0  # 0: a good value for the device
    compile: bool = False  # torch.compile: pays on GPUs, costs a minute at the start
    offline: bool = False  # never touch the network, not even to look for weights


@dataclass(frozen=True, slots=True)
class ScanSection:
    """What a scan scores with, and how it works through the lake."""

    bank: str = "base"
    method: str = "neglabel"
    engine: str = "local"  # local: this machine · ray: the machines of a cluster, see [ray]
    precision: str = "fast"  # of the scores' cosines: fast · full, see curator/methods/kernel.py
    files_per_shard: int = 1024  # the unit of work and of resume for loose files
    decode_workers: int = -1  # processes; -1: one for each core; 0: decode in the main process
    read_threads: int = 8  # for loose files on slow storage
    max_object_bytes: int = 268_435_456  # larger single images are rejected unread
    metrics_file: str = ""  # where each scan leaves its figures for Prometheus; from the workspace folder


@dataclass(frozen=True, slots=True)
class RaySection:
    """Which Ray cluster works through a scan, and how its cores are divided. 0: by the size of the cluster."""

    address: str = ""  # of a running cluster: auto · host:port; empty: this machine alone
    encoders: int = 0  # one a GPU
    decoders: int = 0  # of one core each
    encoder_cpus: int = 0  # cores of one encoder


@dataclass(frozen=True, slots=True)
class DecodeSection:
    """How bytes become pixels."""

    max_pixels: int = 89_478_485  # larger images are rejected on their header
    scaled: bool = True  # decode large JPEGs at reduced size; see the drift bound in decode
    memory_limit_bytes: int = 4_294_967_296  # of address space, for each decode process


@dataclass(frozen=True, slots=True)
class IndexSection:
    """Which recipes the indexes are built from."""

    images: str = "flat"
    labels: str = "flat"


@dataclass(frozen=True, slots=True)
class NearDuplicatesSection:
    """When two images count as nearly the same."""

    enabled: bool = True
    min_cosine: float = 0.98
    neighbours: int = 5  # at most so many pairs for each new image


@dataclass(frozen=True, slots=True)
class GroupsSection:
    """How images with near-duplicates are put into groups: one thing to review each."""

    min_cosine: float = 0.96  # of every member to the image that leads its group


@dataclass(frozen=True, slots=True)
class GeneratorsSection:
    """Which models describe, reason and paint for the banks that learn, and how they run."""

    describer: str = "vocabulary"  # image to text: vocabulary · transformers:<id or folder> · endpoint:<model>
    reasoner: str = "wordnet"  # labels to labels: wordnet · transformers:<id or folder> · endpoint:<model>
    painter: str = "features"  # text to image: features · diffusers:<id or folder>
    base_url: str = "http://127.0.0.1:8000/v1"  # of the endpoint
    api_key_variable: str = "OPENAI_API_KEY"  # the environment variable with its key; the key itself is never stored
    concurrency: int = 4  # calls of an endpoint at a time
    batch_size: int = 4  # requests that a local model takes at a time
    timeout_seconds: float = 120.0
    retries: int = 4  # after a time-out, an overload or a cut connection
    max_new_tokens: int = 512
    quantise: str = "none"  # 4bit: local models in four bits (needs bitsandbytes and a GPU)
    guide: str = "zero-shot"  # the classifier that guides inpainting: zero-shot · transformers:<id or folder>


@dataclass(frozen=True, slots=True)
class LedgerSection:
    """The live database."""

    memory_limit: str = "25%"  # that it takes at most, of the machine's or as 4GB; what is larger is put aside on disk


@dataclass(frozen=True, slots=True)
class PublishSection:
    """Where the snapshot goes beside the workspace."""

    to: str = ""  # a folder or URL, such as s3://bucket/prefix/curator.duckdb; every run copies the snapshot there


@dataclass(frozen=True, slots=True)
class Config:
    """All options of a workspace, resolved."""

    encoder: EncoderSection = field(default_factory=EncoderSection)
    scan: ScanSection = field(default_factory=ScanSection)
    ray: RaySection = field(default_factory=RaySection)
    decode: DecodeSection = field(default_factory=DecodeSection)
    index: IndexSection = field(default_factory=IndexSection)
    near_duplicates: NearDuplicatesSection = field(default_factory=NearDuplicatesSection)
    groups: GroupsSection = field(default_factory=GroupsSection)
    generators: GeneratorsSection = field(default_factory=GeneratorsSection)
    ledger: LedgerSection = field(default_factory=LedgerSection)
    publish: PublishSection = field(default_factory=PublishSection)

    @classmethod
    def resolve(
        cls,
        path: Path | None,
        *,
        environment: Mapping[str, str] | None = None,
        overrides: Mapping[str, Any] | None = None,
    ) -> Config:
        """Read and validate. `overrides` are keyed `section.key`; those that are None are passed over.

        Raises ConfigError naming the place and what is accepted there.
        """
        values = _from_file(path) if path else {}
        for source, found in (("environment", _from_environment(environment)), ("options", dict(overrides or {}))):
            for dotted, value in found.items():
                if value is not None:
                    section, _, key = dotted.partition(".")
                    values.setdefault(section, {})[key] = (source, value)
        _refuse_secrets(values.get("generators", {}))
        _check_memory(*values.get("ledger", {}).get("memory_limit", ("", "1GB")))
        _refuse_credentials(values, "publish.to", "the store's own environment variables or profile hold them")
        hints = get_type_hints(cls)
        return cls(**{name: _section(hints[name], name, values.get(name, {})) for name in hints})


def _from_file(path: Path) -> dict[str, dict[str, tuple[str, Any]]]:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as fault:
        raise ConfigError(f"{path}: cannot be read: {fault}") from fault
    known = [item.name for item in fields(Config)]
    for name, section in document.items():
        if name not in known or not isinstance(section, dict):
            raise ConfigError(f"{path}: unknown section [{name}]", hint=f"known: {', '.join(known)}")
    return {name: {key: (str(path), value) for key, value in section.items()} for name, section in document.items()}


def _from_environment(environment: Mapping[str, str] | None) -> dict[str, Any]:
    environment = os.environ if environment is None else environment
    found: dict[str, Any] = {}
    for item in fields(Config):
        for key in get_type_hints(item.default_factory):
            text = environment.get(f"CURATOR_{item.name}_{key}".upper())
            if text is not None:
                found[f"{item.name}.{key}"] = text
    return found


def _check_memory(source: str, limit: Any) -> None:
    if isinstance(limit, str) and not MEMORY.fullmatch(limit):
        raise ConfigError(
            f"{source}: ledger.memory_limit is {limit!r}", hint="give a share or an amount: 25%, 4GB, 800MiB"
        )


def _refuse_secrets(generators: Mapping[str, tuple[str, Any]]) -> None:
    """A configuration is shown, logged and versioned: secrets have no place in it, and are not repeated."""
    hint = "keys are read from the environment variable that generators.api_key_variable names"
    _refuse_credentials({"generators": generators}, "generators.base_url", hint)
    source, name = generators.get("api_key_variable", ("", "none"))
    if isinstance(name, str) and not VARIABLE.fullmatch(name):
        hint = "the name of an environment variable, such as OPENAI_API_KEY; the key itself is only in that variable"
        raise ConfigError(f"{source}: generators.api_key_variable is no name of a variable", hint=hint)


def _refuse_credentials(values: Mapping[str, Mapping[str, tuple[str, Any]]], dotted: str, hint: str) -> None:
    section, _, key = dotted.partition(".")
    source, url = values.get(section, {}).get(key, ("", ""))
    if isinstance(url, str):
        try:
            refuse_secrets(url)
        except UsageError as fault:
            raise ConfigError(f"{source}: {dotted} has credentials in it", hint=hint) from fault


def _section(kind: Any, name: str, values: Mapping[str, tuple[str, Any]]) -> Any:
    hints = get_type_hints(kind)
    resolved = {}
    for key, (source, value) in values.items():
        if key not in hints:
            raise ConfigError(f"{source}: unknown key {name}.{key}", hint=f"known in [{name}]: {', '.join(hints)}")
        resolved[key] = _convert(value, hints[key], place=f"{source}: {name}.{key}")
    return kind(**resolved)


def _convert(value: Any, kind: type, *, place: str) -> Any:
    """`value` as `kind`; text from the environment is parsed. A bool is no number here."""
    if isinstance(value, str) and kind is bool and value.lower() in ("true", "false", "1", "0"):
        return value.lower() in ("true", "1")
    if isinstance(value, str) and kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            pass
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise ConfigError(f"{place} is {value!r}, expected {kind.__name__}")
    return value

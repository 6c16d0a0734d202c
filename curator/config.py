"""The configuration of a workspace: `curator.toml`, environment, and what a caller overrides.

An option given in the call goes before the environment (`CURATOR_<SECTION>_<KEY>`), that before the file, that
before the defaults here. An unknown section or key is an error: a misspelt option must not pass in silence. What each
option may hold and what it is for stand beside it (see ranges.py): that is checked whoever reads the configuration, and
is what a new `curator.toml` and `curator config` say of it.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from curator.errors import ConfigError
from curator.ranges import BANK, NAME, TEXT, Form, Place, Range, about, hints_of, read_fields, read_value

CONFIG_NAME = "curator.toml"
METHOD = Form(r"[A-Za-z][\w-]*(:.*|\(.*\))?", "a method, such as neglabel or neglabel:group_count=10")
DEVICE = Form(r"auto|cpu|mps|cuda(:\d{1,3})?", "auto, cpu, mps, cuda or cuda:1 …")
FILE = Form("|.*[^/]", "a path, or nothing")
MEMORY = Form(
    r"(?i:100%|[1-9]\d?(\.\d+)?%|[1-9]\d{0,8}(\.\d+)? ?[KMGT]i?B)", "a share or an amount: 25%, 4GB, 800MiB", longest=24
)
COLUMN = Form(".*", "the name of a column, or its path as sample.image")
RECIPE = Form(r"[a-z0-9][a-z0-9_-]*|.*\.toml", "the name of a recipe, or the path of one that ends in .toml")
CLUSTER = Form(r"|auto|local|(ray://)?[\w.\[\]:-]+:\d{1,5}", "auto, host:port, or nothing for this machine alone")
VARIABLE = Form(
    r"[A-Za-z_][A-Za-z0-9_]*",
    "the name of an environment variable, such as OPENAI_API_KEY; the key itself is only in that variable",
    fault="is no name of a variable",
)
SERVICE = Form(
    r"https?://[^/\s].*",
    "a URL such as http://127.0.0.1:8000/v1; keys are read from the environment variable that "
    "generators.api_key_variable names",
    secretless=True,
)
Texts: TypeAlias = tuple[Annotated[str, TEXT], ...]
DESTINATION = Form(
    ".*", "a folder or URL; the store's own environment variables or profile hold the credentials", secretless=True
)


def address_such_as(*kinds: str) -> Form:
    """An address NAME or NAME:MODEL, behind which `#form` may stand; `kinds` are examples of it."""
    return Form(r"[A-Za-z][\w-]*(:\S(.*\S)?)?(#\w+)?", f"an address such as {', '.join(kinds)}")


@dataclass(frozen=True, slots=True)
class EncoderSection:
    """Which encoder embeds images and labels, and how it runs."""

    address: Annotated[str, address_such_as("mini", "open_clip:<arch>/<pretrained>", "transformers:<id or path>")] = (
        "mini"
    )
    device: Annotated[str, DEVICE] = "auto"
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    batch_size: Annotated[int, Range(0, 65_536, "images; 0: a good number for the device")] = 0
    compile: Annotated[bool, "torch.compile: pays on GPUs, costs a minute at the start"] = False
    offline: Annotated[bool, "never touch the network, not even to look for weights"] = False


@dataclass(frozen=True, slots=True)
class ScanSection:
    """What a scan scores with, and how it works through the lake."""

    bank: Annotated[str, BANK] = "base"
    method: Annotated[str, METHOD] = "neglabel"
    engine: Annotated[Literal["local", "ray"], "this machine, or the machines of a cluster, see [ray]"] = "local"
    precision: Annotated[Literal["fast", "full"], "of the cosines of scores"] = "fast"  # see float_pass.py
    files_per_shard: Annotated[int, Range(1, 1_000_000), "the unit of work and of resume for loose files"] = 1024
    decode_workers: Annotated[int, Range(-1, 1024, "processes; -1: one a core, 0: decode in the main process")] = -1
    read_threads: Annotated[int, Range(1, 1024, "threads"), "for loose files on slow storage"] = 8
    max_object_bytes: Annotated[int, Range(1000, 2**40, "bytes"), "larger images are rejected unread"] = 268_435_456
    change_times: Annotated[bool, "read local files again where nothing but their change time (ctime) differs"] = True
    exclude: Annotated[Texts, "names below sources to pass over: cache · *.tif · 2025/**"] = ()
    include: Annotated[Texts, "to read though excluded, hidden or in a system folder: @eaDir"] = ()
    labels_map: Annotated[
        str,
        FILE,
        "CSV of key,label: names of the labels that images came with; imagenet1k ships; nearest: by vectors",
    ] = ""
    max_reject_rate: Annotated[float, Range(0, 1, "of the data of a run, for one reason; 1: off"), "else exit 3"] = 0.5
    metrics_file: Annotated[str, FILE, "where each scan leaves its figures for Prometheus; from the workspace"] = ""


@dataclass(frozen=True, slots=True)
class RaySection:
    """Which Ray cluster works through a scan, and how its cores are divided. 0: by the size of the cluster."""

    address: Annotated[str, CLUSTER, "of a running cluster"] = ""
    encoders: Annotated[int, Range(0, 100_000, "workers"), "one a GPU"] = 0
    decoders: Annotated[int, Range(0, 100_000, "workers"), "of one core each"] = 0
    encoder_cpus: Annotated[int, Range(0, 1024, "cores"), "of one encoder"] = 0


@dataclass(frozen=True, slots=True)
class ColumnsRule:
    """Which columns of Parquet files have the images and their labels, where they are not found by themselves."""

    image: Annotated[str, COLUMN, "inside a struct by its path: sample.image"] = ""
    label: Annotated[str, COLUMN] = ""


@dataclass(frozen=True, slots=True)
class DecodeSection:
    """How bytes become pixels."""

    max_pixels: Annotated[int, Range(1000, 2**31 - 1, "pixels"), "larger images fail on their header"] = 89_478_485
    scaled: Annotated[bool, "decode large JPEGs at reduced size; see the drift bound in decode"] = True
    memory_limit_bytes: Annotated[int, Range(2**28, 2**44, "bytes"), "of address space, a decode process"] = 2**32


@dataclass(frozen=True, slots=True)
class IndexSection:
    """Which recipes the indexes are built from."""

    images: Annotated[str, RECIPE] = "flat"
    labels: Annotated[str, RECIPE] = "flat"


@dataclass(frozen=True, slots=True)
class NearDuplicatesSection:
    """When two images count as nearly the same."""

    enabled: bool = True
    min_cosine: Annotated[float, Range(0, 1)] = 0.98
    neighbours: Annotated[int, Range(1, 1000), "at most so many pairs for each new image"] = 5


@dataclass(frozen=True, slots=True)
class GroupsSection:
    """How images with near-duplicates are put into groups: one thing to review each."""

    min_cosine: Annotated[float, Range(0, 1), "of every member to the image that leads its group"] = 0.96


@dataclass(frozen=True, slots=True)
class GeneratorsSection:
    """Which models describe, reason and paint for the banks that learn, and how they run."""

    describer: Annotated[str, address_such_as("vocabulary", "transformers:<id or folder>", "endpoint:<model>")] = (
        "vocabulary"
    )
    reasoner: Annotated[str, address_such_as("wordnet", "transformers:<id or folder>", "endpoint:<model>")] = "wordnet"
    viewer: Annotated[
        str, address_such_as("reasoner", "endpoint:<model>"), "labels with images; reasoner: the same"
    ] = "reasoner"
    painter: Annotated[str, address_such_as("features", "composites", "diffusers:<id or folder>")] = "features"
    base_url: Annotated[str, SERVICE] = "http://127.0.0.1:8000/v1"
    api_key_variable: Annotated[str, VARIABLE] = "OPENAI_API_KEY"
    concurrency: Annotated[int, Range(1, 1024, "calls of an endpoint at a time")] = 4
    batch_size: Annotated[int, Range(1, 4096, "requests that a local language model takes at a time")] = 4
    painter_batch_size: Annotated[int, Range(1, 4096, "pictures that a diffusion model paints at a time")] = 2
    timeout_seconds: Annotated[float, Range(0, 86_400, "seconds", above=True)] = 120.0
    retries: Annotated[int, Range(0, 100), "after a time-out, an overload or a cut connection"] = 4
    max_new_tokens: Annotated[int, Range(0, 1_000_000, "tokens of an answer; 0: by what is asked for")] = 0
    context_tokens: Annotated[int, Range(256, 10_000_000, "tokens"), "that a service holds; a local model says it"] = (
        8192
    )
    quantise: Annotated[Literal["none", "4bit"], "local models in four bits need bitsandbytes and a GPU"] = "none"
    guide: Annotated[
        str,
        address_such_as("timm:resnet50.tv2_in1k", "torchvision:resnet50", "transformers:<id or folder>", "zero-shot"),
        "of inpainting by diffusion; zero-shot is the encoder itself, which then judges what it guided",
    ] = "timm:resnet50.tv2_in1k"


@dataclass(frozen=True, slots=True)
class NightSection:
    """What a night by make does."""

    banks: Annotated[tuple[Annotated[str, NAME], ...], "built before each night, beside that of [scan]"] = ()


@dataclass(frozen=True, slots=True)
class LedgerSection:
    """The live database."""

    memory_limit: Annotated[str, MEMORY, "at most; what is larger is put aside on disk"] = "25%"


@dataclass(frozen=True, slots=True)
class PublishSection:
    """Where the snapshot goes beside the workspace, and how much of it is there as Parquet."""

    to: Annotated[str, DESTINATION, "every run copies the snapshot there, such as s3://bucket/curator.duckdb"] = ""
    parquet: Annotated[
        Literal["most", "all", "none"],
        "report views in published/report/ as Parquet: most are all but those that take long of a large lake",
    ] = "most"


@dataclass(frozen=True, slots=True)
class Config:
    """All options of a workspace, resolved."""

    encoder: EncoderSection = field(default_factory=EncoderSection)
    scan: ScanSection = field(default_factory=ScanSection)
    columns: Mapping[str, ColumnsRule] = field(default_factory=dict)  # by pattern of the file's address
    ray: RaySection = field(default_factory=RaySection)
    decode: DecodeSection = field(default_factory=DecodeSection)
    index: IndexSection = field(default_factory=IndexSection)
    near_duplicates: NearDuplicatesSection = field(default_factory=NearDuplicatesSection)
    groups: GroupsSection = field(default_factory=GroupsSection)
    generators: GeneratorsSection = field(default_factory=GeneratorsSection)
    night: NightSection = field(default_factory=NightSection)
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
        hints = hints_of(cls)
        if unknown := values.keys() - hints.keys():
            raise ConfigError(f"options: unknown section {min(unknown)}", hint=f"known: {', '.join(hints)}")
        return cls(**{name: _section(name, hint, values.get(name, {})) for name, hint in hints.items()})

    def line(self, name: str, key: str) -> str:
        """An option as `curator config` shows it, with what it takes and is for."""
        section = getattr(self, name)
        value = repr(getattr(section, key)).replace("True", "true").replace("False", "false")
        return f"{key} = {value}  # {about(hints_of(type(section))[key])}"


def _section(name: str, hint: Any, given: Mapping[str, tuple[str, object]]) -> Any:
    """A section of which each value comes with its source."""
    found: dict[str, object] = {}
    for key, (source, value) in given.items():
        place, one = Place(source, name), {key: value}
        found |= read_fields(hint, one, place) if isinstance(hint, type) else read_value(one, hint, place)
    return hint(**found) if isinstance(hint, type) else found


def _from_file(path: Path) -> dict[str, dict[str, tuple[str, Any]]]:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as fault:  # a ValueError also for a number of thousands of digits
        hint = "mend it; or `curator recover` puts it aside and writes a new one for the encoder of the ledger"
        raise ConfigError(f"{path}: cannot be read: {fault}", hint=hint) from fault
    known = hints_of(Config)
    for name, section in document.items():
        if name not in known or not isinstance(section, dict):
            raise ConfigError(f"{path}: unknown section [{name}]", hint=f"known: {', '.join(known)}")
    return {name: {key: (str(path), value) for key, value in section.items()} for name, section in document.items()}


def _from_environment(environment: Mapping[str, str] | None) -> dict[str, Any]:
    environment = os.environ if environment is None else environment
    found: dict[str, Any] = {}
    for name, section in hints_of(Config).items():
        for key in hints_of(section) if isinstance(section, type) else ():
            text = environment.get(f"CURATOR_{name}_{key}".upper())
            if text is not None:
                found[f"{name}.{key}"] = text
    return found

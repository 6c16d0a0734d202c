"""`curator init`: a new workspace folder with its configuration, its labels and the spec of its first bank."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path

from curator.banks import DEFAULT_SPEC, read_labels
from curator.config import CONFIG_NAME, Config
from curator.errors import ConfigError, UsageError, WorkspaceError
from curator.paths import expanded
from curator.workspace.layout import Layout, refuse_odd_bytes
from curator.workspace.makefile import makefile_text

CONFIG_TEXT = """\
# Options of this workspace. Every key may also be set as CURATOR_<SECTION>_<KEY> or on the command line.

[encoder]
address = {address}  # mini, open_clip:<arch>/<pretrained>, transformers:<id or path>
# device = "auto"    # cpu, cuda, cuda:0
# dtype = "auto"     # float32, bfloat16, float16
# offline = false    # true: never touch the network

[scan]
bank = "base"         # banks/base.toml
method = "neglabel"   # neglabel, mcm; parameters as neglabel:group_count=10
# engine = "local"    # ray: the machines of a cluster, see [ray]
# decode_workers = -1 # processes; -1: one for each core
# read_threads = 8    # for loose files on slow storage
# exclude = []        # names that are passed over: ["cache", "*.tif", "2025/**"]
# include = []        # names that are read though they are excluded, hidden or in a system folder: ["@eaDir"]
# max_reject_rate = 0.5 # more data of a run rejected for one reason: exit 3; 1: off
# metrics_file = ""   # where each scan leaves its figures for Prometheus; from this folder

[columns]             # of Parquet files, by address, where the images or labels are not found by themselves
# "*/photos/*.parquet" = {{ image = "sample.photo", label = "kind" }}

[decode]
# max_pixels = 89478485              # larger images are rejected on their header
# memory_limit_bytes = 4294967296    # for each decode process

[ray]
# address = ""        # of a running cluster: auto, host:port; empty: this machine alone

[index]
images = "flat"       # flat, ivf_flat, ivf_pq, hnsw, or a path to a recipe of your own
labels = "flat"

[near_duplicates]
# enabled = true
min_cosine = 0.98

[groups]
min_cosine = 0.96     # of each near-duplicate to the image that stands for its group

[generators]             # for banks that learn: curator bank ants, mmood, synood, eoe
describer = "vocabulary" # transformers:<id or folder>, endpoint:<model>
reasoner = "wordnet"     # the same
painter = "features"     # diffusers:<id or folder>
# base_url = "http://127.0.0.1:8000/v1"   # of the endpoint; its key is in the environment variable OPENAI_API_KEY

[ledger]
# memory_limit = "25%" # that the database takes at most; also as 4GB

[publish]
# to = ""             # a folder or URL, such as s3://bucket/curator.duckdb, that every run copies the snapshot to
"""

GITIGNORE_TEXT = """\
# What a scan makes; the configuration, labels, bank specs and queries are worth keeping in version control.
.lock
ledger.duckdb*
published/
vectors/
index/
cache/
generated/
exports/
aside/
tmp/
banks/*/
reports/
exports/
"""


def create_workspace(folder: Path, *, labels: Path | str | Sequence[str], encoder: str) -> Layout:
    """Write the files of a new workspace. An existing folder is fine and keeps what it has of them; an existing
    workspace is refused, and so are other labels than those that are there."""
    layout = Layout(expanded(folder).resolve())
    refuse_odd_bytes(layout.root)
    if layout.config.exists():
        raise UsageError(f"{layout.root}: is a workspace already", hint=f"edit its {CONFIG_NAME} instead")
    if layout.ledger.exists() or layout.snapshot.exists():
        hint = f"write it again by `curator -w {shlex.quote(str(layout.root))} recover`"
        raise UsageError(f"{layout.root}: is a workspace that has lost its {CONFIG_NAME}", hint=hint)
    names = _labels(labels)
    if layout.labels.is_file() and read_labels(layout.labels) != names:
        raise UsageError(f"{layout.labels} is there already, with other labels", hint="name it, or move it away")
    files = {
        layout.labels: "".join(f"{name}\n" for name in names),
        layout.bank_spec("base"): DEFAULT_SPEC,
        layout.root / ".gitignore": GITIGNORE_TEXT,
        layout.makefile: makefile_text(),
        layout.config: config_text(encoder),
    }
    try:
        for path, text in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                path.write_text(text, encoding="utf-8")
        Config.resolve(layout.config, environment={})
    except OSError as fault:
        raise WorkspaceError(f"{layout.root}: cannot make the workspace: {fault.strerror}") from fault
    return layout


def config_text(encoder: str) -> str:
    """The configuration of a new workspace."""
    return CONFIG_TEXT.format(address=json.dumps(encoder))


def _labels(labels: Path | str | Sequence[str]) -> list[str]:
    if isinstance(labels, str | Path):
        return read_labels(expanded(labels))
    names = list(dict.fromkeys(name.strip() for name in labels if name.strip()))
    if not names:
        raise ConfigError("there are no ID labels", hint="give at least one, better two or more")
    return names

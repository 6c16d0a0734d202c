"""`curator init`: a new workspace folder with its configuration, its labels and the spec of its first bank."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from curator.banks import DEFAULT_SPEC, read_labels
from curator.banks.labels import checked_labels, decode
from curator.config import CONFIG_NAME, ColumnsRule, Config, EncoderSection, ScanSection
from curator.encoders import placed_address, suited_score
from curator.errors import ConfigError, UsageError, WorkspaceError
from curator.paths import expanded
from curator.ranges import about, hints_of
from curator.workspace.layout import Layout, refuse_odd_bytes
from curator.workspace.logs import log
from curator.workspace.makefile import makefile_text

CONFIG_HEAD = "# Options of this workspace. Any key may also be set as CURATOR_<SECTION>_<KEY> or on the command line."
COLUMNS_EXAMPLE = '# "*/photos/*.parquet" = { image = "sample.photo", label = "kind" }'
# What is changed most often stands there as it is, all else as a comment.
SHOWN = {
    *("encoder.address", "scan.bank", "scan.method", "index.images", "index.labels", "near_duplicates.min_cosine"),
    *("groups.min_cosine", "generators.describer", "generators.reasoner", "generators.painter"),
}

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
    names, address = _labels(labels), placed_address(encoder, layout.root)
    if layout.labels.is_file() and read_labels(layout.labels) != names:
        raise UsageError(f"{layout.labels} is there already, with other labels", hint="name it, or move it away")
    files = {
        layout.labels: "".join(f"{name}\n" for name in names),
        layout.bank_spec("base"): DEFAULT_SPEC,
        layout.root / ".gitignore": GITIGNORE_TEXT,
        layout.makefile: makefile_text(),
        layout.config: config_text(address, method=suited_score(encoder, len(names)).method),
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


def config_text(encoder: str, *, bank: str = "base", method: str = "neglabel") -> str:
    """The configuration of a new workspace: every option with its value, what it takes and what it is for.

    Strings as JSON writes them, but for the halves of surrogate pairs, which TOML has no escapes for.
    """
    lines = [CONFIG_HEAD]
    made = Config(encoder=EncoderSection(address=encoder), scan=ScanSection(bank=bank, method=method))
    for name, values in asdict(made).items():
        kind = hints_of(Config)[name]
        section = kind if isinstance(kind, type) else ColumnsRule
        lines += ["", f"[{name}]", f"# {section.__doc__}"]
        for key, value in values.items():
            mark = "" if f"{name}.{key}" in SHOWN else "# "
            lines.append(f"{mark}{key} = {json.dumps(value, ensure_ascii=False)}  # {about(hints_of(section)[key])}")
        lines += [] if values else [COLUMNS_EXAMPLE]
    return "\n".join(lines) + "\n"


def _labels(labels: Path | str | Sequence[str]) -> list[str]:
    if isinstance(labels, str | Path):
        return _labels_of_file(expanded(labels))
    names = list(dict.fromkeys(name.strip() for name in labels if name.strip()))
    if comment := next((name for name in names if name.startswith("#")), None):
        raise ConfigError(f"the ID label {comment!r} would be a comment in labels.txt", hint="write it without its #")
    return checked_labels(((f"ID label {place}", name) for place, name in enumerate(names, 1)), "the list of ID labels")


def _labels_of_file(path: Path) -> list[str]:
    """The labels of a file; what may have been meant otherwise is said."""
    names = read_labels(path)
    lines = (line.strip() for line in decode(path).splitlines())
    if comment := next((line for line in lines if re.match(r"#\w", line)), None):
        log.warning("%s: %r is taken for a comment, as every line that begins with #", path, comment)
    if len(names) == 1 and re.search("[,;]", names[0]):
        log.warning("%s holds one label, %r: several are one a line", path, names[0])
    return names

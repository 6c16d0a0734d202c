"""`curator recover`: what a workspace has lost, made again from what is left of it.

The ledger comes from the published snapshot, which is a copy of it; the configuration, the spec and the ID labels of
the bank in use come from what the ledger knows of them. What is damaged is put into `aside/`, never deleted, and what
is whole is never touched. Vectors come back by `curator scan --rehash`, bank versions by `curator bank build`.
"""

from __future__ import annotations

import json
import os
import shutil
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from curator.banks import parse_spec, read_labels, read_spec
from curator.config import Config
from curator.durable import durable, write_durably
from curator.errors import ConfigError, StoreError, UsageError, WorkspaceError
from curator.store import Database
from curator.store.checks import read_everything
from curator.store.migrate import pending_migrations
from curator.systems.spec import read_system_spec
from curator.workspace.context import Context
from curator.workspace.create import config_text
from curator.workspace.judge.in_force import InForce
from curator.workspace.layout import Layout, find_workspace, refuse_remote
from curator.workspace.lock import hold_lock
from curator.workspace.mishaps import damage, exhaustion
from curator.workspace.session import make_ledger, new_run_id, writing
from curator.workspace.stored.presence import BEGIN_ANEW, broken_links, has_ledger, lacking_runs

FROM_LEDGER = "`curator recover` writes it as it was for the newest version of the bank; or mend it"


@dataclass(frozen=True, slots=True)
class Recovery:
    """What was made again, by its path in the workspace; `aside`: the folder of what was there instead."""

    made: tuple[str, ...]
    aside: str | None

    def as_json(self) -> dict[str, object]:
        return asdict(self)


def recover_workspace(folder: Path | str = ".", *, anew: bool = False) -> Recovery:
    """Make again what the workspace at `folder` or above has lost. `anew`: with an empty ledger, where no snapshot can
    be read either.

    Raises WorkspaceError where it cannot be done, UsageError for `anew` where more is left than that.
    """
    refuse_remote(folder)
    layout = find_workspace(Path(folder), even_broken=True)
    for fault in broken_links(layout):
        raise fault
    run_id = new_run_id()
    made: list[str] = []
    with exhaustion(layout.root), hold_lock(layout.lock, command="recover", run_id=run_id):
        aside = layout.aside / run_id
        if not _is_whole_ledger(layout):
            _recover_ledger(layout, aside, anew=anew)
            made.append(layout.ledger.name)
        elif anew:
            raise UsageError(f"{layout.ledger} is whole", hint="move the workspace away to begin with a new one")
        with Database.open_reader(layout.ledger) as ledger:
            made += _recover_files(layout, ledger, aside)
    if not made:
        return Recovery((), None)
    with writing(Context(layout, Config.resolve(layout.config)), "recover", {"made": made}, needs_vectors=False):
        pass
    return Recovery(tuple(made), str(aside) if aside.is_dir() else None)


def _is_whole_ledger(layout: Layout) -> bool:
    """Whether the ledger has all that the snapshot has, and every block of it can be read. Raises StoreError for one
    that is not damaged and cannot be opened: it is in use, or of a newer release."""
    if not has_ledger(layout):
        return False
    try:
        with damage(layout.ledger, remedy=""), Database.open(layout.ledger) as ledger:
            read_everything(ledger)
            lacking = lacking_runs(layout, ledger)
            if not lacking:
                pending_migrations(ledger)
            return not lacking
    except StoreError:
        raise
    except WorkspaceError:  # as `damage` calls it
        return False


def _recover_ledger(layout: Layout, aside: Path, *, anew: bool) -> None:
    fault = _fault_of_snapshot(layout)
    if anew:
        if fault is None:
            raise UsageError(f"{layout.snapshot} is whole", hint="`curator recover` makes the ledger from it")
        _put_aside(aside, layout.ledger, layout.log, layout.snapshot)
        make_ledger(layout)
        return
    if fault is not None:
        raise fault
    _put_aside(aside, layout.ledger, layout.log)
    with durable(layout.ledger) as temporary:
        shutil.copyfile(layout.snapshot, temporary)
        with damage(layout.snapshot, remedy=BEGIN_ANEW), Database.open_reader(temporary) as copy:
            read_everything(copy)


def _fault_of_snapshot(layout: Layout) -> WorkspaceError | None:
    """Why no ledger can be made of the snapshot."""
    if not layout.snapshot.is_file():
        return WorkspaceError(f"{layout.snapshot} is missing too: nothing is left to recover from", hint=BEGIN_ANEW)
    try:
        with damage(layout.snapshot, remedy=BEGIN_ANEW), Database.open_reader(layout.snapshot) as snapshot:
            pending_migrations(snapshot)
            read_everything(snapshot)
    except WorkspaceError as fault:
        return fault
    return None


def _put_aside(aside: Path, *paths: Path) -> None:
    for path in paths:
        if os.path.lexists(path):
            aside.mkdir(parents=True, exist_ok=True)
            path.rename(aside / path.name)


def _recover_files(layout: Layout, ledger: Database, aside: Path) -> Iterator[str]:
    """The configuration, then the spec and the labels of the bank that it names."""
    if fault_of_config(layout) is not None and (encoder := ledger.row("find_newest_encoder")) is not None:
        ruling = InForce.of(ledger)
        scored = {} if ruling is None else {"bank": ruling.bank.partition("@")[0], "method": ruling.method_id}
        yield _write(layout, layout.config, config_text(encoder["address"], **scored), aside)
    if (fault := fault_of_config(layout)) is not None:
        raise fault
    bank = bank_in_use(Config.resolve(layout.config, environment={}))
    known = ledger.row("find_bank", name=bank, digest_prefix="", encoder_id=None)
    if known is None:
        return
    for path, _ in spec_faults(layout, bank):
        spec = json.loads(known["spec"])
        if path == layout.bank_spec(bank):
            if (text := _spec_text(spec)) is not None:
                yield _write(layout, path, text, aside)
                yield from _recover_files(layout, ledger, aside)  # now it says where the labels are
        elif path == _id_labels(layout, read_spec(layout.bank_spec(bank)).id.labels):
            labels = ledger.table("list_id_names", bank_digest=known["bank_digest"])["text"].to_pylist()
            yield _write(layout, path, "".join(f"{label}\n" for label in labels), aside)


def _write(layout: Layout, path: Path, text: str, aside: Path) -> str:
    _put_aside(aside, path)
    write_durably(path, text.encode())
    return path.relative_to(layout.root).as_posix()


def fault_of_config(layout: Layout) -> ConfigError | None:
    """Why the configuration cannot be used."""
    if not layout.config.is_file() or layout.config.stat().st_size == 0:
        hint = "the ledger knows no encoder yet: restore it from a backup or from version control"
        return ConfigError(f"{layout.config} is missing or empty", hint=hint)
    try:
        Config.resolve(layout.config, environment={})
    except ConfigError as fault:
        return fault
    return None


def bank_in_use(config: Config) -> str:
    return config.scan.bank.partition("@")[0]


def spec_faults(layout: Layout, bank: str) -> Iterator[tuple[Path, ConfigError]]:
    """The spec of a bank and the files that it names, where they are missing or cannot be read; and why."""
    path = layout.bank_spec(bank)
    try:
        if read_system_spec(path) is not None:
            return
        spec = read_spec(path)
    except ConfigError as fault:
        yield path, ConfigError(fault.message, hint=FROM_LEDGER)
        return
    labels = _id_labels(layout, spec.id.labels)
    for file in (layout.root / name for name in spec.files):
        try:
            if file == labels:
                read_labels(file)
            elif not file.is_file():
                hint = "restore it from a backup by `curator restore BACKUP FOLDER`"
                yield file, ConfigError(f"{file} is missing, and {path} names it", hint=hint)
        except ConfigError as fault:
            yield file, ConfigError(fault.message, hint=FROM_LEDGER)


def _id_labels(layout: Layout, labels: object) -> Path | None:
    return layout.root / labels if isinstance(labels, str) else None


def _spec_text(spec: Mapping[str, object]) -> str | None:
    """The spec that a bank version keeps, as TOML; None where it is not that of a mined bank."""
    text = "# As `curator recover` found it in the newest version of this bank.\n"
    text += "".join(f"{key} = {_toml(value)}\n" for key, value in spec.items())
    try:
        parse_spec(tomllib.loads(text), where="")
    except (ConfigError, tomllib.TOMLDecodeError):
        return None
    return text


def _toml(value: object) -> str:
    """Scalars as JSON, which TOML writes alike; what is null is left out."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_toml(item)}" for key, item in value.items() if item is not None) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False)

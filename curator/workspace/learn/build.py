"""`curator bank build`: the bank of a spec, mined or made by a system that learns."""

from __future__ import annotations

from curator.banks import load_bank
from curator.systems.spec import read_system_spec
from curator.types import Bank
from curator.workspace.context import Context
from curator.workspace.learn.run import LearnRequest, run_learning
from curator.workspace.logs import log
from curator.workspace.scan.request import SilentWatcher
from curator.workspace.session import writing


def build_bank(context: Context, name: str, *, wait_seconds: float) -> Bank:
    """Build the bank of `banks/<name>.toml`. A mined one needs no vectors, so it is built also where they are gone."""
    path = context.layout.bank_spec(name)
    spec = read_system_spec(path) if path.is_file() else None
    if spec is not None:
        request = LearnRequest(spec.system, spec.name, wait_seconds=wait_seconds)
        made = run_learning(context, request, SilentWatcher())
        log.info("bank %s: %s; %d calls sent", made.bank, made.guard_note, made.sent)
        return load_bank(context.layout.bank_versions(spec.name) / made.bank_digest)
    arguments = {"name": name}
    with writing(context, "bank build", arguments, wait_seconds=wait_seconds, needs_vectors=False) as ledger:
        return context.build_bank(ledger, name)

"""`curator bank build`: the bank of a spec, mined or made by a system that learns."""

from __future__ import annotations

from curator.systems.spec import read_system_spec
from curator.types import Bank
from curator.workspace.context import Context
from curator.workspace.learn.run import learn_as_specified
from curator.workspace.session import writing


def build_bank(context: Context, name: str, *, wait_seconds: float) -> Bank:
    """Build the bank of `banks/<name>.toml`. A mined one needs no vectors, so it is built also where they are gone."""
    path = context.layout.bank_spec(name)
    spec = read_system_spec(path) if path.is_file() else None
    if spec is not None:
        return learn_as_specified(context, spec, wait_seconds=wait_seconds)
    arguments = {"name": name}
    with writing(context, "bank build", arguments, wait_seconds=wait_seconds, needs_vectors=False) as ledger:
        return context.build_bank(ledger, name)

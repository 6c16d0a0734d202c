"""What a run of a system would ask of generators, and what that would take by what was asked before."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from curator.errors import BankError
from curator.generators.planning import DryAsker, PlannedCalls
from curator.workspace.context import Context
from curator.workspace.learn.guard import leave_judges
from curator.workspace.learn.run import LearnRequest, look_for_excess, require_classes, spec_of
from curator.workspace.learn.world import LedgerWorld
from curator.workspace.logs import log
from curator.workspace.published import reading
from curator.workspace.stored.calls import StoredCalls


def plan_learning(context: Context, request: LearnRequest) -> tuple[PlannedCalls, ...]:
    """The calls that a run would make now, without making or writing any, with what calls like them took before. Reads
    the published snapshot. Of stages that build on answers which are not there yet it has those that a system expects.
    """
    spec = spec_of(context, request)
    settings = spec.settings(request.settings)
    with reading(context.layout) as database:
        context.require_current(database)
        parent = context.find_bank(database, spec.parent, encoder_id=context.encoder_id(database))
        if parent is None:
            raise BankError(f"bank {spec.parent} has no version yet", hint=f"run `curator bank build {spec.parent}`")
        world = LedgerWorld(context, database, parent)
        require_classes(world, spec)
        settings = leave_judges(world, settings, spec.table.keys() | request.settings.keys())
        look_for_excess(world, spec, settings, request.force)
        store = StoredCalls(database, context.layout.generated)
        asker = DryAsker(world.generator, store, world.role_behind, request.ask_again)
        try:
            spec.made_by.learn(world, asker, settings)
        except BankError as fault:  # nothing is left where nothing was answered
            if not asker.plan():
                raise
            log.debug("the plan ends early: %s", fault)
        before = database.rows("time_generator_calls")
    at_once = {"endpoint": context.config.generators.concurrency}
    return tuple(_timed(item, before, at_once.get(item.model.partition(":")[0], 1)) for item in asker.plan())


def _timed(planned: PlannedCalls, before: Sequence[Mapping[str, Any]], at_once: int) -> PlannedCalls:
    """With the seconds and tokens of calls like them. at_once: calls that run beside each other."""
    for row in before:
        own = (row["role"], row["model"], row["prompt"]) == (planned.role, planned.model, planned.prompt)
        if own and json.loads(row["settings"]) == json.loads(planned.settings):
            return replace(planned, timed=row["timed"], seconds=row["seconds"] / at_once, tokens=row["tokens"])
    return planned

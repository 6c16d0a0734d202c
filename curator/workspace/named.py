"""What the configuration names: whether there is such a thing, before any work begins.

Names are looked up whenever a workspace is opened, since that reads nothing. What lies outside of the program (a recipe
of the user's own, the folder of the metrics, the package of an engine) is looked at by scans and their dry runs only:
a query needs none of it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import get_args

from curator.config import Config
from curator.encoders import ENCODERS
from curator.encoders.options import split_address
from curator.errors import ConfigError, UsageError
from curator.generators import check_address
from curator.generators.guide_address import split_guide
from curator.generators.requests import Role
from curator.methods.spec import check_method
from curator.vectors.recipes import load_recipe
from curator.workspace.context import Context
from curator.workspace.engine import check_engine
from curator.workspace.night_metrics import metrics_path
from curator.workspace.outputs import check_destination, configured_destination


def check_names(config: Config) -> None:
    """Raises ConfigError for an option that names an encoder, a method, a generator or a recipe that there is not."""
    _check("encoder.address", partial(ENCODERS.check, split_address(config.encoder.address)[0]))
    _check("scan.method", partial(check_method, config.scan.method))
    for role in get_args(Role):
        _check(f"generators.{role}", partial(check_address, role, getattr(config.generators, role)))
    _check("generators.guide", partial(split_guide, config.generators.guide))
    for key in ("images", "labels"):
        if not (name := getattr(config.index, key)).endswith(".toml"):
            _check(f"index.{key}", partial(load_recipe, name))


def check_surroundings(context: Context) -> None:
    """Raises UsageError or MissingExtra for what a scan would find missing only after hours of work, or at its end."""
    config = context.config
    check_engine(config.scan)
    metrics_path(context.layout, config.scan.metrics_file)
    for key in ("images", "labels"):
        _check(f"index.{key}", partial(load_recipe, getattr(config.index, key)))
    if destination := configured_destination(context.layout):
        _check("publish.to", partial(check_destination, destination))


def _check(key: str, check: Callable[[], object]) -> None:
    try:
        check()
    except UsageError as fault:
        raise ConfigError(f"{key}: {fault.message}", hint=fault.hint) from fault

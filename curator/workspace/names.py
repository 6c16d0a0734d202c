"""What the configuration names: whether there is such a thing, looked up whenever a workspace is opened."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import get_args

from curator.config import Config
from curator.encoders import ENCODERS
from curator.encoders.options import split_address
from curator.errors import ConfigError, UsageError
from curator.generators import check_address
from curator.generators.diffusion.guide_address import split_guide
from curator.generators.requests import Role
from curator.methods.spec import check_method
from curator.vectors.recipes import load_recipe


def check_names(config: Config) -> None:
    """Raises ConfigError for an option that names an encoder, a method, a generator or a recipe that there is not."""
    check_option("encoder.address", partial(ENCODERS.check, split_address(config.encoder.address)[0]))
    check_option("scan.method", partial(check_method, config.scan.method))
    for role in get_args(Role):
        check_option(f"generators.{role}", partial(check_address, role, getattr(config.generators, role)))
    check_option("generators.guide", partial(split_guide, config.generators.guide))
    for key in ("images", "labels"):
        if not (name := getattr(config.index, key)).endswith(".toml"):
            check_option(f"index.{key}", partial(load_recipe, name))


def check_option(key: str, check: Callable[[], object]) -> None:
    try:
        check()
    except UsageError as fault:
        raise ConfigError(f"{key}: {fault.message}", hint=fault.hint) from fault

"""How a row of a published table is made again: which bank, which method in its printed form, images prepared how.

    [published.recipe]
    bank = "neglabel"        # a spec of curator/protocols/banks: corpus, templates, mining
    method = "neglabel"      # the score as it is printed; or, for a test-time method,
    # stream = "adaneg:proxies=task"
    # learn = "eoe:task=far"   # a system that makes the bank to be scored, from that of `bank`
    images = "bilinear"      # how they are prepared: own (as CLIP's authors do), bilinear, openood

Banks take the classes of the protocol, those that stand there twice too. All is computed in full precision.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from curator.errors import ConfigError
from curator.methods.spec import check_method
from curator.ranges import NAME
from curator.resources import read_folder

CLASSES_FILE = "classes.txt"  # what the specs of recipes take their ID labels from


@dataclass(frozen=True, slots=True)
class RowRecipe:
    """One of `method` and `stream` is given: a method of banks, or a system that learns from what it scores. learn: a
    system that makes the bank which the method scores by, the other one being its parent."""

    bank: Annotated[str, NAME]
    method: str = ""
    stream: str = ""
    learn: str = ""
    images: Literal["own", "bilinear", "openood"] = "own"

    @property
    def said(self) -> str:
        """All of it on one line."""
        bank = f"{self.bank} by {self.learn}" if self.learn else self.bank
        return f"{bank}, {self.method or self.stream}, {self.images}"

    def encoder_address(self, address: str) -> str:
        """The encoder on images that are prepared as the recipe says."""
        return address if self.images == "own" else f"{address}#{self.images}"


def recipe_banks() -> Mapping[str, str]:
    """The texts of the specs that recipes name, by name."""
    return read_folder("curator.protocols", "banks", suffix=".toml")


def check_recipe(recipe: RowRecipe, where: str) -> None:
    """Raises UsageError for one that cannot be: an unknown bank, no method or two, or one that no bank could have."""
    known = recipe_banks()
    if recipe.bank not in known:
        raise ConfigError(f"{where}: no recipe has a bank {recipe.bank!r}", hint=f"known: {', '.join(known)}")
    if bool(recipe.method) == bool(recipe.stream) or (recipe.learn and recipe.stream):
        raise ConfigError(f"{where}: a recipe has a method or a stream", hint='such as method = "neglabel"')
    if recipe.method:
        check_method(recipe.method)

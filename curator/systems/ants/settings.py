"""The settings of ANTS.

Where the paper and its code differ, both forms are settings; those with a star are the defaults:

    threshold   share*: the paper's, the lowest of those below `gamma` · histogram: the code's, by the shape of scores
    classes     0*: the paper's share `class_share` of the ID classes, but `class_least`, the code's 40, at least
    weight      negatives*: the paper's, over the negative images · all: the code's, over all images, banks balanced
    exclude     true*: the paper's, a description does not name the predicted class · false: the code's for Qwen, BLIP
    initialise  false*: the code's · true: the paper's, both banks begin with the parent's negatives
    variant     ada*: the paper's, both sides weighed · ens, vsnl: one side, which the code's scripts call far_only and
                near_only and choose by what they are measured on
    updates     20*: the code's, of its script for the best results; its plain script has 10

The histogram's rule takes the largest jump for the foot of the ID peak; where most of a lake is OOD it lies at the
other end, and hardly an image is described (with curator-mini on the development data: 29 images and an AUROC far of
97.6, against 400 images and 99.7).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from curator.generators.requests import Role
from curator.methods.members.ants import Variant
from curator.systems.cleaning import CleaningRules
from curator.systems.registry import Mode, Rule
from curator.systems.settings import Cosine, Count, Fraction, Natural, Share, SystemSettings, Wording


@dataclass(frozen=True, slots=True)
class AntsSettings(SystemSettings):
    """mode, suspects, sample, batch, orders: see curator.systems.stream. Scores are of NegLabel on the parent bank.

    variant: both sides, or one. threshold, eta, gamma: which images are negative, see images.py. widen: neighbours of
    each that may join it, from `widen_cosine` on. images: at most so many are described, over `clusters` of what they
    show; duplicate_cosine: from where two of them count once. drop_named: sentences that call their image by its
    predicted class (own), or by any ID label, are no negatives. class_count (0: by `class_share`), choose: of which ID
    classes look-alikes are asked for; names: how many of each. weight: of ENS against VSNL, in [0, 1], or how to find
    it. group_size: labels of a group in the score.

    online only, see stream.py: under `gamma` (under `start`, by the code's rule) images are collected; more than
    cache_size are described at once, `updates` times; look-alikes are asked for in batch first_class_batch and every
    class_interval after; a bank keeps queue_cap sentences; activation: the code's addition after TANL.
    """

    system = "ants"

    mode: Mode = "frozen"
    suspects: Rule = "excess"
    variant: Variant = "ada"
    sample: Natural = 20_000
    threshold: Literal["histogram", "share"] = "share"
    eta: Share = 0.5
    gamma: Share = 0.9
    widen: Natural = 3
    widen_cosine: Cosine = 0.9
    duplicate_cosine: Cosine = 0.98
    images: Count = 2000
    clusters: Count = 200
    exclude: bool = True
    drop_named: Literal["own", "any"] = "own"
    class_count: Natural = 0
    class_share: Share = 0.08
    class_least: Count = 40
    choose: Literal["both", "frequency", "neighbours"] = "both"
    names: Count = 5
    weight: Literal["negatives", "all"] | Fraction = "negatives"
    initialise: bool = False
    sentence_template: Wording = "plain"
    max_cosine: Cosine | None = None
    group_size: Count = 100
    batch: Count = 256
    orders: Natural = 0
    start: Share = 0.8
    cache_size: Natural = 200
    updates: Natural = 20
    first_class_batch: Count = 10
    class_interval: Count = 40
    queue_cap: Count = 10_000
    activation: bool = False
    seed: Natural = 0

    @property
    def roles(self) -> tuple[Role, ...]:
        asked: dict[Variant, tuple[Role, ...]] = {"ens": ("describer",), "vsnl": ("reasoner",)}
        return asked.get(self.variant, ("describer", "reasoner"))

    @property
    def rules(self) -> CleaningRules:
        """How sentences and names are cleaned."""
        return CleaningRules(max_cosine=self.max_cosine)

    def wanted_classes(self, id_count: int) -> int:
        """Of how many ID classes look-alikes are asked for: the paper's 8 % but not too few, or a given number."""
        wanted = self.class_count or max(self.class_least, math.ceil(self.class_share * id_count))
        return min(wanted, id_count)

"""Generators: the models that describe images, reason about labels and paint pictures, behind four roles.

Each role has an embedded default that needs no weights and no network, so that everything runs anywhere; a real model
is one line of configuration. An address is `<kind>` or `<kind>:<rest>`:

    describer   vocabulary                  nearest phrases of WordNet in the encoder's space
    reasoner    wordnet                     co-hyponyms and relatives of the class, filtered by distance
    viewer      reasoner                    the reasoner, which then sees images; wordnet knows their vectors
    painter     features                    outliers synthesised among the vectors themselves (NPOS)
    describer, reasoner, viewer   transformers:<id or folder>     any image-text-to-text model of transformers
    describer, reasoner, viewer   endpoint:<model>                any OpenAI-compatible service
    painter     diffusers:<id or folder>    Stable Diffusion and its relatives

Importing this package is cheap: a kind's module loads when it is asked for, weights with the first request.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from curator.config import GeneratorsSection
from curator.errors import UsageError
from curator.registry import Registry

if TYPE_CHECKING:
    from curator.generators.requests import Generator, Role
    from curator.generators.surroundings import Surroundings

DESCRIBERS = Registry(
    "describer",
    {
        "endpoint": "curator.generators.chat.endpoint:make_endpoint",
        "transformers": "curator.generators.chat.local:make_local_chat",
        "vocabulary": "curator.generators.embedded.describer:VocabularyDescriber",
    },
)
REASONERS = Registry(
    "reasoner",
    {
        "endpoint": "curator.generators.chat.endpoint:make_endpoint",
        "transformers": "curator.generators.chat.local:make_local_chat",
        "wordnet": "curator.generators.embedded.reasoner:WordNetReasoner",
    },
)
PAINTERS = Registry(
    "painter",
    {
        "composites": "curator.generators.embedded.composites:CompositePainter",
        "diffusers": "curator.generators.diffusion.painter:make_painter",
        "features": "curator.generators.embedded.painter:FeaturePainter",
    },
)
ROLES = {"describer": DESCRIBERS, "reasoner": REASONERS, "viewer": REASONERS, "painter": PAINTERS}
SAME = "reasoner"  # as the address of the viewer: one model for both
EMBEDDED = ("vocabulary", "wordnet", "features", "composites")  # they need the surroundings only


def is_free(address: str) -> bool:
    """Whether calls cost nothing but a moment of this machine: no service is asked, and no model loaded for them."""
    return address.partition(":")[0] in EMBEDDED


@dataclass(frozen=True, slots=True)
class GeneratorOptions(GeneratorsSection):
    """How generators run: as the configuration says, on the device and in the dtype of the encoder."""

    device: str = "auto"
    dtype: str = "auto"
    offline: bool = False


def make_generator(role: Role, address: str, options: GeneratorOptions, surroundings: Surroundings) -> Generator:
    """The generator of that address. Raises UsageError as `check_address` does, and for options that cannot be."""
    check_address(role, address)
    kind, _, rest = address.partition(":")
    make = ROLES[role].get(kind)
    made: Generator = make(surroundings) if kind in EMBEDDED else make(rest, role, options, surroundings)
    return made


def role_behind(role: Role, options: GeneratorsSection) -> Role:
    """The role whose generator answers for that one: the reasoner's also for the viewer where one address serves both,
    so that one model is loaded and what it answered before is found."""
    same = role == "viewer" and options.viewer in (SAME, options.reasoner)
    return "reasoner" if same else role


def check_address(role: Role, address: str) -> None:
    """Raises UsageError for a kind that the role does not have, or one without the model that it needs."""
    if role == "viewer" and address == SAME:
        return
    kind, _, rest = address.partition(":")
    ROLES[role].check(kind)
    if (kind in EMBEDDED) == bool(rest):
        wanted = "takes nothing behind its name" if rest else f"needs a model, such as {kind}:NAME"
        raise UsageError(f"{role} {address}: {kind} {wanted}")

"""MM-OOD: near outliers from ID images, far outliers sketched, shown and elaborated."""

from typing import Literal, TypeAlias, get_args

from curator.systems.registry import Choice, System

Branch: TypeAlias = Literal["near", "far", "mix"]
Mix: TypeAlias = Literal["labels", "scores"]
SYSTEM = System(
    "mmood",
    settings_class="curator.systems.mmood.settings:MmoodSettings",
    learning="curator.systems.mmood.learn:learn_mmood",
    by_class=True,
    choices={
        "branch": Choice(get_args(Branch), "Which outliers.  [default: mix]"),
        "mix": Choice(get_args(Mix), "What mix mixes half and half."),
    },
    help="""Make a bank by MM-OOD: near from ID images, far from pictures.

    near shows an image of each ID class to the viewer. far sketches labels
    for groups of classes, paints the most different ones, or without a
    diffusion model finds images of the lake near them, and goes on from the
    pictures.

    \b
    Example:
      curator bank mmood --branch near --dry-run
    """,
)

"""SynOOD: painted images near the boundary, a projection layer and tuned label features."""

from curator.systems.registry import System

SYSTEM = System(
    "synood",
    settings_class="curator.systems.synood.settings:SynoodSettings",
    learning="curator.systems.synood.learn:learn_synood",
    by_class=True,
    like_neglabel=True,
    help="""Make a bank by SynOOD: outliers near the boundary, and training.

    Paints images near the boundary of the ID classes out of ID images, gives
    each a negative label, and trains a projection of image vectors and the
    vectors of those labels. Needs ID images: see --reference.

    \b
    Example:
      curator bank synood --reference /data/known-id
    """,
)

"""ANTS: negative images of the lake described, and look-alikes of the ID classes near them."""

from curator.systems.registry import MODE, System

SYSTEM = System(
    "ants",
    settings_class="curator.systems.ants.settings:AntsSettings",
    learning="curator.systems.ants.learn:learn_ants",
    from_lake=True,
    choices={"mode": MODE},
    help="""Make a bank by ANTS: negative images, described and imagined on.

    Takes the images of the lake that the parent bank doubts most, has them
    described, asks for look-alikes of the ID classes near them, and weighs
    both sides. frozen learns on a sample and scores anything; online scores
    the lake as it learns, so that results depend on the order of images.

    \b
    Example:
      curator bank ants --dry-run
    """,
)

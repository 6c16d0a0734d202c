"""ANTS: negative images of the lake described, and look-alikes of the ID classes near them."""

from curator.systems.registry import MODE, Choice, System

VARIANT = Choice(("ada", "ens", "vsnl"), "Both sides weighed, or ens (far_only), or vsnl (near_only).  [default: ada]")

SYSTEM = System(
    "ants",
    settings_class="curator.systems.ants.settings:AntsSettings",
    learning="curator.systems.ants.learn:learn_ants",
    from_lake=True,
    choices={"mode": MODE, "variant": VARIANT},
    help="""Make a bank by ANTS: negative images, described and imagined on.

    Takes images of the lake that do not belong, has a draw of them described,
    asks for look-alikes of the ID classes near them, and weighs both sides.
    frozen learns on a sample and scores anything; online scores the lake as
    it learns, so that results depend on the order of images.

    \b
    Example:
      curator bank ants --dry-run
    """,
)

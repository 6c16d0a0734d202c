"""OODD: a dictionary of images that are suspected of being OOD."""

from curator.systems.registry import MODE, System

SYSTEM = System(
    "oodd",
    settings_class="curator.systems.oodd.settings:OoddSettings",
    learning="curator.systems.oodd.learn:learn_oodd",
    from_lake=True,
    choices={"mode": MODE},
    help="""Make a bank by OODD: a dictionary of images suspected of being OOD.

    \b
    Example:
      curator bank oodd
    """,
)

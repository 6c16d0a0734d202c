"""TANL: the candidates that OOD images activate most."""

from curator.systems.registry import MODE, System

SYSTEM = System(
    "tanl",
    settings_class="curator.systems.tanl.settings:TanlSettings",
    learning="curator.systems.tanl.learn:learn_tanl",
    from_lake=True,
    choices={"mode": MODE},
    help="""Make a bank by TANL: the negatives that OOD images activate most.

    \b
    Example:
      curator bank tanl
    """,
)

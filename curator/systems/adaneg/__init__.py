"""AdaNeg: a memory of confident images beside the labels."""

from curator.systems.registry import MODE, System

SYSTEM = System(
    "adaneg",
    settings_class="curator.systems.adaneg.settings:AdaNegSettings",
    learning="curator.systems.adaneg.learn:learn_adaneg",
    from_lake=True,
    choices={"mode": MODE},
    help="""Make a bank by AdaNeg: labels moved by the images they attract.

    \b
    Example:
      curator bank adaneg
    """,
)

"""InterNeg: negatives that no ID class's images are as near to as its name, and TINS's retrieval from a stream."""

from curator.systems.registry import MODE, System

SYSTEM = System(
    "interneg",
    settings_class="curator.systems.interneg.settings:InterNegSettings",
    learning="curator.systems.interneg.learn:learn_interneg",
    choices={"mode": MODE},
    help="""Make a bank by InterNeg: negatives chosen against images of the ID classes.

    \b
    Example:
      curator bank interneg --reference /data/known-id
    """,
)

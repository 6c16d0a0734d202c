"""NegRefine: negatives without names of single things and kinds of ID classes, and labels joined in pairs."""

from curator.systems.registry import System

SYSTEM = System(
    "negrefine",
    settings_class="curator.systems.negrefine.settings:NegRefineSettings",
    learning="curator.systems.negrefine.learn:learn_negrefine",
    help="""Make a bank by NegRefine: a bank's negatives, filtered by a reasoner.

    \b
    Example:
      curator bank negrefine
    """,
)

"""EOE: outlier classes that a language model imagines."""

from typing import Literal, TypeAlias, get_args

from curator.systems.registry import Choice, System

Task: TypeAlias = Literal["near", "far", "fine-grained", "general", "irrelevant", "dissimilar"]
SYSTEM = System(
    "eoe",
    settings_class="curator.systems.eoe.settings:EoeSettings",
    learning="curator.systems.eoe.learn:learn_eoe",
    choices={"task": Choice(get_args(Task), "Which outlier labels to imagine.  [default: near]")},
    help="""Make a bank by EOE: outlier labels imagined from the ID labels.

    \b
    Example:
      curator bank eoe --task near --dry-run
    """,
)

"""What the authors of a mining method use: a spec that names the method gets it wherever the spec itself says nothing.

This program differs by default in that no negative names an ID label; `mining.remove_id_names = false` restores the
published behaviour. NegLabel's later benchmark code (OpenOOD-VLM) mines otherwise than its first code, by

    [mining]
    limit = 10000
    statistic = "order"
    order = "adjectives_first"
    remove_id_names = "exact"
"""

from __future__ import annotations

from dataclasses import dataclass

from curator.banks.prompts import CSP_ADJECTIVE_TEMPLATES, CSP_TEMPLATES, TEMPLATES, Template

# CSP puts one of these behind each adjective.
CSP_SUPERCLASSES = (
    *("environment", "space", "object", "scene", "place", "item", "area", "view", "thing", "pattern", "structure"),
    *("landscape", "vista", "creature"),
)


@dataclass(frozen=True, slots=True)
class Published:
    """Defaults of a method. `template` is that of ID labels and of nouns; `exclude` are lexicographer files."""

    template: Template = TEMPLATES["nice"]
    adjective_template: Template = TEMPLATES["adjective"]
    exclude: tuple[str, ...] = ("noun.animal", "noun.food")
    superclasses: tuple[str, ...] = ()
    exclude_above: float | None = None


PUBLISHED = {
    "neglabel": Published(),  # Jiang et al., ICLR 2024; templates as in the later benchmark code
    "csp": Published(  # Chen et al., NeurIPS 2024
        template=CSP_TEMPLATES,
        adjective_template=CSP_ADJECTIVE_TEMPLATES,
        exclude=("adj.pert", "noun.animal", "noun.food", "noun.group", "noun.person", "noun.quantity"),
        superclasses=CSP_SUPERCLASSES,
        exclude_above=0.95,
    ),
}

"""Templates that turn a label into what is encoded: one text, or an ensemble of texts whose mean stands for it.

Text towers are sensitive to wording. `nice` and `adjective` are the forms of NegLabel's later benchmark code, with
capital and full stop; ID labels and noun negatives must share one form, or the difference of form enters the score.

A prompt is one string: the texts of an ensemble are its lines. So it is all that shaped a label's vector but for the
encoder, and the key of the text cache. The vector of several lines is the mean of their embeddings as the text tower
gives them, divided by its norm at the end (CSP, Chen et al., NeurIPS 2024: longer embeddings weigh more).
"""

from __future__ import annotations

from typing import TypeAlias

from curator.errors import UsageError

Template: TypeAlias = str | tuple[str, ...]  # each with one {}; several are an ensemble

# CSP's ensembles, from the tables of its code: of ID labels and nouns, and of its adjective phrases.
CSP_TEMPLATES = (
    *("a close-up photo of the nice {}.", "a photo with the nice {}.", "a good photo with the nice {}."),
    *("a photo of the nice {}.", "{}", "the {}", "the good {}", "the nice {}"),
)
CSP_ADJECTIVE_TEMPLATES = ("{}", "a nice photo of {}", "a good photo of {}", "a close-up photo of {}")

TEMPLATES: dict[str, Template] = {
    "nice": "The nice {}.",
    "photo": "a photo of a {}.",
    "plain": "{}",
    "adjective": "This is a {} photo.",
    "csp": CSP_TEMPLATES,
    "csp_adjective": CSP_ADJECTIVE_TEMPLATES,
}


def resolve_template(given: str | list[str]) -> Template:
    """A template from its name or its own text, or an ensemble from a list of texts.

    Raises UsageError unless each holds `{}` exactly once and is one line, and those of a list are distinct.
    """
    template = TEMPLATES.get(given, given) if isinstance(given, str) else tuple(given)
    texts = texts_of(template)
    known = f"or be one of: {', '.join(sorted(TEMPLATES))}"
    for text in texts:
        if text.count("{}") != 1 or not text.isprintable():
            raise UsageError(f"the template {text!r} must be one line that holds {{}} once", hint=known)
    if not texts or len(set(texts)) < len(texts):
        raise UsageError("an ensemble must hold one or more templates, each once", hint="remove the repeated one")
    return texts[0] if len(texts) == 1 else texts


def texts_of(template: Template) -> tuple[str, ...]:
    return (template,) if isinstance(template, str) else template


def fill(template: Template, label: str) -> str:
    """The prompt of a label; underscores, as in folder names, become spaces."""
    return "\n".join(text.replace("{}", label.replace("_", " ")) for text in texts_of(template))


def lines_of(prompt: str) -> list[str]:
    """The texts of a prompt. Not `splitlines`, which would also cut a text at a form feed or the like."""
    return prompt.split("\n")

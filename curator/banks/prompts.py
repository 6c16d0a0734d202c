"""Templates that turn a label into the text that is encoded.

Text towers are sensitive to wording. `nice` and `adjective` are the forms of NegLabel's later benchmark code, with
capital and full stop; ID labels and noun negatives must share one form, or the difference of form enters the score.
"""

from __future__ import annotations

from curator.errors import UsageError

TEMPLATES = {
    "nice": "The nice {}.",
    "photo": "a photo of a {}.",
    "plain": "{}",
    "adjective": "This is a {} photo.",
}


def resolve_template(text: str) -> str:
    """A template from its name or its own text. Raises UsageError unless it holds `{}` exactly once."""
    template = TEMPLATES.get(text, text)
    if template.count("{}") != 1 or not template.isprintable():
        names = ", ".join(sorted(TEMPLATES))
        raise UsageError(f"the template {text!r} must be one line that holds {{}} once", hint=f"or be one of: {names}")
    return template


def fill(template: str, label: str) -> str:
    """The prompt of a label; underscores, as in folder names, become spaces."""
    return template.replace("{}", label.replace("_", " "))

"""What models and gateways say instead of an answer, within the form of one: refusals, tags, tables, whole pages.

A service that enforces a schema puts a refusal under "description" or "labels" too. Each form here is one that names of
things and descriptions of pictures do not have: tests hold it against all of WordNet's and ImageNet's names.
"""

from __future__ import annotations

import re

_PICTURE = r"(?:image|photo|photograph|picture|content|request)"
_NOT = r"(?:cannot|can not|can['’]t|could not|couldn['’]t)"
_HELP = r"(?:answer|assist|comply|describe|fulfil|fulfill|help|identify|process|provide|recogni[sz]e)"
_OUR = r"(?:(?:my|our|its|the|content|safety|usage|use) ){0,2}"
REFUSAL = re.compile(
    "|".join(
        (
            r"^(?:i['’]m|i am) (?:sorry|afraid|unable|not able|just an?|an ai)\b",
            rf"^i (?:{_NOT}|(?:do not|don['’]t) (?:see|know))\b",
            r"^(?:sorry|apologies|my apologies)(?:$|[,.!:;]| (?:but|for|i)\b)",
            r"^(?:unfortunately|unable to|as an ai)\b",
            r"\bas an? (?:ai|large language|language) (?:model|assistant|language)\b",
            rf"\b(?:the|this|that|your) {_PICTURE} {_NOT}\b",
            rf"\b(?:unable|not able) to {_HELP}\b",
            rf"\b{_NOT} (?:assist|comply|help with|help you)\b",
            rf"\b(?:due to|violates?|against) {_OUR}polic(?:y|ies)\b",
        )
    ),
    re.IGNORECASE,
)
MARKUP = re.compile(r"<[/!?]?[a-z]|\|", re.IGNORECASE)  # tags and the bars of tables
PAGE = re.compile(r"(?:```\w*\s*)?<(?:!doctype|html|head|body|\?xml)\b", re.IGNORECASE)  # of a proxy or a portal

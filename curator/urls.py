"""Addresses as text: their scheme, and that no secret stands in them.

Addresses are printed, logged and stored with every run; credentials come from where the store's own tools look for
them. So a URL with a password or a signature in it is refused before anything is done with it, and never echoed.
"""

from __future__ import annotations

import re

from curator.errors import UsageError
from curator.printable import SECRET_PARAMETER

SCHEME = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*)://")
HOST_AND_PORT = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^:]*)(:\d*)?")


def scheme_of(address: str) -> str | None:
    """The scheme of a URL, in lower case; None for a local path."""
    found = SCHEME.match(address)
    return found[1].lower() if found else None


def is_http(address: str) -> bool:
    """Whether an address is a web URL, where nothing but the server's answers tells files from folders."""
    return scheme_of(address) in ("http", "https")


def refuse_secrets(address: str) -> None:
    """Raises UsageError for a URL with credentials in it, without repeating them."""
    scheme = scheme_of(address)
    if scheme is None:
        return
    host = re.split(r"[/?#]", address[len(scheme) + 3 :], maxsplit=1)[0]
    user, _, place = host.rpartition("@")
    # A secret may hold a slash, which ends the host: what then stands before it has a colon and no port.
    is_named = host.startswith("arn:") or HOST_AND_PORT.fullmatch(place)
    has_user = ":" in user or (user != "" and scheme in ("http", "https", "s3", "s3a", "gs", "gcs"))
    if has_user or not is_named or SECRET_PARAMETER.search(address):
        hint = "credentials are taken from the environment, the store's own configuration files, or the machine's role"
        raise UsageError(f"{scheme}://…: a URL with credentials in it is not taken", hint=hint)

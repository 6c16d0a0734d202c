"""The registry: lazy, and jealous of its names."""

from __future__ import annotations

import pytest

from curator.errors import UsageError
from curator.registry import Registry


def test_registry_lists_names_without_importing():
    registry = Registry("thing", {"b": "no_such_module:x", "a": "json:loads"})
    assert registry.names() == ["a", "b"]
    assert registry.get("a")("1") == 1


def test_taken_name_raises():
    registry = Registry("thing", {"a": "json:loads"})
    with pytest.raises(ValueError, match="already registered as json:loads"):
        registry.register("a", "json:dumps")


def test_unknown_name_says_what_is_known():
    with pytest.raises(UsageError, match=r"no thing is called 'c' \(known: a\)"):
        Registry("thing", {"a": "json:loads"}).get("c")

"""Tiny models of every family, and a guard against the network."""

from __future__ import annotations

import importlib.util
import socket
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(scope="session")
def tiny() -> ModuleType:
    """The module that makes tiny models."""
    spec = importlib.util.spec_from_file_location("curator_tiny_models", Path(__file__).with_name("tiny_models.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def no_sockets(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fails the test on any attempt to connect or to resolve a name, even when the library swallows the error."""
    attempts: list[object] = []

    def refuse(*args: object, **kwargs: object) -> None:
        attempts.append(args)
        raise OSError("this test forbids the network")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket.socket, "connect_ex", refuse)
    yield
    assert attempts == []


@pytest.fixture(scope="session")
def photograph() -> Image.Image:
    """A picture with smooth and sharp parts, 90 x 60."""
    y, x = np.mgrid[0:60, 0:90]
    wave = 127 + 120 * np.sin(x / 9.0) * np.cos(y / 7.0)
    stripes = np.where((x + y) % 16 < 8, 230, 20)
    return Image.fromarray(np.stack([wave, stripes, 255 - wave], axis=-1).astype(np.uint8))

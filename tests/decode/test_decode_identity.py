"""Pixels are those that encoders' ids stand for, or nothing is decoded."""

from __future__ import annotations

import pytest
from PIL import Image

from curator.decode import DecodeOptions, identity, prepare
from curator.engines.decode_pool import DecodePool
from curator.errors import CuratorError
from curator.types import Preprocess


@pytest.fixture
def unchecked():
    identity.require_known_pixels.cache_clear()
    yield
    identity.require_known_pixels.cache_clear()


def test_the_picture_becomes_its_pixels():
    assert identity.probe_drift() < 0.02


def test_an_installation_that_makes_other_pixels_decodes_nothing(unchecked, monkeypatch):
    def sharper(image, size, interpolation, box):
        return image.resize(size, Image.Resampling.LANCZOS, box=box)

    monkeypatch.setattr("curator.decode.fitting.resized", sharper)
    assert identity.probe_drift() > identity.PROBE_DRIFT
    with pytest.raises(CuratorError, match=r"differs by .* with pillow .*, simplejpeg .*, cykooz-resizer"):
        DecodePool(workers=1, preprocess=Preprocess(32), options=DecodeOptions())


def test_an_installation_that_cannot_read_the_picture_decodes_nothing(unchecked, monkeypatch):
    monkeypatch.setattr(identity, "prepare", lambda *_: prepare(b"", Preprocess(8), DecodeOptions()))
    with pytest.raises(CuratorError, match="differs by 255"):
        identity.require_known_pixels()

"""The small scanned lake of the tests of reviews, for the app."""

from __future__ import annotations

from tests.review.conftest import call_fixture, decide, images, scanned, workspace

__all__ = ["call_fixture", "decide", "images", "scanned", "workspace"]

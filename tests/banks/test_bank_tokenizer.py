"""The text cache and the tokenizer, which is no part of an encoder's id: vectors of two of them never mix."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from curator.banks import TextCache
from curator.encoders.fake_encoder import FakeEncoder

TEXTS = ["tram", "sea horse", "stop sign", "circle", "tram\nthe tram", "owl", "a red owl"]


@dataclass
class Worded:
    """The fake encoder behind a tokenizer that has a name, and that may read words backwards."""

    tokenizer_id: str
    backwards: bool = False
    encoded: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._fake = FakeEncoder(64, address="fake:64", batch_size=8)
        self.encoder_id, self.dimension = self._fake.encoder_id, 64

    def encode_texts(self, texts: list[str], *, normalised: bool = True) -> Any:
        self.encoded += texts
        read = [text[::-1] for text in texts] if self.backwards else texts
        return self._fake.encode_texts(read, normalised=normalised)


@pytest.fixture
def cache(tmp_path: Path) -> TextCache:
    return TextCache(tmp_path / "cache")


def without_tokenizer(cache: TextCache) -> None:
    """As an earlier release wrote the files."""
    for path in cache.folder.rglob("*.safetensors"):
        tensors = load_file(path)
        del tensors["tokenizer"]
        save_file(tensors, path)


def test_vectors_of_another_tokenizer_are_not_used_and_give_way(cache):
    broken, mended = Worded("1", backwards=True), Worded("2")
    wrong = cache.encode(broken, TEXTS)
    right = cache.encode(mended, TEXTS)
    np.testing.assert_array_equal(right, TextCache(cache.folder / "fresh").encode(Worded("2"), TEXTS))
    assert not np.allclose(wrong, right)
    mended.encoded.clear()
    np.testing.assert_array_equal(cache.encode(mended, TEXTS), right)
    assert mended.encoded == [] and len(list(cache.encoder_folder(mended.encoder_id).iterdir())) == 1


def test_files_that_name_no_tokenizer_are_kept_where_their_texts_have_their_vectors_still(cache):
    before = cache.encode(Worded("1"), TEXTS)
    without_tokenizer(cache)
    now = Worded("2")
    np.testing.assert_array_equal(cache.encode(now, TEXTS), before)
    assert 0 < len(set(now.encoded)) < len(TEXTS)
    now.encoded.clear()
    np.testing.assert_array_equal(cache.encode(now, TEXTS), before)
    assert now.encoded == [], "the file says by now which tokenizer it is of"


def test_files_that_name_no_tokenizer_are_made_again_where_their_texts_have_other_vectors(cache):
    cache.encode(Worded("1", backwards=True), TEXTS)
    without_tokenizer(cache)
    np.testing.assert_array_equal(
        cache.encode(Worded("2"), TEXTS), TextCache(cache.folder / "fresh").encode(Worded("2"), TEXTS)
    )


def test_an_encoder_that_names_no_tokenizer_uses_its_files_as_ever(cache):
    encoder = Worded("")
    first = cache.encode(encoder, TEXTS)
    encoder.encoded.clear()
    np.testing.assert_array_equal(cache.encode(encoder, TEXTS), first)
    assert encoder.encoded == []
    assert all("tokenizer" not in load_file(path) for path in cache.folder.rglob("*.safetensors"))


def test_a_cache_that_cannot_be_written_is_used_all_the_same(cache, monkeypatch):
    before = cache.encode(Worded("1"), TEXTS)
    without_tokenizer(cache)

    def refuse(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("curator.banks.text_cache.write_durably", refuse)
    np.testing.assert_array_equal(cache.encode(Worded("1"), TEXTS), before)


def test_damage_to_a_file_that_names_its_tokenizer_is_still_seen(cache):
    cache.encode(Worded("1"), TEXTS)
    (path,) = cache.folder.rglob("*.safetensors")
    data = bytearray(path.read_bytes())
    data[-9] ^= 1
    path.write_bytes(data)
    shutil.copy(path, path.with_name("copy.safetensors"))
    assert len(cache.damaged_files()) == 2

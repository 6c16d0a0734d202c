"""Banks on disk: round trip, immutability, and that tampering is found."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest

from curator.banks import TextCache, bank_digest, build_bank, load_bank, parse_spec, save_bank
from curator.errors import BankError


@pytest.fixture
def bank(encoder, tmp_path):
    tables = {"name": "b", "id": {"labels": ["tram", "café"]}, "negatives": {"wordnet": {"include": ["noun.shape"]}}}
    spec = parse_spec(tables, where="b.toml")
    return build_bank(spec, encoder, root=tmp_path, text_cache=TextCache(tmp_path / "cache"))


@pytest.fixture
def saved(bank, tmp_path):
    return save_bank(bank, tmp_path / "banks")


def test_a_bank_comes_back_as_it_was_saved(bank, saved):
    loaded = load_bank(saved)
    assert saved.name == bank.digest
    np.testing.assert_array_equal(loaded.vectors, bank.vectors)
    assert loaded.vectors.dtype == np.float32
    assert replace(loaded, vectors=bank.vectors) == bank


def test_the_label_table_can_be_read_without_this_program(bank, saved):
    table = pq.read_table(saved / "labels.parquet")
    assert table.column("text").to_pylist() == [label.text for label in bank.labels]


def test_saving_twice_changes_nothing_and_leaves_no_debris(bank, saved):
    before = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in saved.iterdir()}
    assert save_bank(bank, saved.parent) == saved
    assert {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in saved.iterdir()} == before
    assert sorted(before) == ["bank.json", "labels.parquet", "vectors.safetensors"]
    assert list(saved.parent.iterdir()) == [saved]


def test_rounding_of_vectors_is_the_same_bank_and_other_vectors_are_refused(bank, saved):
    save_bank(replace(bank, vectors=bank.vectors + np.float32(1e-6)), saved.parent)
    np.testing.assert_array_equal(load_bank(saved).vectors, bank.vectors)
    with pytest.raises(BankError, match="exists with other vectors"):
        save_bank(replace(bank, vectors=bank.vectors[::-1].copy()), saved.parent)


@pytest.mark.parametrize("name", ["labels.parquet", "vectors.safetensors", "bank.json"])
@pytest.mark.parametrize("damage", ["flip", "truncate", "remove"])
def test_every_damage_is_found(saved, name, damage):
    path = saved / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    if damage == "remove":
        path.unlink()
    else:
        path.write_bytes(data if damage == "flip" else data[:-10])
    with pytest.raises(BankError) as caught:
        load_bank(saved)
    assert str(saved) in caught.value.message


@pytest.fixture
def learnt(bank):
    """The bank with parameters of several types and shapes, in no order of names."""
    parameters = {
        "tuned.labels": np.array([3, 5]),
        "projection.weight": np.arange(12, dtype=np.float32).reshape(3, 4).T,  # not contiguous
        "gain": np.array(0.5),
    }
    digest = bank_digest(bank.labels, encoder_id=bank.encoder_id, spec=bank.spec, parameters=parameters)
    return replace(bank, parameters=parameters, digest=digest)


def test_parameters_come_back_with_type_and_shape(learnt, tmp_path):
    folder = save_bank(learnt, tmp_path / "banks")
    assert sorted(path.name for path in folder.iterdir())[2] == "parameters.safetensors"
    loaded = load_bank(folder).parameters
    assert list(loaded) == sorted(learnt.parameters)
    for name, values in learnt.parameters.items():
        assert loaded[name].dtype == values.dtype and loaded[name].shape == values.shape
        np.testing.assert_array_equal(loaded[name], values)
    assert save_bank(learnt, tmp_path / "banks") == folder


@pytest.mark.parametrize("damage", ["flip", "remove"])
def test_damaged_parameters_are_found(learnt, tmp_path, damage):
    path = save_bank(learnt, tmp_path / "banks") / "parameters.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.unlink()
    if damage == "flip":
        path.write_bytes(data)
    with pytest.raises(BankError, match=r"parameters\.safetensors"):
        load_bank(path.parent)


def test_a_bank_without_parameters_has_no_file_for_them(saved):
    facts = json.loads((saved / "bank.json").read_text(encoding="utf-8"))
    assert sorted(facts["sha256"]) == ["labels.parquet", "vectors.safetensors"]
    (saved / "parameters.safetensors").write_bytes(b"not of this bank")
    assert load_bank(saved).parameters == {}


def test_a_rewritten_manifest_does_not_pass_for_another_bank(saved):
    from curator.banks.storage import checksum

    path = saved / "bank.json"
    facts = json.loads(path.read_text(encoding="utf-8"))
    facts.pop("checksum")
    facts["encoder_id"] = "other@1"
    path.write_text(json.dumps({**facts, "checksum": checksum(facts)}), encoding="utf-8")
    with pytest.raises(BankError, match="does not match its digest"):
        load_bank(saved)


def test_a_half_written_folder_is_no_bank_and_a_failed_write_leaves_none(bank, tmp_path, monkeypatch):
    (tmp_path / "half").mkdir()
    with pytest.raises(BankError, match="there is no bank"):
        load_bank(tmp_path / "half")

    def full_disk(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("curator.banks.storage.write_durably", full_disk)
    with pytest.raises(BankError, match="No space left"):
        save_bank(bank, tmp_path / "banks")
    assert list((tmp_path / "banks").iterdir()) == []


def test_a_bank_of_another_format_is_refused(saved):
    from curator.banks.storage import checksum

    path = saved / "bank.json"
    facts = json.loads(path.read_text(encoding="utf-8"))
    facts.pop("checksum")
    facts["format"] = 99
    path.write_text(json.dumps({**facts, "checksum": checksum(facts)}), encoding="utf-8")
    with pytest.raises(BankError, match="format 99"):
        load_bank(saved)

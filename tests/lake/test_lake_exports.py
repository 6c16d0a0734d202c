"""Exports to an object store: sent file by file, gone on with after a fault, and only where nothing else is."""

from __future__ import annotations

import pytest

from curator.errors import OutputError, UsageError


def keys(s3):
    return sorted(entry["Key"] for entry in s3.list_objects_v2(Bucket="lake").get("Contents", []))


def test_an_export_to_a_store_goes_on_where_a_fault_stopped_it_and_leaves_nothing_behind(s3, store, first_night):
    workspace, _ = first_night
    request = {"images": "kept", "to": "s3://lake/exports/kept", "format": "huggingface"}
    count = workspace.sql("select count(*) as n from report.kept")["n"].to_pylist()[0]
    store.fail(403, "metadata.jsonl", method="PUT", times=float("inf"))
    with pytest.raises(OutputError, match="access denied"):
        workspace.export(**request)
    sent = keys(s3)
    assert len(sent) == count and all(key.startswith("exports/kept/images/") for key in sent)
    before = {key: s3.head_object(Bucket="lake", Key=key)["LastModified"] for key in sent}
    assert [path.name for path in (workspace.layout.root / "exports").iterdir()]
    store.heal()
    summary = workspace.export(**request)
    assert summary.images == count and keys(s3) == [*sent, "exports/kept/metadata.jsonl"]
    assert before == {key: s3.head_object(Bucket="lake", Key=key)["LastModified"] for key in sent}
    assert list((workspace.layout.root / "exports").iterdir()) == []
    with pytest.raises(UsageError, match="is not empty"):
        workspace.export(**request)


def test_what_a_store_cannot_have_is_refused_before_anything_is_read(store, workspace, lake):
    workspace.scan(lake)
    with pytest.raises(UsageError, match="links are made in folders"):
        workspace.export("kept", to="s3://lake/x", format="symlinks")
    with pytest.raises(UsageError, match="nothing is replaced"):
        workspace.export("kept", to="s3://lake/x", format="csv", replace="overwrite")
    with pytest.raises(UsageError, match="web servers"):
        workspace.export("kept", to="https://example.org/x", format="csv")
    assert not (workspace.layout.root / "exports").exists()

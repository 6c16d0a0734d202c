"""Nights on an object store that fails, through the command line: the same results, and one clear line where none."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

SECRET = "hunter2-hunter2"


@pytest.fixture
def bucket(s3, lake):
    """The lake of sixteen files and a tar, in the bucket."""
    for path in lake.iterdir():
        s3.put_object(Bucket="lake", Key=f"night/{path.name}", Body=path.read_bytes())
    return "s3://lake/night"


@pytest.fixture
def scan(workspace, run_cli):
    def run(code=0):
        result = run_cli("scan", "s3://lake/night", "--json", folder=workspace.layout.root, code=code)
        return json.loads(result.stdout) if code == 0 else result.stderr

    return run


def results(workspace):
    scores = workspace.sql("select uri, id_score, image_id from report.scores order by uri")
    rejects = workspace.sql("select uri, stage, reason from report.rejects order by uri")
    return scores.to_pylist(), rejects.to_pylist()


def test_a_night_of_faults_that_pass_ends_as_one_without(
    store, bucket, scan, workspace, make_workspace, run_cli, tmp_path
):
    unbroken = make_workspace(tmp_path / "unbroken")
    run_cli("scan", bucket, folder=unbroken.layout.root)
    for kind, part in [(503, "red-00"), ("cut", "green-01"), ("reset", "blue-02"), ("short", "yellow-03"),
                       (500, "z-shard.tar"), ("cut", "z-shard.tar"), (429, "red-04"),
                       (503, "list-type=2")]:  # fmt: skip
        store.fail(kind, part, times=2)
    scan()
    assert all(fault.met == 2 for fault in store.faults)
    assert results(workspace) == results(unbroken)


@pytest.mark.slow
def test_what_stays_broken_is_a_reject_that_the_next_night_tries_again_by_itself(
    s3, store, bucket, scan, workspace, run_cli, pictures, tmp_path
):
    pq.write_table(pa.table({"image": list(pictures.values())}), tmp_path / "set.parquet", row_group_size=6)
    s3.upload_file(str(tmp_path / "set.parquet"), "lake", "night/set.parquet")
    broken = ("red-00.png", "z-shard.tar", "set.parquet")
    for part in broken:
        store.fail(503 if part == "red-00.png" else "cut", part, times=float("inf"))
    assert scan()["reject_reasons"]["read/read_failed"] == 3
    details = workspace.sql("select detail from report.rejects where reason = 'read_failed' order by uri")
    assert details["detail"].to_pylist()[0] == "SlowDown by the test"
    store.heal()
    store.requests.clear()
    second = scan()
    assert "read/read_failed" not in second["reject_reasons"]
    assert {item.path.partition("?")[0] for item in store.gets()} == {f"/lake/night/{name}" for name in broken}
    assert scan()["data_read"] == 0
    run_cli("doctor", "--check", folder=workspace.layout.root)


def test_an_object_that_changes_while_the_night_reads_is_read_again_by_the_next(
    s3, store, bucket, scan, workspace, pictures
):
    def replace(request):
        if request.method == "GET" and "red-00" in request.path and not replaced:
            replaced.append(s3.put_object(Bucket="lake", Key="night/red-00.png", Body=new))

    replaced, new = [], pictures["green-01.png"] + b"\0" * 8
    store.before = replace
    assert scan()["reject_reasons"]["read/changed_while_read"] == 1
    assert scan()["listings"][0]["objects_changed"] == 1
    kept = workspace.sql("select object_version from location where uri = 's3://lake/night/red-00.png'")
    assert kept["object_version"].to_pylist() == [f"{len(new)}-{replaced[0]['ETag'].strip(chr(34))}"]


def test_a_listing_that_fails_is_one_line_and_nothing_counts_as_gone(store, bucket, scan, workspace):
    scan()
    before = results(workspace)
    store.fail(503, "list-type=2", times=float("inf"))
    message = scan(code=1)
    assert message.startswith("curator: s3://lake/night: cannot be listed: ") and message.count("\n") == 1
    store.heal()
    again = scan()
    assert (again["listings"][0]["objects_gone"], again["data_read"]) == (0, 0)
    assert results(workspace) == before


@pytest.mark.slow
def test_the_second_page_of_a_listing_that_fails_leaves_nothing_gone(s3, store, bucket, scan, workspace, monkeypatch):
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "10")  # the page size of the server
    scan()
    assert any("continuation-token" in item.path for item in store.requests)
    store.fail(500, "continuation-token", times=float("inf"))
    assert "cannot be listed" in scan(code=1)
    store.heal()
    assert scan()["listings"][0]["objects_gone"] == 0


def test_archived_objects_are_tried_again_each_night_until_they_are_restored(s3, bucket, scan, pictures):
    data = next(iter(pictures.values()))
    s3.put_object(Bucket="lake", Key="night/old.png", Body=data, StorageClass="GLACIER")
    assert scan()["reject_reasons"]["read/archived"] == 1
    again = scan()
    assert (again["data_read"], again["reject_reasons"]) == (1, {"read/archived": 1})
    s3.put_object(Bucket="lake", Key="night/old.png", Body=data)
    assert (scan()["reject_reasons"], scan()["data_read"]) == ({}, 0)


# Credentials


@pytest.fixture
def refused(store, workspace, run_cli):
    """Scan, which must fail with one line; gives it."""

    def run(address):
        result = run_cli("scan", address, folder=workspace.layout.root, code=None)
        assert result.exit_code in (1, 2) and result.stderr.count("\n") == 1 and SECRET not in result.output
        return result.exit_code, result.stderr

    return run


@pytest.mark.parametrize(
    ("address", "code"),
    [
        (f"s3://AKIA:{SECRET}@lake/night", 2),
        (f"s3://AKIA:{SECRET}/with/slash@lake/night", 2),
        (f"https://user:{SECRET}@host/a.jpg", 2),
        (f"https://{SECRET}@host/a.jpg", 2),
        (f"https://host/a.jpg?X-Amz-Signature={SECRET}", 2),
    ],
)
def test_a_url_with_credentials_is_refused_and_not_repeated(refused, workspace, address, code):
    found, line = refused(address)
    assert found == code and "a URL with credentials in it is not taken" in line and "environment" in line
    assert not workspace.layout.ledger.exists()


def test_a_missing_bucket_a_denied_key_and_a_dead_endpoint_are_one_line_each(refused, store, bucket, monkeypatch):
    from s3fs import S3FileSystem

    assert refused("s3://no-such-bucket/night")[0] == 1
    assert "no such bucket, folder or object" in refused("s3://no-such-bucket/night")[1]
    fault = store.fail(403, "", times=float("inf"))
    assert "access denied" in refused(bucket)[1] and fault.met
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://user:{SECRET}@127.0.0.1:9")
    S3FileSystem.clear_instance_cache()
    assert refused(bucket)[0] == 1
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    S3FileSystem.clear_instance_cache()
    code, line = refused(bucket)
    assert code == 1 and "Could not connect to the endpoint" in line and "check the network" in line


def test_without_credentials_the_line_says_where_they_belong(refused, monkeypatch, tmp_path):
    from s3fs import S3FileSystem

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    S3FileSystem.clear_instance_cache()
    _, line = refused("s3://lake/night")
    assert "Unable to locate credentials" in line and "profile" in line and "role" in line


@pytest.mark.slow
def test_credentials_come_from_a_profile_of_the_shared_file(store, bucket, scan, monkeypatch, tmp_path):
    from s3fs import S3FileSystem

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    (tmp_path / "credentials").write_text(f"[night]\naws_access_key_id = testing\naws_secret_access_key = {SECRET}\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_PROFILE", "night")
    S3FileSystem.clear_instance_cache()
    assert scan()["data_read"] > 0


def test_no_secret_is_in_the_ledger_the_log_or_the_rejects(store, bucket, workspace, run_cli, monkeypatch):
    from s3fs import S3FileSystem

    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_SESSION_TOKEN", f"token-{SECRET}")
    S3FileSystem.clear_instance_cache()
    store.fail(403, "red-00", times=float("inf"))
    store.fail(503, "green-01", times=float("inf"))
    result = run_cli("-v", "--log-format", "json", "scan", bucket, folder=workspace.layout.root)
    assert SECRET not in result.output
    for path in workspace.layout.root.rglob("*"):
        assert not path.is_file() or SECRET.encode() not in path.read_bytes(), path


def test_credentials_in_the_configuration_are_no_option(workspace, run_cli):
    text = workspace.layout.config.read_text()
    workspace.layout.config.write_text(f'{text}\n[s3]\nsecret = "{SECRET}"\n')
    result = run_cli("scan", "s3://lake/night", folder=workspace.layout.root, code=2)
    assert "unknown section [s3]" in result.stderr and SECRET not in result.output
    workspace.layout.config.write_text(text.replace('# to = ""', f'to = "s3://key:{SECRET}@lake/x"'))
    result = run_cli("scan", "s3://lake/night", folder=workspace.layout.root, code=2)
    assert "publish.to has credentials in it" in result.stderr and SECRET not in result.output

"""Where weights come from: cache, folder, network; and that offline means offline."""

from __future__ import annotations

import fnmatch
import shutil
import socket
import time
from pathlib import Path
from unittest import mock

import huggingface_hub
import pytest
from huggingface_hub.errors import LocalEntryNotFoundError

from curator.encoders import EncoderOptions, fetch_weights, load_encoder
from curator.encoders.hub import Access, Repository, no_network, snapshot
from curator.errors import EncoderError, WeightsMissing

COMMIT = "0123456789abcdef0123456789abcdef01234567"
MISSING = (
    "open_clip:ViT-B-32/openai",
    "open_clip:ViT-B-16-SigLIP/webli",
    "open_clip:hf-hub:org/absent",
    "transformers:org/absent",
)


def put_into_cache(cache: Path, repository: str, folder: Path, names: tuple[str, ...] = ("*",)) -> None:
    """Files as huggingface_hub leaves them after a download of `main`."""
    place = cache / f"models--{repository.replace('/', '--')}"
    (place / "refs").mkdir(parents=True, exist_ok=True)
    (place / "refs" / "main").write_text(COMMIT)
    target = place / "snapshots" / COMMIT
    target.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        if any(fnmatch.fnmatch(path.name, name) for name in names):
            shutil.copy(path, target)


def cached_in(folder: Path):
    return mock.patch.object(huggingface_hub.constants, "HF_HUB_CACHE", str(folder))


def load(address: str, cache: Path, *, offline: bool = True):
    with cached_in(cache):
        return load_encoder(EncoderOptions(address, device="cpu", dtype="float32", offline=offline))


@pytest.mark.parametrize("address", MISSING)
def test_offline_missing_weights_are_one_line_saying_where_and_how_and_no_socket_opens(address, tmp_path, no_sockets):
    with pytest.raises(WeightsMissing) as caught:
        load(address, tmp_path)
    assert str(tmp_path) in caught.value.message
    assert "offline" in caught.value.message
    assert f"curator models fetch {address}" in caught.value.hint
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("address", MISSING)
@pytest.mark.parametrize("use", ["load", "fetch"])
def test_an_unreachable_network_is_the_same_line_within_seconds(address, use, tmp_path, monkeypatch):
    def unreachable(*args: object, **kwargs: object) -> None:
        raise socket.gaierror(-3, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", unreachable)
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    fault = r"cannot be downloaded: .*Temporary failure in name"
    with cached_in(tmp_path), pytest.raises(WeightsMissing, match=fault) as caught:
        load(address, tmp_path, offline=False) if use == "load" else fetch_weights(address)
    assert sum(slept) < 10
    assert str(tmp_path) in caught.value.message
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "address",
    [
        "open_clip:ViT-B-32//nowhere/mine.safetensors",
        "open_clip:ViT-B-32/nowhere/mine.pt",
        "open_clip:local-dir:/nowhere",
        "transformers:/nowhere/model",
        "transformers:./nowhere",
        "transformers:~/nowhere-at-all",
    ],
)
@pytest.mark.parametrize("offline", [True, False])
def test_a_path_that_is_not_there_says_so_and_is_never_taken_for_a_repository(address, offline, tmp_path, no_sockets):
    with pytest.raises(WeightsMissing, match="nowhere") as caught:
        load(address, tmp_path, offline=offline)
    assert caught.value.hint


@pytest.mark.parametrize("address", ["transformers:not a name", "open_clip:hf-hub:a--b..c"])
def test_a_name_that_no_repository_can_have_is_an_encoder_error(address, tmp_path, no_sockets):
    with pytest.raises(EncoderError, match="no folder and no repository name"):
        load(address, tmp_path)


@pytest.mark.parametrize("offline", [True, False])
def test_what_is_in_the_cache_is_used_without_the_network_though_that_is_allowed(offline, tmp_path, tiny, no_sockets):
    cache = tmp_path / "cache"
    clip, folder = tiny.clip_folder(tmp_path / "clip"), tiny.open_clip_folder(tmp_path / "folder")
    put_into_cache(cache, "org/clip", clip)
    put_into_cache(cache, "org/open-clip", folder)
    for address, original in (
        ("transformers:org/clip", f"transformers:{clip}"),
        (f"transformers:org/clip@{COMMIT}", f"transformers:{clip}"),
        ("open_clip:hf-hub:org/open-clip", f"open_clip:local-dir:{folder}"),
    ):
        encoder = load(address, cache, offline=offline)
        assert encoder.encoder_id.startswith(f"{address}@")
        assert encoder.encoder_id.rpartition("@")[2] == load(original, cache).encoder_id.rpartition("@")[2]
        assert encoder.encode_texts(["dog"]).shape == (1, encoder.dimension)


def test_another_revision_than_the_cached_one_is_missing(tmp_path, tiny, no_sockets):
    put_into_cache(tmp_path / "cache", "org/clip", tiny.clip_folder(tmp_path / "clip"))
    with pytest.raises(WeightsMissing, match="org/clip@v2"):
        load("transformers:org/clip@v2", tmp_path / "cache")


def test_a_download_that_broke_off_before_the_weights_counts_as_missing(tmp_path, tiny, no_sockets):
    put_into_cache(tmp_path / "cache", "org/clip", tiny.clip_folder(tmp_path / "clip"), ("*.json",))
    with pytest.raises(WeightsMissing, match="not in the cache"):
        load("transformers:org/clip", tmp_path / "cache")


def test_a_tag_is_loaded_from_the_cache_with_its_own_activation_and_preprocessing(
    tmp_path, tiny, monkeypatch, no_sockets
):
    import open_clip.pretrained as pretrained

    half = (0.5, 0.5, 0.5)
    config = {"hf_hub": "org/tagged/", "mean": half, "std": half, "interpolation": "bilinear", "resize_mode": "squash"}
    config["quick_gelu"] = True
    monkeypatch.setitem(pretrained._PRETRAINED, tiny.register_open_clip(tmp_path), {"made": config})
    checkpoint = tiny.open_clip_checkpoint(tmp_path)
    (tmp_path / "hub").mkdir()
    shutil.copy(checkpoint, tmp_path / "hub" / "open_clip_model.safetensors")
    put_into_cache(tmp_path / "cache", "org/tagged", tmp_path / "hub")

    tagged = load(f"open_clip:{tiny.ARCHITECTURE}/made", tmp_path / "cache")
    assert (tagged.preprocess.resize, tagged.preprocess.interpolation) == ("squash", "bilinear")
    assert tagged.preprocess.mean == half
    plain = load(f"open_clip:{tiny.ARCHITECTURE}/{checkpoint}", tmp_path / "cache")
    assert plain.preprocess == tagged.preprocess, "a file of an architecture with one kind of tags is taken for that"
    assert abs(plain.encode_texts(["dog"]) - tagged.encode_texts(["dog"])).max() > 1e-3, "QuickGELU is another model"
    assert plain.encoder_id.rpartition("@")[2] != tagged.encoder_id.rpartition("@")[2]


def test_a_download_takes_the_first_wanted_kind_of_weights_at_the_pinned_revision(tmp_path, monkeypatch):
    held = {"config.json", "pytorch_model.bin", "README.md"}
    calls = []

    def download(name, *, revision, local_files_only, allow_patterns):
        if local_files_only:
            raise LocalEntryNotFoundError("nothing here")
        calls.append((name, revision, tuple(allow_patterns)))
        for file in held:
            if any(fnmatch.fnmatch(file, pattern) for pattern in allow_patterns):
                (tmp_path / file).touch()
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    wanted = ("*.safetensors", "*.bin")
    found = snapshot(Repository.parse("org/repo@v1"), Access("x:y"), any_of=wanted, also=("config.json",))
    assert found == (tmp_path, "*.bin")
    patterns = [("*.safetensors", "config.json"), ("*.bin", "config.json")]
    assert calls == [("org/repo", "v1", pattern) for pattern in patterns]
    assert {path.name for path in tmp_path.iterdir()} == {"config.json", "pytorch_model.bin"}
    with pytest.raises(WeightsMissing, match=r"holds none of \*\.gguf"):
        snapshot(Repository("org/repo"), Access("x:y"), any_of=["*.gguf"])


def test_no_network_stops_the_hub_client_and_is_undone_afterwards(no_sockets):
    from huggingface_hub import constants
    from huggingface_hub.errors import OfflineModeIsEnabled

    before = constants.HF_HUB_OFFLINE
    with no_network():
        assert huggingface_hub.is_offline_mode()
        with pytest.raises(OfflineModeIsEnabled):
            huggingface_hub.HfApi().model_info("org/repo")
    assert before == constants.HF_HUB_OFFLINE


def test_files_that_do_not_fit_are_one_line(tmp_path, tiny, no_sockets):
    tiny.register_open_clip(tmp_path)
    (tmp_path / "text.safetensors").write_text("not weights")
    (tmp_path / "empty.pt").touch()
    checkpoint = tiny.open_clip_checkpoint(tmp_path)
    for address in (
        f"open_clip:{tiny.ARCHITECTURE}/{tmp_path}/text.safetensors",
        f"open_clip:{tiny.ARCHITECTURE}/{tmp_path}/empty.pt",
        f"open_clip:RN50/{checkpoint}",
    ):
        with pytest.raises(EncoderError, match="no encoder can be built") as caught:
            load(address, tmp_path)
        assert "\n" not in str(caught.value) and len(str(caught.value)) < 700


@pytest.mark.parametrize("text", ["no json", "[]", '{"vision_cfg": {}}'])
def test_a_configuration_that_is_none_is_one_line(text, tmp_path, tiny, no_sockets):
    folder = tiny.open_clip_folder(tmp_path / "folder")
    (folder / "open_clip_config.json").write_text(text)
    with pytest.raises(EncoderError, match="is no configuration of open_clip"):
        load(f"open_clip:local-dir:{folder}", tmp_path)


def test_a_pickle_that_holds_more_than_tensors_is_not_run(tmp_path, tiny):
    import torch

    ran = tmp_path / "ran"

    class Trap:
        def __reduce__(self):
            return ran.touch, ()

    tiny.register_open_clip(tmp_path)
    torch.save({"state_dict": Trap()}, tmp_path / "trap.pt")
    with pytest.raises(EncoderError, match="no encoder can be built"):
        load(f"open_clip:{tiny.ARCHITECTURE}/{tmp_path}/trap.pt", tmp_path)
    assert not ran.exists()

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from curator.encoders import ENCODERS, EncoderOptions, check_address, fetch_weights, list_models, load_encoder
from curator.encoders.options import prepared_as
from curator.errors import UsageError
from curator.types import Encoder, Preprocess


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("nonesuch:x", "no encoder family is called 'nonesuch'"),
        ("mini:large", "mini is one model"),
        ("fake:three", "from 8 to 4096"),
        ("fake:7", "from 8 to 4096"),
        ("transformers:", "names no model"),
        ("open_clip:ViT-B-32", "names no weights"),
        ("open_clip:ViT-B-32/", "names no weights"),
        ("open_clip:ViT-B-23/openai", "no architecture 'ViT-B-23'"),
        ("open_clip:ViT-B-32/opnai", "neither a tag of ViT-B-32 nor a checkpoint file"),
        ("open_clip:ViT-B-32/random?seed=x", "neither a tag"),
        ("open_clip:ViT-B-32/weights.ckpt", "neither a tag"),
        ("open_clip:hf-hub:", "names nothing"),
        ("open_clip:local-dir:", "names nothing"),
    ],
)
def test_an_address_that_cannot_be_is_a_usage_error_everywhere(address, says):
    for use in (check_address, fetch_weights, lambda text: load_encoder(EncoderOptions(address=text))):
        with pytest.raises(UsageError, match=says) as caught:
            use(address)
        assert caught.value.hint


def test_a_misspelt_name_is_answered_with_near_ones():
    with pytest.raises(UsageError, match="ViT-B-32"):
        check_address("open_clip:ViTB32/openai")
    with pytest.raises(UsageError, match="tags: openai"):
        check_address("open_clip:ViT-B-32/opena1")


@pytest.mark.parametrize(
    "address",
    [
        "open_clip:ViT-B-16/openai",
        "open_clip:ViT-B-16/openai@0123abc",
        "open_clip:ViT-B-32/random",
        "open_clip:ViT-B-32/random?seed=12",
        "open_clip:ViT-B-32//data/mine.safetensors",
        "open_clip:ViT-B-32/mine/epoch_3.pt",
        "open_clip:ViT-B-32/~/mine.bin",
        "open_clip:hf-hub:org/repo@main",
        "open_clip:local-dir:models/mine",
        "transformers:google/siglip2-base-patch16-224@main",
    ],
)
def test_an_address_that_can_be_passes_without_a_look_at_files(address, no_sockets):
    check_address(address)


@pytest.mark.parametrize(
    "bad",
    [{"address": ""}, {"dtype": "int8"}, {"batch_size": 0}, {"batch_size": -1}, {"text_batch_size": 0}],
)
def test_options_that_cannot_be_are_refused_when_they_are_made(bad):
    with pytest.raises(UsageError):
        EncoderOptions(**bad)


def test_images_prepared_otherwise_make_another_encoder_of_the_same_weights():
    plain, bilinear, openood = (
        load_encoder(EncoderOptions(address=f"fake{form}")) for form in ("", "#bilinear", "#openood")
    )
    assert len({item.encoder_id for item in (plain, bilinear, openood)}) == 3
    assert openood.encoder_id.startswith("fake#openood@")
    assert (plain.preprocess.side, bilinear.preprocess.interpolation, openood.preprocess.side) == (32, "bilinear", 37)
    assert np.array_equal(plain.encode_texts(["a red car"]), openood.encode_texts(["a red car"]))
    assert isinstance(openood, Encoder)
    assert fetch_weights("fake#openood") == fetch_weights("fake")
    with pytest.raises(UsageError):
        load_encoder(EncoderOptions(address="fake#nonesuch"))


def test_side_of_openood_is_256_for_the_224_of_clip():
    assert prepared_as("openood", Preprocess(224)) == Preprocess(224, resize_to=256)


def test_the_list_of_models_names_addresses_that_pass_the_check(no_sockets):
    addresses = list_models()
    assert {"mini", "fake", "open_clip:ViT-B-16/openai"} <= set(addresses)
    assert len(addresses) == len(set(addresses)) > 150
    assert {address.partition(":")[0] for address in addresses} == set(ENCODERS.names())
    for address in addresses:
        check_address(address)
    assert list_models("mini") == ["mini"]
    assert all(address.startswith("open_clip:") for address in list_models("open_clip"))
    with pytest.raises(UsageError):
        list_models("nonesuch")


def test_there_is_nothing_to_fetch_for_what_has_no_remote_weights(no_sockets):
    assert "nothing to fetch" in fetch_weights("mini")
    assert "nothing to fetch" in fetch_weights("fake")
    assert "nothing to fetch" in fetch_weights("open_clip:ViT-B-32/random")


def test_naming_and_checking_light_families_loads_no_torch():
    code = (
        "import sys, curator.encoders as e; e.EncoderOptions(); e.check_address('mini'); e.list_models('mini');"
        "e.check_address('transformers:a/b'); print(sorted({'torch', 'open_clip', 'transformers'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    code = "import sys, curator.encoders; print('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"

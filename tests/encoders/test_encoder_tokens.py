"""Tokenizers that lack, are empty or are another model's: refused by one line, never scored with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers

from curator.encoders import EncoderOptions, load_encoder
from curator.errors import EncoderError, WeightsMissing


def load(address: str) -> Any:
    return load_encoder(EncoderOptions(address, dtype="float32", device="cpu", offline=True))


@pytest.fixture(params=["clip", "siglip", "naflex", "open_clip"])
def folder(request: pytest.FixtureRequest, tiny: Any, tmp_path: Path) -> Path:
    """A model with its tokenizer in the folder."""
    if request.param != "open_clip":
        return getattr(tiny, f"{request.param}_folder")(tmp_path / "model")
    folder = tiny.open_clip_folder(tmp_path / "model")
    path = folder / "open_clip_config.json"
    config = json.loads(path.read_text())
    config["model_cfg"]["text_cfg"]["hf_tokenizer_name"] = "org/repo"  # open_clip takes that of the folder instead
    path.write_text(json.dumps(config))
    tiny.byte_tokenizer("<s>", "</s>", pad="</s>").save_pretrained(folder)
    return folder


def address_of(folder: Path) -> str:
    is_open_clip = (folder / "open_clip_config.json").exists()
    return f"open_clip:local-dir:{folder}" if is_open_clip else f"transformers:{folder}"


def replace_tokenizer(folder: Path, vocabulary: dict[str, int]) -> None:
    """One that knows these words and calls all others by the token 0."""
    backend = Tokenizer(models.WordLevel(vocab={"<unk>": 0, **vocabulary}, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    for path in folder.glob("tokenizer*"):
        path.unlink()
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=backend, unk_token="<unk>", pad_token="<unk>", eos_token="<unk>"
    ).save_pretrained(folder)


WORDED = ["clip", "siglip", "open_clip"]  # transformers makes pairs of letters of whatever a SigLIP 2 folder holds
WORDS = {word: place for place, word in enumerate(["dog", "cat", "red", "sky", "tree", "seven"], start=1)}


def test_a_model_with_its_tokenizer_tells_labels_apart(folder):
    dog, cat = load(address_of(folder)).encode_texts(["dog", "cat"])
    assert np.dot(dog, cat) < 0.999


@pytest.mark.parametrize("left", ["tokenizer_config.json", "vocab.json", "special_tokens_map.json", None])
def test_a_folder_without_a_tokenizer_is_refused_before_anything_is_built(folder, left):
    for path in folder.glob("tokenizer*"):
        path.unlink()
    if left:
        (folder / left).write_text("{}")
    with pytest.raises(WeightsMissing) as caught:
        load(address_of(folder))
    assert caught.value.message == f"{address_of(folder)}: there is no tokenizer in {folder}"
    assert "vocab.json and merges.txt" in caught.value.hint


def test_a_tokenizer_that_tells_no_words_apart_is_refused(folder):
    replace_tokenizer(folder, {"owl": 1})
    with pytest.raises(EncoderError, match="its tokenizer makes the same tokens of 'dog' and 'cat'") as caught:
        load(address_of(folder))
    assert caught.value.message.startswith(address_of(folder)) and "belong beside the weights" in caught.value.hint


@pytest.mark.parametrize("folder", WORDED, indirect=True)
def test_a_tokenizer_with_more_tokens_than_the_text_tower_is_refused(folder):
    replace_tokenizer(folder, {word: place + 250_000 for word, place in WORDS.items()})
    with pytest.raises(EncoderError, match=r"its tokenizer, of another model, gives '.*' the token 250\d\d\d, and the"):
        load(address_of(folder)).encode_texts(["dog"])


@pytest.mark.parametrize("folder", WORDED, indirect=True)
def test_a_token_too_many_that_one_label_alone_brings_is_refused_with_that_label(folder):
    replace_tokenizer(folder, {**WORDS, "seahorse": 250_000})
    encoder = load(address_of(folder))
    assert encoder.encode_texts(["dog", "cat"]).shape == (2, encoder.dimension)
    with pytest.raises(EncoderError, match="gives 'a seahorse' the token 250000"):
        encoder.encode_texts(["dog", "a seahorse"])


def test_another_tokenizer_has_another_id_though_the_encoder_has_the_same(folder, tiny, tmp_path):
    encoder = load(address_of(folder))
    assert len(encoder.tokenizer_id) == 12 and load(address_of(folder)).tokenizer_id == encoder.tokenizer_id
    path = folder / "tokenizer.json"
    document = json.loads(path.read_text())
    words = document["model"]["vocab"]
    words["d"], words["c"] = words["c"], words["d"]
    path.write_text(json.dumps(document))
    mended = load(address_of(folder))
    assert mended.encoder_id == encoder.encoder_id
    assert mended.tokenizer_id != encoder.tokenizer_id

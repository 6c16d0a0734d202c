"""What every encoder promises, held against one of each kind. The models are tiny and random, but for `mini`."""

from __future__ import annotations

import importlib.util
import itertools
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from curator.encoders import BATCH_TOLERANCE, ENCODERS, EncoderOptions, check_address, load_encoder, suited_score
from curator.errors import EncoderError
from curator.methods.spec import check_method
from curator.types import Encoder, Preprocess

SOURCE = Path(__file__).parents[1] / "encoders" / "tiny_models.py"
SPEC = importlib.util.spec_from_file_location("curator_tiny_models_for_contract", SOURCE)
TINY = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(TINY)

TEXTS = [
    "dog", "a photo of a dog", "", "   ", "Dog.", "x" * 4000, "word " * 900, "naïve café", "漢字かな", "🦉🦊", "a\x00b",
    "\ud800 lone surrogate", "<end_of_text> <|endoftext|> </s>", "line\nbreak\ttab", "right‏to‎left",
]  # fmt: skip


@pytest.fixture(scope="session")
def addresses(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return TINY.all_addresses(tmp_path_factory.mktemp("encoders"))


def load(address: str, dtype: str = "float32", **options: object) -> Encoder:
    return load_encoder(EncoderOptions(address=address, dtype=dtype, device="cpu", offline=True, **options))


def cases() -> Iterator[Any]:
    """Every encoder in both precisions; where processors emulate bfloat16, the one of real size takes its time."""
    for name, dtype in itertools.product(TINY.NAMES, ["float32", "bfloat16"]):
        is_long = (name, dtype) == ("mini", "bfloat16")
        yield pytest.param((name, dtype), id=f"{name}-{dtype}", marks=[pytest.mark.slow] if is_long else [])


@pytest.fixture(scope="session", params=cases())
def case(request: pytest.FixtureRequest) -> tuple[str, str]:
    return request.param


@pytest.fixture(scope="session")
def address(case: tuple[str, str], addresses: dict[str, str]) -> str:
    return addresses[case[0]]


@pytest.fixture(scope="session")
def dtype(case: tuple[str, str]) -> str:
    return case[1]


@pytest.fixture(scope="session")
def encoder(address: str, dtype: str) -> Encoder:
    return load(address, dtype, batch_size=4, text_batch_size=4)


@pytest.fixture(scope="session")
def pixels(encoder: Encoder) -> np.ndarray:
    size = encoder.preprocess.size
    return np.random.default_rng(0).integers(0, 256, (11, size, size, 3), dtype=np.uint8)


def test_every_registered_family_is_under_contract(addresses):
    assert {address.partition(":")[0] for address in addresses.values()} == set(ENCODERS.names())


def test_an_encoder_has_all_that_the_protocol_names(encoder, address):
    assert isinstance(encoder, Encoder)
    assert isinstance(encoder.preprocess, Preprocess)
    assert encoder.batch_size == 4
    assert encoder.logit_scale > 0
    name, _, digits = encoder.encoder_id.rpartition("@")
    assert name == address
    assert len(digits) == 12 and int(digits, 16) >= 0


def test_images_become_unit_vectors_in_float32(encoder, pixels):
    vectors = encoder.encode_images(pixels)
    assert vectors.shape == (11, encoder.dimension)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert vectors.flags.c_contiguous and vectors.flags.writeable


def test_any_text_becomes_a_unit_vector(encoder):
    vectors = encoder.encode_texts(TEXTS)
    assert vectors.shape == (len(TEXTS), encoder.dimension)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_unnormalised_embeddings_have_the_directions_of_the_unit_vectors(encoder, dtype):
    embeddings = encoder.encode_texts(TEXTS, normalised=False)
    norms = np.linalg.norm(embeddings, axis=1, keepdims=True)
    assert embeddings.dtype == np.float32
    assert abs(norms - 1).max() > 1e-3, "embeddings that are unit vectors already test nothing"
    assert_same_cosines(embeddings / norms, encoder.encode_texts(TEXTS), dtype)
    assert encoder.encode_texts([], normalised=False).shape == (0, encoder.dimension)


def test_nothing_in_gives_nothing_out(encoder, pixels):
    for vectors in (encoder.encode_images(pixels[:0]), encoder.encode_texts([])):
        assert vectors.shape == (0, encoder.dimension)
        assert vectors.dtype == np.float32


def test_the_same_input_gives_the_same_vectors(encoder, pixels):
    np.testing.assert_array_equal(encoder.encode_images(pixels), encoder.encode_images(pixels))
    np.testing.assert_array_equal(encoder.encode_texts(TEXTS), encoder.encode_texts(TEXTS))


def test_the_order_of_images_and_texts_is_kept(encoder, dtype, pixels):
    texts = [f"{number}{' or' * (number % 5)}" for number in range(11)]  # of many lengths: they are sorted by it
    backwards = np.arange(11)[::-1]
    for encode, inputs, flipped in (
        (encoder.encode_images, pixels, pixels[backwards]),
        (encoder.encode_texts, texts, [texts[row] for row in backwards]),
    ):
        vectors = encode(inputs)
        one_by_one = np.concatenate([encode(inputs[row : row + 1]) for row in range(11)])
        assert_same_cosines(encode(flipped)[backwards], vectors, dtype)
        assert_same_cosines(one_by_one, vectors, dtype)
        assert np.unique(vectors.round(4), axis=0).shape[0] == 11, "vectors cannot be told apart: order is not tested"


def test_vectors_do_not_depend_on_the_batch_size(address, dtype, encoder, pixels):
    other = load(address, dtype, batch_size=7, text_batch_size=9)
    assert_same_cosines(other.encode_images(pixels), encoder.encode_images(pixels), dtype)
    assert_same_cosines(other.encode_texts(TEXTS), encoder.encode_texts(TEXTS), dtype)


def assert_same_cosines(found: np.ndarray, expected: np.ndarray, dtype: str) -> None:
    """Cosines among all of them, and with some fixed directions."""
    tolerance = BATCH_TOLERANCE[dtype]
    np.testing.assert_allclose(found @ found.T, expected @ expected.T, atol=tolerance)
    np.testing.assert_allclose((found * expected).sum(axis=1), 1, atol=tolerance)


def test_over_long_texts_are_cut_not_refused(encoder, address):
    start = "a photo of a dog on a beach with a red ball and a kite " * 40
    longer = encoder.encode_texts([start + "night", start + "day"])
    if not address.startswith("fake"):  # it has no context to run out of
        np.testing.assert_allclose(longer[0], longer[1], atol=1e-6)


def test_read_only_and_strided_pixels_are_taken(encoder, dtype, pixels):
    frozen = pixels.copy()
    frozen.flags.writeable = False
    expected = encoder.encode_images(pixels)
    np.testing.assert_array_equal(encoder.encode_images(frozen), expected)
    assert_same_cosines(encoder.encode_images(pixels[::-1])[::-1], expected, dtype)


@pytest.mark.parametrize("change", [lambda p: p[:, :-1], lambda p: p.astype(np.float32), lambda p: p[0]])
def test_pixels_of_another_shape_or_type_are_an_error(encoder, pixels, change):
    with pytest.raises(EncoderError, match="expected uint8"):
        encoder.encode_images(change(pixels))


def test_the_id_is_the_same_at_every_load_and_for_every_dtype_and_batch_size(address, encoder):
    assert load(address, "float32").encoder_id == encoder.encoder_id
    assert load(address, "bfloat16", batch_size=2).encoder_id == encoder.encoder_id


def test_the_preprocessing_can_be_sent_to_a_worker_process(encoder):
    assert pickle.loads(pickle.dumps(encoder.preprocess)) == encoder.preprocess


def test_its_address_passes_the_check(address):
    check_address(address)


def test_other_weights_make_another_id(tmp_path, addresses):
    def digits(address: str) -> str:
        return load(address).encoder_id.rpartition("@")[2]

    architecture = TINY.register_open_clip(tmp_path)
    first = digits(addresses["open_clip-checkpoint"])
    assert digits(f"open_clip:{architecture}/{TINY.open_clip_checkpoint(tmp_path)}") == first, "a copy elsewhere"
    pickled = TINY.open_clip_checkpoint(tmp_path, suffix=".pt")
    assert digits(f"open_clip:{architecture}/{pickled}") == first, "the container is not the model"
    assert digits(f"open_clip:{architecture}/{TINY.open_clip_checkpoint(tmp_path, seed=1)}") != first
    assert digits("open_clip:curator-test-tiny/random?seed=4") != digits("open_clip:curator-test-tiny/random?seed=5")
    assert digits(f"transformers:{TINY.clip_folder(tmp_path / 'a', seed=1)}") != digits(addresses["transformers-clip"])


def test_other_preprocessing_makes_another_id(tmp_path, addresses):
    def digits(address: str) -> str:
        return load(address).encoder_id.rpartition("@")[2]

    bilinear = TINY.open_clip_folder(tmp_path / "bilinear", interpolation="bilinear")
    assert digits(f"open_clip:local-dir:{bilinear}") != digits(addresses["open_clip-folder"])
    darker = TINY.clip_folder(tmp_path / "darker", image_mean=0.4)
    assert digits(f"transformers:{darker}") != digits(addresses["transformers-clip"])


@pytest.mark.parametrize("id_labels", [1, 3, 50, 1000])
@pytest.mark.parametrize("address", ENCODERS.names())
def test_every_family_says_which_score_suits_it_without_loading_anything(address, id_labels):
    found = suited_score(address, id_labels)
    check_method(found.method)
    assert found.why

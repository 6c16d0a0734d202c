"""Encoders of somebody else's that break the contract: one line that names them, and nothing that was done is lost."""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from curator.encoders import ENCODERS, EncoderOptions, list_models, load_encoder, suited_score
from curator.encoders.contract import WHERE
from curator.errors import CuratorError, EncoderError, UsageError
from curator.types import Preprocess
from curator.workspace import Workspace
from tests.architecture.toys import ToyEncoder, ToyFamily

NIGHT = 12  # images of the first night; one more each is in the next
BREACHES: dict[str, tuple[Callable[[Any], Any], str]] = {
    "fewer rows": (lambda rows: rows[:-1], r"returned numpy.ndarray \(\d+, 4\) of float32"),
    "more rows": (lambda rows: np.concatenate([rows, rows[:1]]), r"returned numpy.ndarray \(\d+, 4\) of float32"),
    "another dimension": (lambda rows: rows[:, :3], r"returned numpy.ndarray \(\d+, 3\) of float32"),
    "one axis": (lambda rows: rows.reshape(-1), r"returned numpy.ndarray \(\d+,\) of float32"),
    "float64": (lambda rows: rows.astype(np.float64), r"returned numpy.ndarray \(\d+, 4\) of float64"),
    "complex": (lambda rows: rows.astype(np.complex64), r"of complex64"),
    "objects": (lambda rows: rows.astype(object), r"of object"),
    "longer vectors": (lambda rows: rows * 3, r"returned \d of \d vectors with another length than 1, the first 3"),
    "a list": (lambda rows: rows.tolist(), r"returned list of \d+"),
    "nothing": (lambda rows: None, r"returned None"),
    "a tensor": (torch.from_numpy, r"returned torch.Tensor \(\d+, 4\) of float32 on cpu,"),
    "a tensor that learns": (
        lambda rows: torch.from_numpy(rows).requires_grad_(),
        r"torch.Tensor \(\d+, 4\) of float32 on cpu with gradients",
    ),
}


class Own(ToyEncoder):
    """The toy, with what it returns from the second batch on as `images` and `texts` make it."""

    images: Callable[[Any], Any] = staticmethod(lambda rows: rows)
    texts: Callable[[Any], Any] = staticmethod(lambda rows: rows)
    sound_batches = 0

    def encode_images(self, pixels: Any) -> Any:
        Own.sound_batches -= 1
        rows = super().encode_images(pixels)
        return rows if Own.sound_batches >= 0 else Own.images(rows)

    def encode_texts(self, texts: list[str], *, normalised: bool = True) -> Any:
        return Own.texts(super().encode_texts(texts, normalised=normalised))


class OwnFamily(ToyFamily):
    make: Callable[[], Any] = staticmethod(lambda: Own(4))

    def load(self, rest: str, options: EncoderOptions) -> Any:
        return OwnFamily.make()


@pytest.fixture(autouse=True)
def own(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(ENCODERS._targets, "toy", f"{__name__}:OwnFamily")
    yield
    for name, value in {"images": lambda rows: rows, "texts": lambda rows: rows}.items():
        setattr(Own, name, staticmethod(value))
    Own.sound_batches = 0
    OwnFamily.make = staticmethod(lambda: Own(4))


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    folder = tmp_path / "lake"
    folder.mkdir()
    add_images(folder, range(NIGHT))
    return folder


def add_images(folder: Path, numbers: range) -> None:
    for number in numbers:
        Image.new("RGB", (16, 16), (20 * number, 255 - 20 * number, 90)).save(folder / f"{number:02}.png")


def workspace_of_toys(folder: Path) -> Workspace:
    made = Workspace.create(folder, labels=["red", "green"], encoder="toy")
    made.layout.bank_spec("base").write_text(
        'name = "base"\n[id]\nlabels = "labels.txt"\n[[negatives.lists]]\nwords = ["blue", "dark"]\n'
    )
    return made


def load() -> Any:
    return load_encoder(EncoderOptions("toy"))


@pytest.mark.parametrize("breach", BREACHES)
def test_what_is_no_vector_is_one_line_that_says_what_came_and_what_is_asked_for(breach):
    spoil, said = BREACHES[breach]
    Own.images = Own.texts = staticmethod(spoil)
    encoder = load()
    for method, given in (
        ("encode_images", np.full((2, 8, 8, 3), 200, np.uint8)), ("encode_texts", ["red", "dark"])
    ):  # fmt: skip
        with pytest.raises(EncoderError, match=f"^encoder toy: {method} .*{said}") as caught:
            getattr(encoder, method)(given)
        assert "is asked for" in caught.value.message and caught.value.hint == WHERE
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("breach", ["fewer rows", "longer vectors", "nothing"])
def test_what_is_no_vector_of_an_image_ends_the_night_and_costs_no_night_before(breach, tmp_path, lake):
    workspace = workspace_of_toys(tmp_path / "workspace")
    Own.sound_batches = NIGHT
    workspace.scan(str(lake))
    add_images(lake, range(NIGHT, NIGHT + 1))
    spoil, said = BREACHES[breach]
    Own.images, Own.sound_batches = staticmethod(spoil), 0
    with pytest.raises(EncoderError, match=f"^encoder toy: encode_images .*{said}") as caught:
        Workspace.open(workspace.layout.root).scan(str(lake))
    assert "damaged" not in str(caught.value)
    Own.images = staticmethod(lambda rows: rows)
    mended = Workspace.open(workspace.layout.root)
    assert mended.sql("select count(*) as n from report.scores").to_pylist() == [{"n": NIGHT}]
    assert mended.scan(str(lake)).images == 1
    assert mended.sql("select count(*) as n from report.scores").to_pylist() == [{"n": NIGHT + 1}]


@pytest.mark.parametrize("breach", ["fewer rows", "longer vectors", "nothing"])
def test_what_is_no_vector_of_a_label_ends_the_first_night_by_one_line(breach, tmp_path, lake):
    workspace = workspace_of_toys(tmp_path / "workspace")
    spoil, said = BREACHES[breach]
    Own.texts, Own.sound_batches = staticmethod(spoil), NIGHT
    with pytest.raises(EncoderError, match=said) as caught:
        workspace.scan(str(lake))
    assert caught.value.message.startswith("encoder toy: encode_texts returned") and caught.value.hint == WHERE
    assert not list(workspace.layout.text_cache.rglob("*.safetensors"))


def test_vectors_that_change_their_dimension_keep_the_shards_before(tmp_path, lake):
    for name, numbers in (("a", range(4)), ("b", range(4, NIGHT))):
        with tarfile.open(tmp_path / f"{name}.tar", "w") as archive:
            for number in numbers:
                archive.add(lake / f"{number:02}.png", f"{number:02}.png")
    Own.images, Own.sound_batches = staticmethod(lambda rows: rows[:, :3]), 2
    asked = r"\(4, 3\) of float32, and a NumPy array \(4, 4\) of float32 is asked for"
    with pytest.raises(EncoderError, match=asked):
        workspace_of_toys(tmp_path / "workspace").scan(str(tmp_path / "*.tar"))
    Own.images = staticmethod(lambda rows: rows)
    assert Workspace.open(tmp_path / "workspace").scan(str(tmp_path / "*.tar")).images == NIGHT - 4


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0])
def test_an_image_without_a_direction_is_a_reject_and_a_text_without_one_an_error(value, tmp_path, lake):
    def spoil(rows: Any) -> Any:
        rows[1] = value
        return rows

    workspace = workspace_of_toys(tmp_path / "workspace")
    Own.images = staticmethod(spoil)
    assert workspace.scan(str(lake)).reject_reasons == {"encode/not_finite": NIGHT // 4}
    Own.texts = staticmethod(spoil)
    with pytest.raises(EncoderError, match="returned 1 vectors that are zero or not finite, first that of 'dog'"):
        load().encode_texts(["cat", "dog"])


def test_a_batch_that_is_written_over_the_last_one_spoils_none():
    class Frugal(ToyEncoder):
        memory = np.zeros((4, 4), np.float32)

        def encode_images(self, pixels: Any) -> Any:
            self.memory[:] = super().encode_images(pixels)
            return self.memory

    OwnFamily.make = staticmethod(lambda: Frugal(4))
    encoder = load()
    dark, light = (encoder.encode_images(np.full((4, 8, 8, 3), level, np.uint8)) for level in (0, 255))
    assert not np.allclose(dark, light)


def test_what_an_encoder_raises_is_one_line_with_its_place(tmp_path, lake):
    def fail(rows: Any) -> Any:
        raise ValueError("the model\nis not in the mood")

    Own.images = staticmethod(fail)
    with pytest.raises(EncoderError) as caught:
        workspace_of_toys(tmp_path / "workspace").scan(str(lake))
    assert caught.value.message.startswith(
        "encoder toy: encode_images raised ValueError: the model is not in the mood (test_encoder_contract.py, line "
    )
    assert WHERE in caught.value.hint


@pytest.mark.parametrize("fault", [UsageError("no"), MemoryError()])
def test_its_own_clear_errors_and_a_lack_of_memory_pass(fault):
    def fail(rows: Any) -> Any:
        raise fault

    Own.images = staticmethod(fail)
    with pytest.raises(type(fault)) as caught:
        load().encode_images(np.zeros((1, 8, 8, 3), np.uint8))
    assert caught.value is fault


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("encoder_id", None, "has no encoder_id, and a text, <address>@<fingerprint>"),
        ("encoder_id", 7, "encoder_id is 7"),
        ("dimension", None, "has no dimension, and a whole number from 1"),
        ("dimension", 4.0, "dimension is 4.0"),
        ("dimension", True, "dimension is True"),
        ("logit_scale", 0, "logit_scale is 0, and a number above 0"),
        ("logit_scale", float("nan"), "logit_scale is nan"),
        ("logit_scale", torch.tensor(100.0), r"logit_scale is torch.Tensor \(\) of float32 on cpu"),
        ("preprocess", "squash", "preprocess is 'squash', and a curator.types.Preprocess"),
        ("batch_size", 0, "batch_size is 0"),
        ("encode_texts", None, "has no encode_texts, and a method"),
        ("encode_images", 3, "encode_images is 3, and a method"),
    ],
)
def test_a_member_that_lacks_or_is_none_is_named_before_any_work(name, value, said):
    encoder = ToyEncoder(4)
    setattr(encoder, name, value)
    OwnFamily.make = staticmethod(lambda: encoder)
    with pytest.raises(EncoderError, match=f"^encoder toy: .*{said}.* is asked for"):
        load()


def test_a_family_that_gives_no_encoder_is_named():
    OwnFamily.make = staticmethod(lambda: None)
    with pytest.raises(EncoderError, match=r"^encoder toy: NoneType has no encoder_id"):
        load()


def test_all_else_of_an_encoder_is_passed_on_as_it_is():
    assert load().preprocess == Preprocess(size=8)
    OwnFamily.make = staticmethod(lambda: type("OnDevice", (ToyEncoder,), {"device": "tpu"})(4))
    assert load().device == "tpu" and not hasattr(load(), "pixel_buffer")


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("no_such_module:Family", "ModuleNotFoundError: No module named 'no_such_module'"),
        (f"{__name__}:NoSuchFamily", "AttributeError: module .* has no attribute 'NoSuchFamily'"),
        (__name__, "AttributeError"),
    ],
)
def test_a_family_that_cannot_be_imported_is_a_line_that_names_its_target(target, said, monkeypatch):
    monkeypatch.setitem(ENCODERS._targets, "toy", target)
    for ask in (load, lambda: suited_score("toy", 3), lambda: list_models("toy")):
        with pytest.raises(UsageError, match=f"encoder family 'toy' is registered as '{target}', .*{said}"):
            ask()


@pytest.mark.parametrize("gap", ["check", "load", "suited_score", "known"])
def test_a_family_that_lacks_a_method_is_named(gap, monkeypatch):
    monkeypatch.setitem(ENCODERS._targets, "toy", f"{__name__}:GAPPED_{gap}")
    monkeypatch.setitem(globals(), f"GAPPED_{gap}", type("Gapped", (ToyFamily,), {gap: property(missing)}))
    asked = {"suited_score": lambda: suited_score("toy", 3), "known": lambda: list_models("toy")}
    with pytest.raises(CuratorError, match=f"^encoder toy: {gap} raised AttributeError: it has no such thing"):
        asked.get(gap, load)()


def missing(self: Any) -> None:
    raise AttributeError("it has no such thing")


def test_a_score_that_is_none_is_named(monkeypatch):
    monkeypatch.setattr(ToyFamily, "suited_score", lambda self, rest, id_labels: "neglabel")
    with pytest.raises(EncoderError, match=r"^encoder toy: suited_score returned 'neglabel', and a SuitedScore"):
        suited_score("toy", 3)

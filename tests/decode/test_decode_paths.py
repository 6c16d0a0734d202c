"""The two ways of a JPEG, through libjpeg-turbo itself and through Pillow: the same pixels, facts and verdicts."""

from __future__ import annotations

import io
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFile

from curator.decode import DecodeFailure, DecodeOptions, decode_image, fit, turbo
from curator.decode.fitting import EXTREME_ASPECT
from curator.decode.resizing import LARGEST_DRIFT, RESIZED_DRIFT
from curator.lake import ReadOptions, open_source, plan_shards, read_shard
from curator.types import Datum, Preprocess, SourceObject
from tests.decode.conftest import drift, fit_by_pillow, synthetic_photograph

OPTIONS = DecodeOptions()
PHOTOGRAPH = synthetic_photograph(210, 163, seed=7)


def outcome(data, target_size=None):
    """Pixels and facts, or the reason and the detail."""
    try:
        image, facts = decode_image(data, options=OPTIONS, target_size=target_size)
    except DecodeFailure as failure:
        return failure.reason, failure.detail
    assert image.mode == "RGB"
    return image.size, image.tobytes(), facts


def by_pillow(data, target_size=None):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(turbo, "decoded", lambda data, opened: None)
        return outcome(data, target_size)


def jpeg(image=PHOTOGRAPH, **coding):
    buffer = io.BytesIO()
    image.save(buffer, coding.pop("format", "JPEG"), **coding)
    return buffer.getvalue()


def turned(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return jpeg(exif=exif)


WHOLE = jpeg(quality=90)
SOUND = {
    "4:4:4": jpeg(subsampling=0),
    "4:2:2": jpeg(subsampling=1),
    "4:2:0": jpeg(subsampling=2),
    "progressive": jpeg(progressive=True, quality=95),
    "restarts": jpeg(restart_marker_blocks=3),
    "one row": jpeg(PHOTOGRAPH.crop((0, 0, 210, 1))),
    "one column": jpeg(PHOTOGRAPH.crop((0, 0, 1, 163))),
    "grey": jpeg(PHOTOGRAPH.convert("L")),
    "grey, progressive": jpeg(PHOTOGRAPH.convert("L"), progressive=True),
    "stored as RGB": jpeg(keep_rgb=True),
    "profile": jpeg(icc_profile=bytes(200_000)),
    "two pictures": jpeg(format="MPO", save_all=True, append_images=[PHOTOGRAPH.rotate(90)]),
    "more behind its end": WHOLE + b"more" * 99,
} | {f"orientation {number}": turned(number) for number in range(1, 9)}
UNSOUND = {
    "CMYK": jpeg(PHOTOGRAPH.convert("CMYK")),
    "no end mark": WHOLE[:-2],
    "cut": WHOLE[: len(WHOLE) // 2],
    "cut in its header": WHOLE[:300],
    "cut, with an end mark": WHOLE[: len(WHOLE) // 2] + WHOLE[-2:],
    "zeros in its middle": WHOLE[:4000] + bytes(64) + WHOLE[4064:],
    "12 bits": WHOLE.replace(b"\xff\xc0\0\x11\x08", b"\xff\xc1\0\x11\x0c"),
    "arithmetic coding": WHOLE.replace(b"\xff\xc0\0\x11\x08", b"\xff\xc9\0\x11\x08"),
    "lossless": WHOLE.replace(b"\xff\xc0\0\x11\x08", b"\xff\xc3\0\x11\x08"),
    "empty": b"",
    "a signature only": b"\xff\xd8\xff",
}


@pytest.mark.parametrize("target_size", [None, 10, 20, 40])
@pytest.mark.parametrize("data", SOUND.values(), ids=SOUND)
def test_a_sound_jpeg_is_not_decoded_by_pillow_and_equals_what_pillow_gives(monkeypatch, data, target_size):
    expected = by_pillow(data, target_size)
    with monkeypatch.context() as patch:
        patch.setattr(ImageFile.ImageFile, "load", None)
        found = outcome(data, target_size)
    assert found == expected


@pytest.mark.parametrize("target_size", [None, 20])
@pytest.mark.parametrize("data", UNSOUND.values(), ids=UNSOUND)
def test_what_is_no_sound_jpeg_meets_one_verdict_on_both_ways(data, target_size):
    assert outcome(data, target_size) == by_pillow(data, target_size)


SEEDS = tuple(
    jpeg(PHOTOGRAPH.resize((40, 30)), progressive=progressive, restart_marker_rows=rows)
    for progressive in (False, True)
    for rows in (0, 1)
)


@given(
    seed=st.sampled_from(SEEDS),
    places=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=3),
    end=st.floats(0.5, 1),
    target_size=st.sampled_from([None, 7]),
)
def test_a_damaged_jpeg_meets_one_verdict_on_both_ways(seed, places, end, target_size):
    data = bytearray(seed)
    for place, value in places:
        data[int(place * len(data))] = value
    damaged = bytes(data[: round(end * len(data))])
    assert outcome(damaged, target_size) == by_pillow(damaged, target_size)


def contents(folder, every):
    """The bytes of one in so many of the development images."""
    number = 0
    objects = [item for item in open_source(str(folder)).list() if isinstance(item, SourceObject)]
    for shard in plan_shards(objects):
        for datum in read_shard(shard, options=ReadOptions()):
            number += 1
            if isinstance(datum, Datum) and number % every == 0:
                yield datum.data


@pytest.mark.parametrize("every", [37, pytest.param(1, marks=pytest.mark.slow)])
def test_development_images_are_what_pillow_makes_of_them(shared_data, every):
    """JPEGs to the bit; squares of all within the bounds of `resizing`."""
    count = 0
    for data in contents(shared_data, every):
        for target_size in (None, 64):
            assert outcome(data, target_size) == by_pillow(data, target_size)
        with suppress(DecodeFailure):
            image, _ = decode_image(data, options=OPTIONS)
            check_squares(image)
        count += 1
    assert count > 7000 / every


def check_squares(image):
    width, height = image.size
    for preprocess in (Preprocess(224), Preprocess(32), Preprocess(64, "squash", "bilinear")):
        ours = fit(image, preprocess)
        if max(width, height) <= EXTREME_ASPECT * min(width, height):
            mean, largest = drift(ours, fit_by_pillow(image, preprocess))
            assert mean <= RESIZED_DRIFT
            assert largest <= LARGEST_DRIFT
        else:
            assert ours.shape == (preprocess.size, preprocess.size, 3)

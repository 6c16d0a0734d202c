"""JPEGs without an end marker: accepted if nothing else is missing, and never if anything is."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from curator.decode import DecodeFailure, DecodeOptions, decode_image
from curator.decode.jpeg_end import lacks_its_end_only

OPTIONS = DecodeOptions()
END = b"\xff\xd9"
NOISE = np.random.default_rng(4).integers(0, 256, (44, 58, 3), dtype=np.uint8)
SMOOTH = np.indices((44, 58)).sum(0)[..., None].astype(np.uint8) * np.array([1, 2, 3], np.uint8)
IMAGES = {
    "photograph": Image.fromarray(SMOOTH // 2 + NOISE // 4),
    "grey": Image.fromarray(SMOOTH // 2 + NOISE // 4).convert("L"),
    "flat": Image.new("RGB", (58, 44), (128, 128, 128)),
    "CMYK": Image.fromarray(SMOOTH // 2 + NOISE // 4).convert("CMYK"),
}
CODINGS = {
    "baseline": {"subsampling": 0},
    "4:2:0": {"subsampling": 2, "optimize": True},
    "progressive": {"subsampling": 2, "progressive": True},
    "restarts": {"subsampling": 2, "restart_marker_blocks": 3},
    "progressive with restarts": {"subsampling": 0, "progressive": True, "restart_marker_rows": 1},
}


def jpeg(image, **coding):
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", **coding)
    return buffer.getvalue()


def pillow(data):
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


@pytest.mark.parametrize("coding", CODINGS.values(), ids=CODINGS)
@pytest.mark.parametrize("image", IMAGES.values(), ids=IMAGES)
def test_a_jpeg_cut_anywhere_is_accepted_only_if_all_its_pixels_are_there(image, coding):
    whole = jpeg(image, **coding)
    assert whole.endswith(END)
    expected = pillow(whole)
    for cut in range(1, 65):
        data = whole[:-cut]
        assert lacks_its_end_only(data) == (cut <= 2), cut
        try:
            shown, facts = decode_image(data, options=OPTIONS)
        except DecodeFailure as failure:
            assert cut > 2
            assert failure.reason in ("truncated", "corrupt")  # the last of a picture of one colour cuts its tables
        else:
            assert facts.remark == "no end mark"
            assert np.array_equal(shown, expected)


def test_a_progressive_jpeg_that_lacks_whole_scans_is_truncated():
    whole = jpeg(IMAGES["photograph"], progressive=True)
    starts = [at for at in range(len(whole)) if whole[at : at + 2] == b"\xff\xda"]
    tables = [whole.rindex(b"\xff\xc4", 0, start) for start in starts[2:]]
    assert len(tables) > 3
    for cut in tables:
        assert not lacks_its_end_only(whole[:cut])
        with pytest.raises(DecodeFailure) as caught:
            decode_image(whole[:cut], options=OPTIONS)
        assert caught.value.reason == "truncated"


@pytest.mark.parametrize("progressive", [False, True])
def test_a_reduced_decode_of_a_jpeg_without_its_end_equals_that_of_the_whole(large_photograph, progressive):
    whole = jpeg(large_photograph, progressive=progressive)
    expected, facts = decode_image(whole, options=OPTIONS, target_size=100)
    shown, found = decode_image(whole[:-2], options=OPTIONS, target_size=100)
    assert expected.width < large_photograph.width
    assert np.array_equal(shown, expected)
    assert (found.width, found.height, facts.remark, found.remark) == (1531, 1101, "", "no end mark")
    with pytest.raises(DecodeFailure, match="truncated"):
        decode_image(whole[:-9], options=OPTIONS, target_size=100)


def test_what_is_no_jpeg_of_huffman_codes_is_never_accepted():
    whole = jpeg(IMAGES["flat"])
    frame, table = whole.index(b"\xff\xc0"), whole.index(b"\xff\xc4")
    arithmetic = whole[: frame + 1] + b"\xc9" + whole[frame + 2 : -2]
    without_tables = whole[:table] + whole[whole.index(b"\xff\xda") : -2]
    for data in (b"", b"\xff\xd8", whole, arithmetic, without_tables, whole[:-2] + END, whole[:table]):
        assert not lacks_its_end_only(data)


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_that_lacks_many_blocks_is_told_without_walking_it(large_photograph, progressive, monkeypatch):
    whole = jpeg(large_photograph, progressive=progressive)
    walked = []
    monkeypatch.setattr("curator.decode.jpeg_end._is_whole", lambda data: bool(walked.append(len(data))) or True)
    for share in (0.3, 0.6, 0.9):
        assert not lacks_its_end_only(whole[: int(share * len(whole))])
    assert walked == []
    assert lacks_its_end_only(whole[:-2]) and len(walked) == 1

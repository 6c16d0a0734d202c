"""labels.txt: what is accepted, and that each fault names its line."""

from __future__ import annotations

import pytest

from curator.banks import read_labels
from curator.errors import ConfigError


def test_comments_blank_lines_byte_order_mark_and_windows_ends_are_accepted(tmp_path):
    path = tmp_path / "labels.txt"
    path.write_bytes(
        b"\xef\xbb\xbf# what belongs\r\n\r\n  tram \r\nsea_horse\r\nC# code\r\ncr\xc3\xa8me br\xc3\xbbl\xc3\xa9e"
    )
    assert read_labels(path) == ["tram", "sea_horse", "C# code", "crème brûlée"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"tram\n\nTram\n", "line 3 repeats 'Tram' of .*line 1"),
        (b"sea horse\nsea_horse\n", "line 2 repeats"),
        (b"tram\nn0144\tgoldfish\n", r"line 2 holds the control character \\t"),
        (b"tram\n\x00\x01\n", r"line 2 holds the control character \\x00"),
        (b"tram\n---\n", "line 2 has no letter"),
        (b"tram\n" + b"x" * 201, "line 2 has 201 characters, more than 200"),
        (b"tram\ncr\xe8me\n", "line 2 is not UTF-8"),
        (b"tram\rsea\x0bhorse\r", r"line 2 holds the control character \\x0b"),
        (b"tram\nsea\xc2\x85horse\n", r"line 2 holds the control character \\x85"),
        ("tram\nsea\u2028horse\n".encode(), r"line 2 holds the control character \\u2028"),
        (b"tram\nsea horse\x1c\n", r"line 2 holds the control character \\x1c"),
        ("tram".encode("utf-16"), "line 1 is not UTF-8"),
        ("caf\u00e9\ncafe\u0301\n".encode(), "line 2 repeats"),
        ("\u1e69ea\ns\u0323\u0307ea\n".encode(), "line 2 repeats"),
        (b"# nothing\n\n", "holds no labels"),
        (b"", "holds no labels"),
    ],
)
def test_a_bad_label_is_refused_with_its_line(tmp_path, data, message):
    path = tmp_path / "labels.txt"
    path.write_bytes(data)
    with pytest.raises(ConfigError, match=message) as caught:
        read_labels(path)
    assert str(path) in caught.value.message


def test_a_missing_file_is_a_config_error(tmp_path):
    with pytest.raises(ConfigError, match="cannot read the labels"):
        read_labels(tmp_path / "none.txt")

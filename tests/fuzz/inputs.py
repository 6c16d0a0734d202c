"""Inputs for a door: its seeds, damaged in the ways that find faults, and now and then something else altogether."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.fuzz.doors import Door

# Numbers at which arithmetic turns over, as the formats write them, and texts that mean something to one of the doors.
TELLING = [
    b"\0", b"\xff", b"\x7f", b"\x80", b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f",
    b"\x80\0\0\0\0\0\0\0\x7f\xff\xff\xff", b"77777777777\0", b"-1", b"9" * 40, b"1e400", b"nan", b"\n", b'"""',
    b"\xed\xa0\x80", b"\\ud800", b"[" * 30, b"{" * 30, b"**", b"```", b"<think>", b" " * 40, b"\xe2\x80\xae",
    b"\x1b[2J", b"'; drop table x; --",
]  # fmt: skip


@st.composite
def inputs(draw: st.DrawFn, door: Door) -> bytes:
    if draw(st.integers(0, 30)) == 0:
        return draw(st.binary(max_size=300))
    content = bytearray(draw(st.sampled_from(door.seeds)))
    for _ in range(draw(st.integers(0, 6))):
        _damage(draw, content, door)
    return door.repair(bytes(content)) if draw(st.integers(0, 3)) else bytes(content)


def _damage(draw: st.DrawFn, content: bytearray, door: Door) -> None:
    place = draw(st.integers(0, len(content)))
    match draw(st.integers(0, 6)):
        case 0:  # some bytes become others
            data = draw(st.binary(min_size=1, max_size=8))
            content[place : place + len(data)] = data
        case 1:
            content[place : place + 1] = bytes([draw(st.integers(0, 255))])
        case 2:
            data = draw(st.sampled_from(TELLING))
            content[place : place + len(data)] = data
        case 3:  # something comes in between
            content[place:place] = draw(st.sampled_from(TELLING))
        case 4:  # a piece is gone, or the rest
            del content[place : place + draw(st.sampled_from([1, 4, 60, 512, 1 << 20]))]
        case 5:  # a piece comes again
            size = draw(st.sampled_from([1, 16, 512]))
            content[place:place] = content[place : place + size] * draw(st.sampled_from([1, 2, 50]))
        case _:  # a piece of another seed
            other = draw(st.sampled_from(door.seeds))
            start = draw(st.integers(0, len(other)))
            content[place : place + 64] = other[start : start + 64]

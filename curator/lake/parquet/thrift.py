"""Structs in Thrift's compact protocol, as Parquet files have them, without trust in what they claim."""

from __future__ import annotations

from collections.abc import Iterator

MAX_DEPTH = 16
LISTS, MAP, STRUCT, TEXT = (9, 10), 11, 12, 8
WHOLE = (4, 5, 6)  # numbers of 16, 32 and 64 bits


class Compact:
    """Bytes that are read on from `position`. Raises ValueError or IndexError where they are no such struct."""

    def __init__(self, data: bytes, position: int = 0) -> None:
        self._data = data
        self.position = position

    def fields(self) -> Iterator[tuple[int, int]]:
        """Id and kind of each field of a struct; who asks reads or skips its value before the next."""
        field = 0
        while (head := self._byte()) != 0:
            kind, step = head & 15, head >> 4
            field = field + step if step else self._zigzag()
            yield field, kind

    def items(self) -> Iterator[int]:
        """The kind of each item of a list; who asks reads or skips it before the next."""
        head = self._byte()
        count = head >> 4 if head >> 4 < 15 else self._varint()
        for _ in range(count):
            yield head & 15

    def numbers(self, *within: int) -> dict[tuple[int, ...], int]:
        """The fields of a struct that are whole numbers, by their ids from the outermost one; no others."""
        if len(within) > MAX_DEPTH:
            raise ValueError("nested too deeply")
        found: dict[tuple[int, ...], int] = {}
        for field, kind in self.fields():
            if kind in WHOLE:
                found[(*within, field)] = self._zigzag()
            elif kind == STRUCT:
                found |= self.numbers(*within, field)
            elif kind > 2:  # 1 and 2 are truth values, which have no bytes of their own
                self.skip(kind)
        return found

    def skip(self, kind: int, depth: int = 0) -> None:
        """Pass over a value; in a list, truth values have a byte."""
        if depth > MAX_DEPTH:
            raise ValueError("nested too deeply")
        if kind in (1, 2, 3):
            self.position += 1
        elif kind in WHOLE:
            self._varint()
        elif kind == 7:
            self.position += 8
        elif kind == TEXT:
            size = self._varint()
            self.position += size
        elif kind in LISTS:
            for item in self.items():
                self.skip(item, depth + 1)
        elif kind == STRUCT:
            for _, inner in self.fields():
                if inner > 2:
                    self.skip(inner, depth + 1)
        else:
            raise ValueError(f"a field of kind {kind}")

    def _byte(self) -> int:
        value = self._data[self.position]
        self.position += 1
        return value

    def _varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value
            if shift > 63:
                raise ValueError("a number without an end")

    def _zigzag(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)

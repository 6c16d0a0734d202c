"""Shared memory between a scan and its decode processes: bytes of images on the way there, pixels on the way back.

A parcel is the bytes of some images in one anonymous file (memfd) that is sealed before anybody else sees it: what was
hashed is what is decoded, whoever holds it. Its descriptor travels over a socket, no byte does.

Pixel slots are one anonymous file of a fixed size, mapped by the scan and by one decode process, which writes squares
where they are read. Each process has its own, and a fresh one has fresh ones: a process that a hostile image has taken
over can spoil the images that it was given, as it always could, and no others. The file cannot be cut short under
whoever reads it.
"""

from __future__ import annotations

import fcntl
import mmap
import os
from collections.abc import Sequence
from queue import SimpleQueue

import numpy as np
from numpy.typing import NDArray

from curator.types import Pixels

PIECES_AT_A_TIME = 1024  # of one `writev`: IOV_MAX
_FIXED = fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL


class Parcel:
    """The bytes of images, sealed. Closes itself when it is forgotten."""

    def __init__(self, descriptor: int, sizes: Sequence[int]) -> None:
        """sizes: of the images, in bytes, one after the other in the file."""
        self.descriptor = descriptor
        self.sizes = list(sizes)

    @classmethod
    def of(cls, contents: Sequence[bytes]) -> Parcel:
        parcel = cls(os.memfd_create("curator-images", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING), [*map(len, contents)])
        for start in range(0, len(contents), PIECES_AT_A_TIME):
            _write(parcel.descriptor, contents[start : start + PIECES_AT_A_TIME])
        fcntl.fcntl(parcel.descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE | _FIXED)
        return parcel

    @property
    def places(self) -> list[tuple[int, int]]:
        """Offset and size of each image, in bytes."""
        ends = np.cumsum(self.sizes, dtype=np.int64).tolist()
        return [(end - size, size) for end, size in zip(ends, self.sizes, strict=True)]

    def close(self) -> None:
        """Let go of it; whoever else has its descriptor keeps it. Does no harm when called twice."""
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def __del__(self) -> None:
        self.close()


def _write(descriptor: int, contents: Sequence[bytes]) -> None:
    written, wanted = os.writev(descriptor, contents), sum(map(len, contents))
    if written < wanted:  # at most 2 GiB at a time
        rest = memoryview(b"".join(contents))[written:]
        while rest:
            rest = rest[os.write(descriptor, rest) :]


def read_place(descriptor: int, offset: int, size: int) -> bytes:
    """The bytes of one image. Raises OSError where the file ends before them, MemoryError where they do not fit."""
    data = os.pread(descriptor, size, offset)
    while len(data) < size:
        more = os.pread(descriptor, size - len(data), offset + len(data))
        if not more:
            raise OSError(f"it ends {size - len(data)} bytes too early")
        data += more
    return data


class PixelSlots:
    """Slots of `images` squares of `size` pixels a side each; the side that reads them."""

    def __init__(self, *, slots: int, images: int, size: int) -> None:
        self.shape = (slots, images, size, size, 3)
        self.descriptor = os.memfd_create("curator-pixels", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            os.ftruncate(self.descriptor, int(np.prod(self.shape)))
            fcntl.fcntl(self.descriptor, fcntl.F_ADD_SEALS, _FIXED)
            self._pixels = mapped(self.descriptor, self.shape, writable=True)  # torch takes no other memory as it is
        except BaseException:
            os.close(self.descriptor)
            raise
        self.free: SimpleQueue[int | None] = SimpleQueue()  # numbers of slots; None: there will be no more
        for number in range(slots):
            self.free.put(number)

    def squares(self, slot: int) -> Pixels:
        """The squares of a slot, (images, size, size, 3), as they are now."""
        squares: Pixels = self._pixels[slot]
        return squares

    def close(self) -> None:
        """Forget the file. What was read of it stays mapped as long as somebody has it."""
        os.close(self.descriptor)


def mapped(descriptor: int, shape: tuple[int, ...], *, writable: bool) -> NDArray[np.uint8]:
    """An anonymous file as an array of bytes, which stays when the descriptor is closed."""
    access = mmap.PROT_READ | (mmap.PROT_WRITE if writable else 0)
    memory = mmap.mmap(descriptor, int(np.prod(shape)), mmap.MAP_SHARED, access)
    return np.frombuffer(memory, np.uint8).reshape(shape)

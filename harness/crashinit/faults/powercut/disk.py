"""Disks as files: the image of a crash state, and what tells two images apart."""

import hashlib
import os
from collections.abc import Iterable, Iterator

from crashinit.faults.powercut.log import SECTOR, Entry
from crashinit.machine.files import File

PIECE = 1 << 16  # bytes


def blank(size: int) -> File:
    """A disk of `size` bytes that holds zeros."""
    disk = File.on_disk()
    os.ftruncate(disk.fd, size)
    return disk


def write(disk: File, entries: Iterable[Entry]) -> File:
    """Apply changes to a disk, in order; the disk."""
    for entry in entries:
        os.pwrite(disk.fd, entry.content(), entry.sector * SECTOR)
    return disk


def pieces(disk: File) -> Iterator[Entry]:
    """Writes that make this disk's content on a blank one."""
    zeros = bytes(PIECE)
    for start, end in disk.extents():
        for offset in range(start - start % PIECE, end, PIECE):
            data = os.pread(disk.fd, PIECE, offset)
            if data != zeros[: len(data)]:
                yield Entry(offset // SECTOR, len(data) // SECTOR, 0, data)


def differ(one: File, other: File) -> int | None:
    """The offset of the first piece in which two disks differ; None: they are equal byte for byte."""
    if os.fstat(one.fd).st_size != os.fstat(other.fd).st_size:
        return min(os.fstat(one.fd).st_size, os.fstat(other.fd).st_size)
    offsets = {
        offset
        for disk in (one, other)
        for start, end in disk.extents()
        for offset in range(start - start % PIECE, end, PIECE)
    }
    for offset in sorted(offsets):
        if os.pread(one.fd, PIECE, offset) != os.pread(other.fd, PIECE, offset):
            return offset
    return None


class Identity:
    """What an image is, in one number: equal images have equal numbers, however they came about.

    It is the exclusive or of a digest of each sector that differs from the origin, so that a further write costs what
    it writes and not what the disk holds.
    """

    def __init__(self, origin: File) -> None:
        self._origin = origin
        self._sectors: dict[int, int] = {}  # digest of what a sector holds now
        self._blank: dict[int, int] = {}  # digest of what it holds in the origin
        self._value = 0

    def add(self, entries: Iterable[Entry]) -> int:
        """The number after these changes, which stay."""
        for entry in entries:
            self._value ^= self._change(self._sectors, entry)
        return self._value

    def peek(self, entries: Iterable[Entry]) -> int:
        """The number that these changes would lead to."""
        value = self._value
        sectors = _Layer(self._sectors)
        for entry in entries:
            value ^= self._change(sectors, entry)
        return value

    def _change(self, sectors: dict[int, int], entry: Entry) -> int:
        content = entry.content()
        difference = 0
        for number in range(entry.sectors):
            sector = entry.sector + number
            new = _digest(sector, content[number * SECTOR : (number + 1) * SECTOR])
            old = sectors.get(sector)
            difference ^= new ^ (self._of_base(sector) if old is None else old)
            sectors[sector] = new
        return difference

    def _of_base(self, sector: int) -> int:
        if sector not in self._blank:
            self._blank[sector] = _digest(sector, os.pread(self._origin.fd, SECTOR, sector * SECTOR))
        return self._blank[sector]


class _Layer(dict[int, int]):
    """A dict over another one, which it leaves as it is."""

    def __init__(self, below: dict[int, int]) -> None:
        super().__init__()
        self._below = below

    def get(self, key: int, default: int | None = None) -> int | None:  # type: ignore[override]
        return self[key] if key in self else self._below.get(key, default)


def _digest(sector: int, content: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(content, digest_size=16, salt=sector.to_bytes(8, "little")).digest(), "big")

"""Logs of what reached a disk, in the format of dm-log-writes.

A log begins with a sector that holds the super block; each entry is a sector with its header, followed by the data
of a write. All numbers are little-endian. Sources: Documentation/admin-guide/device-mapper/log-writes.rst and
drivers/md/dm-log-writes.c (struct log_write_super, struct log_write_entry, the flags).
"""

import os
import struct
from collections.abc import Iterable
from dataclasses import dataclass

from crashinit.errors import MachineError

WRITE_LOG_MAGIC = 0x6A736677736872
WRITE_LOG_VERSION = 1
LOG_FLUSH_FLAG = 1 << 0
LOG_FUA_FLAG = 1 << 1
LOG_DISCARD_FLAG = 1 << 2
LOG_MARK_FLAG = 1 << 3
SECTOR = 512  # bytes
SUPER = struct.Struct("<QQQI")  # magic, version, nr_entries, sectorsize
HEADER = struct.Struct("<QQQQ")  # sector, nr_sectors, flags, data_len


@dataclass(frozen=True, slots=True)
class Entry:
    """One request that a disk has answered: a write, a flush, a discard, or none of these (a mark)."""

    sector: int  # of 512 bytes
    sectors: int
    flags: int
    data: bytes = b""  # of a write: all of its sectors

    @property
    def flushes(self) -> bool:
        """Whether all that was answered before is durable from here on."""
        return bool(self.flags & LOG_FLUSH_FLAG)

    @property
    def durable(self) -> bool:
        """Whether it is itself durable as soon as it is answered (FUA)."""
        return bool(self.flags & LOG_FUA_FLAG)

    @property
    def changes(self) -> bool:
        """Whether the disk's content may be another after it."""
        return self.sectors > 0 and not self.flags & LOG_MARK_FLAG

    def content(self) -> bytes:
        """What the sectors hold after it. Discarded ones read as zeros, as on the disks that machines get."""
        return bytes(self.sectors * SECTOR) if self.flags & LOG_DISCARD_FLAG else self.data


class Reader:
    """Reads a log that may still grow."""

    def __init__(self, fd: int) -> None:
        self.entries: list[Entry] = []
        self._fd = fd
        self._at = 0

    def update(self) -> int:
        """Read what was added, up to the first entry that is not whole yet; how many entries there are now.

        The super block's count is not relied on: QEMU writes it beside the entries, and an older one may come last.
        Raises MachineError when the log is none.
        """
        if not self._at and not self._begun():
            return 0
        while len(header := os.pread(self._fd, SECTOR, self._at)) == SECTOR:
            sector, sectors, flags, length = HEADER.unpack_from(header)
            if not (sectors or flags or length):
                break
            size = 0 if flags & LOG_DISCARD_FLAG else sectors * SECTOR or length
            data = os.pread(self._fd, size, self._at + SECTOR)
            if len(data) < size:
                break
            self.entries.append(Entry(sector, sectors, flags, data if sectors else b""))
            self._at += SECTOR - (-size // SECTOR) * SECTOR
        return len(self.entries)

    def _begun(self) -> bool:
        """Whether the super block is there; it is as soon as there is an entry."""
        head = os.pread(self._fd, SUPER.size, 0)
        if not any(head):
            return False
        magic, version, _, sector_size = SUPER.unpack(head.ljust(SUPER.size, b"\0"))
        if (magic, version) != (WRITE_LOG_MAGIC, WRITE_LOG_VERSION):
            raise MachineError(f"the log of a disk is damaged: it begins with {head[:16].hex()}")
        if sector_size != SECTOR:
            raise MachineError(f"the log of a disk has sectors of {sector_size} bytes, and only {SECTOR} can be read")
        self._at = SECTOR
        return True


def build(entries: Iterable[Entry]) -> bytes:
    """A log of these entries, as `Reader` reads it."""
    parts = []
    for entry in entries:
        parts += [HEADER.pack(entry.sector, entry.sectors, entry.flags, 0).ljust(SECTOR, b"\0"), entry.data]
    count = len(parts) // 2
    return b"".join([SUPER.pack(WRITE_LOG_MAGIC, WRITE_LOG_VERSION, count, SECTOR).ljust(SECTOR, b"\0"), *parts])

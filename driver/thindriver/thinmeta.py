"""A thin pool's metadata, read from its device (drivers/md/dm-thin-metadata.c, persistent-data/dm-btree*.h).

The kernel tells a pool's transaction id but not its thin ids. They are read from the committed metadata itself, so
that an id is only ever given out when it is free, and only ever deleted when it is ours.
"""

from __future__ import annotations

import mmap
import os
import struct

from . import kernel
from .errors import DriverError, doing

BLOCK = 4096  # bytes
SUPERBLOCK_MAGIC = 27022010
THIN_METADATA_NEEDS_CHECK_FLAG = 0  # the number of the bit among the superblock's flags
INTERNAL_NODE = 1
NODE = struct.Struct("<IIQIIII")  # struct node_header: csum, flags, blocknr, nr_entries, max_entries, value_size
DETAILS = struct.Struct("<QQII")  # struct disk_device_details: mapped_blocks, transaction_id, two times
ATTEMPTS = 16  # how often a commit may come in between while we read


class Thin:
    """One thin device: blocks mapped, and the pool's transaction id at the time it was created."""

    def __init__(self, mapped: int, transaction: int) -> None:
        self.mapped = mapped
        self.transaction = transaction


class ThinMetadata:
    """The metadata on a block device (read past the page cache, which the pool does not use) or in a file."""

    def __init__(self, path: str, direct: bool) -> None:
        self.path = path
        self.page = mmap.mmap(-1, BLOCK)  # O_DIRECT wants aligned memory
        with doing(f"open '{path}'"):
            self.fd = os.open(path, os.O_RDONLY | (os.O_DIRECT if direct else 0))

    def close(self) -> None:
        os.close(self.fd)
        self.page.close()

    def _read(self, block: int) -> bytes:
        with doing(f"read '{self.path}'"):
            count = kernel.bounded(os.preadv, self.fd, [self.page], block * BLOCK)
        return self.page[:count]

    def state(self) -> str:
        """'blank', 'thin' (a thin pool's superblock) or 'foreign', judged by the first block."""
        block = self._read(0)
        if not block.strip(b"\0"):
            return "blank"
        whole = len(block) == BLOCK
        return "thin" if whole and struct.unpack_from("<Q", block, 32)[0] == SUPERBLOCK_MAGIC else "foreign"

    def needs_check(self) -> bool:
        """Whether the kernel could once not write it, and wants it checked before it changes it again."""
        return bool(struct.unpack_from("<I", self._read(0), 4)[0] & 1 << THIN_METADATA_NEEDS_CHECK_FLAG)

    def transaction(self) -> int:
        """The pool's transaction id, as of the last commit."""
        return int(struct.unpack_from("<Q", self._read(0), 48)[0])

    def size(self) -> tuple[int, int]:
        """How many data blocks and metadata blocks it counts: the first field of each space map's root. 0 data blocks:
        an init was killed before the kernel took the data device over.
        """
        superblock = self._read(0)
        return int(struct.unpack_from("<Q", superblock, 64)[0]), int(struct.unpack_from("<Q", superblock, 192)[0])

    def data_size(self) -> int:
        """The pool's size in bytes."""
        return self.size()[0] * self.block_size() * 512

    def block_size(self) -> int:
        """The pool's data block size in sectors."""
        return int(struct.unpack_from("<I", self._read(0), 336)[0])

    def thins(self) -> dict[int, Thin]:
        """Every thin device by id, as of the last commit."""
        for _ in range(ATTEMPTS):
            superblock = self._read(0)
            try:
                found = dict(self._walk(struct.unpack_from("<Q", superblock, 328)[0], 0))
            except (struct.error, IndexError, RecursionError):
                found = None
            if self._read(0) == superblock and found is not None:
                return found
        raise DriverError(f"cannot read the thin pool's metadata on '{self.path}': it is damaged or never at rest")

    def _walk(self, block: int, depth: int) -> list[tuple[int, Thin]]:
        if depth > 32:
            raise RecursionError
        node = self._read(block)
        _, flags, _, entries, room, size, _ = NODE.unpack_from(node)
        keys = struct.unpack_from(f"<{entries}Q", node, NODE.size)
        found = []
        for index, key in enumerate(keys):
            at = NODE.size + room * 8 + index * size
            if flags & INTERNAL_NODE:
                found += self._walk(struct.unpack_from("<Q", node, at)[0], depth + 1)
            else:
                mapped, transaction, _, _ = DETAILS.unpack_from(node, at)
                found.append((key, Thin(mapped, transaction)))
        return found

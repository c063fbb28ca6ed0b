"""The format of dm-log-writes, read and written."""

import os
import struct

import pytest
from crashinit.errors import MachineError
from crashinit.faults.powercut.log import (
    LOG_DISCARD_FLAG,
    LOG_FLUSH_FLAG,
    SECTOR,
    WRITE_LOG_MAGIC,
    Entry,
    Reader,
    build,
)
from crashinit.machine.files import File

ENTRIES = [
    Entry(8, 2, 0, b"a" * 2 * SECTOR),
    Entry(0, 0, LOG_FLUSH_FLAG),
    Entry(16, 4, LOG_DISCARD_FLAG),
    Entry(0, 1, 0, b"b" * SECTOR),
]


def log_file(content: bytes) -> File:
    file = File.in_memory("log")
    os.write(file.fd, content)
    return file


def test_entries_come_back() -> None:
    """What was built is read again: writes with their data, flushes and discards without."""
    file = log_file(build(ENTRIES))
    reader = Reader(file.fd)

    assert reader.update() == len(ENTRIES)
    assert reader.entries == ENTRIES


def test_super_block_is_the_kernels() -> None:
    """Magic, version, count and sector size stand where struct log_write_super has them."""
    magic, version, count, size = struct.unpack_from("<QQQI", build(ENTRIES))

    assert (magic, version, count, size) == (WRITE_LOG_MAGIC, 1, len(ENTRIES), SECTOR)


def test_growing_log_is_read_up_to_the_last_whole_entry() -> None:
    """An entry that is only half written is not there yet; once it is whole, it is."""
    content = build(ENTRIES)
    file = log_file(content[: -SECTOR // 2])
    reader = Reader(file.fd)

    assert reader.update() == len(ENTRIES) - 1
    os.pwrite(file.fd, content, 0)
    assert reader.update() == len(ENTRIES)
    assert reader.entries == ENTRIES


def test_empty_log_has_no_entries() -> None:
    """Before the first request there is nothing, not even a super block."""
    file = log_file(b"")

    assert Reader(file.fd).update() == 0


def test_foreign_file_is_refused() -> None:
    """A file that is no log is an error that shows how it begins."""
    file = log_file(b"not a log" * 100)

    with pytest.raises(MachineError, match="it begins with 6e6f74"):
        Reader(file.fd).update()


def test_discarded_sectors_read_as_zeros() -> None:
    """A discard has no data, and what it covers is zeros on a machine's disk."""
    assert ENTRIES[2].content() == bytes(4 * SECTOR)

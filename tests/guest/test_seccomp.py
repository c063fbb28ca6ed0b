"""The reading of another process's memory, and the names of system calls."""

import ctypes
import os

import pytest
from crashinit.guest.calls import X32
from crashinit.guest.memory import read_memory, read_string
from crashinit.guest.seccomp import name_of


def test_strings_are_read_across_chunks() -> None:
    """A string longer than one read comes whole, and ends at its NUL."""
    content = b"x" * 1000
    buffer = ctypes.create_string_buffer(content + b"\0rest")

    assert content == read_string(os.getpid(), ctypes.addressof(buffer))


def test_unreadable_memory_is_an_error() -> None:
    """An address that is not mapped raises OSError, it does not give zeros."""
    with pytest.raises(OSError, match="process_vm_readv"):
        read_memory(os.getpid(), 8, 8)


def test_calls_of_other_abis_are_named_by_their_number() -> None:
    """The number 1 is write for x86-64, exit for i386."""
    assert (name_of(1), name_of(1, 0x40000003), name_of(X32 | 1)) == ("write", "i386:1", "x32:1")

"""What the memory of another process holds (process_vm_readv(2))."""

import ctypes
import errno
import os
from collections.abc import Iterable

LIBC = ctypes.CDLL(None, use_errno=True)
PAGE = 4096


class _Iovec(ctypes.Structure):
    _fields_ = [("iov_base", ctypes.c_void_p), ("iov_len", ctypes.c_size_t)]


def read_memory(pid: int, address: int, size: int, least: int | None = None) -> bytes:
    """`size` bytes of another process's memory, or as many as there are, but `least` of them.

    Raises OSError when there are fewer; without `least` all are needed.
    """
    buffer = ctypes.create_string_buffer(size)
    local, remote = _Iovec(ctypes.addressof(buffer), size), _Iovec(address, size)
    got = LIBC.process_vm_readv(pid, ctypes.byref(local), 1, ctypes.byref(remote), 1, 0)
    if got < (size if least is None else least):
        number = ctypes.get_errno() if got < 0 else errno.EFAULT
        raise OSError(number, f"process_vm_readv: {os.strerror(number)}")
    return buffer.raw[:got]


def read_number(pid: int, address: int, size: int = 8) -> int:
    """The unsigned number of `size` bytes there. Raises OSError."""
    return int.from_bytes(read_memory(pid, address, size), "little")


def read_string(pid: int, address: int, limit: int = PAGE) -> bytes:
    """The NUL-terminated string there, at most `limit` bytes; never reads a page that the string does not touch."""
    out = b""
    while len(out) < limit:
        size = min(PAGE - (address + len(out)) % PAGE, limit - len(out), 256)
        part = read_memory(pid, address + len(out), size)
        end = part.find(b"\0")
        if end >= 0:
            return out + part[:end]
        out += part
    return out


def read_pointers(pid: int, address: int, limit: int = 64) -> Iterable[int]:
    """The pointers of a NULL-terminated array, at most `limit`."""
    for index in range(limit):
        pointer = read_number(pid, address + 8 * index)
        if not pointer:
            return
        yield pointer

"""Seccomp user notification: which system calls are stopped, and how they are received and answered.

Sources: <linux/seccomp.h>, <linux/filter.h>, <linux/audit.h>, seccomp(2), seccomp_unotify(2). x86_64 only; another
architecture needs another SYSCALLS table and AUDIT_ARCH, nothing else.
"""

import ctypes
import errno
import fcntl
import os
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from . import dm

LIBC = ctypes.CDLL(None, use_errno=True)

# <linux/seccomp.h>
SECCOMP_SET_MODE_FILTER = 1
SECCOMP_FILTER_FLAG_NEW_LISTENER = 1 << 3
SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV = 1 << 5
SECCOMP_RET_USER_NOTIF = 0x7FC00000
SECCOMP_RET_ALLOW = 0x7FFF0000
SECCOMP_IOCTL_NOTIF_RECV = 0xC0502100
SECCOMP_IOCTL_NOTIF_SEND = 0xC0182101
SECCOMP_IOCTL_NOTIF_ID_VALID = 0x40082102
SECCOMP_USER_NOTIF_FLAG_CONTINUE = 1
NOTIF = struct.Struct("=QIIiIQ6Q")  # struct seccomp_notif: id, pid, flags, then struct seccomp_data
NOTIF_RESP = struct.Struct("=QqiI")  # struct seccomp_notif_resp: id, val, error, flags

# <linux/filter.h>; offsets in struct seccomp_data
BPF_LD_W_ABS, BPF_JEQ_K, BPF_JSET_K, BPF_RET_K = 0x20, 0x15, 0x45, 0x06
DATA_NR, DATA_ARCH, DATA_ARGS = 0, 4, 16
AUDIT_ARCH_X86_64 = 0xC000003E

# <asm/unistd_64.h>
NR_SECCOMP = 317
SYSCALLS = {
    "write": 1, "ioctl": 16, "pwrite64": 18, "writev": 20, "sendfile": 40, "execve": 59, "fsync": 74, "fdatasync": 75,
    "truncate": 76, "ftruncate": 77, "rename": 82, "mkdir": 83, "rmdir": 84, "creat": 85, "open": 2, "link": 86,
    "unlink": 87, "symlink": 88, "mknod": 133, "sync": 162, "mount": 165, "umount2": 166, "exit_group": 231,
    "openat": 257, "mkdirat": 258, "mknodat": 259, "unlinkat": 263, "renameat": 264, "linkat": 265, "symlinkat": 266,
    "sync_file_range": 277, "fallocate": 285, "pwritev": 296, "syncfs": 306, "renameat2": 316, "execveat": 322,
    "copy_file_range": 326, "pwritev2": 328, "move_mount": 429, "openat2": 437,
}  # fmt: skip

# <linux/loop.h>
LOOP_SET_FD, LOOP_CLR_FD, LOOP_SET_STATUS, LOOP_SET_STATUS64 = 0x4C00, 0x4C01, 0x4C02, 0x4C04
LOOP_CHANGE_FD, LOOP_SET_CAPACITY, LOOP_SET_DIRECT_IO, LOOP_SET_BLOCK_SIZE = 0x4C06, 0x4C07, 0x4C08, 0x4C09
LOOP_CONFIGURE, LOOP_CTL_ADD, LOOP_CTL_REMOVE, LOOP_CTL_GET_FREE = 0x4C0A, 0x4C80, 0x4C81, 0x4C82
LOOP_REQUESTS = {
    LOOP_SET_FD: "LOOP_SET_FD", LOOP_CLR_FD: "LOOP_CLR_FD", LOOP_SET_STATUS: "LOOP_SET_STATUS",
    LOOP_SET_STATUS64: "LOOP_SET_STATUS64", LOOP_CHANGE_FD: "LOOP_CHANGE_FD", LOOP_SET_CAPACITY: "LOOP_SET_CAPACITY",
    LOOP_SET_DIRECT_IO: "LOOP_SET_DIRECT_IO", LOOP_SET_BLOCK_SIZE: "LOOP_SET_BLOCK_SIZE",
    LOOP_CONFIGURE: "LOOP_CONFIGURE", LOOP_CTL_ADD: "LOOP_CTL_ADD", LOOP_CTL_REMOVE: "LOOP_CTL_REMOVE",
    LOOP_CTL_GET_FREE: "LOOP_CTL_GET_FREE",
}  # fmt: skip
# <linux/fs.h>
BLKDISCARD, BLKSECDISCARD, BLKZEROOUT = 0x1277, 0x127D, 0x127F
BLOCK_REQUESTS = {BLKDISCARD: "BLKDISCARD", BLKSECDISCARD: "BLKSECDISCARD", BLKZEROOUT: "BLKZEROOUT"}
# The device-mapper requests that change something; queries never reach the supervisor.
DM_REQUESTS = {
    dm.request(number): name
    for name, number in {
        "DM_REMOVE_ALL": dm.DM_REMOVE_ALL, "DM_DEV_CREATE": dm.DM_DEV_CREATE, "DM_DEV_REMOVE": dm.DM_DEV_REMOVE,
        "DM_DEV_RENAME": dm.DM_DEV_RENAME, "DM_DEV_SUSPEND": dm.DM_DEV_SUSPEND, "DM_TABLE_LOAD": dm.DM_TABLE_LOAD,
        "DM_TABLE_CLEAR": dm.DM_TABLE_CLEAR, "DM_TARGET_MSG": dm.DM_TARGET_MSG,
    }.items()
}  # fmt: skip

# <asm-generic/fcntl.h>
O_CREAT, O_TRUNC, O_TMPFILE_BIT = 0o100, 0o1000, 0o20000000


@dataclass(frozen=True)
class AnyBit:
    """Argument `arg` has one of the bits of `mask`."""

    arg: int
    mask: int


@dataclass(frozen=True)
class OneOf:
    """The low 32 bits of argument `arg` are one of `values`."""

    arg: int
    values: tuple[int, ...]


Condition = AnyBit | OneOf | None
CREATES = O_CREAT | O_TRUNC | O_TMPFILE_BIT
# What is stopped. The conditions are tried in the kernel, so that frequent harmless calls cost nothing. Writes have
# none: a shell writes a file through descriptor 1.
STOPPED: dict[str, Condition] = {
    **dict.fromkeys(SYSCALLS),
    "open": AnyBit(1, CREATES),
    "openat": AnyBit(2, CREATES),
    "ioctl": OneOf(1, (*DM_REQUESTS, *LOOP_REQUESTS, *BLOCK_REQUESTS)),
}


def _instruction(code: int, jt: int, jf: int, k: int) -> bytes:
    return struct.pack("=HBBI", code, jt, jf, k)


def _condition(condition: Condition) -> list[bytes]:
    """Instructions that end with the notification if the condition holds, else with permission."""
    notify = _instruction(BPF_RET_K, 0, 0, SECCOMP_RET_USER_NOTIF)
    allow = _instruction(BPF_RET_K, 0, 0, SECCOMP_RET_ALLOW)
    if condition is None:
        return [notify]
    load = _instruction(BPF_LD_W_ABS, 0, 0, DATA_ARGS + 8 * condition.arg)
    if isinstance(condition, OneOf):
        count = len(condition.values)
        tests = [_instruction(BPF_JEQ_K, count - i, 0, value) for i, value in enumerate(condition.values)]
        return [load, *tests, allow, notify]
    return [load, _instruction(BPF_JSET_K, 0, 1, condition.mask), notify, allow]


def program(stopped: Mapping[str, Condition] = STOPPED) -> bytes:
    """The BPF program that stops these system calls and lets all others run."""
    code = [
        _instruction(BPF_LD_W_ABS, 0, 0, DATA_ARCH),
        _instruction(BPF_JEQ_K, 1, 0, AUDIT_ARCH_X86_64),
        _instruction(BPF_RET_K, 0, 0, SECCOMP_RET_ALLOW),
        _instruction(BPF_LD_W_ABS, 0, 0, DATA_NR),
    ]
    for name, condition in stopped.items():
        block = _condition(condition)
        code += [_instruction(BPF_JEQ_K, 0, len(block), SYSCALLS[name]), *block]
    code.append(_instruction(BPF_RET_K, 0, 0, SECCOMP_RET_ALLOW))
    return b"".join(code)


class _SockFprog(ctypes.Structure):
    _fields_ = [("len", ctypes.c_ushort), ("filter", ctypes.c_void_p)]


def install(code: bytes) -> int:
    """Put this process and all its future children under the filter; returns the listener's descriptor.

    Needs CAP_SYS_ADMIN and a kernel >= 5.19 (WAIT_KILLABLE_RECV: without it Go's preemption signals would make
    the stopped calls of a Go program fail). Raises OSError.
    """
    buffer = ctypes.create_string_buffer(code, len(code))
    fprog = _SockFprog(len(code) // 8, ctypes.addressof(buffer))
    flags = SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
    fd = int(LIBC.syscall(NR_SECCOMP, SECCOMP_SET_MODE_FILTER, flags, ctypes.byref(fprog)))
    if fd < 0:
        raise OSError(ctypes.get_errno(), f"seccomp: {os.strerror(ctypes.get_errno())}")
    return fd


@dataclass(frozen=True)
class Notification:
    """One stopped system call. `pid` is the calling thread's id; `args` are the raw registers."""

    id: int
    pid: int
    syscall: str
    args: tuple[int, ...]


_NAMES = {number: name for name, number in SYSCALLS.items()}


class Listener:
    """The supervisor's end of a filter."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def receive(self) -> Notification | None:
        """The next stopped call; None if its process died before we came."""
        buffer = bytearray(NOTIF.size)
        try:
            fcntl.ioctl(self.fd, SECCOMP_IOCTL_NOTIF_RECV, buffer)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.EINTR):
                return None
            raise
        ident, pid, _flags, nr, _arch, _ip, *args = NOTIF.unpack(buffer)
        return Notification(ident, pid, _NAMES.get(nr, str(nr)), tuple(args))

    def valid(self, ident: int) -> bool:
        """Whether the call still waits; False means that what was read of its process may be another's."""
        try:
            fcntl.ioctl(self.fd, SECCOMP_IOCTL_NOTIF_ID_VALID, struct.pack("=Q", ident))
        except OSError:
            return False
        return True

    def go_on(self, ident: int) -> None:
        """Let the call run."""
        self._send(NOTIF_RESP.pack(ident, 0, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE))

    def fail(self, ident: int, number: int) -> None:
        """Let the call return -`number` without running."""
        self._send(NOTIF_RESP.pack(ident, 0, -number, 0))

    def close(self) -> None:
        """From now on the filter's calls fail with ENOSYS."""
        os.close(self.fd)

    def _send(self, response: bytes) -> None:
        try:
            fcntl.ioctl(self.fd, SECCOMP_IOCTL_NOTIF_SEND, bytearray(response))
        except OSError as error:
            if error.errno != errno.ENOENT:  # the process died meanwhile
                raise


class _Iovec(ctypes.Structure):
    _fields_ = [("iov_base", ctypes.c_void_p), ("iov_len", ctypes.c_size_t)]


PAGE = 4096


def read_memory(pid: int, address: int, size: int, least: int | None = None) -> bytes:
    """`size` bytes of another process's memory (process_vm_readv(2)), or as many as there are, but `least` of them.

    Raises OSError when there are fewer; without `least` all are needed.
    """
    buffer = ctypes.create_string_buffer(size)
    local, remote = _Iovec(ctypes.addressof(buffer), size), _Iovec(address, size)
    got = LIBC.process_vm_readv(pid, ctypes.byref(local), 1, ctypes.byref(remote), 1, 0)
    if got < (size if least is None else least):
        number = ctypes.get_errno() if got < 0 else errno.EFAULT
        raise OSError(number, f"process_vm_readv: {os.strerror(number)}")
    return buffer.raw[:got]


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
        pointer = int.from_bytes(read_memory(pid, address + 8 * index, 8), "little")
        if not pointer:
            return
        yield pointer

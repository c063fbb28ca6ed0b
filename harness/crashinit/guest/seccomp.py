"""Seccomp user notification: how stopped system calls are received and answered.

Sources: <linux/seccomp.h>, <linux/audit.h>, seccomp(2), seccomp_unotify(2).
"""

import ctypes
import errno
import fcntl
import os
import struct
from dataclasses import dataclass

from .bpf import AUDIT_ARCH_X86_64
from .calls import SYSCALLS, X32
from .memory import LIBC

# <linux/seccomp.h>
SECCOMP_SET_MODE_FILTER = 1
SECCOMP_FILTER_FLAG_NEW_LISTENER = 1 << 3
SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV = 1 << 5
SECCOMP_IOCTL_NOTIF_RECV = 0xC0502100
SECCOMP_IOCTL_NOTIF_SEND = 0xC0182101
SECCOMP_IOCTL_NOTIF_ID_VALID = 0x40082102
SECCOMP_USER_NOTIF_FLAG_CONTINUE = 1
NOTIF = struct.Struct("=QIIiIQ6Q")  # struct seccomp_notif: id, pid, flags, then struct seccomp_data
NOTIF_RESP = struct.Struct("=QqiI")  # struct seccomp_notif_resp: id, val, error, flags

NAMES = {number: name for name, number in SYSCALLS.items()}


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
    fd = int(LIBC.syscall(SYSCALLS["seccomp"], SECCOMP_SET_MODE_FILTER, flags, ctypes.byref(fprog)))
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


def name_of(number: int, arch: int = AUDIT_ARCH_X86_64) -> str:
    """What a system call is called; those of i386 and x32 by their ABI and number."""
    if arch != AUDIT_ARCH_X86_64:
        return f"i386:{number}"
    return f"x32:{number & ~X32}" if number >= X32 else NAMES.get(number, str(number))


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
        ident, pid, _flags, nr, arch, _ip, *args = NOTIF.unpack(buffer)
        return Notification(ident, pid, name_of(nr, arch), tuple(args))

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

"""What the calls of one run are looked at with: places, paths as their process sees them, and open files."""
# Plain os calls, not pathlib: this runs at every stopped call, in an emulated machine.
# ruff: noqa: PTH115, PTH116, PTH118, PTH119, PTH123

import ctypes
import errno
import os
import stat
import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from ..calls import SYSCALLS
from ..memory import LIBC, read_string
from ..names import Places, steady
from ..seccomp import Notification
from .found import Found, Operation

AT_FDCWD = -100  # <linux/fcntl.h>
RESOLVE_IN_ROOT = 0x10  # <linux/openat2.h>
OPEN_HOW = struct.Struct("=3Q")  # flags, mode, resolve


def as_int(value: int) -> int:
    """A register as the C int that the call takes it for."""
    value &= 0xFFFFFFFF
    return value - (1 << 32) if value & 0x80000000 else value


@dataclass(frozen=True)
class Entry:
    """A directory entry: its path, and a path by which it is reached from here, whatever root its process has."""

    path: str
    here: str

    def exists(self) -> bool:
        """Whether there is such an entry, be it a broken link."""
        return os.path.lexists(self.here)


class View:
    """The eyes of one gated run."""

    def __init__(self, root: str, main: int = 0, *, reads: bool = False) -> None:
        self.places = Places(root)
        self.main = main  # process id of the command: its exit is an operation, its children's are not
        self.data = False  # whether the data of writes are part of what is told of them
        self.reads = reads  # whether what only asks is an operation as well
        self.sources: dict[tuple[int, int], str] = {}  # of new mounts, by process and fsopen's descriptor
        self._kept: list[int] = []

    def close(self) -> None:
        """Let go what the last call was looked at with."""
        while self._kept:
            os.close(self._kept.pop())

    # Paths

    def entry(self, pid: int, at: int, address: int) -> Entry:
        """The directory entry that a call names, its directory resolved, its last part not.

        Looked up in the process's own root and mounts.
        """
        given = os.fsdecode(read_string(pid, address))
        if not given.startswith("/"):
            start = os.readlink(f"/proc/{pid}/cwd" if at == AT_FDCWD else f"/proc/{pid}/fd/{at}")
            root = os.readlink(f"/proc/{pid}/root")
            if root != "/":
                start = start.removeprefix(root) or "/"
            given = f"{start}/{given}" if given else start
        elif given.startswith("/proc/self/"):
            given = f"/proc/{pid}/" + given.removeprefix("/proc/self/")
        head, tail = os.path.split(given.rstrip("/") or "/")
        whole = tail in ("", ".", "..")
        try:
            fd = self._directory(pid, given if whole else head)
        except OSError:  # there is no such directory yet, or a link of /proc leads there
            path = os.path.realpath(given) if whole else os.path.join(os.path.realpath(head), tail)
            return Entry(path, path)
        here = f"/proc/self/fd/{fd}"
        path = os.readlink(here)
        return Entry(path, here) if whole else Entry(os.path.join(path, tail), f"{here}/{tail}")

    def _directory(self, pid: int, path: str) -> int:
        """A descriptor of a path as that process would find it (openat2(2)). Raises OSError."""
        root = os.open(f"/proc/{pid}/root", os.O_PATH | os.O_CLOEXEC)
        try:
            how = OPEN_HOW.pack(os.O_PATH | os.O_CLOEXEC, 0, RESOLVE_IN_ROOT)
            fd = int(LIBC.syscall(SYSCALLS["openat2"], root, os.fsencode(path), how, len(how)))
        finally:
            os.close(root)
        if fd < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), path)
        self._kept.append(fd)
        return fd

    def place(self, path: str) -> str:
        """The object that a path stands for, whether it concerns the driver or not."""
        return self.places.file(path) or steady(path)

    # Open files

    def opened(self, call: Notification, verb: str, fd: int, **facts: int | str) -> Operation | None:
        """The operation upon an open file or block device; None if that does not concern the driver."""
        node = f"/proc/{call.pid}/fd/{as_int(fd)}"
        return self.linked(os.readlink(node), node, verb, **facts)

    def linked(self, link: str, node: str, verb: str, **facts: int | str) -> Operation | None:
        """The same by the link of /proc that shows the file, and a path that leads to it."""
        found = self.places.opened(link, node)
        if found is None:
            return None
        sort, name = found
        return Operation(f"{sort}.{verb}", name, {"path": link, **{key: str(value) for key, value in facts.items()}})

    def filesystem(self, call: Notification, fd: int) -> str:
        """What the file system of an open file is called: by its block device, else by the file's place."""
        node = f"/proc/{call.pid}/fd/{as_int(fd)}"
        device = os.stat(node).st_dev
        with suppress(OSError):
            link = os.readlink(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}")
            return self.places.block(device, f"/dev/{os.path.basename(link)}")
        return self.place(os.readlink(node))


Handler = Callable[[View, Notification], Found]


def thread_status(thread: int) -> dict[str, str]:
    """The fields of /proc/THREAD/status. Raises OSError when it is gone."""
    with open(f"/proc/{thread}/status", encoding="utf-8", errors="replace") as status:
        return dict(line.rstrip("\n").split(":\t", 1) for line in status if ":\t" in line)


def thread_group(thread: int) -> int:
    """The process that a thread belongs to. Raises OSError when it is gone."""
    group = thread_status(thread).get("Tgid")
    if group is None:
        raise OSError(errno.ESRCH, f"process {thread} is gone")
    return int(group)


def is_block(path: str) -> bool:
    """Whether a path leads to a block device."""
    try:
        return stat.S_ISBLK(os.stat(path).st_mode)
    except OSError:
        return False

"""The cheap facts of a machine in which a driver was struck: what the next init finds, but for the content of large
files and of devices.

Two machines with the same facts, whose large content was changed by the same calls, have the same future. What is left
out either cannot matter to a driver, or differs where nothing else does: times of files, process ids, inode numbers but
the root's, sizes of directories, udev's time stamps and watches, ids of mounts and of semaphores, counters that run by
themselves. What a driver keeps neither below its root nor in BESIDE is not seen.

Sources: Documentation/admin-guide/device-mapper/thin-provisioning.rst (status), proc(5), semctl(2); udev keeps a file a
device in /run/udev/data, in which `I:` is a time.
"""
# Plain os calls, not pathlib: some hundred of them, in an emulated machine.
# ruff: noqa: PTH112, PTH115, PTH116, PTH208

import ctypes
import errno
import hashlib
import json
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from . import dm
from .census import Census, in_runs
from .kernel_log import KernelLog
from .memory import LIBC
from .names import read_bytes
from .rest import is_at_rest, settle

READ = 64 << 10  # bytes of a file whose content counts; the content of a larger one follows from the calls
REST_LIMIT = 2.0  # seconds for udevd to come to rest
PAUSE = 0.005  # seconds between two looks
ENTRIES = 5000  # files of one tree; a state with more of them is like no other
GETVAL = 12  # <linux/sem.h>
BESIDE = ("/run", "/tmp", "/dev/shm")  # where a driver may keep something beside its root
NOT_THERE = ("/run/udev",)  # of these, what is a fact by itself


def facts(root: str, log: KernelLog, census: Census) -> dict[str, Any]:
    """Digests of the facts by their names. `busy`: udevd was at work, and was waited for; `rested`: it is idle now.

    There are none while a process of the driver lives, which goes on to change them.
    Raises OSError when something cannot be looked at.
    """
    if census.processes(in_runs()):
        return {"digests": {}, "busy": False, "rested": False}
    busy = not is_at_rest()
    settle(REST_LIMIT, PAUSE)
    root = os.path.realpath(root)
    digests = {name: digest(look(root)) for name, look in LOOKS.items()} | {"kernel_log": digest(log.lines())}
    return {"digests": digests, "busy": busy, "rested": is_at_rest()}


def digest(found: Any) -> str:
    """A short value that is another one for other facts."""
    return hashlib.sha256(json.dumps(found, sort_keys=True).encode("utf-8", "surrogateescape")).hexdigest()[:16]


def devices(_root: str) -> Any:
    """dm devices with tables and status, in which a pool tells its transaction and how many blocks are used."""
    found = {}
    for name in dm.names():
        info = dm.info(name)
        if info is not None:
            flags = (dm.DM_STATUS_TABLE_FLAG, dm.DM_STATUS_TABLE_FLAG | dm.DM_QUERY_INACTIVE_TABLE_FLAG, 0)
            found[name] = [vars(info), [list(map(str, dm.table(name, flag))) for flag in flags]]
    return found


def loops(_root: str) -> Any:
    """Attached loop devices, and how they are attached."""
    found = {}
    for name in os.listdir("/sys/block"):
        place = f"/sys/block/{name}/loop"
        if os.path.isdir(place):
            found[name] = [text(f"/sys/block/{name}/{one}") for one in ("size", "ro", "queue/logical_block_size")]
            found[name] += [f"{one}={text(f'{place}/{one}')}" for one in sorted(os.listdir(place))]
    return found


def mounts(_root: str) -> Any:
    """What is mounted where, in its order, without ids: the fields of mountinfo but the first two, and the optional."""
    found = []
    for line in text("/proc/self/mountinfo").splitlines():
        left, _, right = line.partition(" - ")
        found.append([left.split(" ")[2:6], right])
    return found


def semaphores(_root: str) -> Any:
    """SysV semaphores: key, permissions, number, owners, and the value of each."""
    found = []
    for line in text("/proc/sysvipc/sem").splitlines()[1:]:
        key, ident, modes, count, *owners = line.split()
        values = [
            LIBC.semctl(ctypes.c_int(int(ident)), ctypes.c_int(n), ctypes.c_int(GETVAL)) for n in range(int(count))
        ]
        found.append([key, modes, count, owners[:4], values])
    return sorted(found)


def udev(_root: str) -> Any:
    """udev's database, which holds its links as well, and the nodes of block devices."""
    known = {}
    for name in os.listdir("/run/udev/data"):
        lines = text(f"/run/udev/data/{name}").splitlines()
        known[name] = [line for line in lines if not line.startswith("I:")]
    nodes = [f"/dev/{name.replace('!', '/')}" for name in os.listdir("/sys/block")]
    nodes += [f"/dev/mapper/{name}" for name in os.listdir("/dev/mapper")]
    return [known, [node(path) for path in sorted(nodes)]]


def node(path: str) -> Any:
    """One node of /dev, or a link there."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return [path]
    return [path, status.st_mode, status.st_uid, status.st_gid, status.st_rdev, link(path, status)]


def files(root: str) -> Any:
    """All below the root, also on what is mounted there; and which directory of which file system the root is."""
    try:
        top = os.stat(root)
    except FileNotFoundError:
        return []
    return [[top.st_dev, top.st_ino], tree(root, across=True)]


def beside(root: str) -> Any:
    """What a driver keeps beside its root until the next boot."""
    return [tree(place, (root, *NOT_THERE)) for place in BESIDE]


def modules(_root: str) -> Any:
    """The kernel's modules."""
    return sorted(line.split()[0] for line in text("/proc/modules").splitlines())


def tree(top: str, without: tuple[str, ...] = (), *, across: bool = False) -> Any:
    """Each entry below a directory, with the content of what is small, and the directory itself.

    `across`: not only on the directory's own file system. Raises OSError.
    """
    try:
        first = os.lstat(top)
    except FileNotFoundError:
        return []
    found = [entry(top, first)]
    waiting = [top]
    while waiting:
        with suppress(FileNotFoundError, NotADirectoryError), os.scandir(waiting.pop()) as entries:
            for one in entries:
                if one.path in without:
                    continue
                status = one.stat(follow_symlinks=False)
                found.append(entry(one.path, status))
                if len(found) > ENTRIES:
                    raise OSError(errno.EFBIG, "too many files to compare", top)
                if stat.S_ISDIR(status.st_mode) and (across or status.st_dev == first.st_dev):
                    waiting.append(one.path)
    return sorted(found)


def entry(path: str, status: os.stat_result) -> list[Any]:
    """One entry. Of a directory neither size nor blocks nor links count: they tell what has been in it."""
    owner = [path, status.st_mode, status.st_uid, status.st_gid, attributes(path)]
    if not stat.S_ISREG(status.st_mode):
        return [*owner, status.st_rdev, link(path, status)]
    content = hashlib.sha256(content_of(path)).hexdigest() if status.st_size <= READ else ""
    return [*owner, status.st_nlink, status.st_size, status.st_blocks, content]


def link(path: str, status: os.stat_result) -> str:
    """What a symbolic link holds; '' of anything else."""
    return os.readlink(path) if stat.S_ISLNK(status.st_mode) else ""


def attributes(path: str) -> Any:
    """Extended attributes, where the file system has them."""
    names: list[str] = []
    with suppress(OSError):
        names = sorted(os.listxattr(path, follow_symlinks=False))
    return [[name, os.getxattr(path, name, follow_symlinks=False).hex()] for name in names]


def content_of(path: str) -> bytes:
    """A small file's content."""
    return read_bytes(path, READ + 1)


def text(path: str) -> str:
    """A small file's text; '' if there is none."""
    with suppress(OSError):
        return content_of(path).decode("utf-8", "surrogateescape")
    return ""


LOOKS: dict[str, Callable[[str], Any]] = {
    "dm": devices,
    "loops": loops,
    "mounts": mounts,
    "semaphores": semaphores,
    "udev": udev,
    "files": files,
    "beside": beside,
    "modules": modules,
}

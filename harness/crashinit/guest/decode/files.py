"""Calls upon files and directories by path, and upon open files and block devices by descriptor."""
# ruff: noqa: PTH116

import hashlib
import os
import stat
import struct

from ..calls import CREATES, O_TMPFILE_BIT
from ..memory import read_memory, read_number
from ..seccomp import Notification
from .found import Operation
from .view import AT_FDCWD, Handler, View, as_int

AT_REMOVEDIR, AT_EMPTY_PATH = 0x200, 0x1000  # <linux/fcntl.h>
DATA_LIMIT = 16 << 20  # bytes of one write of which a digest is made
IOV_MAX = 1024  # <linux/uio.h>: UIO_MAXIOV
CONTROLS = ("/dev/mapper/control", "/dev/loop-control")  # character devices that count


def _open(view: View, call: Notification, at: int, address: int, flags: int) -> Operation | None:
    entry = view.entry(call.pid, at, address)
    place = view.places.file(entry.path)
    if place is None or place.startswith("/dev/") or not flags & CREATES:
        return _opens(view, entry.path, entry.here, place, flags)
    detail = {"path": entry.path, "flags": oct(flags)}
    if flags & O_TMPFILE_BIT:
        return Operation("file.create", f"{place}/.tmp*", detail)
    try:
        status = os.stat(entry.here)
    except FileNotFoundError:
        if flags & os.O_CREAT:
            return Operation("file.create", place, detail)
        raise
    if flags & os.O_EXCL or not flags & os.O_TRUNC or not stat.S_ISREG(status.st_mode):
        return _opens(view, entry.path, entry.here, place, flags)
    return Operation("file.truncate", place, {**detail, "size": "0"})


def _opens(view: View, path: str, here: str, place: str | None, flags: int) -> Operation | None:
    """The opening of what is there: a point for errors alone."""
    if not view.reads or (place is None and not path.startswith("/dev/")):
        return None
    detail = {"path": path, "flags": oct(flags)}
    if path in CONTROLS:
        return Operation("dev.open", path, detail)
    status = os.stat(here)
    if stat.S_ISBLK(status.st_mode):
        return Operation("dev.open", view.places.block(status.st_rdev, path), detail)
    return Operation("file.open", place, detail) if place is not None else None


def _openat2(view: View, call: Notification) -> Operation | None:
    flags = read_number(call.pid, call.args[2])  # struct open_how
    if not flags & CREATES and not view.reads:
        return None
    return _open(view, call, as_int(call.args[0]), call.args[1], flags)


def _make(view: View, call: Notification, kind: str, at: int, address: int) -> Operation | None:
    entry = view.entry(call.pid, at, address)
    place = view.places.file(entry.path)
    return Operation(kind, place, {"path": entry.path}) if place is not None and not entry.exists() else None


def _there(view: View, call: Notification, kind: str, at: int, address: int, **facts: int) -> Operation | None:
    """A change of an entry that exists."""
    entry = view.entry(call.pid, at, address)
    place = view.places.file(entry.path)
    if place is None or not entry.exists():
        return None
    return Operation(kind, place, {"path": entry.path, **{key: str(value) for key, value in facts.items()}})


def _rename(view: View, call: Notification, at: int, old: int, to: int, new: int) -> Operation | None:
    source, target = view.entry(call.pid, at, old), view.entry(call.pid, to, new)
    place = view.places.file(target.path) or view.places.file(source.path)
    if place is None or not source.exists():
        return None
    return Operation("file.rename", place, {"path": target.path, "from": source.path})


def _fallocate(view: View, call: Notification) -> Operation | None:
    facts = {"mode": call.args[1], "offset": call.args[2], "size": call.args[3]}
    operation = view.opened(call, "allocate", call.args[0], **facts)
    if operation is not None and operation.kind == "dev.allocate":
        return Operation("dev.discard", operation.object, operation.detail)
    return operation


def _ftruncate(view: View, call: Notification) -> Operation | None:
    operation = view.opened(call, "truncate", call.args[0], size=call.args[1])
    return operation if operation is None or operation.kind == "file.truncate" else None


def _utimensat(view: View, call: Notification) -> Operation | None:
    if not call.args[1]:  # no path: the descriptor's own file
        return view.opened(call, "utime", call.args[0])
    return _there(view, call, "file.utime", as_int(call.args[0]), call.args[1])


def _msync(view: View, call: Notification) -> Operation | None:
    """By the mapping that holds the address, as /proc/PID/maps tells it."""
    with open(f"/proc/{call.pid}/maps", encoding="utf-8", errors="surrogateescape") as maps:  # noqa: PTH123
        for line in maps:
            bounds, _modes, _offset, _device, _inode, *path = line.rstrip("\n").split(maxsplit=5)
            low, high = (int(bound, 16) for bound in bounds.split("-"))
            if low <= call.args[0] < high:
                node = f"/proc/{call.pid}/root{path[0]}" if path else ""
                return view.linked(path[0], node, "msync", size=call.args[1]) if path else None
    return None


def _read(view: View, call: Notification) -> Operation | None:
    operation = view.opened(call, "read", call.args[0], size=call.args[2])
    return operation if operation is None or operation.kind == "dev.read" else None


def _at(kind: str, number: int = 0) -> Handler:
    """A change of the entry that the arguments from `number` on name: directory, path."""
    return lambda view, call: _there(view, call, kind, as_int(call.args[number]), call.args[number + 1])


def _by_path(kind: str) -> Handler:
    return lambda view, call: _there(view, call, kind, AT_FDCWD, call.args[0])


def _by_fd(verb: str, fd: int = 0, **facts: int) -> Handler:
    """A change of an open file: the descriptor's argument, and those that are told."""

    def decode(view: View, call: Notification) -> Operation | None:
        return view.opened(call, verb, call.args[fd], **{key: call.args[index] for key, index in facts.items()})

    return decode


def _write(**facts: int) -> Handler:
    """A write of memory, with a digest of its data and where they go, if that is asked for."""

    def decode(view: View, call: Notification) -> Operation | None:
        operation = view.opened(call, "write", call.args[0], **{key: call.args[index] for key, index in facts.items()})
        if operation is not None and view.data:
            pieces = [(call.args[1], call.args[2])]
            if "vectors" in facts:  # struct iovec
                table = read_memory(call.pid, call.args[1], 16 * min(call.args[2], IOV_MAX))
                pieces = list(struct.iter_unpack("=QQ", table))
            if sum(size for _, size in pieces) <= DATA_LIMIT:
                data = b"".join(read_memory(call.pid, address, size) for address, size in pieces if size)
                operation.detail["data"] = hashlib.sha256(data).hexdigest()[:16]
            if "offset" not in facts:
                with open(f"/proc/{call.pid}/fdinfo/{as_int(call.args[0])}", encoding="ascii") as info:  # noqa: PTH123
                    operation.detail["at"] = info.readline().split()[1]  # "pos:", the file's position
        return operation

    return decode


CALLS: dict[str, Handler] = {
    "open": lambda view, n: _open(view, n, AT_FDCWD, n.args[0], n.args[1]),
    "openat": lambda view, n: _open(view, n, as_int(n.args[0]), n.args[1], n.args[2]),
    "openat2": _openat2,
    "creat": lambda view, n: _open(view, n, AT_FDCWD, n.args[0], os.O_CREAT | os.O_TRUNC),
    "mknod": lambda view, n: _make(view, n, "file.create", AT_FDCWD, n.args[0]),
    "mknodat": lambda view, n: _make(view, n, "file.create", as_int(n.args[0]), n.args[1]),
    "mkdir": lambda view, n: _make(view, n, "file.mkdir", AT_FDCWD, n.args[0]),
    "mkdirat": lambda view, n: _make(view, n, "file.mkdir", as_int(n.args[0]), n.args[1]),
    "symlink": lambda view, n: _make(view, n, "file.link", AT_FDCWD, n.args[1]),
    "symlinkat": lambda view, n: _make(view, n, "file.link", as_int(n.args[1]), n.args[2]),
    "link": lambda view, n: _make(view, n, "file.link", AT_FDCWD, n.args[1]),
    "linkat": lambda view, n: _make(view, n, "file.link", as_int(n.args[2]), n.args[3]),
    "unlink": _by_path("file.unlink"),
    "rmdir": _by_path("file.rmdir"),
    "unlinkat": lambda view, n: _at("file.rmdir" if n.args[2] & AT_REMOVEDIR else "file.unlink")(view, n),
    "rename": lambda view, n: _rename(view, n, AT_FDCWD, n.args[0], AT_FDCWD, n.args[1]),
    "renameat": lambda view, n: _rename(view, n, as_int(n.args[0]), n.args[1], as_int(n.args[2]), n.args[3]),
    "renameat2": lambda view, n: _rename(view, n, as_int(n.args[0]), n.args[1], as_int(n.args[2]), n.args[3]),
    "truncate": lambda view, n: _there(view, n, "file.truncate", AT_FDCWD, n.args[0], size=n.args[1]),
    "ftruncate": _ftruncate,
    "fallocate": _fallocate,
    "write": _write(size=2),
    "pwrite64": _write(offset=3, size=2),
    "writev": _write(vectors=2),
    "pwritev": _write(offset=3, vectors=2),
    "pwritev2": _write(offset=3, vectors=2),
    "sendfile": _by_fd("write", size=3),
    "copy_file_range": _by_fd("write", 2, size=4),
    "splice": _by_fd("write", 2, size=4),
    "fsync": _by_fd("fsync"),
    "fdatasync": _by_fd("fsync"),
    "sync_file_range": _by_fd("fsync"),
    "syncfs": _by_fd("fsync"),
    "sync": lambda view, n: Operation("file.fsync", "*"),
    "msync": _msync,
    "chmod": _by_path("file.chmod"),
    "fchmod": _by_fd("chmod"),
    "fchmodat": _at("file.chmod"),
    "fchmodat2": _at("file.chmod"),
    "chown": _by_path("file.chown"),
    "fchown": _by_fd("chown"),
    "lchown": _by_path("file.chown"),
    "fchownat": _at("file.chown"),
    "utime": _by_path("file.utime"),
    "utimes": _by_path("file.utime"),
    "futimesat": _utimensat,
    "utimensat": _utimensat,
    "setxattr": _by_path("file.setxattr"),
    "lsetxattr": _by_path("file.setxattr"),
    "fsetxattr": _by_fd("setxattr"),
    "setxattrat": _at("file.setxattr"),
    "removexattr": _by_path("file.removexattr"),
    "lremovexattr": _by_path("file.removexattr"),
    "fremovexattr": _by_fd("removexattr"),
    "removexattrat": _at("file.removexattr"),
    "file_setattr": _at("file.set-flags"),
    **dict.fromkeys(("read", "pread64", "readv", "preadv", "preadv2"), _read),
}

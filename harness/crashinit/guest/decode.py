"""From a stopped system call to an operation: what it changes, and under which name.

A call that will change nothing (a directory that is there already, a program that does not exist, a file outside
of what concerns the driver) is no operation: decode() returns None and the gate lets it run.
"""
# Plain os calls, not pathlib: this runs at every stopped call, in an emulated machine.
# ruff: noqa: PTH110, PTH113, PTH115, PTH116, PTH118, PTH119, PTH123

import errno
import os
import shlex
import stat
import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from . import dm
from .names import Places, dm_object, read_text, steady
from .seccomp import (
    BLOCK_REQUESTS,
    DM_REQUESTS,
    LOOP_CHANGE_FD,
    LOOP_CLR_FD,
    LOOP_CONFIGURE,
    LOOP_CTL_ADD,
    LOOP_CTL_GET_FREE,
    LOOP_CTL_REMOVE,
    LOOP_REQUESTS,
    LOOP_SET_CAPACITY,
    LOOP_SET_FD,
    O_TMPFILE_BIT,
    Notification,
    read_memory,
    read_pointers,
    read_string,
)

AT_FDCWD = -100  # <linux/fcntl.h>
AT_REMOVEDIR = 0x200
LOOP_KINDS = {
    LOOP_CTL_GET_FREE: "loop.get-free",
    LOOP_CTL_ADD: "loop.get-free",
    LOOP_CTL_REMOVE: "loop.clr-fd",
    LOOP_CONFIGURE: "loop.configure",
    LOOP_SET_FD: "loop.set-fd",
    LOOP_CHANGE_FD: "loop.set-fd",
    LOOP_CLR_FD: "loop.clr-fd",
    LOOP_SET_CAPACITY: "loop.set-capacity",
}  # every other request: loop.set-status
DM_KINDS = {
    "DM_REMOVE_ALL": "dm.remove",
    "DM_DEV_CREATE": "dm.create",
    "DM_DEV_REMOVE": "dm.remove",
    "DM_DEV_RENAME": "dm.rename",
    "DM_TABLE_LOAD": "dm.table-load",
    "DM_TABLE_CLEAR": "dm.table-clear",
    "DM_TARGET_MSG": "dm.message",
}  # DM_DEV_SUSPEND is dm.suspend or dm.resume by its flag
DM_DATA_LIMIT = 1 << 20  # bytes of a request that are looked at
DM_TEXT_LIMIT = 1 << 12  # characters of a table or a message that are recorded
NOT_THERE = (errno.ESRCH, errno.ENOENT, errno.EFAULT, errno.EBADF, errno.ENOTDIR, errno.ELOOP)


@dataclass(frozen=True)
class Operation:
    """One state-changing request, before it runs."""

    kind: str
    object: str
    detail: dict[str, str] = field(default_factory=dict)


def _int(value: int) -> int:
    """A register as the C int that the call takes it for."""
    value &= 0xFFFFFFFF
    return value - (1 << 32) if value & 0x80000000 else value


class Decoder:
    """Decodes the calls of one gated run."""

    def __init__(self, root: str, main: int = 0) -> None:
        self.places = Places(root)
        self.main = main  # process id of the command: its exit is an operation, its children's are not
        self._calls: dict[str, Callable[[Notification], Operation | None]] = {
            "ioctl": self._ioctl,
            "open": lambda n: self._open(n, AT_FDCWD, n.args[0], n.args[1]),
            "openat": lambda n: self._open(n, _int(n.args[0]), n.args[1], n.args[2]),
            "openat2": self._openat2,
            "creat": lambda n: self._open(n, AT_FDCWD, n.args[0], os.O_CREAT | os.O_TRUNC),
            "mknod": lambda n: self._make(n, "file.create", AT_FDCWD, n.args[0]),
            "mknodat": lambda n: self._make(n, "file.create", _int(n.args[0]), n.args[1]),
            "mkdir": lambda n: self._make(n, "file.mkdir", AT_FDCWD, n.args[0]),
            "mkdirat": lambda n: self._make(n, "file.mkdir", _int(n.args[0]), n.args[1]),
            "symlink": lambda n: self._make(n, "file.link", AT_FDCWD, n.args[1]),
            "symlinkat": lambda n: self._make(n, "file.link", _int(n.args[1]), n.args[2]),
            "link": lambda n: self._make(n, "file.link", AT_FDCWD, n.args[1]),
            "linkat": lambda n: self._make(n, "file.link", _int(n.args[2]), n.args[3]),
            "unlink": lambda n: self._drop(n, "file.unlink", AT_FDCWD, n.args[0]),
            "rmdir": lambda n: self._drop(n, "file.rmdir", AT_FDCWD, n.args[0]),
            "unlinkat": lambda n: self._drop(
                n, "file.rmdir" if n.args[2] & AT_REMOVEDIR else "file.unlink", _int(n.args[0]), n.args[1]
            ),
            "rename": lambda n: self._rename(n, AT_FDCWD, n.args[0], AT_FDCWD, n.args[1]),
            "renameat": lambda n: self._rename(n, _int(n.args[0]), n.args[1], _int(n.args[2]), n.args[3]),
            "renameat2": lambda n: self._rename(n, _int(n.args[0]), n.args[1], _int(n.args[2]), n.args[3]),
            "truncate": self._truncate,
            "ftruncate": lambda n: self._opened(n, "truncate", 0, size=n.args[1]),
            "fallocate": lambda n: self._opened(n, "allocate", 0, mode=n.args[1], offset=n.args[2], size=n.args[3]),
            "write": lambda n: self._opened(n, "write", 0, size=n.args[2]),
            "pwrite64": lambda n: self._opened(n, "write", 0, offset=n.args[3], size=n.args[2]),
            "writev": lambda n: self._opened(n, "write", 0, vectors=n.args[2]),
            "pwritev": lambda n: self._opened(n, "write", 0, offset=n.args[3], vectors=n.args[2]),
            "pwritev2": lambda n: self._opened(n, "write", 0, offset=n.args[3], vectors=n.args[2]),
            "sendfile": lambda n: self._opened(n, "write", 0, size=n.args[3]),
            "copy_file_range": lambda n: self._opened(n, "write", 2, size=n.args[4]),
            "fsync": lambda n: self._opened(n, "fsync", 0),
            "fdatasync": lambda n: self._opened(n, "fsync", 0),
            "sync_file_range": lambda n: self._opened(n, "fsync", 0),
            "syncfs": lambda n: self._opened(n, "fsync", 0),
            "sync": lambda n: Operation("file.fsync", "*"),
            "mount": self._mount,
            "move_mount": lambda n: self._mounted(self._path(n.pid, _int(n.args[2]), n.args[3]), {}),
            "umount2": lambda n: self._target(n, "mount.umount", AT_FDCWD, n.args[0]),
            "execve": lambda n: self._exec(n, AT_FDCWD, n.args[0], n.args[1]),
            "execveat": lambda n: self._exec(n, _int(n.args[0]), n.args[1], n.args[2]),
            "exit_group": self._exit,
        }

    def decode(self, call: Notification) -> Operation | None:
        """The operation that this call is; None if it is none. Never raises: what cannot be decoded is `unknown`."""
        try:
            operation = self._calls[call.syscall](call)
        except Exception as error:
            # Its process has died, or the call names what is not there and will say so itself.
            if isinstance(error, OSError) and error.errno in NOT_THERE:
                return None
            operation = Operation("unknown", call.syscall, {"error": f"{type(error).__name__}: {error}"})
        if operation is not None:
            operation.detail.setdefault("syscall", call.syscall)
        return operation

    # Files by path

    def _path(self, pid: int, at: int, address: int) -> str:
        """The absolute path that a call names, its directory resolved, its last part not."""
        given = os.fsdecode(read_string(pid, address))
        if not given.startswith("/"):
            start = os.readlink(f"/proc/{pid}/cwd" if at == AT_FDCWD else f"/proc/{pid}/fd/{at}")
            given = f"{start}/{given}" if given else start
        elif given.startswith("/proc/self/"):
            given = f"/proc/{pid}/" + given.removeprefix("/proc/self/")
        head, tail = os.path.split(given.rstrip("/") or "/")
        if tail in ("", ".", ".."):
            return os.path.realpath(given)
        return os.path.join(os.path.realpath(head), tail)

    def _open(self, call: Notification, at: int, address: int, flags: int) -> Operation | None:
        path = self._path(call.pid, at, address)
        place = self.places.file(path)
        if place is None or place.startswith("/dev/"):
            return None
        if flags & O_TMPFILE_BIT:
            return Operation("file.create", f"{place}/.tmp*", {"path": path, "flags": oct(flags)})
        try:
            status = os.stat(path)
        except FileNotFoundError:
            return Operation("file.create", place, {"path": path, "flags": oct(flags)}) if flags & os.O_CREAT else None
        if flags & os.O_EXCL or not flags & os.O_TRUNC or not stat.S_ISREG(status.st_mode):
            return None
        return Operation("file.truncate", place, {"path": path, "flags": oct(flags), "size": "0"})

    def _openat2(self, call: Notification) -> Operation | None:
        flags = int.from_bytes(read_memory(call.pid, call.args[2], 8), "little")  # struct open_how
        if not flags & (os.O_CREAT | os.O_TRUNC | O_TMPFILE_BIT):
            return None
        return self._open(call, _int(call.args[0]), call.args[1], flags)

    def _make(self, call: Notification, kind: str, at: int, address: int) -> Operation | None:
        path = self._path(call.pid, at, address)
        place = self.places.file(path)
        return Operation(kind, place, {"path": path}) if place is not None and not os.path.lexists(path) else None

    def _drop(self, call: Notification, kind: str, at: int, address: int) -> Operation | None:
        path = self._path(call.pid, at, address)
        place = self.places.file(path)
        return Operation(kind, place, {"path": path}) if place is not None and os.path.lexists(path) else None

    def _rename(self, call: Notification, at: int, old: int, to: int, new: int) -> Operation | None:
        source, target = self._path(call.pid, at, old), self._path(call.pid, to, new)
        place = self.places.file(target) or self.places.file(source)
        if place is None or not os.path.lexists(source):
            return None
        return Operation("file.rename", place, {"path": target, "from": source})

    def _truncate(self, call: Notification) -> Operation | None:
        path = self._path(call.pid, AT_FDCWD, call.args[0])
        place = self.places.file(path)
        if place is None or not os.path.exists(path):
            return None
        return Operation("file.truncate", place, {"path": path, "size": str(call.args[1])})

    # Files and devices by descriptor

    def _opened(self, call: Notification, verb: str, index: int, **numbers: int) -> Operation | None:
        node = f"/proc/{call.pid}/fd/{_int(call.args[index])}"
        try:
            link = os.readlink(node)
        except FileNotFoundError:
            return None  # a bad descriptor: the call will say so itself
        found = self.places.opened(link, node)
        if found is None:
            return None
        sort, name = found
        if sort == "dev" and verb == "truncate":
            return None
        if sort == "dev" and verb == "allocate":
            verb = "discard"
        return Operation(f"{sort}.{verb}", name, {"path": link, **{key: str(value) for key, value in numbers.items()}})

    def _ioctl(self, call: Notification) -> Operation | None:
        number = call.args[1] & 0xFFFFFFFF
        if number not in BLOCK_REQUESTS:
            self.places.changed()
        if number in DM_REQUESTS:
            return self._dm(call.pid, DM_REQUESTS[number], call.args[2])
        if number in BLOCK_REQUESTS:
            operation = self._opened(call, "discard", 0)
            if operation is not None:
                start, length = (read_memory(call.pid, call.args[2] + at, 8) for at in (0, 8))
                operation.detail["offset"] = str(int.from_bytes(start, "little"))
                operation.detail["size"] = str(int.from_bytes(length, "little"))
                operation.detail["request"] = BLOCK_REQUESTS[number]
            return operation
        return self._loop(call, number)

    # Loop devices

    def _loop(self, call: Notification, number: int) -> Operation | None:
        kind = LOOP_KINDS.get(number, "loop.set-status")
        try:
            path = os.readlink(f"/proc/{call.pid}/fd/{_int(call.args[0])}")
        except FileNotFoundError:
            return None
        if not path.startswith("/dev/loop"):
            return None
        detail = {"request": LOOP_REQUESTS[number], "path": path}
        if number in (LOOP_CTL_GET_FREE, LOOP_CTL_ADD, LOOP_CTL_REMOVE):
            return Operation(kind, "loop*", detail)
        if number in (LOOP_SET_FD, LOOP_CHANGE_FD, LOOP_CONFIGURE):
            fd = _int(call.args[2])
            if number == LOOP_CONFIGURE:  # struct loop_config begins with the descriptor
                fd = int.from_bytes(read_memory(call.pid, call.args[2], 4), "little", signed=True)
            try:
                backing = os.readlink(f"/proc/{call.pid}/fd/{fd}")
            except FileNotFoundError:
                backing = ""
        else:
            backing = read_text(Path("/sys/block") / os.path.basename(path) / "loop/backing_file")
        backing = backing.removesuffix(" (deleted)")
        detail["backing"] = backing
        return Operation(kind, self.places.role(backing), detail)

    # Device-mapper

    def _dm(self, pid: int, request: str, address: int) -> Operation:
        size = int.from_bytes(read_memory(pid, address + 12, 4), "little")
        # A request says how much room it has, which may be more than the memory that it really uses.
        buffer = read_memory(pid, address, max(dm.HEADER.size, min(size, DM_DATA_LIMIT)), least=dm.HEADER.size)
        return decode_dm(request, buffer)

    # Mounts, programs, the end

    def _mount(self, call: Notification) -> Operation:
        source, kind = (
            os.fsdecode(read_string(call.pid, address)) if address else "" for address in (call.args[0], call.args[2])
        )
        detail = {"source": source, "fstype": kind, "flags": hex(call.args[3])}
        return self._mounted(self._path(call.pid, AT_FDCWD, call.args[1]), detail)

    def _mounted(self, path: str, detail: dict[str, str]) -> Operation:
        return Operation("mount.mount", self.places.file(path) or steady(path), {"path": path, **detail})

    def _target(self, call: Notification, kind: str, at: int, address: int) -> Operation:
        path = self._path(call.pid, at, address)
        return Operation(kind, self.places.file(path) or steady(path), {"path": path})

    def _exec(self, call: Notification, at: int, address: int, argv: int) -> Operation | None:
        path = self._path(call.pid, at, address)
        if not os.path.isfile(path) or not os.access(path, os.X_OK):
            return None  # a search along PATH
        pointers = read_pointers(call.pid, argv) if argv else ()
        words = [os.fsdecode(read_string(call.pid, pointer)) for pointer in pointers]
        return Operation("exec", os.path.basename(path), {"path": path, "argv": shlex.join(words)})

    def _exit(self, call: Notification) -> Operation | None:
        if thread_group(call.pid) != self.main:
            return None
        return Operation("exit", "driver", {"status": str(call.args[0] & 0xFF)})


def thread_group(thread: int) -> int:
    """The process that a thread belongs to. Raises OSError when it is gone."""
    with open(f"/proc/{thread}/status", encoding="utf-8", errors="replace") as status:
        for line in status:
            if line.startswith("Tgid:"):
                return int(line.split()[1])
    raise OSError(errno.ESRCH, f"process {thread} is gone")


def decode_dm(request: str, buffer: bytes) -> Operation:
    """The operation of one device-mapper request, by its name in the kernel's header and its struct dm_ioctl."""
    *_, flags, event, _padding, device, name_field, uuid_field = dm.HEADER.unpack_from(buffer)
    name = dm.text(name_field) or dm.name_of(device, dm.text(uuid_field))
    begin = dm.HEADER.unpack_from(buffer)[4]
    data = buffer[begin:]
    detail = {"request": request, "name": name, "flags": hex(flags)}
    if uuid_field.strip(b"\0"):
        detail["uuid"] = dm.text(uuid_field)
    if event:
        detail["cookie"] = hex(event)
    kind = DM_KINDS.get(request) or ("dm.suspend" if flags & dm.DM_SUSPEND_FLAG else "dm.resume")
    thing = dm_object(name)
    if request == "DM_REMOVE_ALL":
        thing = "*"
    elif request == "DM_TABLE_LOAD":
        lines: list[dm.Target] = []
        with suppress(struct.error):  # it says that it holds more targets than it does: the kernel will refuse it
            lines += dm.targets(buffer)
        detail["target"] = lines[0].type if lines else ""
        detail["table"] = "\n".join(map(str, lines))[:DM_TEXT_LIMIT]
    elif request == "DM_TARGET_MSG":
        detail["message"] = dm.text(data[8:])[:DM_TEXT_LIMIT]  # after the sector of struct dm_target_msg
        thing = f"{thing} {detail['message'].partition(' ')[0]}"
    elif request == "DM_DEV_RENAME":
        detail["uuid" if flags & dm.DM_UUID_FLAG else "to"] = dm.text(data)
    return Operation(kind, thing, detail)

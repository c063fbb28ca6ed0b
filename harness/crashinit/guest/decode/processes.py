"""Programs that are started, processes and pipes that are made, udev's cookies, and the end of the driver."""
# ruff: noqa: PTH113, PTH119

import os
import shlex
import struct
from collections.abc import Callable

from ..calls import DM_COOKIE, IPC_RMID
from ..memory import read_memory, read_number, read_pointers, read_string
from ..seccomp import Notification
from .found import Operation
from .view import AT_FDCWD, Handler, View, as_int, thread_group, thread_status

IPC_CREAT = 0o1000  # <linux/ipc.h>
CLONE_THREAD = 0x10000  # <linux/sched.h>
SEMBUF = struct.Struct("=Hhh")  # number, operation, flags
SEMAPHORES = "/proc/sysvipc/sem"


def _exec(view: View, call: Notification, at: int, address: int, argv: int) -> Operation | None:
    entry = view.entry(call.pid, at, address)
    if not os.path.isfile(entry.here) or not os.access(entry.here, os.X_OK):
        return None  # a search along PATH
    pointers = read_pointers(call.pid, argv) if argv else ()
    words = [os.fsdecode(read_string(call.pid, pointer)) for pointer in pointers]
    return Operation("exec", os.path.basename(entry.path), {"path": entry.path, "argv": shlex.join(words)})


def _exit_group(view: View, call: Notification) -> Operation | None:
    if thread_group(call.pid) != view.main:
        return None
    return Operation("exit", "driver", {"status": str(call.args[0] & 0xFF)})


def _exit(view: View, call: Notification) -> Operation | None:
    """exit(2) ends one thread; of the last one it ends the process."""
    if thread_status(call.pid).get("Threads") != "1":
        return None
    return _exit_group(view, call)


def _cookie(call: Notification) -> bool:
    """Whether the call's semaphore is one that libdevmapper waits for udev with."""
    with open(SEMAPHORES, encoding="ascii") as table:  # noqa: PTH123
        for line in table:
            key, ident, *_ = line.split()
            if ident == str(as_int(call.args[0])):
                return int(key) & 0xFFFF0000 == DM_COOKIE
    return False


def _semget(view: View, call: Notification) -> Operation | None:
    return Operation("sem.create", "cookie") if call.args[2] & IPC_CREAT else None


def _semop(view: View, call: Notification) -> Operation | None:
    if not _cookie(call):
        return None
    change = SEMBUF.unpack(read_memory(call.pid, call.args[1], SEMBUF.size))[1]
    return Operation("sem.change" if change else "sem.wait", "cookie", {"change": str(change)})


def _semctl(view: View, call: Notification) -> Operation | None:
    if not _cookie(call):
        return None
    return Operation("sem.remove" if as_int(call.args[2]) == IPC_RMID else "sem.set", "cookie")


def _clone(flags: Callable[[Notification], int]) -> Handler:
    """A new process, not a new thread of one: Go makes those when it likes."""
    return lambda view, n: None if flags(n) & CLONE_THREAD else Operation("process.clone", "child")


CALLS: dict[str, Handler] = {
    "execve": lambda view, n: _exec(view, n, AT_FDCWD, n.args[0], n.args[1]),
    "execveat": lambda view, n: _exec(view, n, as_int(n.args[0]), n.args[1], n.args[2]),
    "exit": _exit,
    "exit_group": _exit_group,
    "semget": _semget,
    "semop": _semop,
    "semtimedop": _semop,
    "semctl": _semctl,
    "fork": _clone(lambda n: 0),
    "vfork": _clone(lambda n: 0),
    "clone": _clone(lambda n: n.args[0]),
    "clone3": _clone(lambda n: read_number(n.pid, n.args[0])),  # struct clone_args begins with the flags
    **dict.fromkeys(("pipe", "pipe2"), lambda view, n: Operation("process.pipe", "pipe")),
}

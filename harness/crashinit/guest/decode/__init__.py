"""From a stopped system call to an operation: what it changes, and under which name.

A call that will change nothing (a directory that is there already, a program that does not exist, a file outside
of what concerns the driver) is no operation: decode() returns None and the gate lets it run.
"""

import errno

from ..calls import COUNTED, REFUSED, WHY_COUNTED, WHY_REFUSED
from ..seccomp import Notification
from . import aio, files, ioctls, mounts, processes
from .found import Found, Operation, Refused, Unseen
from .view import Handler, View, as_int, thread_group

__all__ = ["CALLS", "Decoder", "Found", "Operation", "Refused", "Unseen", "thread_group"]

NOT_THERE = (errno.ESRCH, errno.ENOENT, errno.EFAULT, errno.EBADF, errno.ENOTDIR, errno.ELOOP)


def _counted(view: View, call: Notification) -> Found:
    return Unseen(f"{call.syscall}: {WHY_COUNTED[call.syscall]}")


def _mmap(view: View, call: Notification) -> Found:
    """A mapping of a file or device that concerns the driver."""
    operation = view.opened(call, "map", as_int(call.args[4]))
    return Unseen(f"mmap of '{operation.object}': {WHY_COUNTED['mmap']}") if operation else None


def _refused(view: View, call: Notification) -> Found:
    return Refused(f"{call.syscall}: {WHY_REFUSED[call.syscall]}")


CALLS: dict[str, Handler] = {
    **files.CALLS,
    **ioctls.CALLS,
    **mounts.CALLS,
    **aio.CALLS,
    **processes.CALLS,
    **dict.fromkeys(COUNTED, _counted),
    **dict.fromkeys(REFUSED, _refused),
    "mmap": _mmap,
}


class Decoder:
    """Decodes the calls of one gated run."""

    def __init__(self, root: str, main: int = 0, *, reads: bool = False) -> None:
        self.view = View(root, main, reads=reads)

    def decode(self, call: Notification) -> Found:
        """What this call is; None if it is no operation. Never raises: what cannot be decoded is `unknown`."""
        abi, _, number = call.syscall.partition(":")
        if number:
            return Refused(f"system calls of {abi}: their numbers and arguments are not decoded")
        try:
            found = CALLS[call.syscall](self.view, call)
        except Exception as error:
            # Its process has died, or the call names what is not there and will say so itself.
            if isinstance(error, OSError) and error.errno in NOT_THERE:
                return None
            found = Operation("unknown", call.syscall, {"error": f"{type(error).__name__}: {error}"})
        finally:
            self.view.close()
        if isinstance(found, Operation):
            found.detail.setdefault("syscall", call.syscall)
        return found

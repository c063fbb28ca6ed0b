"""io_submit(2): what a program writes and syncs by Linux's asynchronous I/O, as LVM and the thin tools do.

One call is one operation, however many requests it hands over: the gate stops calls. It is named by the first of its
requests that counts; all of them are in its detail. An error strikes the submission, not a request that was accepted.
Source: <linux/aio_abi.h>.
"""

import struct
from collections.abc import Iterator
from contextlib import suppress

from ..memory import read_memory, read_number
from ..seccomp import Notification
from .found import Operation
from .view import Handler, View

IOCB = struct.Struct("=16xHhIQQq16x")  # opcode, priority, descriptor, buffer, bytes, offset
VERBS = {1: "write", 2: "fsync", 3: "fsync", 8: "write"}  # IOCB_CMD_PWRITE, _FSYNC, _FDSYNC, _PWRITEV
LIMIT = 256  # requests of one call that are looked at
TOLD = 16  # of which so many are recorded


def _requests(view: View, call: Notification) -> Iterator[Operation]:
    """What each request of one call asks for, if it concerns the driver."""
    count, pointers = min(call.args[1], LIMIT), call.args[2]
    for index in range(count):
        address = read_number(call.pid, pointers + 8 * index)
        opcode, _priority, fd, _buffer, size, offset = IOCB.unpack(read_memory(call.pid, address, IOCB.size))
        if opcode in VERBS:
            with suppress(FileNotFoundError):  # a bad descriptor: the call will say so itself
                found = view.opened(call, VERBS[opcode], fd, offset=offset, size=size)
                if found is not None:
                    yield found


def _submit(view: View, call: Notification) -> Operation | None:
    found = list(_requests(view, call))
    if not found:
        return None
    first = found[0]
    told = [f"{one.kind} {one.object} {one.detail['size']}@{one.detail['offset']}" for one in found[:TOLD]]
    detail = {"path": first.detail["path"], "requests": "\n".join(told), "count": str(call.args[1])}
    return Operation(f"{first.kind.partition('.')[0]}.submit", first.object, detail)


CALLS: dict[str, Handler] = {"io_submit": _submit}

"""Requests of ioctl(2): device-mapper, loop devices, block devices, file systems, network block devices."""
# ruff: noqa: PTH119, PTH115

import os
import struct
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from .. import dm
from ..memory import read_memory, read_number
from ..names import dm_object, read_text
from ..requests import Request, is_query, request_of
from ..seccomp import Notification
from .found import Operation
from .view import Handler, View, as_int

DATA_LIMIT = 1 << 20  # bytes of a device-mapper request that are looked at
TEXT_LIMIT = 1 << 12  # characters of a table or a message that are recorded
WITH_RANGE = ("BLKDISCARD", "BLKSECDISCARD", "BLKZEROOUT")  # their argument is two numbers: offset, length
WITH_NO_DEVICE = ("LOOP_CTL_ADD", "LOOP_CTL_REMOVE", "LOOP_CTL_GET_FREE")
WITH_BACKING = ("LOOP_SET_FD", "LOOP_CHANGE_FD", "LOOP_CONFIGURE")  # their argument is, or begins with, a descriptor


def _ioctl(view: View, call: Notification) -> Operation | None:
    request = request_of(call.args[1] & 0xFFFFFFFF)
    if request is None or (is_query(request) and not view.reads):
        return None
    if not is_query(request) and request.sort in ("dm", "loop"):
        view.places.changed()
    operation = SORTS[request.sort](view, call, request)
    if operation is not None:
        operation.detail["request"] = request.name
    return operation


def _device_mapper(view: View, call: Notification, request: Request) -> Operation:
    address = call.args[2]
    size = read_number(call.pid, address + 12, 4)
    # A request says how much room it has, which may be more than the memory that it really uses.
    buffer = read_memory(call.pid, address, max(dm.HEADER.size, min(size, DATA_LIMIT)), least=dm.HEADER.size)
    return decode_dm(request, buffer)


def decode_dm(request: Request, buffer: bytes) -> Operation:
    """The operation of one device-mapper request, by its struct dm_ioctl."""
    *_, flags, event, _padding, device, name_field, uuid_field = dm.HEADER.unpack_from(buffer)
    name = dm.text(name_field) or dm.name_of(device, dm.text(uuid_field))
    data = buffer[dm.HEADER.unpack_from(buffer)[4] :]
    detail = {"name": name, "flags": hex(flags)}
    if uuid_field.strip(b"\0"):
        detail["uuid"] = dm.text(uuid_field)
    if event:
        detail["cookie"] = hex(event)
    kind, thing = request.kind, dm_object(name)
    if is_query(request):
        thing = thing or "device-mapper"
    if request.name == "DM_DEV_SUSPEND" and not flags & dm.DM_SUSPEND_FLAG:
        kind = "dm.resume"
    elif request.name == "DM_TABLE_STATUS" and flags & dm.DM_STATUS_TABLE_FLAG:
        kind = "dm.table"
    elif request.name == "DM_REMOVE_ALL":
        thing = "*"
    elif request.name == "DM_TABLE_LOAD":
        lines: list[dm.Target] = []
        with suppress(struct.error):  # it says that it holds more targets than it does: the kernel will refuse it
            lines += dm.targets(buffer)
        detail["target"] = lines[0].type if lines else ""
        detail["table"] = "\n".join(map(str, lines))[:TEXT_LIMIT]
    elif request.name == "DM_TARGET_MSG":
        detail["message"] = dm.text(data[8:])[:TEXT_LIMIT]  # after the sector of struct dm_target_msg
        thing = f"{thing} {detail['message'].partition(' ')[0]}"
    elif request.name == "DM_DEV_RENAME":
        detail["uuid" if flags & dm.DM_UUID_FLAG else "to"] = dm.text(data)
    return Operation(kind, thing, detail)


def _loop(view: View, call: Notification, request: Request) -> Operation | None:
    path = os.readlink(f"/proc/{call.pid}/fd/{as_int(call.args[0])}")
    if not path.startswith("/dev/loop"):
        return None
    if request.name in WITH_NO_DEVICE:
        return Operation(request.kind, "loop*", {"path": path})
    if request.name in WITH_BACKING:
        fd = as_int(call.args[2])
        if request.name == "LOOP_CONFIGURE":
            fd = as_int(read_number(call.pid, call.args[2], 4))
        backing = ""
        with suppress(FileNotFoundError):
            backing = os.readlink(f"/proc/{call.pid}/fd/{fd}")
    else:
        backing = read_text(Path("/sys/block") / os.path.basename(path) / "loop/backing_file")
    backing = backing.removesuffix(" (deleted)")
    return Operation(request.kind, view.places.role(backing), {"path": path, "backing": backing})


def _device(view: View, call: Notification, request: Request) -> Operation | None:
    operation = view.opened(call, request.kind.partition(".")[2], call.args[0])
    if operation is None or operation.kind != request.kind:
        return None
    if request.name in WITH_RANGE:
        operation.detail["offset"] = str(read_number(call.pid, call.args[2]))
        operation.detail["size"] = str(read_number(call.pid, call.args[2] + 8))
    return operation


def _file(view: View, call: Notification, request: Request) -> Operation | None:
    operation = view.opened(call, request.kind.partition(".")[2], call.args[0])
    return operation if operation is None or operation.kind == request.kind else None


def _filesystem(view: View, call: Notification, request: Request) -> Operation:
    return Operation(request.kind, view.filesystem(call, call.args[0]))


def _node(view: View, call: Notification, request: Request) -> Operation:
    path = os.readlink(f"/proc/{call.pid}/fd/{as_int(call.args[0])}")
    return Operation(request.kind, view.place(path), {"path": path})


SORTS: dict[str, Callable[[View, Notification, Request], Operation | None]] = {
    "dm": _device_mapper,
    "loop": _loop,
    "dev": _device,
    "file": _file,
    "fs": _filesystem,
    "btrfs": _node,
    "nbd": _node,
}
CALLS: dict[str, Handler] = {"ioctl": _ioctl}

"""Mounts, by mount(2) and by the calls around fsopen(2), and swap."""

import os

from ..calls import FSCONFIG_CMD_RECONFIGURE, FSCONFIG_SET_STRING
from ..memory import read_string
from ..seccomp import Notification
from .found import Operation
from .view import AT_FDCWD, Handler, View, as_int, is_block, thread_group


def _mount(view: View, call: Notification) -> Operation:
    source, kind = (
        os.fsdecode(read_string(call.pid, address)) if address else "" for address in (call.args[0], call.args[2])
    )
    path = view.entry(call.pid, AT_FDCWD, call.args[1]).path
    detail = {"path": path, "source": source, "fstype": kind, "flags": hex(call.args[3])}
    return Operation("mount.mount", view.place(path), detail)


def _target(kind: str, at: int | None = None, path: int = 0) -> Handler:
    """A mount or another thing by its path: the arguments that are directory and path."""

    def decode(view: View, call: Notification) -> Operation:
        directory = AT_FDCWD if at is None else as_int(call.args[at])
        found = view.entry(call.pid, directory, call.args[path]).path
        return Operation(kind, view.place(found), {"path": found})

    return decode


def _fsconfig(view: View, call: Notification) -> Operation | None:
    """A super block is made, and its journal replayed, by FSCONFIG_CMD_CREATE, long before it is mounted anywhere."""
    context, command = (thread_group(call.pid), as_int(call.args[0])), as_int(call.args[1])
    if command == FSCONFIG_SET_STRING:
        if read_string(call.pid, call.args[2]) == b"source":
            view.sources[context] = os.fsdecode(read_string(call.pid, call.args[3]))
        return None
    source = view.sources.get(context, "")
    thing = source or "*"
    if source.startswith("/") and is_block(source):
        thing = view.places.block(os.stat(source).st_rdev, source)  # noqa: PTH116
    kind = "mount.reconfigure" if command == FSCONFIG_CMD_RECONFIGURE else "mount.create"
    return Operation(kind, thing, {"source": source})


CALLS: dict[str, Handler] = {
    "mount": _mount,
    "move_mount": _target("mount.mount", 2, 3),
    "umount2": _target("mount.umount"),
    "mount_setattr": _target("mount.set-attributes", 0, 1),
    "pivot_root": _target("mount.pivot-root"),
    "fsconfig": _fsconfig,
    "swapon": _target("swap.on"),
    "swapoff": _target("swap.off"),
}

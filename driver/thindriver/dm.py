"""Device-mapper through its own ioctls (linux/dm-ioctl.h): no libdevmapper, no udev cookie, so nothing to leak."""

from __future__ import annotations

import errno
import os
import struct
from functools import cache

from . import kernel
from .errors import DriverError, doing

CONTROL = "/dev/mapper/control"
NODES = "/dev/mapper/"

# struct dm_ioctl: version[3], data_size, data_start, target_count, open_count, flags, event_nr, padding, dev, name,
# uuid, data; struct dm_target_spec: sector_start, length, status, next, target_type
HEADER = struct.Struct("=3IIIIiIIIQ128s129s7s")
TARGET = struct.Struct("=QQiI16s")
ROOM = 16384  # bytes for an answer, until one is longer
VERSION = (4, 0, 0)  # the oldest interface that has all we use

DM_VERSION, DM_LIST_DEVICES, DM_DEV_CREATE, DM_DEV_REMOVE = (0xC138FD00 + n for n in (0, 2, 3, 4))
DM_DEV_SUSPEND, DM_DEV_STATUS, DM_TABLE_LOAD = (0xC138FD00 + n for n in (6, 7, 9))
DM_TABLE_STATUS, DM_TARGET_MSG = (0xC138FD00 + n for n in (12, 14))

DM_READONLY_FLAG = 1 << 0
DM_SUSPEND_FLAG = 1 << 1
DM_STATUS_TABLE_FLAG = 1 << 4
DM_ACTIVE_PRESENT_FLAG = 1 << 5
DM_BUFFER_FULL_FLAG = 1 << 8
DM_NOFLUSH_FLAG = 1 << 11

# libdevmapper.h; the upper half of event_nr reaches udev's rules in the variable DM_COOKIE.
DM_UDEV_DISABLE_DM_RULES_FLAG = 0x0001
DM_UDEV_DISABLE_SUBSYSTEM_RULES_FLAG = 0x0002
DM_UDEV_DISABLE_DISK_RULES_FLAG = 0x0004
DM_UDEV_DISABLE_OTHER_RULES_FLAG = 0x0008
DM_UDEV_PRIMARY_SOURCE_FLAG = 0x0040
# udev makes the link in /dev/mapper and leaves the content alone: no scan, no watch, so nobody holds the device open.
UDEV_LINK = (
    DM_UDEV_PRIMARY_SOURCE_FLAG
    | DM_UDEV_DISABLE_SUBSYSTEM_RULES_FLAG
    | DM_UDEV_DISABLE_DISK_RULES_FLAG
    | DM_UDEV_DISABLE_OTHER_RULES_FLAG
) << 16
UDEV_NOTHING = UDEV_LINK | DM_UDEV_DISABLE_DM_RULES_FLAG << 16  # for devices that live for a moment: not even the link


class Info:
    """What DM_DEV_STATUS says about a device."""

    def __init__(self, name: str, device: str, flags: int, open_count: int) -> None:
        self.name = name
        self.device = device  # "major:minor"
        self.live = bool(flags & DM_ACTIVE_PRESENT_FLAG)
        self.suspended = bool(flags & DM_SUSPEND_FLAG)
        self.open_count = open_count


class Target:
    """One line of a table or status. `start` and `length` in sectors of 512 bytes."""

    def __init__(self, start: int, length: int, kind: str, text: str) -> None:
        self.start = start
        self.length = length
        self.kind = kind
        self.text = text


def _call(
    request: int,
    name: str = "",
    flags: int = 0,
    event: int = 0,
    payload: bytes = b"",
    targets: int = 0,
    room: int = ROOM,
) -> bytes:
    buffer = bytearray(max(room, HEADER.size + len(payload) + 8))
    size = len(buffer)
    HEADER.pack_into(
        buffer, 0, *VERSION, size, HEADER.size, targets, 0, flags, event, 0, 0, os.fsencode(name), b"", b""
    )  # fmt: skip
    buffer[HEADER.size : HEADER.size + len(payload)] = payload
    kernel.ioctl(_control(), request, buffer)
    return bytes(buffer)


@cache
def _control() -> int:
    """The control node, opened once and for as long as this process lives, as libdevmapper does. Raises OSError."""
    return os.open(CONTROL, os.O_RDWR)


def _ask(request: int, name: str = "", flags: int = 0) -> bytes:
    """The whole answer to a question, which may be asked again: one that had no room is marked by the kernel."""
    room = ROOM
    while True:
        answer = _call(request, name, flags, room=room)
        if not HEADER.unpack_from(answer)[7] & DM_BUFFER_FULL_FLAG:
            return answer
        room *= 4


def _info(answer: bytes) -> Info:
    fields = HEADER.unpack_from(answer)
    number = fields[10]
    name = os.fsdecode(fields[11].split(b"\0")[0])
    return Info(name, f"{os.major(number)}:{os.minor(number)}", fields[7], fields[6])


def version() -> str:
    """The interface version of the kernel's device-mapper. Raises DriverError when there is none."""
    with doing("use device-mapper (is the module 'dm_mod' loaded?)"):
        return ".".join(str(n) for n in HEADER.unpack_from(_call(DM_VERSION))[:3])


def info(name: str) -> Info | None:
    """The device of that name, None when there is none."""
    with doing(f"look up the device '{name}'"):
        try:
            return _info(_call(DM_DEV_STATUS, name))
        except OSError as error:
            if error.errno == errno.ENXIO and not error.filename:  # with a file, it is the control node that failed
                return None
            raise


def existing(name: str) -> Info:
    """The device of that name. Raises DriverError when there is none."""
    with doing(f"look up the device '{name}'"):
        return _info(_call(DM_DEV_STATUS, name))


def names(prefix: str) -> list[str]:
    """Names of all devices that begin with `prefix`."""
    with doing("list the device-mapper devices"):
        answer = _ask(DM_LIST_DEVICES)
    found: list[str] = []
    at = HEADER.size
    while True:  # struct dm_name_list: dev, next, name
        number, after = struct.unpack_from("=QI", answer, at)
        if not number:
            return sorted(found)
        name = os.fsdecode(answer[at + 12 : answer.index(b"\0", at + 12)])
        if name.startswith(prefix):
            found.append(name)
        if not after:
            return sorted(found)
        at += after


def _targets(name: str, flags: int) -> list[Target]:
    answer = _ask(DM_TABLE_STATUS, name, flags)
    fields = HEADER.unpack_from(answer)
    start = fields[4]
    found: list[Target] = []
    at = start
    for _ in range(fields[5]):
        first, length, _status, after, kind = TARGET.unpack_from(answer, at)
        text = os.fsdecode(answer[at + TARGET.size : answer.index(b"\0", at + TARGET.size)])
        found.append(Target(first, length, os.fsdecode(kind.split(b"\0")[0]), text))
        at = start + after
    return found


def table(name: str) -> list[Target]:
    """The live table."""
    with doing(f"read the table of '{name}'"):
        return _targets(name, DM_STATUS_TABLE_FLAG | DM_NOFLUSH_FLAG)


def status(name: str) -> list[Target]:
    """The live status; a thin pool commits its metadata before it answers."""
    with doing(f"read the status of '{name}'"):
        return _targets(name, 0)


def create(name: str, sectors: int, kind: str, parameters: str, udev: int = UDEV_LINK) -> Info:
    """Make a device with one target and bring it to life: the three requests that libdevmapper sends too."""
    with doing(f"create the device '{name}'"):
        _call(DM_DEV_CREATE, name)
    try:
        load(name, sectors, kind, parameters)
        resume(name, udev)
    except DriverError:
        try:
            _call(DM_DEV_REMOVE, name)
        except OSError:
            pass  # the next init removes it; what matters is the first error
        raise
    made = existing(name)
    if not udev & DM_UDEV_DISABLE_DM_RULES_FLAG << 16:
        settle_node(made)
    return made


def load(name: str, sectors: int, kind: str, parameters: str) -> None:
    """Load a table of one target; the device has it from the next resume on."""
    text = parameters.encode() + b"\0"
    text += bytes(-len(text) % 8)
    spec = TARGET.pack(0, sectors, 0, TARGET.size + len(text), kind.encode()) + text
    with doing(f"load the table '0 {sectors} {kind} {parameters}' into '{name}'"):
        _call(DM_TABLE_LOAD, name, payload=spec, targets=1)


def resume(name: str, udev: int = UDEV_LINK) -> None:
    """Let a suspended device run; swaps a loaded table in."""
    with doing(f"resume the device '{name}'"):
        _call(DM_DEV_SUSPEND, name, event=udev)


def suspend(name: str) -> None:
    """Hold a device's I/O, file system frozen."""
    with doing(f"suspend the device '{name}'"):
        _call(DM_DEV_SUSPEND, name, DM_SUSPEND_FLAG)


def message(name: str, text: str) -> None:
    """Send a message to the target at sector 0. Raises OSError: what an errno means depends on the message."""
    _call(DM_TARGET_MSG, name, payload=struct.pack("=Q", 0) + text.encode() + b"\0")


def remove(name: str) -> None:
    """Remove a device and its node; one that is gone already is fine. EBUSY is waited for, for a while."""

    def gone() -> bool:
        try:
            _call(DM_DEV_REMOVE, name, event=UDEV_LINK)
        except OSError as error:
            if error.errno == errno.EBUSY:
                return False
            if error.errno != errno.ENXIO:
                raise
        return True

    with doing(f"remove the device '{name}'"):
        if not kernel.wait_until(gone):
            raise OSError(errno.EBUSY, "")
    clear_node(name)


def udev_runs() -> bool:
    """Whether a udev daemon is there to make and remove links."""
    return os.path.exists("/run/udev/control")


def settle_node(device: Info) -> None:
    """See to it that /dev/mapper/NAME leads to the device: udev's link, or one of ours where udev does not answer."""
    path = NODES + device.name
    target = kernel.device_path(device.device)

    def there() -> bool:
        return os.path.realpath(path) == target or _rdev(path) == device.device

    if there() or (udev_runs() and kernel.wait_until(there, 2.0)):
        return
    with doing(f"make the link '{path}'"):
        _unlink(path)
        try:
            os.symlink(f"../{os.path.basename(target)}", path)
        except FileExistsError:  # udev was late, not absent
            if not there():
                raise


def clear_node(name: str) -> None:
    """See to it that /dev/mapper/NAME is gone, now that its device is."""
    path = NODES + name
    if udev_runs() and kernel.wait_until(lambda: not os.path.lexists(path), 2.0):
        return
    with doing(f"remove the link '{path}'"):
        _unlink(path)


def _rdev(path: str) -> str:
    try:
        number = os.stat(path).st_rdev
    except OSError:
        return ""
    return f"{os.major(number)}:{os.minor(number)}"


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass

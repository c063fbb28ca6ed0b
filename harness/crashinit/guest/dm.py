"""The device-mapper control interface, as far as the gate reads it and the probe uses it.

Source: <linux/dm-ioctl.h>. Asking the kernel directly costs a millisecond where a `dmsetup` costs thirty.
"""

import errno
import fcntl
import os
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

CONTROL = "/dev/mapper/control"
DM_IOCTL = 0xFD
(
    DM_VERSION, DM_REMOVE_ALL, DM_LIST_DEVICES, DM_DEV_CREATE, DM_DEV_REMOVE, DM_DEV_RENAME, DM_DEV_SUSPEND,
    DM_DEV_STATUS, DM_DEV_WAIT, DM_TABLE_LOAD, DM_TABLE_CLEAR, DM_TABLE_DEPS, DM_TABLE_STATUS, DM_LIST_VERSIONS,
    DM_TARGET_MSG, DM_DEV_SET_GEOMETRY,
) = range(16)  # fmt: skip
DM_READONLY_FLAG = 1 << 0
DM_SUSPEND_FLAG = 1 << 1
DM_STATUS_TABLE_FLAG = 1 << 4
DM_ACTIVE_PRESENT_FLAG = 1 << 5
DM_INACTIVE_PRESENT_FLAG = 1 << 6
DM_BUFFER_FULL_FLAG = 1 << 8
DM_SKIP_LOCKFS_FLAG = 1 << 10
DM_NOFLUSH_FLAG = 1 << 11
DM_QUERY_INACTIVE_TABLE_FLAG = 1 << 12
DM_UUID_FLAG = 1 << 14
DM_DEFERRED_REMOVE = 1 << 17

# version[3], data_size, data_start, target_count, open_count, flags, event_nr, padding, dev, name, uuid
HEADER = struct.Struct("=3IIIIiIIIQ128s129s7x")
TARGET_SPEC = struct.Struct("=QQiI16s")  # sector_start, length, status, next, target_type
ROOM = 1 << 12  # bytes for an answer, at first: to make more room than is used takes time in an emulated machine
BUSY_LIMIT = 5.0  # seconds that removing waits for others, such as udev's workers, to close the device


def request(number: int) -> int:
    """The ioctl request number of a device-mapper command: _IOWR(DM_IOCTL, number, struct dm_ioctl)."""
    return 3 << 30 | HEADER.size << 16 | DM_IOCTL << 8 | number


def text(raw: bytes) -> str:
    """A NUL-padded field as text, of which os.fsencode() makes the same bytes again."""
    return os.fsdecode(raw.split(b"\0", 1)[0])


def unhuge(device: int) -> str:
    """ "major:minor" of the kernel's 64-bit device number (huge_encode_dev)."""
    return f"{os.major(device)}:{os.minor(device)}"


@dataclass(frozen=True)
class Info:
    """The header that every command answers with."""

    name: str
    uuid: str
    device: str  # "major:minor"
    open_count: int
    flags: int

    @property
    def suspended(self) -> bool:
        return bool(self.flags & DM_SUSPEND_FLAG)


@dataclass(frozen=True)
class Target:
    """One line of a table or of a status, in sectors of 512 bytes."""

    start: int
    length: int
    type: str
    params: str

    def __str__(self) -> str:
        return f"{self.start} {self.length} {self.type} {self.params}".rstrip()


def pack(name: str, flags: int = 0, payload: bytes = b"", targets: int = 0, size: int = 0) -> bytearray:
    """A request: struct dm_ioctl, the payload, and room for an answer of `size` bytes."""
    total = HEADER.size + max(len(payload), size)
    head = HEADER.pack(4, 0, 0, total, HEADER.size, targets, 0, flags, 0, 0, 0, os.fsencode(name), b"")
    return bytearray(head + payload.ljust(total - HEADER.size, b"\0"))


def command(number: int, buffer: bytearray) -> bytearray:
    """Run one command; the buffer holds its answer. Raises OSError."""
    fd = os.open(CONTROL, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.ioctl(fd, request(number), buffer, True)
    finally:
        os.close(fd)
    return buffer


def _info(buffer: bytes | bytearray) -> Info:
    *_, open_count, flags, _event, _pad, dev, name, uuid = HEADER.unpack_from(buffer)
    return Info(text(name), text(uuid), unhuge(dev), open_count, flags)


def names() -> list[str]:
    """The names of all devices (DM_LIST_DEVICES)."""
    size = ROOM
    while True:
        buffer = command(DM_LIST_DEVICES, pack("", size=size))
        if not _info(buffer).flags & DM_BUFFER_FULL_FLAG:
            break
        size *= 4
    found: list[str] = []
    at = HEADER.unpack_from(buffer)[4]
    while True:
        dev, step = struct.unpack_from("=QI", buffer, at)
        if not dev:
            return found
        found.append(text(bytes(buffer[at + 12 : at + 140])))
        if not step:
            return found
        at += step


def info(name: str) -> Info | None:
    """What the kernel says of a device; None if there is none of that name."""
    try:
        return _info(command(DM_DEV_STATUS, pack(name)))
    except OSError as error:
        if error.errno == errno.ENXIO:
            return None
        raise


def name_of(device: int, uuid: str) -> str:
    """The name of a device by its number (huge_encode_dev) or uuid; '' if there is none.

    sysfs would not do: there a device appears only with its first table.
    """
    buffer = pack("")
    HEADER.pack_into(buffer, 0, 4, 0, 0, len(buffer), HEADER.size, 0, 0, 0, 0, 0, device, b"", os.fsencode(uuid))
    try:
        return _info(command(DM_DEV_STATUS, buffer)).name
    except OSError:
        return ""


def table(name: str, flags: int = DM_STATUS_TABLE_FLAG) -> list[Target]:
    """The live table; with DM_QUERY_INACTIVE_TABLE_FLAG the inactive one, without DM_STATUS_TABLE_FLAG the status.

    The status is asked for without a flush, so that asking changes nothing and never waits.
    """
    size = ROOM
    while True:
        buffer = command(DM_TABLE_STATUS, pack(name, flags | DM_NOFLUSH_FLAG, size=size))
        if not _info(buffer).flags & DM_BUFFER_FULL_FLAG:
            return list(targets(bytes(buffer), relative=False))
        size *= 4


def targets(buffer: bytes, relative: bool = True) -> Iterator[Target]:
    """The targets in a request (`next` counts from the target) or in an answer (from the data's start).

    Raises struct.error when the buffer ends before the targets do.
    """
    header = HEADER.unpack_from(buffer)
    begin = at = header[4]
    for _ in range(header[5]):
        start, length, _status, step, kind = TARGET_SPEC.unpack_from(buffer, at)
        end = (at if relative else begin) + step
        params = buffer[at + TARGET_SPEC.size : end if end > at else None]
        yield Target(start, length, text(kind), text(params))
        if end <= at:  # of the last one nobody looks at `next`
            return
        at = end


def create(name: str, lines: list[Target], read_only: bool = False) -> str:
    """Make a device with this live table; returns the node that the kernel itself makes, as /dev/dm-3."""
    flags = DM_READONLY_FLAG if read_only else 0
    made = _info(command(DM_DEV_CREATE, pack(name)))
    try:
        payload = b""
        for line in lines:
            params = os.fsencode(line.params) + b"\0"
            step = (TARGET_SPEC.size + len(params) + 7) // 8 * 8
            spec = TARGET_SPEC.pack(line.start, line.length, 0, step, line.type.encode())
            payload += (spec + params).ljust(step, b"\0")
        command(DM_TABLE_LOAD, pack(name, flags, payload, len(lines)))
        command(DM_DEV_SUSPEND, pack(name))  # without the flag: resume
    except OSError:
        remove(name)
        raise
    return f"/dev/dm-{made.device.partition(':')[2]}"


def remove(name: str) -> None:
    """Remove a device, waiting up to BUSY_LIMIT seconds while it is held open. Raises OSError."""
    end = time.monotonic() + BUSY_LIMIT
    while True:
        try:
            command(DM_DEV_REMOVE, pack(name))
            return
        except OSError as error:
            if error.errno != errno.EBUSY or time.monotonic() > end:
                raise
            time.sleep(0.005)  # the kernel offers nothing to wait on


def message(name: str, words: str) -> None:
    """Send a message to the device's target at sector 0. Raises OSError."""
    command(DM_TARGET_MSG, pack(name, payload=struct.pack("=Q", 0) + words.encode() + b"\0"))


@contextmanager
def suspended(name: str) -> Iterator[None]:
    """The device is suspended inside; not at all if it is not there."""
    if info(name) is None:
        yield
        return
    command(DM_DEV_SUSPEND, pack(name, DM_SUSPEND_FLAG))
    try:
        yield
    finally:
        command(DM_DEV_SUSPEND, pack(name))
